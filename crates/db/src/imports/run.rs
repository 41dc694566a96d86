//! Runs one import from its plan to its end. Whatever happens here, the
//! process goes on: an error or a panic ends this import only.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Error, NamespaceName, Result, Seed, VectorType};
use crossbill_import::{
    ErrorMode, ImportError, LocalRunner, Phase, Plan, PlanRequest, Reject, RejectLog, RunnerParts,
    TaskSpec, execute, first_reason, plan, rejects_key,
};
use crossbill_store::ImportProgress;
use crossbill_store::killpoint::reach;
use parking_lot::Mutex;

use super::Waiting;
use super::job::Job;
use super::ledger::{JobLedger, add};
use super::record::ImportEnd;
use crate::Index;
use crate::env::Env;
use crate::namespace::Namespace;
use crate::types::ImportStatus;

/// How long to wait before the end is stored again where the store fails.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Namespaces prepared at once.
const RESERVING_THREADS: usize = 8;
/// Reject messages among the warnings of a completed import.
const WARNED_FILES_MAX: usize = 100;

/// Runs the import that waited, unless it was cancelled meanwhile.
pub(crate) fn run(env: &Env, waiting: &Waiting) {
    let Some(index) = waiting.index.upgrade() else { return };
    let job = &*waiting.job;
    if job.is_stopped() || index.check_open().is_err() {
        return;
    }
    let running = job.running();
    if job.is_final() {
        return;
    }
    let result = catch_unwind(AssertUnwindSafe(|| attempt(env, &index, job)))
        .unwrap_or_else(|_| Err(Error::internal("the import ended unexpectedly").into()));
    while let Err(error) = finish(env, &index, job, &result) {
        tracing::error!(import = job.name(), %error, "the end of an import was not stored");
        if env.imports.closed_within(STORE_AGAIN) {
            return;
        }
    }
    // In this order: whoever cancels it looks the other way round, so that
    // one of the two cleans up.
    drop(running);
    if job.is_final() {
        clean_up(&index, job);
    }
}

fn attempt(env: &Env, index: &Index, job: &Job) -> std::result::Result<(), ImportError> {
    job.begin()?;
    let plan = Arc::new(planned(env, index, job)?);
    job.live().plan = Some(Arc::clone(&plan));
    let ledger = JobLedger { job, namespaces: namespaces(index, &plan)? };
    resume(job, &ledger);
    check_space(env, index, job, &plan)?;
    reserve(job, &ledger, plan.tasks.len() as u32)?;
    let runner = LocalRunner::new(RunnerParts {
        policy: Arc::clone(&env.policy),
        root: env.root.clone(),
        pool: Arc::clone(&env.build_pool),
        ids: Arc::clone(&env.ids),
        settings: env.import.clone(),
    });
    execute(&plan, &runner, &ledger, env.import.workers, &job.watch)
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
    let (uri, integration, error_mode, mapping) = {
        let live = job.live();
        let record = &live.record;
        let mapping = record.mapping.clone();
        (record.uri.clone(), record.integration.clone(), record.error_mode, mapping)
    };
    let checked = env.policy.check(&uri, integration.as_deref())?;
    let source = env.policy.open(&checked).map_err(Error::from)?;
    let source = source.with_cancel(Arc::clone(&job.stop));
    let request = PlanRequest {
        import: job.name(),
        uri,
        integration,
        index_dir: index.context().dir.to_string(),
        shape: index.context().shape,
        seed: Seed(job.id),
        error_mode,
        mapping,
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
fn resume(job: &Job, ledger: &JobLedger<'_>) {
    let mut live = job.live();
    live.counts = Default::default();
    let mut committed = BTreeSet::new();
    for namespace in ledger.namespaces.values() {
        for (task, counts) in namespace.import_progress(&job.name()).unwrap_or_default().tasks {
            add(&mut live.counts, &counts);
            committed.insert(task);
        }
    }
    live.committed = Some(committed);
}

/// Refuses what cannot fit on the disk.
fn check_space(env: &Env, index: &Index, job: &Job, plan: &Plan) -> Result<()> {
    let shape = &index.context().shape;
    let rows = plan.rows_total.saturating_sub(job.live().counts.read);
    let needed = match shape.vector_type {
        // Vectors as given, codes of a few bits a component, ids and tables.
        VectorType::Dense => rows.saturating_mul(u64::from(shape.dimension) * 9 / 2 + 64),
        VectorType::Sparse => plan.bytes_total.saturating_mul(3),
    };
    let free = env.root.disk_free()?;
    if needed > free {
        return Err(Error::exhausted(format!(
            "the import needs about {needed} bytes of disk, found {free} free"
        )));
    }
    Ok(())
}

/// Stores how the import ended, unless it was cancelled (then that is stored)
/// or only interrupted (then it goes on at the next open).
fn finish(
    env: &Env,
    index: &Index,
    job: &Job,
    result: &std::result::Result<(), ImportError>,
) -> Result<()> {
    if job.is_stopped() || job.is_final() {
        return Ok(());
    }
    let now = env.clock.now();
    let (plan, committed) = {
        let live = job.live();
        (live.plan.clone(), live.committed.clone().unwrap_or_default())
    };
    let reason = match &plan {
        Some(plan) => reason(env, index, job, plan, &committed)?,
        None => None,
    };
    let _no_cancel_between = job.gate.lock();
    let mut live = job.live();
    if live.record.status.is_final() {
        return Ok(());
    }
    let mut end = job.end(&live, now);
    let aborted = live.record.error_mode == ErrorMode::Abort;
    let broken = plan.iter().flat_map(|plan| &plan.file_errors).next();
    let failed = match result {
        Err(ImportError::Rejected(reject)) => {
            note_abort(&mut end, reject);
            Some(reject.message.clone())
        }
        Err(error) => Some(error.to_string()),
        Ok(()) if aborted && broken.is_some() => broken.map(|reject| {
            note_abort(&mut end, reject);
            reject.message.clone()
        }),
        Ok(()) if end.counts.imported == 0 => reason.as_ref().map(|reject| reject.message.clone()),
        Ok(()) => None,
    };
    let status = match failed {
        Some(error) => {
            tracing::warn!(import = job.name(), error, "import failed");
            end.error = Some(error);
            ImportStatus::Failed
        }
        None => {
            warn_of_rejects(&mut end, plan.as_deref(), reason.as_ref());
            tracing::info!(import = job.name(), counts = ?end.counts, "import completed");
            ImportStatus::Completed
        }
    };
    reach("import.finish_before");
    live.finish(status, end, job.percent())?;
    job.watch.set_phase(Phase::Done);
    reach("import.finish_after");
    Ok(())
}

/// In abort mode the record or file that ended the import was read too.
fn note_abort(end: &mut ImportEnd, reject: &Reject) {
    if reject.row.is_some() {
        end.counts.read += 1;
        end.counts.rejected += 1;
    }
    end.reject = Some(reject.clone());
}

fn warn_of_rejects(end: &mut ImportEnd, plan: Option<&Plan>, reason: Option<&Reject>) {
    let broken = plan.map(|plan| plan.file_errors.as_slice()).unwrap_or_default();
    let shown = broken.iter().take(WARNED_FILES_MAX).map(|reject| reject.message.clone());
    end.warnings.extend(shown);
    if broken.len() > WARNED_FILES_MAX {
        end.warnings
            .push(format!("{} more files could not be read", broken.len() - WARNED_FILES_MAX));
    }
    let Some(first) = reason.filter(|reject| !broken.contains(reject)) else { return };
    let rejected = end.counts.rejected;
    end.warnings.push(if rejected == 0 {
        first.message.clone()
    } else {
        format!("{rejected} records were rejected; the first: {}", first.message)
    });
}

/// The first reason in source order, also of tasks that an earlier process
/// committed.
fn reason(
    env: &Env,
    index: &Index,
    job: &Job,
    plan: &Plan,
    committed: &BTreeSet<u32>,
) -> Result<Option<Reject>> {
    let mut firsts = job.live().first_rejects.clone();
    let first_known = firsts.keys().next().copied().unwrap_or(u32::MAX);
    let earlier = committed.range(..first_known).copied();
    for task in
        tables(env, index, job)?.into_iter().filter(|task| earlier.clone().any(|e| e == *task))
    {
        let key = rejects_key(index.context().dir.as_str(), &job.name(), task)?;
        let page = RejectLog::open(&env.root, &[], &[key])?.page(0, 1)?;
        if let Some(reject) = page.into_iter().next() {
            firsts.insert(task, reject);
            break;
        }
    }
    Ok(first_reason(plan, firsts.values()).cloned())
}

/// Tasks that have a reject table, committed or not, in order.
pub(super) fn tables(env: &Env, index: &Index, job: &Job) -> Result<Vec<u32>> {
    let mut tasks = Vec::new();
    for (key, _) in env.root.list(&job.dir.join("rejects"))? {
        let task = key.name().split('.').next().and_then(|name| name.parse::<u32>().ok());
        let Some(task) = task else { continue };
        if rejects_key(index.context().dir.as_str(), &job.name(), task)? == key {
            tasks.push(task);
        }
    }
    tasks.sort_unstable();
    Ok(tasks)
}

/// Removes what an import that has ended left over: parts and reject tables
/// of tasks that were not committed, and its marks in the manifests. Failing
/// to costs only space until the next open.
pub(crate) fn clean_up(index: &Index, job: &Job) {
    if let Err(error) = try_clean_up(index, job) {
        tracing::warn!(import = job.name(), %error, "leftovers of an import stay for now");
    }
}

fn try_clean_up(index: &Index, job: &Job) -> Result<()> {
    let env = &index.context().env;
    let name = job.name();
    let namespaces = index.all_namespaces();
    let progress: HashMap<&str, ImportProgress> = namespaces
        .iter()
        .filter_map(|namespace| {
            Some((namespace.name().as_str(), namespace.import_progress(&name)?))
        })
        .collect();
    // A namespace that has forgotten the import says nothing about its tasks:
    // their leftovers were removed before it forgot, what is there counts.
    let is_left_over = |task: &&TaskSpec| {
        let progress = progress.get(task.namespace.as_str());
        progress.is_some_and(|progress| !progress.tasks.contains_key(&task.ordinal))
    };
    let plan = job.load_plan(&env.root)?;
    let tasks = plan.iter().flat_map(|plan| &plan.tasks);
    let left_over: BTreeSet<u32> = tasks.filter(is_left_over).map(|task| task.ordinal).collect();
    for task in tables(env, index, job)? {
        if left_over.contains(&task) {
            reach("sweep.before_delete");
            env.root.delete(&rejects_key(index.context().dir.as_str(), &name, task)?)?;
        }
    }
    crate::sweep::sweep_parts(index, &format!("imp-{name}-"))?;
    for namespace in &namespaces {
        namespace.forget_import(&name);
    }
    Ok(())
}
