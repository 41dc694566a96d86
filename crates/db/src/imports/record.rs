//! What is stored of an import beside its plan and its tasks' marks: what was
//! asked, and how it ended.

use crossbill_core::Timestamp;
use crossbill_import::{ColumnMapping, ErrorMode, Reject};
use crossbill_store::TaskCounts;
use serde::{Deserialize, Serialize};

use crate::types::ImportStatus;

/// The kind under which import records are stored.
pub(super) const RECORD_KIND: &str = "import-record";
/// The kind under which plans are stored.
pub(super) const PLAN_KIND: &str = "import-plan";

/// An import's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ImportRecord {
    pub(super) id: u64,
    pub(super) uri: String,
    #[serde(default)]
    pub(super) integration: Option<String>,
    pub(super) error_mode: ErrorMode,
    #[serde(default, skip_serializing_if = "ColumnMapping::is_default")]
    pub(super) mapping: ColumnMapping,
    #[serde(default)]
    pub(super) idempotency_key: Option<String>,
    #[serde(default)]
    pub(super) caller: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) status: ImportStatus,
    /// The highest percentage that was stored; described ones never go below.
    #[serde(default)]
    pub(super) percent: f64,
    /// How it ended.
    #[serde(default)]
    pub(super) end: Option<ImportEnd>,
}

/// How an import ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ImportEnd {
    pub(super) finished_at: Option<Timestamp>,
    pub(super) counts: TaskCounts,
    #[serde(default)]
    pub(super) rows_total: Option<u64>,
    #[serde(default)]
    pub(super) bytes_total: Option<u64>,
    #[serde(default)]
    pub(super) files_total: Option<u64>,
    #[serde(default)]
    pub(super) files_done: u64,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    /// In abort mode: the record or file that ended it.
    #[serde(default)]
    pub(super) reject: Option<Reject>,
}
