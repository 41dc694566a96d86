//! Bodies of the namespace calls, snake_case as on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::describe;
use crate::{MetadataSchema, Pagination};

/// `POST /namespaces`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreateNamespace {
    /// 1 to 512 ASCII characters.
    #[schemars(with = "describe::NewNamespace")]
    pub name: String,
    /// Which metadata fields are to be filterable; all are where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<MetadataSchema>,
}

/// A list of field names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FieldNames {
    /// The names.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceModel {
    /// `__default__` for the default one.
    pub name: String,
    /// Records in it.
    #[serde(default)]
    pub record_count: u64,
    /// Bytes of its segments.
    #[serde(default)]
    pub size_bytes: u64,
    /// As it was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<MetadataSchema>,
    /// The filterable fields named at its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexed_fields: Option<FieldNames>,
}

/// Answer of `GET /namespaces`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespacePage {
    /// In order of their names.
    pub namespaces: Vec<NamespaceModel>,
    /// Where another page follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// Namespaces on all pages.
    #[serde(default)]
    pub total_count: u64,
}
