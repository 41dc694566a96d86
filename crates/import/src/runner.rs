//! Where a task runs: the seam, and the runner in this process.
#![allow(clippy::todo, unused_variables)]

use std::sync::Arc;

use crossbill_core::IdSource;
use crossbill_store::{Key, Root, SourcePolicy};
use rayon::ThreadPool;

use crate::{ImportSettings, TaskError, TaskOutcome, TaskSpec, TaskWatch};

/// Does tasks, here or elsewhere. A task is all or nothing.
pub trait TaskRunner: Send + Sync {
    /// Does `task` and stores what it made; nothing is visible before the
    /// ledger commits it.
    fn run(&self, task: &TaskSpec, watch: &TaskWatch<'_>) -> Result<TaskOutcome, TaskError>;
}

/// What the runner in this process works with.
#[derive(Clone)]
pub struct RunnerParts {
    /// Where sources may be and how they are reached.
    pub policy: Arc<SourcePolicy>,
    /// Where parts and rejects are stored.
    pub root: Root,
    /// The threads that build segments.
    pub pool: Arc<ThreadPool>,
    /// Names for parts.
    pub ids: Arc<dyn IdSource>,
    /// Memory and sizes.
    pub settings: ImportSettings,
}

/// Runs tasks on this machine.
pub struct LocalRunner {
    parts: RunnerParts,
}

impl LocalRunner {
    /// A runner that works with `parts`.
    pub fn new(parts: RunnerParts) -> Self {
        Self { parts }
    }
}

impl TaskRunner for LocalRunner {
    fn run(&self, task: &TaskSpec, watch: &TaskWatch<'_>) -> Result<TaskOutcome, TaskError> {
        todo!()
    }
}

/// The key of a part of the index below `index_dir`.
pub fn part_key(index_dir: &str, part: &str) -> crossbill_core::Result<Key> {
    todo!()
}
