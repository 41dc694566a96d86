//! Bodies of the export calls, camelCase as on the wire. All of them are
//! ours: the hosted service has no exports.

use crossbill_core::limits::{IMPORT_URI_CHARS_MAX, INTEGRATION_ID_CHARS_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Pagination;
use crate::describe;

/// `POST /bulk/exports`. An unknown field is refused: one that asks for less
/// than all records must not be lost silently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartExport {
    /// The directory to write to: empty or new.
    #[schemars(length(min = 1, max = IMPORT_URI_CHARS_MAX))]
    pub uri: String,
    /// Which of the operator's integrations writes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = INTEGRATION_ID_CHARS_MAX))]
    pub integration_id: Option<String>,
    /// The namespace to export; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Namespace>")]
    pub namespace: Option<String>,
}

/// Answer of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartedExport {
    /// The export's id.
    pub id: String,
}

/// An export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportModel {
    /// Its id, a growing number as text.
    pub id: String,
    /// As it was given.
    pub uri: String,
    /// As it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `Pending`, `InProgress`, `Completed`, `Failed` or `Cancelled`.
    #[schemars(with = "describe::JobStatusWord")]
    pub status: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// 0 to 100; never goes back.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Answer of `GET /bulk/exports`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportPage {
    /// Newest first.
    pub data: Vec<ExportModel>,
    /// Where there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}
