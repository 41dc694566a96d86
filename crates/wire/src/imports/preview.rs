//! Bodies of `POST /bulk/imports/preview` (ours): what the first rows of a
//! source would become.

use crossbill_core::limits::{
    IMPORT_URI_CHARS_MAX, INTEGRATION_ID_CHARS_MAX, PREVIEW_COLUMNS_MAX, PREVIEW_COMPONENTS_MAX,
    PREVIEW_ROWS_MAX, RECORD_ID_CHARS_MAX,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StartImport;
use crate::columns::ColumnsField;

/// `POST /bulk/imports/preview`: what of a start says what is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewImport {
    /// Where the files are, 1 to 1500 characters.
    #[schemars(length(min = 1, max = IMPORT_URI_CHARS_MAX))]
    pub uri: String,
    /// Which of the integrations reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = INTEGRATION_ID_CHARS_MAX))]
    pub integration_id: Option<String>,
    /// Which columns hold what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnsField>,
    /// Makes ids of this and the row's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = RECORD_ID_CHARS_MAX))]
    pub id_prefix: Option<String>,
}

impl PreviewImport {
    /// The start that would read the same.
    pub fn into_start(self) -> StartImport {
        let Self { uri, integration_id, columns, id_prefix } = self;
        StartImport { uri, integration_id, columns, id_prefix, ..StartImport::default() }
    }
}

/// Answer of a preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportPreview {
    /// The file that was looked at, below the URI.
    pub file: String,
    /// The namespace that its records would go to.
    pub namespace: String,
    /// Its columns.
    #[schemars(length(max = PREVIEW_COLUMNS_MAX))]
    pub columns: Vec<PreviewColumn>,
    /// What its first rows would become.
    #[schemars(length(max = PREVIEW_ROWS_MAX))]
    pub rows: Vec<PreviewRow>,
    /// Why the file cannot be imported so; a mapping is proposed where there
    /// is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewColumn {
    /// Its name.
    pub name: String,
    /// Its type, in words.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A row of a file, as it would be imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewRow {
    /// The row in the file, from 0.
    pub row: u64,
    /// The record's id, where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The first components of its vector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = PREVIEW_COMPONENTS_MAX))]
    pub values: Vec<f32>,
    /// Entries of its sparse vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_entries: Option<u64>,
    /// Its metadata as JSON text, or the beginning of that, which ends with
    /// `…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The code of the rule that it breaks, where it would be rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What was found and expected, where it would be rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
