//! Where a task runs: the seam, and the runner in this process.

mod decoding;
mod loading;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbill_core::{Error, IdSource};
use crossbill_store::{Key, Root, Source, SourceError, SourcePolicy, killpoint};
use rayon::ThreadPool;

use crate::source::blocks::ReadAhead;
use crate::{ImportSettings, TaskError, TaskOutcome, TaskSpec, TaskWatch};
use decoding::Decoding;
use loading::Loading;

/// Threads that read ahead for one task; mostly waiting.
const READ_AHEAD_THREADS: usize = 3;
/// Decoded batches that wait to be stored.
const BATCHES_WAITING: usize = 2;

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

/// Runs tasks on this machine: one thread decodes, the caller's checks and
/// stores, a few read ahead, and the pool builds segments.
pub struct LocalRunner {
    parts: RunnerParts,
}

impl LocalRunner {
    /// A runner that works with `parts`.
    pub fn new(parts: RunnerParts) -> Self {
        Self { parts }
    }

    fn open(&self, task: &TaskSpec, stop: &Arc<AtomicBool>) -> Result<Source, TaskError> {
        let uri = self.parts.policy.check(&task.uri, task.integration.as_deref())?;
        let source = self.parts.policy.open(&uri).map_err(source_error)?;
        Ok(source.with_cancel(Arc::clone(stop)))
    }
}

impl TaskRunner for LocalRunner {
    fn run(&self, task: &TaskSpec, watch: &TaskWatch<'_>) -> Result<TaskOutcome, TaskError> {
        killpoint::reach("import.task_started");
        let stop = Arc::new(AtomicBool::new(false));
        let source = self.open(task, &stop)?;
        let mut loading = Loading::new(&self.parts, task, watch)?;
        let ahead = Arc::new(ReadAhead::default());
        std::thread::scope(|scope| {
            let ending = Ending { stop: &stop, ahead: &ahead };
            for number in 0..READ_AHEAD_THREADS {
                let name = format!("import-{}-read-{number}", task.ordinal);
                spawn(name, scope, || ahead.serve())?;
            }
            let (sender, receiver) = std::sync::mpsc::sync_channel(BATCHES_WAITING);
            let budget = self.parts.settings.decode_budget();
            let decoding =
                Decoding { task, source, budget, ahead: Arc::clone(&ahead), stop: &stop };
            let name = format!("import-{}-decode", task.ordinal);
            spawn(name, scope, move || decoding.run(&sender))?;
            let loaded = loading.load(&receiver);
            // The decoder must not wait for room in a channel nobody reads.
            drop(receiver);
            drop(ending);
            loaded
        })?;
        loading.finish()
    }
}

fn spawn<'scope>(
    name: String,
    scope: &'scope std::thread::Scope<'scope, '_>,
    body: impl FnOnce() + Send + 'scope,
) -> Result<(), TaskError> {
    let thread = std::thread::Builder::new().name(name).spawn_scoped(scope, body);
    let failed = |error| Error::exhausted(format!("cannot start a thread: {error}"));
    thread.map(drop).map_err(|error| TaskError::Failed(failed(error)))
}

/// Ends a task's threads, however the task ends.
struct Ending<'a> {
    stop: &'a AtomicBool,
    ahead: &'a ReadAhead,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.ahead.close();
    }
}

fn source_error(error: SourceError) -> TaskError {
    match error {
        SourceError::Cancelled(_) => TaskError::Cancelled,
        error => TaskError::Failed(Error::from(error)),
    }
}

/// The key of a part of the index below `index_dir`.
pub fn part_key(index_dir: &str, part: &str) -> crossbill_core::Result<Key> {
    Key::new(&format!("{index_dir}/parts/{part}.seg"))
        .map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests;
