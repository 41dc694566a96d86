//! From settings to the database's own options, for a server and for
//! embedded commands alike.

use std::path::PathBuf;
use std::sync::Arc;

use crossbill_core::limits::{MEMORY_LIMIT_BYTES_MIN, MEMTABLE_ROWS_MAX};
use crossbill_core::{RandomIds, SystemClock};
use crossbill_db::{DatabaseOptions, ImportSettings, Integration, Secret, SourcePolicy};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::EngineArgs;
use crate::error::{CliError, Result};
use crate::machine;
use crate::settings::IntegrationTable;

/// Imports that run at once; others wait their turn.
const IMPORTS_AT_ONCE: usize = 2;

/// The options of a database at `data` whose imports may read `allow_dirs`.
pub(crate) fn database(
    data: PathBuf,
    engine: &EngineArgs,
    integrations: &[IntegrationTable],
    allow_dirs: Vec<PathBuf>,
    first_port: u16,
) -> Result<DatabaseOptions> {
    let memory_bytes = memory_bytes(engine)?;
    let threads = threads(engine);
    let workers = engine.import_workers.map_or(threads, usize::from);
    // Half of the memory is for imports; the other for indexes, queries and buffers.
    let mut import = ImportSettings::new(workers, memory_bytes / 2 / IMPORTS_AT_ONCE as u64);
    import.task_rows = engine.import_task_rows.unwrap_or(import.task_rows);
    let policy = SourcePolicy {
        allow_dirs,
        default_integration: Some(default_integration(engine)?),
        integrations: integrations.iter().map(integration).collect(),
        ..SourcePolicy::default()
    };
    policy.validate().map_err(|error| CliError::usage(error.message()))?;
    let data = std::path::absolute(&data).map_err(|error| {
        CliError::usage(format!("cannot read the path {}: {error}", data.display()))
    })?;
    Ok(DatabaseOptions {
        data,
        memory_bytes,
        threads,
        memtable_rows: MEMTABLE_ROWS_MAX,
        resident_vectors_percent: engine.resident_vectors,
        merges_at_once: 1,
        merge_rate: engine.merge_rate.0,
        source_policy: policy,
        import,
        imports_at_once: IMPORTS_AT_ONCE,
        export_dirs: Vec::new(),
        exports_at_once: 1,
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds),
        faults: None,
        first_port,
    })
}

/// The memory that is allowed, in bytes.
pub(crate) fn memory_bytes(engine: &EngineArgs) -> Result<u64> {
    let limit = engine.memory_limit.unwrap_or_else(machine::memory_quarter);
    match engine.memory_limit {
        Some(given) if given.0 < MEMORY_LIMIT_BYTES_MIN => {
            Err(CliError::usage(format!("--memory-limit is {given}, expected at least 512MiB")))
        }
        _ => Ok(limit.0.max(MEMORY_LIMIT_BYTES_MIN)),
    }
}

/// Threads for computing.
pub(crate) fn threads(engine: &EngineArgs) -> usize {
    engine.threads.map_or_else(machine::processors, usize::from)
}

/// What s3:// imports use that name no integration.
fn default_integration(engine: &EngineArgs) -> Result<Integration> {
    if engine.s3_access_key_id.is_some() != engine.s3_secret_access_key.is_some() {
        return Err(CliError::usage(
            "found only one of --s3-access-key-id and --s3-secret-access-key, expected both or neither",
        ));
    }
    Ok(Integration {
        id: "default".to_owned(),
        endpoint: engine.s3_endpoint.clone(),
        region: engine.s3_region.clone(),
        access_key_id: engine.s3_access_key_id.clone().map(Secret::new),
        secret_access_key: engine.s3_secret_access_key.clone().map(Secret::new),
        session_token: engine.s3_session_token.clone().map(Secret::new),
        allow_http: is_plain_http(engine.s3_endpoint.as_deref()),
        buckets: engine.s3_bucket.clone(),
    })
}

fn integration(table: &IntegrationTable) -> Integration {
    Integration {
        id: table.id.clone(),
        endpoint: table.endpoint.clone(),
        region: table.region.clone(),
        access_key_id: table.access_key_id.clone().map(Secret::new),
        secret_access_key: table.secret_access_key.clone().map(Secret::new),
        session_token: table.session_token.clone().map(Secret::new),
        allow_http: is_plain_http(table.endpoint.as_deref()),
        buckets: table.buckets.clone(),
    }
}

/// An operator who writes http:// means it.
fn is_plain_http(endpoint: Option<&str>) -> bool {
    endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"))
}

/// Starts the log on stderr at the level asked for, else at `usual`.
pub(crate) fn start_log(engine: &EngineArgs, usual: &str) -> Result<()> {
    let asked = engine.log.as_deref().unwrap_or(usual);
    let targets: Targets = asked.parse().map_err(|_| {
        CliError::usage(format!(
            "--log is {asked:?}, expected off, error, warn, info, debug, trace or target=level,…"
        ))
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(crate::output::stderr_is_terminal());
    tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .try_init()
        .map_err(|error| CliError::failed(format!("cannot start the log: {error}")))
}
