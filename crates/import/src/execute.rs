//! Runs a plan: tasks at once, commits strictly in source order.
#![allow(clippy::todo, unused_variables)]

use crate::{ImportError, ImportWatch, Plan, Reject, TaskOutcome, TaskRunner, TaskSpec};

/// Where a task's outcome is published and remembered.
pub trait Ledger: Send + Sync {
    /// Whether the task was committed before (by this process or one before).
    fn committed(&self, task: &TaskSpec) -> bool;
    /// Makes the task's records visible and marks it done, in one step.
    fn commit(&self, task: &TaskSpec, outcome: &TaskOutcome) -> crossbill_core::Result<()>;
}

/// Runs what the ledger does not know yet, up to `workers` tasks at once.
pub fn execute(
    plan: &Plan,
    runner: &dyn TaskRunner,
    ledger: &dyn Ledger,
    workers: usize,
    watch: &ImportWatch,
) -> Result<(), ImportError> {
    todo!()
}

/// The first reason, in source order, among the plan's broken files and the
/// tasks' first rejects.
pub fn first_reason<'a>(
    plan: &'a Plan,
    outcomes: impl IntoIterator<Item = (u32, &'a Reject)>,
) -> Option<&'a Reject> {
    todo!()
}
