//! The settings of object stores that imports read from: the default
//! integration of each kind, and how long a store's troubles are borne.

use std::path::PathBuf;

use clap::Args;

use crate::units::Span;

/// Object stores. What stands here is used where an import names no
/// integration; further ones are `[[integration]]` tables of the file, or
/// made with `crossbill integrations create`.
#[derive(Clone, Args)]
#[command(next_help_heading = "Object stores")]
pub(crate) struct StoreArgs {
    /// Address of the object store that s3:// imports read from, for stores other than AWS
    #[arg(long, env = "CROSSBILL_S3_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub(crate) s3_endpoint: Option<String>,
    /// Region of the object store
    #[arg(long, env = "CROSSBILL_S3_REGION", value_name = "REGION", hide_env_values = true)]
    pub(crate) s3_region: Option<String>,
    /// Access key of the object store; without one, buckets are read anonymously
    #[arg(long, env = "CROSSBILL_S3_ACCESS_KEY_ID", value_name = "ID", hide_env_values = true)]
    pub(crate) s3_access_key_id: Option<String>,
    /// Secret of the access key (better in the environment or the file than on the command line)
    #[arg(
        long,
        env = "CROSSBILL_S3_SECRET_ACCESS_KEY",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub(crate) s3_secret_access_key: Option<String>,
    /// Session token of temporary credentials
    #[arg(long, env = "CROSSBILL_S3_SESSION_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) s3_session_token: Option<String>,
    /// Whether the bucket stands in the path of requests (true) or in the host's name (false)
    #[arg(long, env = "CROSSBILL_S3_PATH_STYLE", value_name = "BOOL", hide_env_values = true)]
    pub(crate) s3_path_style: Option<bool>,
    /// Bucket, or bucket/prefix, that may be imported from (repeatable); default: any
    #[arg(
        long,
        env = "CROSSBILL_S3_BUCKET",
        value_name = "BUCKET",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) s3_bucket: Vec<String>,
    /// Address of the store that gs:// imports read from, for others than Google's
    #[arg(long, env = "CROSSBILL_GCS_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub(crate) gcs_endpoint: Option<String>,
    /// JSON file of a service account's key; without one, buckets are read anonymously
    #[arg(
        long,
        env = "CROSSBILL_GCS_SERVICE_ACCOUNT_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(crate) gcs_service_account_file: Option<PathBuf>,
    /// The same key as text (better in the environment than on the command line)
    #[arg(
        long,
        env = "CROSSBILL_GCS_SERVICE_ACCOUNT_KEY",
        value_name = "JSON",
        hide_env_values = true
    )]
    pub(crate) gcs_service_account_key: Option<String>,
    /// Bucket, or bucket/prefix, that gs:// imports may read (repeatable); default: any
    #[arg(
        long,
        env = "CROSSBILL_GCS_BUCKET",
        value_name = "BUCKET",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) gcs_bucket: Vec<String>,
    /// Address of the store that az:// imports read from, for others than Azure's public cloud
    #[arg(long, env = "CROSSBILL_AZURE_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub(crate) azure_endpoint: Option<String>,
    /// Azure storage account that az://CONTAINER means
    #[arg(long, env = "CROSSBILL_AZURE_ACCOUNT", value_name = "NAME", hide_env_values = true)]
    pub(crate) azure_account: Option<String>,
    /// Access key of the account; without key and token, containers are read anonymously
    #[arg(long, env = "CROSSBILL_AZURE_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) azure_access_key: Option<String>,
    /// Shared access signature (SAS) of the account or of one container
    #[arg(long, env = "CROSSBILL_AZURE_SAS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) azure_sas_token: Option<String>,
    /// Container, or container/prefix, that Azure imports may read (repeatable); default: any
    #[arg(
        long,
        env = "CROSSBILL_AZURE_CONTAINER",
        value_name = "CONTAINER",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) azure_container: Vec<String>,
    /// Endpoint that integrations made over the API may have though it is private or plain
    /// http:// (repeatable); default: none
    #[arg(
        long,
        env = "CROSSBILL_ALLOW_ENDPOINT",
        value_name = "URL",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) allow_endpoint: Vec<String>,
    /// How long a store's failures are retried without any progress before an import fails
    #[arg(
        long,
        env = "CROSSBILL_SOURCE_RETRY_BUDGET",
        value_name = "TIME",
        hide_env_values = true,
        default_value = "10m"
    )]
    pub(crate) source_retry_budget: Span,
    /// The longest pause between two attempts, but for what a store asks for (60s at most)
    #[arg(
        long,
        env = "CROSSBILL_SOURCE_RETRY_PAUSE",
        value_name = "TIME",
        hide_env_values = true,
        default_value = "20s"
    )]
    pub(crate) source_retry_pause: Span,
    /// How long one request to a store may take before it is given up and tried again
    #[arg(
        long,
        env = "CROSSBILL_SOURCE_ATTEMPT_TIMEOUT",
        value_name = "TIME",
        hide_env_values = true,
        default_value = "30s"
    )]
    pub(crate) source_attempt_timeout: Span,
}
