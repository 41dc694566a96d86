//! A dry run: every record is read and checked, and counted as its import
//! would count it. Nothing is written but its reject tables.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use crossbill_core::limits::DRY_RUN_BYTES_PER_ID;
use crossbill_core::{Error, Result};
use crossbill_import::{Ledger, TaskOutcome, TaskSpec};
use parking_lot::Mutex;

use super::job::Job;

/// Where a dry run's tasks are counted. An id counts once in a namespace, as
/// in an import, of which all but the last of an id are superseded.
pub(super) struct DryLedger<'a> {
    job: &'a Job,
    ids: Mutex<Ids>,
    errors: AtomicU64,
}

/// What stands for the ids of each namespace.
struct Ids {
    seen: HashMap<String, HashSet<u64>>,
    /// How many more there is memory for.
    left: u64,
}

impl<'a> DryLedger<'a> {
    /// Nothing yet; ids may take `memory_bytes`.
    pub(super) fn new(job: &'a Job, memory_bytes: u64) -> Self {
        let ids = Ids { seen: HashMap::new(), left: memory_bytes / DRY_RUN_BYTES_PER_ID };
        Self { job, ids: Mutex::new(ids), errors: AtomicU64::new(0) }
    }

    /// Whether there were more ids than there was memory for: then an id that
    /// comes twice may have been counted twice.
    pub(super) fn is_partial(&self) -> bool {
        self.ids.lock().left == 0
    }
}

impl Ids {
    /// How many of the task's ids are new; they are not the next time.
    fn take(&mut self, outcome: &TaskOutcome) -> u64 {
        let seen = self.seen.entry(outcome.namespace.clone()).or_default();
        let mut new = 0;
        for id in &outcome.ids {
            if self.left == 0 {
                new += u64::from(!seen.contains(id));
            } else if seen.insert(*id) {
                new += 1;
                self.left -= 1;
            }
        }
        new
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
            return Err(Error::failed_precondition("the import was stopped"));
        }
        let mut counts = outcome.counts;
        let replaced = counts.imported - self.ids.lock().take(outcome);
        counts.imported -= replaced;
        counts.superseded += replaced;
        self.errors.fetch_add(outcome.rejects, Ordering::AcqRel);
        self.job.note(task, outcome, &counts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
            ids: ids.to_vec(),
        }
    }

    #[test]
    fn an_id_is_new_once_in_a_namespace_as_far_as_memory_goes() {
        let mut ids = Ids { seen: HashMap::new(), left: 5 };
        assert_eq!(ids.take(&outcome("a", &[1, 2, 3])), 3);
        assert_eq!(ids.take(&outcome("b", &[1])), 1);
        assert_eq!(ids.take(&outcome("a", &[3, 4])), 1);
        assert_eq!(ids.left, 0);
        assert_eq!(ids.take(&outcome("a", &[4, 5])), 1);
        assert_eq!(ids.take(&outcome("a", &[5])), 1, "5 had no room");
    }
}
