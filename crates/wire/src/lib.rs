//! Bodies as clients send and read them, as JSON for server and command line alike, and `core`'s
//! words. No I/O, no routing. Answers leave absent fields out and never write `null`, because the
//! official clients decode strictly; unknown fields are ignored on the way in.

pub mod backups;
mod columns;
pub mod describe;
pub mod documents;
mod error;
mod exports;
mod floats;
pub mod grpc;
mod imports;
mod index;
pub mod inference;
mod integrated;
mod integrations;
mod load;
mod namespaces;
mod page;
mod plain;
mod query;
pub mod records;
mod schema;
mod spec;
mod status;
mod upsert;
mod vectors;
mod version;

pub use columns::{ColumnsField, MetadataField};
pub use error::{ErrorBody, ErrorDetail};
pub use exports::{ExportModel, ExportPage, StartExport, StartedExport};
pub use imports::{
    ErrorModeField, FinishedImport, ImportEstimate, ImportFinished, ImportManifestModel,
    ImportModel, ImportPage, ImportPreview, ImportSettingsModel, ManifestCounts, ManifestFileModel,
    ManifestPartModel, OnError, PreviewColumn, PreviewImport, PreviewRow, RejectCountModel,
    RejectModel, RejectPage, StartImport, StartedImport, ValidationResult,
};
pub use index::{
    ConfigureIndex, CreateIndex, IndexFacts, IndexList, IndexModel, IndexPlan, IndexStatus,
};
pub use integrated::{CreateForModel, EmbedModel, EmbedSettings, ForModelPlan, StoredEmbed};
pub use integrations::{
    CreateIntegration, IntegrationList, IntegrationModel, SourceFile, SourceTest, TestSource,
};
pub use load::{ImportLoad, MemoryLoad, RequestLoad, ServerLoad};
pub use namespaces::{CreateNamespace, FieldNames, NamespaceModel, NamespacePage};
pub use page::{PageToken, Pagination, TokenError};
pub use query::{QueryBy, QueryExplain, QueryMicros, QueryRequest, QueryResponse, ScoredVector};
pub use schema::{MetadataSchema, Schema, SchemaField};
pub use spec::{ByocSpec, Deployment, PodSpec, ReadCapacity, ReadStatus, ServerlessSpec, Spec};
pub use spec::{Placement, StoredSpec};
pub use status::Status;
pub use vectors::{
    DeleteRequest, FetchByMetadataRequest, FetchResponse, ListItem, ListResponse, NamespaceSummary,
    SparseValues, StatsRequest, StatsResponse, UpdateRequest, UpdateResponse, UpsertRequest,
    UpsertResponse, Usage, Vector, check_new_parts,
};
pub use version::ApiVersion;
