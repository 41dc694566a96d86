//! The command that reads an index of another server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use crossbill_core::limits::{PULL_CONCURRENCY, PULL_PART_ROWS, PULL_RATE, PULL_RATE_MAX};

use crate::args::ConnectArgs;
use crate::units::Span;

/// `crossbill pull …`
#[derive(Args)]
#[command(after_help = "\
Reads every record of an index over Pinecone's public API (list and fetch), stages them as Parquet
files and imports those. The index is created like the source where it is missing. A pull that was
interrupted or killed goes on from the last whole file when the same command is given again.

The source's key is read from CROSSBILL_PULL_API_KEY or, without it, PINECONE_API_KEY.

A server imports only from directories that it was started with (--allow-import-dir): put --staging
below one, or load with --load upsert, which needs no files.

Examples:
  crossbill pull --from-index products --into products
  crossbill pull --from products-x1y2z3.svc.example.pinecone.io --into products --namespace en
  crossbill pull --from-index products --into products --data ./crossbill-data --rate 50
  crossbill pull --from-index products --into products --server http://10.0.0.5:5080 --load upsert

Exit codes: 0 all loaded, 1 failed, 2 usage, 3 loaded, and some records were refused, 4 the import
was cancelled, 130 interrupted.")]
pub(crate) struct PullArgs {
    /// Where.
    #[command(flatten)]
    pub(crate) source: PullSource,
    /// The control plane that --from-index asks
    #[arg(long, value_name = "URL", default_value = "https://api.pinecone.io")]
    pub(crate) control_plane: String,
    /// The index to load into
    #[arg(long, value_name = "NAME")]
    pub(crate) into: String,
    /// A namespace to pull, may be repeated; default: all
    #[arg(long = "namespace", value_name = "NAME")]
    pub(crate) namespaces: Vec<String>,
    /// How records get into the index: by an import of staged files, or by upserts as they come
    #[arg(long, value_enum, default_value_t = LoadArg::Import)]
    pub(crate) load: LoadArg,
    /// Directory for the files and for what is known of the progress; default:
    /// ./crossbill-pull-INTO
    #[arg(long, value_name = "DIR")]
    pub(crate) staging: Option<PathBuf>,
    /// Keep the files when all is loaded
    #[arg(long)]
    pub(crate) keep_staging: bool,
    /// How the source is asked.
    #[command(flatten)]
    pub(crate) manners: PullManners,
    /// Where to.
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// The index that is read.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PullSource {
    /// The source's host, as its console or describe_index shows it
    #[arg(long, value_name = "HOST")]
    pub(crate) from: Option<String>,
    /// The source's name; its host is asked of the control plane
    #[arg(long, value_name = "NAME")]
    pub(crate) from_index: Option<String>,
}

/// How the source is asked.
#[derive(Args)]
#[command(next_help_heading = "Manners")]
pub(crate) struct PullManners {
    /// Requests a second, retries included
    #[arg(long, value_name = "N", default_value_t = PULL_RATE, value_parser = rate)]
    pub(crate) rate: f64,
    /// Fetches under way at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = PULL_CONCURRENCY.0,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(PULL_CONCURRENCY.1))
    )]
    pub(crate) concurrency: u16,
    /// How long a request that fails for now is tried again
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub(crate) retry_budget: Span,
    /// How long one request may take
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) request_timeout: Span,
    /// Records after which a file is whole: what a restart reads again at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = PULL_PART_ROWS,
        value_parser = clap::value_parser!(u64).range(1..=PULL_PART_ROWS)
    )]
    pub(crate) part_rows: u64,
    /// The API version that the source is asked in
    #[arg(long, value_name = "VERSION", default_value = "2025-10")]
    pub(crate) api_version: String,
}

/// How pulled records get into the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoadArg {
    Import,
    Upsert,
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate| *rate >= 0.01 && *rate <= PULL_RATE_MAX).ok_or_else(|| {
        format!("found {text:?}, expected requests a second, 0.01 to {PULL_RATE_MAX}")
    })
}
