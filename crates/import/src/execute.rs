//! Runs a plan: tasks at once, commits strictly in source order, so that
//! whatever stops an import leaves a prefix of its source.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossbill_core::Error;
use crossbill_store::killpoint;

use crate::source::panic_text;
use crate::watch::NO_STOP;
use crate::{
    ErrorMode, ImportError, ImportWatch, Overrun, Phase, Plan, Reject, TaskError, TaskOutcome,
    TaskRunner, TaskSpec, TaskWatch,
};

/// Tasks begun before an earlier one is committed, per worker.
const WINDOW_PER_WORKER: usize = 2;

/// Where a task's outcome is published and remembered.
pub trait Ledger: Send + Sync {
    /// Whether the task was committed before (by this process or one before).
    fn committed(&self, task: &TaskSpec) -> bool;
    /// Errors of the tasks that were committed: entries of their reject logs.
    fn errors(&self) -> u64;
    /// Makes the task's records visible and marks it done, in one step. Called
    /// for one task at a time, in order.
    fn commit(&self, task: &TaskSpec, outcome: &TaskOutcome) -> crossbill_core::Result<()>;
}

/// Runs what the ledger does not know yet, up to `workers` tasks at once.
///
/// The error is the first in source order: in abort mode, tasks before the
/// failed one are still finished and committed, tasks behind it are not.
pub fn execute(
    plan: &Plan,
    runner: &dyn TaskRunner,
    ledger: &dyn Ledger,
    workers: usize,
    watch: &ImportWatch,
) -> Result<(), ImportError> {
    watch.set_totals(plan);
    check_files(plan)?;
    watch.set_phase(Phase::Loading);
    let run = Run {
        plan,
        runner,
        ledger,
        watch,
        window: workers.max(1) * WINDOW_PER_WORKER,
        state: Mutex::default(),
        changed: Condvar::new(),
        stop_after: AtomicU32::new(NO_STOP),
    };
    // The workers' threads do not know what they work for otherwise.
    let import = tracing::Span::current();
    std::thread::scope(|scope| {
        for number in 1..workers.min(plan.tasks.len()) {
            let name = format!("import-worker-{number}");
            // Without the thread the others do its share.
            let work = || import.in_scope(|| run.work());
            let _ = std::thread::Builder::new().name(name).spawn_scoped(scope, work);
        }
        run.work();
    });
    let state = run.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, error)) = state.failure {
        return Err(error);
    }
    if state.next_commit < plan.tasks.len() {
        let paused = state.next_commit == state.next_start && !watch.is_cancelled();
        return Err(if paused { ImportError::Paused } else { ImportError::Cancelled });
    }
    if plan.error_mode == ErrorMode::Abort
        && let Some(reject) = plan.file_errors.first()
    {
        return Err(ImportError::Rejected(Box::new(reject.clone())));
    }
    watch.set_phase(Phase::Done);
    Ok(())
}

/// Whether the broken files alone are more errors than there may be.
fn check_files(plan: &Plan) -> Result<(), ImportError> {
    match plan.errors_max {
        Some(errors_max) if plan.file_errors.len() as u64 > errors_max => {
            let first_reject = plan.file_errors.first().cloned();
            let overrun = Overrun { errors_max, task: None, first_reject };
            Err(ImportError::TooManyErrors(Box::new(overrun)))
        }
        _ => Ok(()),
    }
}

struct Run<'a> {
    plan: &'a Plan,
    runner: &'a dyn TaskRunner,
    ledger: &'a dyn Ledger,
    watch: &'a ImportWatch,
    window: usize,
    state: Mutex<State>,
    /// Something was committed, or something failed.
    changed: Condvar,
    /// The lowest task that failed: those behind it stop.
    stop_after: AtomicU32,
}

#[derive(Default)]
struct State {
    next_start: usize,
    next_commit: usize,
    /// Tasks that wait for their turn to be committed; none: they were before.
    done: BTreeMap<usize, Option<TaskOutcome>>,
    /// Whether a worker commits at this moment.
    committing: bool,
    failure: Option<(usize, ImportError)>,
}

impl Run<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(number) = self.next_task() {
            let task = &self.plan.tasks[number];
            match self.run(number, task) {
                Ok(outcome) => {
                    // Whichever task has the one error too many, the import
                    // cannot come further than this one.
                    if outcome.as_ref().is_some_and(|outcome| outcome.is_overrun) {
                        self.stop_after.fetch_min(number as u32, Ordering::AcqRel);
                    }
                    self.state().done.insert(number, outcome);
                    self.commit_ready();
                }
                Err(error) => self.fail(number, error.into()),
            }
        }
    }

    /// The next task to begin, once the window has room; none when there is
    /// nothing more to begin.
    fn next_task(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            let number = state.next_start;
            let over = number >= self.plan.tasks.len()
                || number > self.stop_after.load(Ordering::Acquire) as usize
                || state.failure.is_some()
                || self.watch.is_held()
                || self.watch.is_cancelled();
            if over {
                return None;
            }
            if number < state.next_commit + self.window {
                state.next_start += 1;
                return Some(number);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, number: usize, task: &TaskSpec) -> Result<Option<TaskOutcome>, TaskError> {
        if self.ledger.committed(task) {
            self.watch.add_resumed(task);
            return Ok(None);
        }
        let _span = tracing::debug_span!(
            "task",
            number = task.ordinal,
            namespace = task.namespace,
            rows = tracing::field::Empty,
        )
        .entered();
        let watch = TaskWatch::new(self.watch, number as u32, &self.stop_after);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.runner.run(task, &watch)));
        let outcome = outcome.unwrap_or_else(|panic| {
            let text = format!("task {} panicked: {}", task.ordinal, panic_text(&*panic));
            Err(TaskError::Failed(Error::internal(text)))
        })?;
        let counts = &outcome.counts;
        tracing::Span::current().record("rows", counts.read);
        assert_eq!(
            counts.read,
            counts.imported + counts.superseded + counts.rejected,
            "a runner accounts for every row"
        );
        Ok(Some(outcome))
    }

    /// Commits what is next in order and done. One worker at a time does.
    fn commit_ready(&self) {
        let mut state = self.state();
        if state.committing {
            return;
        }
        state.committing = true;
        loop {
            let number = state.next_commit;
            let stopped = number > self.stop_after.load(Ordering::Acquire) as usize;
            if stopped || self.watch.is_cancelled() {
                break;
            }
            let Some(outcome) = state.done.remove(&number) else { break };
            drop(state);
            let committed = match outcome {
                Some(outcome) => self.commit(&self.plan.tasks[number], &outcome),
                None => Ok(()),
            };
            if let Err(error) = committed {
                self.fail(number, error);
                state = self.state();
                break;
            }
            state = self.state();
            state.next_commit += 1;
            self.changed.notify_all();
        }
        state.committing = false;
        drop(state);
        self.changed.notify_all();
    }

    fn commit(&self, task: &TaskSpec, outcome: &TaskOutcome) -> Result<(), ImportError> {
        let _span = tracing::debug_span!("commit", task = task.ordinal).entered();
        self.check_errors(outcome)?;
        killpoint::reach("import.commit_before");
        let committed = catch_unwind(AssertUnwindSafe(|| self.ledger.commit(task, outcome)));
        committed.unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            Err(Error::internal(format!("committing task {} panicked: {text}", task.ordinal)))
        })?;
        killpoint::reach("import.commit_after");
        self.watch.add_committed(outcome.counts.read);
        Ok(())
    }

    /// Whether the import may have the task's errors beside those before it.
    /// Tasks come here in source order, so that it is always the same record
    /// that is one too many.
    fn check_errors(&self, outcome: &TaskOutcome) -> Result<(), ImportError> {
        let Some(errors_max) = self.plan.errors_max else { return Ok(()) };
        let errors = self.plan.file_errors.len() as u64 + self.ledger.errors() + outcome.rejects;
        if errors <= errors_max {
            return Ok(());
        }
        Err(ImportError::TooManyErrors(Box::new(Overrun {
            errors_max,
            task: Some(outcome.ordinal),
            first_reject: outcome.first_reject.clone(),
        })))
    }

    /// Remembers the first failure in source order. A task that stopped
    /// because an earlier one failed, or because of a cancel, is no failure
    /// of its own.
    fn fail(&self, number: usize, error: ImportError) {
        let mut state = self.state();
        if !matches!(error, ImportError::Cancelled)
            && state.failure.as_ref().is_none_or(|(first, _)| number < *first)
        {
            self.stop_after.fetch_min(number as u32, Ordering::AcqRel);
            state.failure = Some((number, error));
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// The first reason, in source order, among the plan's broken files and the
/// tasks' first rejects: what an import that imported nothing failed with.
pub fn first_reason<'a>(
    plan: &'a Plan,
    first_rejects: impl IntoIterator<Item = &'a Reject>,
) -> Option<&'a Reject> {
    plan.file_errors
        .iter()
        .chain(first_rejects)
        .min_by_key(|reject| (reject.file.as_str(), reject.row.unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
