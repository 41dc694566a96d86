//! `crossbill integrations …`: the flags by which an integration is made and
//! a source is tried. Not `Debug`: some hold secrets.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::args::ConnectArgs;

/// `crossbill integrations …`
#[derive(Subcommand)]
pub(crate) enum IntegrationsCommand {
    /// Make an integration; its secrets are kept in the data directory and never shown
    #[command(after_help = "\
Examples:
  crossbill integrations create lake --kind s3 --region eu-central-1 --access-key-id AKIA…
  crossbill integrations create minio --kind s3 --endpoint https://minio.example.com
  crossbill integrations create google --kind gcs --service-account-file key.json
  crossbill integrations create blob --kind azure --account mylake --buckets raw/embeddings

Secrets are better given in the variables named beside their flags than on the command line.")]
    Create(Box<CreateIntegrationArgs>),
    /// List all integrations
    #[command(after_help = "Example:\n  crossbill integrations list")]
    List {
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Describe an integration
    #[command(after_help = "Example:\n  crossbill integrations describe lake")]
    Describe {
        /// Its id
        id: String,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Delete an integration and its secrets
    #[command(after_help = "Example:\n  crossbill integrations delete lake")]
    Delete {
        /// Its id
        id: String,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// List the first files of a source, to see whether an import could read it
    #[command(after_help = "\
Examples:
  crossbill integrations test s3://bucket/embeddings/ --integration lake
  crossbill integrations test gs://public-bucket/set/")]
    Test {
        /// What an import would be given: a URI, a glob or a path of this machine
        uri: String,
        /// The integration to try it with; without it, what an import without one would use
        #[arg(long, value_name = "ID")]
        integration: Option<String>,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
}

impl IntegrationsCommand {
    /// How the command reaches its database.
    pub(crate) fn connect(&self) -> &ConnectArgs {
        match self {
            Self::Create(args) => &args.connect,
            Self::List { connect }
            | Self::Describe { connect, .. }
            | Self::Delete { connect, .. }
            | Self::Test { connect, .. } => connect,
        }
    }
}

/// Which protocol a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// S3 and what speaks its protocol
    S3,
    /// Google Cloud Storage
    Gcs,
    /// Azure Blob Storage
    Azure,
}

/// `crossbill integrations create …`
#[derive(Args)]
pub(crate) struct CreateIntegrationArgs {
    /// Its id: letters, digits, '-', '_' and '.'
    pub(crate) id: String,
    /// Which protocol the store speaks
    #[arg(long, value_enum)]
    pub(crate) kind: KindArg,
    /// Address of the store; default: the provider's own. A private one or plain http:// must
    /// be among the server's --allow-endpoint
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Bucket or container, or bucket/prefix, that may be read (repeatable); default: any
    #[arg(long, value_name = "BUCKET", value_delimiter = ',')]
    pub(crate) buckets: Vec<String>,
    /// Region (s3)
    #[arg(long, value_name = "REGION", help_heading = "S3")]
    pub(crate) region: Option<String>,
    /// Access key (s3); without one, requests are not signed
    #[arg(long, value_name = "ID", help_heading = "S3")]
    pub(crate) access_key_id: Option<String>,
    /// Secret of the access key (s3)
    #[arg(
        long,
        env = "CROSSBILL_INTEGRATION_SECRET_ACCESS_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        help_heading = "S3"
    )]
    pub(crate) secret_access_key: Option<String>,
    /// Token of temporary credentials (s3)
    #[arg(
        long,
        env = "CROSSBILL_INTEGRATION_SESSION_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        help_heading = "S3"
    )]
    pub(crate) session_token: Option<String>,
    /// Whether the bucket stands in the path (true, the default) or in the host's name (s3)
    #[arg(long, value_name = "BOOL", help_heading = "S3")]
    pub(crate) path_style: Option<bool>,
    /// JSON file of a service account's key (gcs); - reads stdin
    #[arg(long, value_name = "FILE", help_heading = "Google Cloud Storage")]
    pub(crate) service_account_file: Option<PathBuf>,
    /// Storage account (azure)
    #[arg(long, value_name = "NAME", help_heading = "Azure")]
    pub(crate) account: Option<String>,
    /// Access key of the account (azure)
    #[arg(
        long,
        env = "CROSSBILL_INTEGRATION_ACCESS_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Azure"
    )]
    pub(crate) access_key: Option<String>,
    /// Shared access signature (azure)
    #[arg(
        long,
        env = "CROSSBILL_INTEGRATION_SAS_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        help_heading = "Azure"
    )]
    pub(crate) sas_token: Option<String>,
    /// Where.
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
