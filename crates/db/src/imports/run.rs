//! Runs one import from its plan to its end. Whatever happens here, the
//! process goes on: an error or a panic ends this import only.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbill_core::{Error, ErrorKind, NamespaceName, Result, Seed, VectorType};
use crossbill_import::{
    ImportError, LoadedFiles, LocalRunner, Plan, PlanRequest, RunnerParts, TaskSpec, execute, plan,
};
use parking_lot::Mutex;

use super::clean_up::clean_up;
use super::finish::finish;
use super::job::Job;
use super::ledger::JobLedger;
use super::publish::publish;
use super::{Waiting, dry_run, loaded, rejects};
use crate::Index;
use crate::env::Env;
use crate::namespace::Namespace;
use crate::sweep::sweep_parts;

/// How long to wait before the end is stored again where the store fails.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Namespaces prepared at once.
const RESERVING_THREADS: usize = 8;

/// Runs the import that waited, unless it was cancelled meanwhile.
pub(crate) fn run(env: &Env, waiting: &Waiting) {
    let Some(index) = waiting.index.upgrade() else { return };
    let job = &*waiting.job;
    if job.is_stopped() || index.check_open().is_err() {
        return;
    }
    // A trace of its own: nobody waits for it.
    let _span = tracing::debug_span!(parent: None, "import", import = job.name()).entered();
    let running = job.running();
    if job.is_final() || !job.keeps_its_turn() {
        return;
    }
    let result = catch_unwind(AssertUnwindSafe(|| attempt(env, &index, job)))
        .unwrap_or_else(|_| Err(Error::internal("the import ended unexpectedly").into()));
    if let Err(ImportError::Failed(error)) = &result
        && error.kind() == ErrorKind::DiskFull
    {
        // Now, not once the end is stored: that needs room too.
        give_space_back(&index, job);
    }
    while let Err(error) = finish(env, &index, job, &result) {
        tracing::error!(import = job.name(), %error, "the end of an import was not stored");
        if env.imports.closed_within(STORE_AGAIN) {
            return;
        }
    }
    if job.is_final() {
        loaded::remember(&index, job);
    }
    // In this order: whoever cancels it looks the other way round, so that
    // one of the two cleans up.
    drop(running);
    if job.is_final() {
        clean_up(&index, job);
        env.webhooks.tell(waiting.clone());
    } else if matches!(result, Err(ImportError::Paused)) && job.keeps_its_turn() {
        // Resumed before it had stopped.
        env.imports.push(Waiting { index: index.weak(), job: Arc::clone(&waiting.job) });
    }
}

fn attempt(env: &Env, index: &Index, job: &Job) -> std::result::Result<(), ImportError> {
    job.begin()?;
    let plan = Arc::new(planned(env, index, job)?);
    job.live().plan = Some(Arc::clone(&plan));
    if job.watch.is_held() {
        return Err(ImportError::Paused);
    }
    if job.live().record.options.dry_run {
        return dry_run::check(env, index, job, &plan);
    }
    let namespaces = namespaces(index, &plan)?;
    let is_staged = job.live().record.options.is_staged();
    let ledger =
        JobLedger { job, namespaces, errors: AtomicU64::new(0), metrics: &env.metrics, is_staged };
    if job.is_decided() {
        // All its tasks are done, and nothing may keep it from its end.
        job.restore(ledger.namespaces.values());
        execute(&plan, &runner(env), &ledger, env.import.workers, &job.watch)?;
        return publish(env, job, &ledger);
    }
    resume(env, index, job, &ledger)?;
    check_space(env, index, job, &plan)?;
    reserve(job, &ledger, plan.tasks.len() as u32)
        .and_then(|()| execute(&plan, &runner(env), &ledger, env.import.workers, &job.watch))
        .map_err(|error| with_disk_figures(env, index, job, &plan, error))?;
    if is_staged { publish(env, job, &ledger) } else { Ok(()) }
}

/// What does the tasks.
pub(super) fn runner(env: &Env) -> LocalRunner {
    LocalRunner::new(RunnerParts {
        policy: Arc::clone(&env.policy),
        root: env.root.clone(),
        pool: Arc::clone(&env.build_pool),
        ids: Arc::clone(&env.ids),
        settings: env.import.clone(),
    })
}

/// Reserves sequence numbers in every namespace; several at once, because
/// each waits for the disk.
fn reserve(job: &Job, ledger: &JobLedger<'_>, tasks: u32) -> std::result::Result<(), ImportError> {
    let waiting = Mutex::new(ledger.namespaces.values());
    let failed: Mutex<Option<ImportError>> = Mutex::new(None);
    let work = || {
        while failed.lock().is_none() {
            let Some(namespace) = waiting.lock().next() else { return };
            let result = if job.is_stopped() {
                Err(ImportError::Cancelled)
            } else {
                namespace.reserve(&job.name(), tasks).map_err(ImportError::from)
            };
            if let Err(error) = result {
                failed.lock().get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 1..RESERVING_THREADS.min(ledger.namespaces.len()) {
            let name = format!("crossbill-reserve-{number}");
            // Without the thread the others do its share.
            let _ = std::thread::Builder::new().name(name).spawn_scoped(scope, work);
        }
        work();
    });
    failed.into_inner().map_or(Ok(()), Err)
}

/// The plan of an earlier run, or a new one, stored before anything is read.
fn planned(env: &Env, index: &Index, job: &Job) -> std::result::Result<Plan, ImportError> {
    if let Some(plan) = job.load_plan(&env.root)? {
        return Ok(plan);
    }
    let _span = tracing::debug_span!("plan").entered();
    let (uri, integration, options) = {
        let live = job.live();
        let record = &live.record;
        (record.uri.clone(), record.integration.clone(), record.options.clone())
    };
    let checked = env.policy.check(&uri, integration.as_deref())?;
    let source = env.policy.open(&checked).map_err(Error::from)?;
    let source = source.with_cancel(Arc::clone(&job.stop));
    let loaded = match options.skip_loaded {
        true => loaded::known(env, index, job),
        false => LoadedFiles::default(),
    };
    let request = PlanRequest {
        import: job.name(),
        uri,
        integration,
        index_dir: index.context().dir.to_string(),
        shape: index.context().shape,
        text: index.context().text.schema().clone(),
        documents: index.context().documents.clone(),
        seed: Seed(job.id),
        error_mode: options.error_mode,
        errors_max: options.errors_max,
        dry_run: options.dry_run,
        loaded,
        mapping: options.mapping.for_index(index.context().documents.as_ref()),
    };
    let plan = plan(&source, &request, &env.import, &job.watch)?;
    if job.is_stopped() {
        return Err(ImportError::Cancelled);
    }
    job.store_plan(&env.root, &plan)?;
    Ok(plan)
}

fn namespaces(index: &Index, plan: &Plan) -> Result<HashMap<String, Arc<Namespace>>> {
    let names: BTreeSet<&str> = plan.tasks.iter().map(|task| task.namespace.as_str()).collect();
    let open = |name: &str| {
        let namespace = index.namespace(&NamespaceName::new(name)?)?;
        Ok((name.to_owned(), namespace))
    };
    names.into_iter().map(open).collect()
}

/// Counts what earlier runs committed.
fn resume(env: &Env, index: &Index, job: &Job, ledger: &JobLedger<'_>) -> Result<()> {
    let committed = job.restore(ledger.namespaces.values());
    let is_bounded = job.live().record.options.errors_max.is_some();
    if is_bounded {
        let tables = rejects::tables(env, index, job)?;
        let counted = tables.into_iter().filter(|task| committed.contains(task));
        let errors = rejects::open(env, index, job, &[], counted)?.total();
        ledger.errors.store(errors, Ordering::Release);
    }
    Ok(())
}

/// Deletes what tasks stored and did not come to commit.
fn give_space_back(index: &Index, job: &Job) {
    if let Err(error) = sweep_parts(index, &format!("imp-{}-", job.name())) {
        tracing::warn!(import = job.name(), %error, "parts of an import stay for now");
    }
}

/// Bytes of disk that `rows` of the plan's records take.
pub(super) fn disk_needed(index: &Index, plan: &Plan, rows: u64) -> u64 {
    let shape = &index.context().shape;
    // Texts as they are in the source, and their words.
    let text = if index.context().text.is_empty() { 0 } else { plan.bytes_total };
    match shape.vector_type {
        // Vectors as kept, codes of a few bits a component, ids and tables.
        VectorType::Dense => {
            let row = shape.row_bytes() as u64 + u64::from(shape.dimension) / 2 + 64;
            rows.saturating_mul(row).saturating_add(text.saturating_mul(2))
        }
        VectorType::Sparse => plan.bytes_total.saturating_mul(3),
    }
}

/// Refuses what cannot fit on the disk.
fn check_space(env: &Env, index: &Index, job: &Job, plan: &Plan) -> Result<()> {
    let needed = disk_needed(index, plan, rows_left(job, plan));
    let free = env.root.disk_free()?;
    if needed > free {
        return Err(Error::disk_full(format!(
            "the import needs about {needed} bytes of disk, found {free} free"
        )));
    }
    Ok(())
}

fn rows_left(job: &Job, plan: &Plan) -> u64 {
    let live = job.live();
    let is_done = |task: &&TaskSpec| {
        live.committed.as_ref().is_some_and(|tasks| tasks.contains(&task.ordinal))
    };
    plan.tasks.iter().filter(|task| !is_done(task)).map(TaskSpec::rows).sum()
}

/// An error of a full disk with what the rest of the import needs and what
/// there is; others as they are.
fn with_disk_figures(
    env: &Env,
    index: &Index,
    job: &Job,
    plan: &Plan,
    error: ImportError,
) -> ImportError {
    let figures =
        env.root.disk_free().map(|free| (disk_needed(index, plan, rows_left(job, plan)), free));
    match (error, figures) {
        (ImportError::Failed(error), Ok((needed, free))) if error.kind() == ErrorKind::DiskFull => {
            let message = format!(
                "{error}; the rest of the import needs about {needed} bytes of disk, found {free} \
                 free"
            );
            ImportError::Failed(Error::disk_full(message).with_source(error))
        }
        (error, _) => error,
    }
}
