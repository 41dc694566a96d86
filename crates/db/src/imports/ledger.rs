//! Where a running import's tasks are committed: the namespaces' manifests.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbill_core::{Error, Result};
use crossbill_import::{Ledger, TaskOutcome, TaskSpec};
use crossbill_store::TaskCounts;

use super::job::Job;
use crate::metrics::Metrics;
use crate::namespace::{Namespace, stopped};

/// The namespaces of one import.
pub(super) struct JobLedger<'a> {
    pub(super) job: &'a Job,
    pub(super) namespaces: HashMap<String, Arc<Namespace>>,
    /// Entries of all committed tasks' reject tables.
    pub(super) errors: AtomicU64,
    pub(super) metrics: &'a Metrics,
    /// Whether nothing is shown before the end.
    pub(super) is_staged: bool,
}

impl JobLedger<'_> {
    fn namespace(&self, task: &TaskSpec) -> Result<&Arc<Namespace>> {
        self.namespaces.get(&task.namespace).ok_or_else(|| {
            Error::internal(format!("task {} has a namespace of no plan", task.ordinal))
        })
    }
}

impl JobLedger<'_> {
    fn stage(&self, task: &TaskSpec, outcome: &TaskOutcome) -> Result<()> {
        let _not_cancelled_meanwhile = self.job.gate.lock();
        if self.job.is_stopped() || self.job.is_final() {
            return Err(stopped());
        }
        self.namespace(task)?.stage(&task.import, outcome)?;
        self.errors.fetch_add(outcome.rejects, Ordering::AcqRel);
        self.metrics.note_import(&outcome.counts);
        self.job.note(task, outcome, &staged(&outcome.counts));
        Ok(())
    }
}

impl Ledger for JobLedger<'_> {
    fn committed(&self, task: &TaskSpec) -> bool {
        self.namespace(task).is_ok_and(|found| found.has_task(&task.import, task.ordinal))
    }

    fn errors(&self) -> u64 {
        self.errors.load(Ordering::Acquire)
    }

    fn commit(&self, task: &TaskSpec, outcome: &TaskOutcome) -> Result<()> {
        // The long part of it, before the gate: whoever cancels waits for that.
        let stop = || self.job.is_stopped();
        if self.is_staged {
            return self.stage(task, outcome);
        }
        let adoption = self.namespace(task)?.prepare_adoption(&task.import, outcome, &stop)?;
        let _not_cancelled_meanwhile = self.job.gate.lock();
        if self.job.is_stopped() || self.job.is_final() {
            return Err(stopped());
        }
        let counts = adoption.commit()?;
        self.errors.fetch_add(outcome.rejects, Ordering::AcqRel);
        self.metrics.note_import(&counts);
        self.job.note(task, outcome, &counts);
        Ok(())
    }
}

/// What of a staged task's counts holds already: its rejects. Its records are
/// under way until they are shown.
pub(super) fn staged(counts: &TaskCounts) -> TaskCounts {
    TaskCounts { read: counts.rejected, imported: 0, superseded: 0, ..*counts }
}

/// Adds `more` to `sum`.
pub(super) fn add(sum: &mut TaskCounts, more: &TaskCounts) {
    sum.read += more.read;
    sum.imported += more.imported;
    sum.superseded += more.superseded;
    sum.rejected += more.rejected;
    sum.bytes += more.bytes;
    sum.broken += more.broken;
}
