//! A dry run: every record is read and checked, and counted as its import
//! would count it. Nothing is written but its plan and its reject tables.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbill_core::limits::EXACT_ROWS_MAX;
use crossbill_core::{Error, Result};
use crossbill_import::{
    ImportError, Ledger, Plan, SeenIds, TaskOutcome, TaskSpec, execute, ids_within,
};
use parking_lot::Mutex;

use super::job::Job;
use super::run::{disk_needed, runner};
use crate::Index;
use crate::env::Env;
use crate::namespace::stopped;
use crate::types::ImportEstimate;

/// Seconds of one thread that the index takes for each component of the
/// records, roughly (measured, see docs/import-control.md).
const BUILD_SECONDS_PER_COMPONENT: f64 = 2.4e-7;

/// Does a dry run, from the beginning: nothing of an earlier one is kept.
pub(super) fn check(
    env: &Env,
    index: &Index,
    job: &Job,
    plan: &Plan,
) -> std::result::Result<(), ImportError> {
    job.restore(std::iter::empty());
    let ledger = DryLedger::new(job, env.import.memory_bytes / 2);
    let begun = env.clock.monotonic();
    execute(plan, &runner(env), &ledger, env.import.workers, &job.watch)?;
    let took = env.clock.monotonic().saturating_sub(begun);
    let rows = job.live().counts.imported;
    let estimate = ImportEstimate {
        seconds: took.as_secs_f64() + build_seconds(env, index, rows),
        disk_bytes: disk_needed(index, plan, rows),
        disk_free_bytes: env.root.disk_free().map_err(Error::from)?,
    };
    let mut live = job.live();
    live.estimate = Some(estimate);
    if ledger.is_partial.into_inner() {
        live.warnings.push(
            "there were more records than ids could be remembered: some that replace an earlier \
             one of the same id may be counted as imported"
                .to_owned(),
        );
    }
    Ok(())
}

/// How long building the index of so many records takes, roughly.
fn build_seconds(env: &Env, index: &Index, rows: u64) -> f64 {
    if rows <= u64::from(EXACT_ROWS_MAX) {
        return 0.0;
    }
    let components = rows as f64 * f64::from(index.context().shape.dimension);
    components * BUILD_SECONDS_PER_COMPONENT / env.build_pool.current_num_threads() as f64
}

/// Where a dry run's tasks are counted. An id counts once in a namespace, as
/// in an import, of which all but the last of an id are superseded.
struct DryLedger<'a> {
    job: &'a Job,
    ids: Mutex<Ids>,
    is_partial: AtomicBool,
    errors: AtomicU64,
}

/// The ids of each namespace, and for how many more there is room.
struct Ids {
    seen: HashMap<String, SeenIds>,
    room: u64,
}

impl<'a> DryLedger<'a> {
    /// Nothing yet; ids may take `memory_bytes`.
    fn new(job: &'a Job, memory_bytes: u64) -> Self {
        let ids = Ids { seen: HashMap::new(), room: ids_within(memory_bytes) };
        let (is_partial, errors) = Default::default();
        Self { job, ids: Mutex::new(ids), is_partial, errors }
    }
}

impl Ids {
    /// How many of a task's ids are there already, and whether some may be
    /// that are not known.
    fn take(&mut self, outcome: &TaskOutcome) -> (u64, bool) {
        let Some(dry) = &outcome.dry else { return (0, false) };
        let seen = self.seen.entry(outcome.namespace.clone()).or_default();
        let known = dry.ids.iter().filter(|id| !seen.note(**id, &mut self.room)).count();
        (known as u64, dry.is_partial || seen.is_partial())
    }
}

impl Ledger for DryLedger<'_> {
    fn committed(&self, _: &TaskSpec) -> bool {
        false
    }

    fn errors(&self) -> u64 {
        self.errors.load(Ordering::Acquire)
    }

    fn commit(&self, task: &TaskSpec, outcome: &TaskOutcome) -> Result<()> {
        let _not_cancelled_meanwhile = self.job.gate.lock();
        if self.job.is_stopped() || self.job.is_final() {
            return Err(stopped());
        }
        let (replaced, is_partial) = self.ids.lock().take(outcome);
        self.is_partial.fetch_or(is_partial, Ordering::AcqRel);
        let mut counts = outcome.counts;
        counts.imported -= replaced;
        counts.superseded += replaced;
        self.errors.fetch_add(outcome.rejects, Ordering::AcqRel);
        self.job.note(task, outcome, &counts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crossbill_import::DryIds;

    use super::*;

    fn outcome(namespace: &str, ids: &[u64]) -> TaskOutcome {
        TaskOutcome {
            ordinal: 0,
            namespace: namespace.into(),
            segments: Vec::new(),
            counts: Default::default(),
            rejects: 0,
            first_reject: None,
            rejects_key: None,
            is_overrun: false,
            dry: Some(DryIds { ids: ids.to_vec(), is_partial: false }),
        }
    }

    #[test]
    fn an_id_is_new_once_in_a_namespace_as_far_as_memory_goes() {
        let mut ids = Ids { seen: HashMap::new(), room: 5 };
        assert_eq!(ids.take(&outcome("a", &[1, 2, 3])), (0, false));
        assert_eq!(ids.take(&outcome("b", &[1])), (0, false));
        assert_eq!(ids.take(&outcome("a", &[3, 4])), (1, false));
        assert_eq!(ids.room, 0);
        assert_eq!(ids.take(&outcome("a", &[4, 5])), (1, true));
        assert_eq!(ids.take(&outcome("a", &[5])), (0, true), "5 had no room");
    }
}
