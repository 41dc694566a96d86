//! The embeddable database: every use case once, behind a blocking API. The
//! server, the CLI and language bindings call this and nothing below it.
//!
//! A [`Database`] owns one data directory. It holds indexes ([`Index`]), each
//! with namespaces: a write-ahead log and memtable for what was written
//! lately, immutable segments for the rest, one manifest that says which.
//! Imports run in the background and survive restarts. No wire types, no HTTP.

mod background;
mod backups;
mod catalog;
mod catalog_state;
mod database;
pub mod doctor;
mod env;
mod exports;
mod imports;
mod index;
mod integrations;
mod jobs;
mod metrics;
mod namespace;
mod ops;
mod pace;
mod parts;
mod priority;
mod record_file;
mod reserve;
mod sweep;
mod types;
mod webhooks;

pub use backups::{
    BackupFilter, BackupInfo, BackupSchedule, Frequency, IndexSource, NewBackup, NewSchedule,
    RestoreJob, RestoreOptions, RootCopyView, ScheduleChange,
};
pub use crossbill_engine::{Effort, SearchStats};
pub use crossbill_import::{
    ColumnMapping, ErrorMode, ImportSettings, MetadataMapping, Preview, PreviewColumn, PreviewRow,
    RecordText, Reject,
};
pub use crossbill_store::{
    DestinationPolicy, FaultPlan, Integration, Secret, SourceObject, SourcePolicy, StoreKind,
    Webhook,
};
pub use database::{Database, DatabaseOptions};
pub use imports::{
    FileState, ImportManifest, ImportManifestPage, ManifestFile, ManifestPart, RejectCount,
};
pub use index::Index;
pub use integrations::{IntegrationInfo, SourceTest};
pub use metrics::{DatabaseLoad, Gauges, IndexGauges};
pub use record_file::RecordFile;
pub use types::{
    ExportView, ImportEstimate, ImportMode, ImportOptions, ImportStatus, ImportView, IndexChange,
    IndexEvent, IndexInfo, IndexStats, Lsn, Match, NamespaceInfo, NamespacePage, NewIndex, Query,
    QueryAnswer, QueryBy, QueryTook, Removal, Selector, SpecChange, StartExport, StartImport,
    StoredRecord, Update,
};
pub use webhooks::{WebhookOptions, WebhookState};
