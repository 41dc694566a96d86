//! From settings to the database's own options, for a server and for
//! embedded commands alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbill_core::limits::{MEMORY_LIMIT_BYTES_MIN, MEMTABLE_ROWS_MAX};
use crossbill_core::{RandomIds, RequestLimits, SystemClock};
use crossbill_db::{
    DatabaseOptions, DestinationPolicy, ImportSettings, Integration, Secret, SourcePolicy,
    StoreKind,
};

use crate::args::{EngineArgs, StoreArgs};
use crate::error::{CliError, Result};
use crate::machine;
use crate::settings::IntegrationTable;

/// Imports that run at once; others wait their turn.
const IMPORTS_AT_ONCE: usize = 2;

/// The same paths, from the root on.
pub(crate) fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    paths.iter().map(|path| absolute_path(path)).collect()
}

fn absolute_path(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| {
        CliError::usage(format!("cannot read the path {}: {error}", path.display()))
    })
}

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
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    import.files_max = count(engine.quotas.import_files_max);
    import.file_bytes_max = engine.quotas.import_file_bytes_max.0;
    import.namespaces_max = count(engine.quotas.import_namespaces_max);
    import.namespace_bytes_max = engine.quotas.import_namespace_bytes_max.0;
    let policy = SourcePolicy {
        allow_dirs: absolute(&allow_dirs)?,
        defaults: defaults(&engine.stores)?,
        integrations: integrations.iter().cloned().map(trusted).collect(),
        allow_endpoints: engine.stores.allow_endpoint.clone(),
        retry_budget: engine.stores.source_retry_budget.0,
        retry_pause_max: engine.stores.source_retry_pause.0,
        attempt_timeout: engine.stores.source_attempt_timeout.0,
        ..SourcePolicy::default()
    };
    policy.validate().map_err(|error| CliError::usage(error.message()))?;
    Ok(DatabaseOptions {
        data: absolute_path(&data)?,
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
        export_uris: Vec::new(),
        exports_at_once: 1,
        run_schedules: true,
        webhook: None,
        limits: RequestLimits::default(),
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds),
        faults: None,
        first_port,
    })
}

/// The service's limits with the changes that `NAME=VALUE` settings make.
pub(crate) fn limits(settings: &[String]) -> Result<RequestLimits> {
    let mut limits = RequestLimits::default();
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or_else(|| {
            CliError::usage(format!("--limit is {setting:?}, expected NAME=VALUE"))
        })?;
        limits
            .set(name.trim(), value.trim())
            .map_err(|problem| CliError::usage(format!("--limit: {problem}")))?;
    }
    Ok(limits)
}

/// Whether the places that exports may write to can be written to at all.
pub(crate) fn check_exports(options: &DatabaseOptions) -> Result<()> {
    let policy =
        DestinationPolicy { allow_uris: options.export_uris.clone(), ..Default::default() };
    policy.validate().map_err(|error| CliError::usage(error.message()))
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

/// What imports use that name no integration, one of each kind.
fn defaults(stores: &StoreArgs) -> Result<Vec<Integration>> {
    if stores.s3_access_key_id.is_some() != stores.s3_secret_access_key.is_some() {
        return Err(CliError::usage(
            "found only one of --s3-access-key-id and --s3-secret-access-key, expected both or neither",
        ));
    }
    let secret = |text: &Option<String>| text.clone().map(Secret::new);
    let defaults = [
        Integration {
            kind: StoreKind::S3,
            endpoint: stores.s3_endpoint.clone(),
            region: stores.s3_region.clone(),
            access_key_id: secret(&stores.s3_access_key_id),
            secret_access_key: secret(&stores.s3_secret_access_key),
            session_token: secret(&stores.s3_session_token),
            path_style: stores.s3_path_style,
            buckets: stores.s3_bucket.clone(),
            ..Integration::default()
        },
        Integration {
            kind: StoreKind::Gcs,
            endpoint: stores.gcs_endpoint.clone(),
            service_account_key: secret(&stores.gcs_service_account_key),
            service_account_file: stores.gcs_service_account_file.clone(),
            buckets: stores.gcs_bucket.clone(),
            ..Integration::default()
        },
        Integration {
            kind: StoreKind::Azure,
            endpoint: stores.azure_endpoint.clone(),
            account: stores.azure_account.clone(),
            access_key: secret(&stores.azure_access_key),
            sas_token: secret(&stores.azure_sas_token),
            buckets: stores.azure_container.clone(),
            ..Integration::default()
        },
    ];
    // One that says nothing is none: what it reads is public.
    let says = |one: &Integration| *one != Integration { kind: one.kind, ..Integration::default() };
    Ok(defaults.into_iter().filter(says).map(trusted).collect())
}

/// What the operator's own settings say of an endpoint is meant.
fn trusted(integration: Integration) -> Integration {
    Integration { trusted_endpoint: true, ..integration }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_changed_by_name() {
        let limits = |settings: &[&str]| {
            limits(&settings.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
        };
        let changed = limits(&["top-k=5", "ids=7"]).unwrap();
        assert_eq!((changed.top_k, changed.ids, changed.list_page), (5, 7, 100));
        for bad in ["top-k", "top-k=0", "top-k=x", "topk=5"] {
            assert!(limits(&[bad]).unwrap_err().to_string().contains("--limit"), "{bad}");
        }
    }
}
