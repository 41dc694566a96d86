//! The commands about exports.

use clap::{Args, Subcommand};

use crate::args::{ConnectArgs, IndexArg};

/// `crossbill export …`
#[derive(Args)]
#[command(after_help = "\
Each namespace becomes a directory of Parquet files in the layout that `crossbill import` reads.
A server writes only below the places that it was started with: --allow-export-dir DIR and
--allow-export-uri s3://bucket/directory.

Examples:
  crossbill export file:///srv/exports/products --index products
  crossbill export s3://backups/products --index products --integration backups
  crossbill export ./products --index products --namespace en --data ./crossbill-data

Exit codes: 0 all exported, 1 failed, 2 usage, 4 cancelled.")]
pub(crate) struct ExportArgs {
    /// file:///directory, a path, or s3://bucket/directory (gs, az): empty or new
    pub(crate) uri: String,
    /// The index
    #[arg(long, value_name = "NAME")]
    pub(crate) index: String,
    /// The namespace to export; default: all
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Storage integration of the server to write with
    #[arg(long, value_name = "ID")]
    pub(crate) integration: Option<String>,
    /// Start the export, print its id, and do not wait for it
    #[arg(long, conflicts_with = "data")]
    pub(crate) detach: bool,
    /// Where.
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// `crossbill exports …`
#[derive(Subcommand)]
pub(crate) enum ExportsCommand {
    /// List exports, newest first
    #[command(after_help = "Example:\n  crossbill exports list --index products")]
    List {
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Describe one export
    #[command(after_help = "Example:\n  crossbill exports describe 1 --index products")]
    Describe {
        /// The export
        id: String,
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Cancel an export; what it has written stays
    #[command(after_help = "Example:\n  crossbill exports cancel 1 --index products")]
    Cancel {
        /// The export
        id: String,
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
}

impl ExportsCommand {
    /// How the command reaches its database.
    pub(crate) fn connect(&self) -> &ConnectArgs {
        match self {
            Self::List { connect, .. }
            | Self::Describe { connect, .. }
            | Self::Cancel { connect, .. } => connect,
        }
    }
}
