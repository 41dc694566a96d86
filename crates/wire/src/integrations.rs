//! Storage integrations (ours): made, listed, described, and tests of whether
//! a source can be read. Secrets go in and never come out.

use crossbill_core::limits::{
    IMPORT_URI_CHARS_MAX, INTEGRATION_BUCKETS_MAX, STORED_INTEGRATION_ID_CHARS_MAX,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::describe;

/// Body of `POST /integrations`. Not `Debug`: it holds secrets. Unlike
/// elsewhere an unknown field is an error, because a misspelt key would read
/// unsigned.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateIntegration {
    /// The name by which an import asks for it.
    #[schemars(length(min = 1, max = STORED_INTEGRATION_ID_CHARS_MAX))]
    pub id: String,
    /// `s3`, `gcs` or `azure`.
    #[schemars(with = "describe::StoreKindWord")]
    pub kind: String,
    /// Where the store answers; the provider's own address without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `bucket` or `bucket/prefix` that may be read; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = INTEGRATION_BUCKETS_MAX))]
    pub buckets: Vec<String>,
    /// S3: the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// S3: the access key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// S3: the access key itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<String>,
    /// S3: the token of temporary keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
    /// S3: false where the bucket stands in the host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// GCS: the JSON of a service account's key, as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_key: Option<String>,
    /// Azure: the storage account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Azure: the account's access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// Azure: a shared access signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sas_token: Option<String>,
}

/// An integration as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationModel {
    /// Its name.
    pub id: String,
    /// `s3`, `gcs` or `azure`.
    #[schemars(with = "describe::StoreKindWord")]
    pub kind: String,
    /// `settings`, which only the operator changes, or `api`.
    pub origin: String,
    /// What requests are signed with, in words: `access key`, `unsigned`, ….
    pub credentials: String,
    /// Where the store answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// S3: the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// S3: whether the bucket stands in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// Azure: the storage account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What may be read with it; empty: all.
    #[serde(default)]
    pub buckets: Vec<String>,
}

/// Answer of `GET /integrations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationList {
    /// By id.
    pub integrations: Vec<IntegrationModel>,
}

/// Body of `POST /sources/test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestSource {
    /// What an import would be given.
    #[schemars(length(min = 1, max = IMPORT_URI_CHARS_MAX))]
    pub uri: String,
    /// The integration to try it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration_id: Option<String>,
}

/// Answer of `POST /sources/test`: also where the source cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceTest {
    /// What was asked.
    pub uri: String,
    /// What was tried: place, endpoint, integration.
    pub tried: String,
    /// Whether the files could be listed.
    pub readable: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first files found.
    #[serde(default)]
    pub files: Vec<SourceFile>,
    /// Whether there are more.
    #[serde(default)]
    pub more: bool,
}

/// A file of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceFile {
    /// Below the URI.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
}
