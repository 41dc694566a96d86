//! One refused record or file: where it stands, which rule it broke, what was
//! found and what was expected.

use serde::{Deserialize, Serialize};

/// A refused record, or a refused file where `row` is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The file, relative to the import's URI.
    pub file: String,
    /// The row group of the file, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_group: Option<u32>,
    /// The row of the *file*, from 0 (not of the row group).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The record's id, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The stable code of the rule, one of [`codes`] or the codes of
    /// `VectorError` and `MetadataError`.
    pub code: String,
    /// The column that broke the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Everything above and what was found and expected, to be read by people.
    pub message: String,
    /// The record as JSON text; no JSON where it was too long and ends with
    /// `…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// The stable codes that are this crate's own.
pub mod codes {
    /// The id is null.
    pub const ID_NULL: &str = "E_ID_NULL";
    /// The id is empty.
    pub const ID_EMPTY: &str = "E_ID_EMPTY";
    /// The id is too long.
    pub const ID_LENGTH: &str = "E_ID_LENGTH";
    /// The id holds a character that is not allowed.
    pub const ID_CHARS: &str = "E_ID_CHARS";
    /// The vector or one of its components is null.
    pub const VALUES_NULL: &str = "E_VALUES_NULL";
    /// The sparse vector is null where it is required, or a part of it is.
    pub const SPARSE_NULL: &str = "E_SPARSE_NULL";
    /// The index takes no sparse vectors.
    pub const SPARSE_NOT_ALLOWED: &str = "E_SPARSE_NOT_ALLOWED";
    /// A sparse index is negative or does not fit 32 bits.
    pub const SPARSE_INDEX: &str = "E_SPARSE_INDEX";
    /// The metadata is not UTF-8.
    pub const METADATA_UTF8: &str = "E_METADATA_UTF8";
    /// A line is no JSON object.
    pub const JSON: &str = "E_JSON";
    /// A line is too long.
    pub const LINE_LENGTH: &str = "E_LINE_LENGTH";
    /// A part of a record is of another type than its schema has.
    pub const TYPE: &str = "E_TYPE";
    /// The file is not of the format that its name says.
    pub const FILE_FORMAT: &str = "E_FILE_FORMAT";
    /// The file is no Parquet.
    pub const FILE_NOT_PARQUET: &str = "E_FILE_NOT_PARQUET";
    /// The file ends before its own description says.
    pub const FILE_TRUNCATED: &str = "E_FILE_TRUNCATED";
    /// The file is encrypted.
    pub const FILE_ENCRYPTED: &str = "E_FILE_ENCRYPTED";
    /// A column is missing or has the wrong type.
    pub const FILE_SCHEMA: &str = "E_FILE_SCHEMA";
    /// The file was changed while it was read.
    pub const FILE_CHANGED: &str = "E_FILE_CHANGED";
    /// The file is gone.
    pub const FILE_VANISHED: &str = "E_FILE_VANISHED";
    /// The directory the file is in cannot name a namespace.
    pub const FILE_NAMESPACE: &str = "E_FILE_NAMESPACE";
    /// The file's contents are damaged.
    pub const FILE_DECODE: &str = "E_FILE_DECODE";
    /// The file, or a part of it, is over a limit.
    pub const FILE_LIMIT: &str = "E_FILE_LIMIT";
}
