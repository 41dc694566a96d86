//! What the database's calls take and give. Plain data, no behaviour beyond
//! conversions.

mod query;

use std::collections::BTreeMap;

use crossbill_core::{
    DocumentFields, Filter, IndexName, IndexShape, Metadata, NamespaceName, SparseVector,
    TextSchema, Timestamp,
};
use crossbill_import::{ColumnMapping, ErrorMode};
use serde::{Deserialize, Serialize};

pub use self::query::{Match, Query, QueryAnswer, QueryBy, QueryTook, StoredRecord};
use crate::webhooks::WebhookState;

/// A number that grows with every write of an index; a read that reports at
/// least a write's number has seen that write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

/// An index to be made.
#[derive(Debug, Clone)]
pub struct NewIndex {
    /// Its name, unique on this server.
    pub name: IndexName,
    /// What its records look like.
    pub shape: IndexShape,
    /// Which fields hold the vectors, in an index of documents.
    pub documents: Option<DocumentFields>,
    /// Which fields are searched as text.
    pub text: TextSchema,
    /// The user's tags.
    pub tags: BTreeMap<String, String>,
    /// Whether deleting it is refused.
    pub deletion_protection: bool,
    /// The cloud the caller named; kept to be shown again.
    pub cloud: String,
    /// The region the caller named; kept to be shown again.
    pub region: String,
    /// Further facts of the caller's request, opaque here.
    pub spec_json: Option<String>,
}

/// Changes to an index; what is `None` or absent stays.
#[derive(Debug, Clone, Default)]
pub struct IndexChange {
    /// Tags to add or replace; an empty value removes its tag.
    pub tags: BTreeMap<String, String>,
    /// Whether deleting it is refused.
    pub deletion_protection: Option<bool>,
    /// New opaque facts.
    pub spec_json: Option<SpecChange>,
}

/// A change to the opaque facts of an index, refused where they are not what
/// it was made from any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecChange {
    /// What was read.
    pub from: Option<String>,
    /// What is to stand in its place.
    pub to: String,
}

/// An index as described.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexInfo {
    /// Its name.
    pub name: IndexName,
    /// 32 hex digits; never used again after deletion.
    pub uid: String,
    /// What its records look like.
    pub shape: IndexShape,
    /// Which fields hold the vectors, in an index of documents.
    pub documents: Option<DocumentFields>,
    /// Which fields are searched as text.
    pub text: TextSchema,
    /// The data-plane port that belongs to it.
    pub port: u16,
    /// The user's tags.
    pub tags: BTreeMap<String, String>,
    /// Whether deleting it is refused.
    pub deletion_protection: bool,
    /// The cloud the caller named.
    pub cloud: String,
    /// The region the caller named.
    pub region: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Opaque facts of the caller's request.
    pub spec_json: Option<String>,
}

/// What happened to the set of indexes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum IndexEvent {
    /// An index was made and can be used.
    Created(IndexInfo),
    /// An index is gone.
    Deleted(IndexInfo),
}

/// A change to one record; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// The record; an unknown id changes nothing and is no error.
    pub id: String,
    /// The new dense vector.
    pub values: Option<Vec<f32>>,
    /// The new sparse vector.
    pub sparse: Option<SparseVector>,
    /// Fields to put over the record's own.
    pub set_metadata: Option<Metadata>,
    /// What to take away, before anything is put.
    pub remove: Removal,
}

/// What of a record is taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// The sparse vector, in an index of documents.
    pub sparse: bool,
    /// Fields of the metadata; unknown ones are no error.
    pub fields: Vec<String>,
}

/// Which records a deletion takes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Selector {
    /// Those with these ids; unknown ones are no error.
    Ids(Vec<String>),
    /// All of the namespace, which stays.
    All,
    /// Those whose metadata matches.
    Filter(Filter),
}

/// Records by namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Live records of each namespace, by name (`__default__` for the default
    /// one).
    pub namespaces: BTreeMap<String, u64>,
    /// Live records of all.
    pub total: u64,
    /// Every write up to this one was counted.
    pub lsn: Lsn,
}

/// A namespace as described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceInfo {
    /// Its name (`__default__` for the default one).
    pub name: String,
    /// Live records.
    pub record_count: u64,
    /// Bytes of its segments.
    pub size_bytes: u64,
    /// Fields declared filterable when it was made; all are where `None`.
    pub filterable: Option<Vec<String>>,
}

/// A page of namespaces in name order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespacePage {
    /// The page.
    pub namespaces: Vec<NamespaceInfo>,
    /// Whether there are more after it.
    pub more: bool,
    /// Namespaces with the prefix on all pages.
    pub total: u64,
}

/// What an import is asked for beside its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// What a bad record does.
    pub error_mode: ErrorMode,
    /// Errors, records and files, that it may have and go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_max: Option<u64>,
    /// Whether it only reads and checks, and writes nothing into the index.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether files are passed over that an earlier import loaded as they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_loaded: bool,
    /// What becomes of records that are there.
    #[serde(default, skip_serializing_if = "ImportMode::is_default")]
    pub mode: ImportMode,
    /// Whether its records are shown all at once, at its end, or not at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub atomic: bool,
    /// Which columns hold what.
    #[serde(default, skip_serializing_if = "ColumnMapping::is_default")]
    pub mapping: ColumnMapping,
}

/// What an import does to records that are in its namespaces already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ImportMode {
    /// It replaces those whose ids it brings.
    #[default]
    Upsert,
    /// It takes the place of all that was there when it began, at its end.
    Replace,
}

impl ImportMode {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ImportMode::Upsert => "upsert",
            ImportMode::Replace => "replace",
        }
    }

    fn is_default(&self) -> bool {
        *self == ImportMode::default()
    }
}

impl ImportOptions {
    /// Whether nothing of it is seen before its end.
    pub(crate) fn is_staged(&self) -> bool {
        self.atomic || self.mode == ImportMode::Replace
    }
}

/// What an import would take, as its dry run found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImportEstimate {
    /// Seconds, roughly.
    pub seconds: f64,
    /// Bytes of disk.
    pub disk_bytes: u64,
    /// Bytes of disk that are free.
    pub disk_free_bytes: u64,
}

impl From<ErrorMode> for ImportOptions {
    /// That, and nothing else.
    fn from(error_mode: ErrorMode) -> Self {
        Self {
            error_mode,
            errors_max: None,
            dry_run: false,
            skip_loaded: false,
            mode: ImportMode::Upsert,
            atomic: false,
            mapping: ColumnMapping::default(),
        }
    }
}

/// An import to be started.
#[derive(Debug, Clone)]
pub struct StartImport {
    /// Where the files are, 1 to 1500 characters.
    pub uri: String,
    /// The storage integration to read them with.
    pub integration: Option<String>,
    /// What else is asked.
    pub options: ImportOptions,
    /// A key of the caller's choice: the same key gives the same import.
    pub idempotency_key: Option<String>,
    /// Who asks (address and key, opaque): a repeat within a minute with the
    /// same settings from the same caller is taken for a retry.
    pub caller: Option<String>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ImportStatus {
    /// Waits for its turn or for its source.
    Pending,
    /// Runs.
    InProgress,
    /// Every record that could be imported is there and can be queried.
    Completed,
    /// Ended by an error.
    Failed,
    /// Ended by the user.
    Cancelled,
}

impl ImportStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ImportStatus::Pending => "Pending",
            ImportStatus::InProgress => "InProgress",
            ImportStatus::Completed => "Completed",
            ImportStatus::Failed => "Failed",
            ImportStatus::Cancelled => "Cancelled",
        }
    }

    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        !matches!(self, ImportStatus::Pending | ImportStatus::InProgress)
    }
}

/// An export to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartExport {
    /// The directory to write to: empty or new.
    pub uri: String,
    /// Which of the integrations writes there.
    pub integration: Option<String>,
    /// The namespace to export; all without it.
    pub namespace: Option<NamespaceName>,
}

/// An export as described.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportView {
    /// A growing integer as text.
    pub id: String,
    /// As given.
    pub uri: String,
    /// As given.
    pub namespace: Option<String>,
    /// How far it is.
    pub status: ImportStatus,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// 0 to 100; never goes back; 100 only when Completed.
    pub percent_complete: f64,
    /// Records in the files so far.
    pub records_exported: u64,
    /// Records that there were at the start.
    pub records_total: u64,
    /// Files so far.
    pub files_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// An import as described.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportView {
    /// A growing integer as text.
    pub id: String,
    /// As given.
    pub uri: String,
    /// How far it is.
    pub status: ImportStatus,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// 0 to 100, loading and indexing; never goes back; 100 only when
    /// Completed.
    pub percent_complete: f64,
    /// Records in the index by this import.
    pub records_imported: u64,
    /// Records that break a rule.
    pub records_rejected: u64,
    /// Records replaced by a later one of the same import.
    pub records_superseded: u64,
    /// Rows that are settled: imported + superseded + rejected, always.
    pub records_read: u64,
    /// Rows read beside those, whose tasks are not committed yet.
    pub records_under_way: u64,
    /// Rows in all files, once known.
    pub records_total: Option<u64>,
    /// Bytes of the source read.
    pub bytes_read: u64,
    /// Bytes in all files, once known.
    pub bytes_total: Option<u64>,
    /// Files read to their end.
    pub files_done: u64,
    /// Files, once known.
    pub files_total: Option<u64>,
    /// What it does now, for people: `waiting`, `planning`, `loading`, …
    pub phase: String,
    /// Whether it waits until it is resumed.
    pub is_paused: bool,
    /// Lately.
    pub records_per_second: Option<f64>,
    /// Seconds to the end at that rate.
    pub eta_seconds: Option<f64>,
    /// Why it failed.
    pub error: Option<String>,
    /// What else there is to say, file errors among it.
    pub warnings: Vec<String>,
    /// What was asked.
    pub options: ImportOptions,
    /// Whether its end is to be told to a webhook, or was.
    pub webhook: Option<WebhookState>,
    /// Files that were passed over because they were loaded before.
    pub files_skipped: u64,
    /// Of a dry run that has ended: what the import would take.
    pub estimate: Option<ImportEstimate>,
}
