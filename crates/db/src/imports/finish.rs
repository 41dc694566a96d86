//! How an import ended, from what its run came to: the status, the error or
//! the warnings, and the counts that belong to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crossbill_core::Result;
use crossbill_import::{ErrorMode, ImportError, Overrun, Phase, Plan, Reject};
use crossbill_store::killpoint::reach;

use super::job::Job;
use super::record::ImportEnd;
use super::rejects;
use crate::Index;
use crate::env::Env;
use crate::types::ImportStatus;

/// Reject messages among the warnings of a completed import.
const WARNED_FILES_MAX: usize = 100;

/// Stores how the import ended, unless it was cancelled (then that is stored)
/// or only interrupted (then it goes on at the next open) or paused.
pub(super) fn finish(
    env: &Env,
    index: &Index,
    job: &Job,
    result: &std::result::Result<(), ImportError>,
) -> Result<()> {
    let paused = matches!(result, Err(ImportError::Paused));
    if paused || job.is_stopped() || job.is_final() {
        return Ok(());
    }
    let now = env.clock.now();
    let (plan, committed) = {
        let live = job.live();
        (live.plan.clone(), live.committed.clone().unwrap_or_default())
    };
    let facts = Facts::gather(env, index, job, plan, &committed, result)?;
    let _no_cancel_between = job.gate.lock();
    let mut live = job.live();
    if live.record.status.is_final() {
        return Ok(());
    }
    let mut end = job.end(&live, now);
    let status = match facts.failed(live.record.options.error_mode, &mut end, result) {
        Some(error) => {
            tracing::warn!(import = job.name(), error, "import failed");
            end.error = Some(error);
            ImportStatus::Failed
        }
        None => {
            warn_of_rejects(&mut end, facts.broken(), facts.reason.as_ref());
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

/// What is known of a run that is over, read before the import is locked.
struct Facts {
    plan: Option<Arc<Plan>>,
    /// The first reject in source order.
    reason: Option<Reject>,
    /// The task with one error too many, and how many of its records count.
    overrun: Option<(Option<u32>, u64)>,
}

impl Facts {
    fn gather(
        env: &Env,
        index: &Index,
        job: &Job,
        plan: Option<Arc<Plan>>,
        committed: &BTreeSet<u32>,
        result: &std::result::Result<(), ImportError>,
    ) -> Result<Self> {
        let Some(known) = &plan else {
            return Ok(Self { plan, reason: None, overrun: None });
        };
        let mut overrun = None;
        if let Err(ImportError::TooManyErrors(found)) = result {
            if let Overrun { task: Some(task), first_reject: Some(first), .. } = &**found {
                job.live().first_rejects.insert(*task, first.clone());
            }
            let rows = rejects::overrun_rows(env, index, job, known, committed, found)?;
            overrun = Some((found.task, rows));
        }
        let reason = rejects::reason(env, index, job, known, committed)?;
        Ok(Self { plan, reason, overrun })
    }

    fn broken(&self) -> &[Reject] {
        self.plan.as_ref().map(|plan| plan.file_errors.as_slice()).unwrap_or_default()
    }

    /// Why the import failed, if it did; what it had read of that is counted.
    fn failed(
        &self,
        mode: ErrorMode,
        end: &mut ImportEnd,
        result: &std::result::Result<(), ImportError>,
    ) -> Option<String> {
        let first = self.reason.as_ref().map(|reject| reject.message.clone());
        match (result, self.broken().first()) {
            (Err(ImportError::Rejected(reject)), _) => {
                note_abort(end, reject);
                Some(reject.message.clone())
            }
            (Err(error @ ImportError::TooManyErrors(_)), _) => {
                if let Some((task, rows)) = self.overrun {
                    end.overrun_task = task;
                    end.counts.read += rows;
                    end.counts.rejected += rows;
                }
                let first = first.map(|first| format!("; the first: {first}"));
                Some(format!("{error}{}", first.unwrap_or_default()))
            }
            (Err(error), _) => Some(error.to_string()),
            (Ok(()), Some(reject)) if mode == ErrorMode::Abort => {
                note_abort(end, reject);
                Some(reject.message.clone())
            }
            (Ok(()), _) if end.counts.imported == 0 => first,
            (Ok(()), _) => None,
        }
    }
}

/// In abort mode the record or file that ended the import was read too.
fn note_abort(end: &mut ImportEnd, reject: &Reject) {
    if reject.row.is_some() {
        end.counts.read += 1;
        end.counts.rejected += 1;
    }
    end.reject = Some(reject.clone());
}

fn warn_of_rejects(end: &mut ImportEnd, broken: &[Reject], reason: Option<&Reject>) {
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
