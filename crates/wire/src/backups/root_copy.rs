//! Bodies of the calls about copies of the whole data directory. All of them
//! are ours.

use crossbill_core::limits::IMPORT_URI_CHARS_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::describe;

/// `POST /root-copy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRootCopy {
    /// The directory of copies, `file:///…`; the copy is a new directory in it.
    #[schemars(length(min = 1, max = IMPORT_URI_CHARS_MAX))]
    pub uri: String,
}

/// A copy of the data directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootCopyModel {
    /// As it was given.
    pub uri: String,
    /// The directory that the copy is, once it has completed.
    pub directory: String,
    /// `Pending`, `InProgress`, `Completed`, `Failed` or `Cancelled`.
    #[schemars(with = "describe::JobStatusWord")]
    pub status: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Files that it consists of, once known.
    pub files_total: u64,
    /// Their bytes, once known.
    pub bytes_total: u64,
    /// Bytes copied so far.
    pub bytes_copied: u64,
    /// Bytes that an earlier copy had already.
    pub bytes_reused: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
