//! The rejects of an import as its tasks stored them: which tables there are,
//! which entry is the first, and what counts of a task that had too many.

use std::collections::BTreeSet;

use crossbill_core::Result;
use crossbill_import::{
    ErrorMode, Overrun, Plan, RecordText, Reject, RejectLog, first_reason, rejects_key,
};

use super::job::Job;
use crate::Index;
use crate::env::Env;

/// Entries that are looked through at once.
const PAGE: usize = 1000;

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

/// The tables of these tasks behind the plan's broken files.
pub(super) fn open(
    env: &Env,
    index: &Index,
    job: &Job,
    files: &[Reject],
    tasks: impl Iterator<Item = u32>,
) -> Result<RejectLog> {
    let (dir, name) = (index.context().dir.as_str(), job.name());
    let keys: Vec<_> = tasks.map(|task| rejects_key(dir, &name, task)).collect::<Result<_>>()?;
    RejectLog::open(&env.root, files, &keys)
}

/// All rejects of an import that count.
pub(super) fn log(index: &Index, job: &Job) -> Result<RejectLog> {
    let env = &index.context().env;
    let (committed, plan, record) = {
        let live = job.live();
        (live.committed.clone(), live.plan.clone(), live.record.clone())
    };
    let overrun_task = record.end.as_ref().and_then(|end| end.overrun_task);
    let dry_tasks = record.end.as_ref().and_then(|end| end.dry_tasks);
    let files = match record.options.error_mode {
        ErrorMode::Abort => record.end.and_then(|end| end.reject).into_iter().collect(),
        ErrorMode::Continue => match plan {
            Some(plan) => plan.file_errors.clone(),
            None => job.load_plan(&env.root)?.map(|plan| plan.file_errors).unwrap_or_default(),
        },
    };
    let tasks = tables(env, index, job)?;
    let counted = |task: &u32| {
        let done = match (&committed, dry_tasks) {
            (_, Some(tasks)) => *task < tasks,
            (Some(tasks), None) => tasks.contains(task),
            (None, None) => true,
        };
        done || overrun_task == Some(*task)
    };
    let keys = tasks.iter().copied().filter(counted);
    let mut log = open(env, index, job, &files, keys)?;
    if let Some(errors_max) = record.options.errors_max {
        log.truncate(errors_max.saturating_add(1));
    }
    Ok(log)
}

/// The first reason in source order, also of tasks that an earlier process
/// committed.
pub(super) fn reason(
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
        let page =
            open(env, index, job, &[], std::iter::once(task))?.page(0, 1, RecordText::Shown)?;
        if let Some(reject) = page.into_iter().next() {
            firsts.insert(task, reject);
            break;
        }
    }
    Ok(first_reason(plan, firsts.values()).cloned())
}

/// Records among the rejects that count of the task that had too many: those
/// up to the one too many.
pub(super) fn overrun_rows(
    env: &Env,
    index: &Index,
    job: &Job,
    plan: &Plan,
    committed: &BTreeSet<u32>,
    overrun: &Overrun,
) -> Result<u64> {
    let Some(task) = overrun.task else { return Ok(0) };
    let before = tables(env, index, job)?.into_iter().filter(|task| committed.contains(task));
    let before = open(env, index, job, &plan.file_errors, before)?.total();
    let mut log = open(env, index, job, &[], std::iter::once(task))?;
    log.truncate(overrun.errors_max.saturating_add(1).saturating_sub(before));
    let (mut rows, mut seen) = (0, 0);
    while seen < log.total() {
        let page = log.page(seen, PAGE, RecordText::Shown)?;
        seen += page.len() as u64;
        rows += page.iter().filter(|reject| reject.row.is_some()).count() as u64;
    }
    Ok(rows)
}
