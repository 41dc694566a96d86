//! The completion manifest of an import, as `GET
//! /bulk/imports/{id}/manifest` gives it (ours).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::describe;
use crate::{ColumnsField, ErrorModeField};

/// A manifest with some of its files and parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportManifestModel {
    /// The program that wrote it, and its version.
    pub program: String,
    /// The index's name.
    pub index: String,
    /// The import's id.
    pub id: String,
    /// `Completed`, `Failed` or `Cancelled`.
    #[schemars(with = "describe::JobStatusWord")]
    pub status: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// What starts the same import again.
    pub settings: ImportSettingsModel,
    /// What became of the records.
    pub counts: ManifestCounts,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was noticed and did no harm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Rejects by code.
    pub rejects: Vec<RejectCountModel>,
    /// How many files the manifest lists.
    pub files_total: u64,
    /// How many parts it lists, behind the files.
    pub parts_total: u64,
    /// Files of this page, in path order.
    pub files: Vec<ManifestFileModel>,
    /// Parts of this page.
    pub parts: Vec<ManifestPartModel>,
    /// The `offset` of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
}

/// The settings of an import, in the shape of a start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportSettingsModel {
    /// Where the files are.
    pub uri: String,
    /// Which integration read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration_id: Option<String>,
    /// What a bad record does.
    pub error_mode: ErrorModeField,
    /// Whether it only read and checked.
    pub dry_run: bool,
    /// Whether files were passed over that had been loaded before.
    pub skip_loaded: bool,
    /// What became of records that were there.
    #[schemars(with = "describe::ImportModeWord")]
    pub mode: String,
    /// Whether its records were shown all at once.
    pub atomic: bool,
    /// Which columns held what, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnsField>,
    /// What ids were made of, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_prefix: Option<String>,
}

/// What became of the records of an import: read = imported + superseded +
/// rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestCounts {
    /// Rows that the footers promise, where they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Rows settled.
    pub read: u64,
    /// Records imported.
    pub imported: u64,
    /// Records replaced by a later one of the same id in the same import.
    pub superseded: u64,
    /// Records that broke a rule, or stood in a file behind where it broke.
    pub rejected: u64,
}

/// How often a code occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectCountModel {
    /// The code.
    pub code: String,
    /// Records with it.
    pub records: u64,
    /// Files with it.
    pub files: u64,
}

/// A file of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestFileModel {
    /// Relative to the import's URI.
    pub path: String,
    /// Where it lies.
    pub location: String,
    /// The namespace of its records.
    pub namespace: String,
    /// The version of its content.
    pub etag: String,
    /// Its size.
    pub bytes: u64,
    /// Rows that its footer promises, where that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Rows of them that are settled.
    pub rows_read: u64,
    /// `read`, `partial`, `unread`, `skipped` or `broken`.
    pub state: String,
    /// The code it is broken with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A segment that held records of the import when it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestPartModel {
    /// The namespace it belongs to.
    pub namespace: String,
    /// Its name: the file `parts/<part>.seg` of the index.
    pub part: String,
    /// The task that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u32>,
    /// Rows in it, replaced ones included.
    pub rows: u32,
    /// Bytes.
    pub bytes: u64,
    /// The checksum of the file as docs/format.md defines it, in 8 hex digits.
    pub checksum: String,
}
