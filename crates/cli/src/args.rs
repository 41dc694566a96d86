//! The command line: every command, flag and its help. Parsing only; what a
//! flag means is decided by the command that takes it. What may hold a secret
//! has no `Debug`, so that no log can show it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use crossbill_core::{Metric, VectorStorage};

mod backups;
mod columns;
mod doctor;
mod export;
mod imports;
mod integrations;
mod keys;
mod models;
mod pull;
mod quotas;
mod root_copy;
mod server;
mod stores;

pub(crate) use backups::{BackupsCommand, ScheduleArgs};
pub(crate) use columns::ColumnArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use export::{ExportArgs, ExportsCommand};
pub(crate) use imports::ImportsCommand;
pub(crate) use integrations::{CreateIntegrationArgs, IntegrationsCommand, KindArg};
pub(crate) use keys::{KeysCommand, NewKeyArgs};
pub(crate) use models::ModelArgs;
pub(crate) use pull::{LoadArg, PullArgs};
pub(crate) use quotas::QuotaArgs;
pub(crate) use root_copy::BackupRootArgs;
pub(crate) use server::{EngineArgs, ServeArgs};
pub(crate) use stores::StoreArgs;

const EXIT_CODES: &str = "\
Exit codes:
    0  success
    1  the command failed
    2  wrong command line or settings
    3  an import finished, and some records were rejected
    4  an import was cancelled
  130  interrupted (an import goes on in its server; embedded, the same command resumes it)

Examples:
  crossbill serve --allow-import-dir /srv/embeddings
  crossbill index create products --dimension 768 --metric cosine
  crossbill import file:///srv/embeddings --index products
  crossbill query --index products --id item-42 --top-k 5 --include-metadata

Documentation: https://github.com/crossbill-db/crossbill";

/// A self-hosted vector index that speaks Pinecone's API and imports Parquet
/// on the server's side.
#[derive(Parser)]
#[command(name = "crossbill", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server: the control plane, and a data-plane port per index
    Serve(Box<ServeArgs>),
    /// Check settings, machine, data directory, what is reached, and everything that is stored
    Doctor(Box<DoctorArgs>),
    /// Create, list, describe or delete indexes
    #[command(subcommand)]
    Index(IndexCommand),
    /// Import a directory, file or pattern of Parquet files into an index
    Import(Box<ImportArgs>),
    /// List, describe, pause or cancel imports, or show the records they rejected
    #[command(subcommand)]
    Imports(ImportsCommand),
    /// Write an index, or one namespace, as Parquet files that an import reads
    Export(Box<ExportArgs>),
    /// Read an index of another server, such as a hosted one, into an index here
    Pull(Box<PullArgs>),
    /// List, describe or cancel exports
    #[command(subcommand)]
    Exports(ExportsCommand),
    /// Make, list, describe, delete or restore backups of indexes, or have them made regularly
    #[command(subcommand)]
    Backups(BackupsCommand),
    /// Copy the whole data directory to another place, while it is used
    BackupRoot(Box<BackupRootArgs>),
    /// List, create, describe, delete or test storage integrations: the object stores that
    /// imports read from
    #[command(subcommand)]
    Integrations(IntegrationsCommand),
    /// Make API keys with roles
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Find the records nearest to a vector or to a record, or documents by their words
    Query(Box<QueryArgs>),
    /// Show how many records an index holds, by namespace
    Stats(StatsArgs),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  crossbill completions bash > /etc/bash_completion.d/crossbill
  crossbill completions zsh > \"${fpath[1]}/_crossbill\"
  crossbill completions fish > ~/.config/fish/completions/crossbill.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Which database a command works on, and how it answers.
#[derive(Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The server to ask
    #[arg(
        long,
        env = "CROSSBILL_SERVER",
        value_name = "URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:5080"
    )]
    pub(crate) server: String,
    /// Work on this data directory itself, with no server running
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The server's key
    #[arg(long, env = "CROSSBILL_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
    /// Answer with one JSON document on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// Limit of the directory's server, as NAME=VALUE (with --data; repeatable): docs/limits.md
    #[arg(
        long,
        env = "CROSSBILL_LIMIT",
        value_name = "NAME=VALUE",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) limits: Vec<String>,
    /// Settings of the embedded engine (with --data).
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `crossbill index …`
#[derive(Subcommand)]
pub(crate) enum IndexCommand {
    /// Create an index
    #[command(after_help = "\
Examples:
  crossbill index create products --dimension 768 --metric cosine
  crossbill index create terms --sparse
  crossbill index create products --dimension 768 --vector-storage f16
  crossbill index create products --dimension 768 --data ./crossbill-data")]
    Create {
        /// Name: lower case letters, digits and '-'
        name: String,
        /// Shape of the records.
        #[command(flatten)]
        shape: ShapeArgs,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// List all indexes
    #[command(after_help = "Example:\n  crossbill index list --json")]
    List {
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Describe one index
    #[command(after_help = "Example:\n  crossbill index describe products")]
    Describe {
        /// The index
        name: String,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Delete an index and all its records
    #[command(after_help = "Example:\n  crossbill index delete products")]
    Delete {
        /// The index
        name: String,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
}

/// What an index fixes about its records.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShapeArgs {
    /// Components of a vector
    #[arg(long, value_name = "N", conflicts_with = "sparse")]
    pub(crate) dimension: Option<u32>,
    /// How vectors are compared; default: cosine
    #[arg(long, value_enum, conflicts_with = "sparse")]
    pub(crate) metric: Option<MetricArg>,
    /// How full vectors are kept; less than f32 is smaller and a little less exact; default: as
    /// --default-vector-storage says where the index is made
    #[arg(long, value_enum, conflicts_with = "sparse")]
    pub(crate) vector_storage: Option<StorageArg>,
    /// An index of sparse vectors
    #[arg(long)]
    pub(crate) sparse: bool,
}

/// How full vectors are kept, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StorageArg {
    F32,
    F16,
    Bf16,
    Int8,
}

impl From<StorageArg> for VectorStorage {
    fn from(storage: StorageArg) -> Self {
        match storage {
            StorageArg::F32 => VectorStorage::F32,
            StorageArg::F16 => VectorStorage::F16,
            StorageArg::Bf16 => VectorStorage::Bf16,
            StorageArg::Int8 => VectorStorage::Int8,
        }
    }
}

/// A metric on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricArg {
    Cosine,
    Euclidean,
    Dotproduct,
}

impl From<MetricArg> for Metric {
    fn from(metric: MetricArg) -> Self {
        match metric {
            MetricArg::Cosine => Metric::Cosine,
            MetricArg::Euclidean => Metric::Euclidean,
            MetricArg::Dotproduct => Metric::DotProduct,
        }
    }
}

/// `crossbill import …`
#[derive(Args)]
#[command(after_help = "\
Each directory directly below the URI is a namespace. Columns: id (string), values (list of
float), and optionally sparse_values and metadata (JSON text); --columns reads others instead.
Files are Parquet, JSON lines, Arrow IPC or NumPy arrays.

Examples:
  crossbill import file:///srv/embeddings --index products
  crossbill import s3://bucket/embeddings --index products --error-mode abort
  crossbill import s3://bucket/embeddings --index products --max-errors 100
  crossbill import s3://bucket/embeddings --index products --dry-run
  crossbill import s3://bucket/embeddings --index products --skip-loaded
  crossbill import s3://bucket/embeddings --index products --mode replace
  crossbill import './embeddings/*.parquet' --index products --data ./crossbill-data
  crossbill import ./miracl --index products --columns id=docid,values=emb,metadata=title+text
  crossbill import ./embeddings --index products --create --dimension 768 --data ./crossbill-data

Exit codes: 0 all imported, 1 failed, 2 usage, 3 finished with rejects, 4 cancelled.")]
pub(crate) struct ImportArgs {
    /// s3://bucket/prefix, file:///directory, or a path: a directory, one file or a pattern
    pub(crate) uri: String,
    /// The index
    #[arg(long, value_name = "NAME")]
    pub(crate) index: String,
    /// What a record that breaks a rule does: be left out, or end the import
    #[arg(long, value_enum, default_value_t = ErrorModeArg::Continue)]
    pub(crate) error_mode: ErrorModeArg,
    /// Errors, records and files, that the import may have; with one more it fails
    #[arg(long, value_name = "N")]
    pub(crate) max_errors: Option<u64>,
    /// Read and check everything, write nothing, and say what an import would come to
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Pass over files that an earlier import loaded and that have not changed since
    #[arg(long)]
    pub(crate) skip_loaded: bool,
    /// What becomes of records that are there
    #[arg(long, value_enum, default_value_t = ModeArg::Upsert)]
    pub(crate) mode: ModeArg,
    /// Show all records at once, at the end, or none of them where the import does not complete
    #[arg(long)]
    pub(crate) atomic: bool,
    /// Storage integration of the server to read with
    #[arg(long, value_name = "ID")]
    pub(crate) integration: Option<String>,
    /// Which columns hold what.
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
    /// Start the import, print its id, and do not wait for it
    #[arg(long, conflicts_with = "data")]
    pub(crate) detach: bool,
    /// Create the index first where it is missing (takes --dimension, --metric or --sparse)
    #[arg(long)]
    pub(crate) create: bool,
    /// Shape of the index that --create makes.
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Write progress to stdout as lines of JSON, the summary last
    #[arg(long)]
    pub(crate) json_progress: bool,
    /// Where.
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What an import does at a record that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorModeArg {
    Continue,
    Abort,
}

/// What an import does to records that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// Records of the same ids are replaced
    Upsert,
    /// All that was there before is replaced, in one step at the end
    Replace,
}

/// The index that a command works on.
#[derive(Debug, Clone, Args)]
pub(crate) struct IndexArg {
    /// The index
    #[arg(long = "index", value_name = "NAME")]
    pub(crate) name: String,
}

/// `crossbill query …`
#[derive(Args)]
#[command(after_help = "\
Examples:
  crossbill query --index products --id item-42 --top-k 5 --include-metadata
  crossbill query --index products --vector '[0.1, 0.2, 0.3]' --namespace en
  crossbill query --index products --vector-file query.json --filter '{\"price\": {\"$lt\": 20}}'
  crossbill query --index terms --sparse-vector '{\"indices\": [3, 7], \"values\": [0.5, 1.0]}'
  crossbill query --index articles --text 'title:crossbill AND \"pine cones\"' --fields title,year
  crossbill query --index articles --text 'pine cones' --text-field body --include-metadata")]
pub(crate) struct QueryArgs {
    /// The index
    #[arg(long, value_name = "NAME")]
    pub(crate) index: String,
    /// What to look for.
    #[command(flatten)]
    pub(crate) by: QueryBy,
    /// A sparse vector as JSON, alone or beside a dense one
    #[arg(long, value_name = "JSON", conflicts_with_all = ["id", "text"])]
    pub(crate) sparse_vector: Option<String>,
    /// Look for any of the words of --text in this field, without operators; again for more fields
    #[arg(long, value_name = "FIELD", requires = "text")]
    pub(crate) text_field: Vec<String>,
    /// How many records to find
    #[arg(long, short = 'k', value_name = "N", default_value_t = 10)]
    pub(crate) top_k: u32,
    /// Condition on metadata, as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
    /// Namespace to look in
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) namespace: String,
    /// Show the records' vectors
    #[arg(long)]
    pub(crate) include_values: bool,
    /// Show the records' metadata; of documents, all fields but the vectors
    #[arg(long)]
    pub(crate) include_metadata: bool,
    /// Show these fields of documents
    #[arg(
        long,
        value_name = "FIELD,…",
        value_delimiter = ',',
        conflicts_with = "include_metadata"
    )]
    pub(crate) fields: Vec<String>,
    /// Look through so many times the usual part of the index (0.5 to 4)
    #[arg(long, value_name = "FACTOR")]
    pub(crate) scan_factor: Option<f32>,
    /// Where.
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// The dense vector, the record or the words that a query starts from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct QueryBy {
    /// A vector as JSON
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) vector: Option<String>,
    /// File with a vector as JSON; - reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) vector_file: Option<PathBuf>,
    /// A record of the index
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Words of documents, in the syntax of Lucene: words, "phrases", field:(…), AND, OR, NOT
    #[arg(long, value_name = "QUERY", allow_hyphen_values = true)]
    pub(crate) text: Option<String>,
}

/// `crossbill stats …`
#[derive(Args)]
#[command(after_help = "Example:\n  crossbill stats --index products")]
pub(crate) struct StatsArgs {
    /// The index.
    #[command(flatten)]
    pub(crate) index: IndexArg,
    /// Where.
    #[command(flatten)]
    pub(crate) connect: Box<ConnectArgs>,
}

impl Command {
    /// How the command reaches its database; none for the others.
    pub(crate) fn connect(&self) -> Option<&ConnectArgs> {
        match self {
            Command::Serve(_)
            | Command::Doctor(_)
            | Command::Keys(_)
            | Command::Completions { .. } => None,
            Command::Import(args) => Some(&args.connect),
            Command::Export(args) => Some(&args.connect),
            Command::Exports(command) => Some(command.connect()),
            Command::Backups(command) => Some(command.connect()),
            Command::BackupRoot(args) => Some(&args.connect),
            Command::Imports(command) => Some(command.connect()),
            Command::Pull(args) => Some(&args.connect),
            Command::Query(args) => Some(&args.connect),
            Command::Stats(args) => Some(&args.connect),
            Command::Integrations(command) => Some(command.connect()),
            Command::Index(
                IndexCommand::Create { connect, .. }
                | IndexCommand::List { connect }
                | IndexCommand::Describe { connect, .. }
                | IndexCommand::Delete { connect, .. },
            ) => Some(connect),
        }
    }
}
