//! The command line of `crossbill imports`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{ConnectArgs, IndexArg};

/// `crossbill imports …`
#[derive(Subcommand)]
pub(crate) enum ImportsCommand {
    /// List imports, newest first
    #[command(after_help = "Example:\n  crossbill imports list --index products --limit 5")]
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
    /// Describe one import, or follow it to its end
    #[command(after_help = "Example:\n  crossbill imports describe 1 --index products --follow")]
    Describe {
        /// The import
        id: String,
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// Show progress until it is finished, and end with its exit code
        #[arg(long)]
        follow: bool,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Cancel an import; what it has committed stays
    #[command(after_help = "Example:\n  crossbill imports cancel 1 --index products")]
    Cancel {
        /// The import
        id: String,
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Hold an import until it is resumed, also across restarts of the server
    #[command(after_help = "Example:\n  crossbill imports pause 1 --index products")]
    Pause {
        /// The import
        id: String,
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Go on with a paused import
    #[command(after_help = "Example:\n  crossbill imports resume 1 --index products")]
    Resume {
        /// The import
        id: String,
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Show what an import that has ended read, with what settings, and what came of it
    #[command(after_help = "Example:\n  crossbill imports manifest 1 --index products --json")]
    Manifest {
        /// The import
        id: String,
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Show the records that an import rejected, and why
    #[command(after_help = "\
Examples:
  crossbill imports rejects 1 --index products
  crossbill imports rejects 1 --index products --offset 100 --limit 1000 --json
  crossbill imports rejects 1 --index products --export rejects.jsonl
  crossbill imports rejects 1 --index products --export mend/   # then mend, then import mend/

--export writes the records themselves beside the reasons: as Parquet, JSON lines or CSV by the
file's name, or into a directory as Parquet by namespace, which can be imported once mended.")]
    Rejects {
        /// The import
        id: String,
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// How many to skip
        #[arg(long, value_name = "N", default_value_t = 0)]
        offset: u64,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Write all of them to FILE (.parquet, .jsonl or .csv) or to a directory (DIR/)
        #[arg(long, value_name = "FILE", conflicts_with_all = ["offset", "limit"])]
        export: Option<PathBuf>,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
}

impl ImportsCommand {
    /// How the command reaches its database.
    pub(crate) fn connect(&self) -> &ConnectArgs {
        match self {
            ImportsCommand::List { connect, .. }
            | ImportsCommand::Describe { connect, .. }
            | ImportsCommand::Cancel { connect, .. }
            | ImportsCommand::Pause { connect, .. }
            | ImportsCommand::Resume { connect, .. }
            | ImportsCommand::Manifest { connect, .. }
            | ImportsCommand::Rejects { connect, .. } => connect,
        }
    }
}
