//! Removes what an import left over once it has ended.

use std::collections::{BTreeSet, HashMap};

use crossbill_core::{ErrorKind, Result};
use crossbill_import::{TaskSpec, rejects_key};
use crossbill_store::ImportProgress;
use crossbill_store::killpoint::reach;

use super::job::Job;
use super::{loaded, manifest, rejects};
use crate::Index;

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
    // Before the namespaces forget which of its tasks are done.
    loaded::remember(index, job);
    let namespaces = index.all_namespaces();
    let progress: HashMap<&str, ImportProgress> = namespaces
        .iter()
        .filter_map(|namespace| {
            Some((namespace.name().as_str(), namespace.import_progress(&name)?))
        })
        .collect();
    let dry_tasks = job.live().record.end.as_ref().and_then(|end| end.dry_tasks);
    // A namespace that has forgotten the import says nothing about its tasks:
    // their leftovers were removed before it forgot, what is there counts.
    let is_left_over = |task: &&TaskSpec| {
        let progress = progress.get(task.namespace.as_str());
        match dry_tasks {
            Some(tasks) => task.ordinal >= tasks,
            None => progress.is_some_and(|progress| !progress.tasks.contains_key(&task.ordinal)),
        }
    };
    let overrun_task = job.live().record.end.as_ref().and_then(|end| end.overrun_task);
    let plan = job.load_plan(&env.root)?;
    let tasks = plan.iter().flat_map(|plan| &plan.tasks);
    let left_over: BTreeSet<u32> = tasks.filter(is_left_over).map(|task| task.ordinal).collect();
    for task in rejects::tables(env, index, job)? {
        if left_over.contains(&task) && overrun_task != Some(task) {
            reach("sweep.before_delete");
            env.root.delete(&rejects_key(index.context().dir.as_str(), &name, task)?)?;
        }
    }
    for namespace in &namespaces {
        namespace.drop_staged(&name);
    }
    crate::sweep::sweep_parts(index, &format!("imp-{name}-"))?;
    // The last that needs what the namespaces know of it. Where it fails, the
    // next open is to try again, so they must not forget.
    if let Err(error) = manifest::ensure(index, job)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    for namespace in &namespaces {
        namespace.forget_import(&name);
    }
    Ok(())
}
