//! What is stored of an import beside its plan and its tasks' marks: what was
//! asked, and how it ended.

use crossbill_core::Timestamp;
use crossbill_import::Reject;
use crossbill_store::TaskCounts;
use serde::{Deserialize, Serialize};

use crate::types::{ImportEstimate, ImportOptions, ImportStatus};
use crate::webhooks::WebhookState;

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
    #[serde(flatten)]
    pub(super) options: ImportOptions,
    #[serde(default)]
    pub(super) idempotency_key: Option<String>,
    #[serde(default)]
    pub(super) caller: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) status: ImportStatus,
    /// The highest percentage that was stored; described ones never go below.
    #[serde(default)]
    pub(super) percent: f64,
    /// Whether it waits until it is resumed.
    #[serde(default)]
    pub(super) paused: bool,
    /// Whether it is decided that its staged records are shown: then it can
    /// only complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) decided: bool,
    /// Whether its end is to be told to a webhook, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) webhook: Option<WebhookState>,
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
    /// The task with one error more than there may be: not committed, but its
    /// rejects up to that one count.
    #[serde(default)]
    pub(super) overrun_task: Option<u32>,
    /// Files that were passed over because they were loaded before.
    #[serde(default)]
    pub(super) files_skipped: u64,
    /// Of a dry run: how many tasks it did, and what the import would take.
    #[serde(default)]
    pub(super) dry_tasks: Option<u32>,
    #[serde(default)]
    pub(super) estimate: Option<ImportEstimate>,
}
