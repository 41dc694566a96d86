//! Progress and cancellation, shared by whoever runs an import and whoever
//! looks at it. Counters only grow while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::TaskSpec;

/// What an import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It waits for its turn.
    Waiting,
    /// The source is listed.
    Listing,
    /// Footers are read and tasks are cut.
    Planning,
    /// Files are read, checked and indexed.
    Loading,
    /// All is read; the last segments are built and committed.
    Indexing,
    /// Nothing is left to do.
    Done,
}

impl Phase {
    const ALL: [Phase; 6] = [
        Phase::Waiting,
        Phase::Listing,
        Phase::Planning,
        Phase::Loading,
        Phase::Indexing,
        Phase::Done,
    ];

    /// The name that people see.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Listing => "listing",
            Phase::Planning => "planning",
            Phase::Loading => "loading",
            Phase::Indexing => "indexing",
            Phase::Done => "done",
        }
    }
}

/// An import's progress at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Files planned.
    pub files_total: u64,
    /// Files read to their end or given up.
    pub files_done: u64,
    /// Rows the footers promise.
    pub rows_total: u64,
    /// Rows read (and imported or rejected).
    pub rows_read: u64,
    /// Rows rejected.
    pub rows_rejected: u64,
    /// Rows that are done with: rejected, or in a finished segment.
    pub rows_done: u64,
    /// Rows of committed tasks.
    pub rows_committed: u64,
    /// Packed bytes the footers promise.
    pub bytes_total: u64,
    /// Packed bytes read.
    pub bytes_read: u64,
}

impl Progress {
    /// Percent of the whole work, loading and indexing, below 100 until all
    /// is committed.
    pub fn percent(&self) -> f64 {
        if self.rows_total == 0 {
            return 0.0;
        }
        // Building takes about twice as long as reading.
        let share = |rows: u64| rows.min(self.rows_total) as f64 / self.rows_total as f64;
        30.0 * share(self.rows_read)
            + 65.0 * share(self.rows_done)
            + 5.0 * share(self.rows_committed)
    }
}

/// The shared state of one import.
#[derive(Debug, Default)]
pub struct ImportWatch {
    cancelled: Arc<AtomicBool>,
    held: AtomicBool,
    phase: AtomicU8,
    files_total: AtomicU64,
    files_done: AtomicU64,
    rows_total: AtomicU64,
    rows_read: AtomicU64,
    rows_rejected: AtomicU64,
    rows_done: AtomicU64,
    rows_committed: AtomicU64,
    bytes_total: AtomicU64,
    bytes_read: AtomicU64,
}

impl ImportWatch {
    /// Asks the import to stop; it does within two seconds.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Holds it: tasks under way are finished, no more are begun. Or lets it
    /// go again.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Release);
    }

    /// Whether it is held.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Counts from the beginning: it is run, perhaps not for the first time.
    pub fn begin(&self) {
        self.set_phase(Phase::Listing);
        for counter in [
            &self.files_done,
            &self.rows_read,
            &self.rows_rejected,
            &self.rows_done,
            &self.rows_committed,
            &self.bytes_read,
        ] {
            counter.store(0, Ordering::Release);
        }
    }

    /// The flag that [`ImportWatch::cancel`] raises, for a source that waits.
    pub(crate) fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire)).min(Phase::ALL.len() - 1)]
    }

    /// Notes what it is doing.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Its progress now.
    pub fn progress(&self) -> Progress {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Progress {
            files_total: read(&self.files_total),
            files_done: read(&self.files_done),
            rows_total: read(&self.rows_total),
            rows_read: read(&self.rows_read),
            rows_rejected: read(&self.rows_rejected),
            rows_done: read(&self.rows_done),
            rows_committed: read(&self.rows_committed),
            bytes_total: read(&self.bytes_total),
            bytes_read: read(&self.bytes_read),
        }
    }

    pub(crate) fn set_totals(&self, files: u64, rows: u64, bytes: u64) {
        self.files_total.store(files, Ordering::Release);
        self.rows_total.store(rows, Ordering::Release);
        self.bytes_total.store(bytes, Ordering::Release);
    }

    /// Notes a task that was committed before this process ran it.
    pub(crate) fn add_resumed(&self, task: &TaskSpec) {
        let (rows, bytes) = (task.rows(), task.bytes());
        let files = task.pieces.iter().filter(|piece| piece.last).count() as u64;
        self.files_done.fetch_add(files, Ordering::AcqRel);
        self.rows_done.fetch_add(rows, Ordering::AcqRel);
        self.add_read(rows, bytes);
        self.add_committed(rows);
    }

    fn add_read(&self, rows: u64, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::AcqRel);
        let read = rows + self.rows_read.fetch_add(rows, Ordering::AcqRel);
        if read >= self.rows_total.load(Ordering::Acquire) && self.phase() == Phase::Loading {
            self.set_phase(Phase::Indexing);
        }
    }

    pub(crate) fn add_committed(&self, rows: u64) {
        self.rows_committed.fetch_add(rows, Ordering::AcqRel);
    }
}

/// One task's view of its import: it reports here and asks here whether to
/// stop.
#[derive(Debug, Clone, Copy)]
pub struct TaskWatch<'a> {
    import: &'a ImportWatch,
    ordinal: u32,
    /// Tasks behind this one need not go on: an earlier one failed.
    stop_after: &'a AtomicU32,
}

/// The value of `stop_after` while nothing failed.
pub(crate) const NO_STOP: u32 = u32::MAX;

impl<'a> TaskWatch<'a> {
    /// The view of task `ordinal`, which stops once `stop_after` is lower.
    pub fn new(import: &'a ImportWatch, ordinal: u32, stop_after: &'a AtomicU32) -> Self {
        Self { import, ordinal, stop_after }
    }

    /// Whether the task is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.import.is_cancelled() || self.ordinal > self.stop_after.load(Ordering::Acquire)
    }

    /// Notes rows that were read.
    pub fn add_read(&self, rows: u64, bytes: u64) {
        self.import.add_read(rows, bytes);
    }

    /// Notes rows that were rejected, and so are done with.
    pub fn add_rejected(&self, rows: u64) {
        self.import.rows_rejected.fetch_add(rows, Ordering::AcqRel);
        self.import.rows_done.fetch_add(rows, Ordering::AcqRel);
    }

    /// Notes rows whose segment is finished.
    pub fn add_indexed(&self, rows: u64) {
        self.import.rows_done.fetch_add(rows, Ordering::AcqRel);
    }

    /// Notes a file that was read to its end or given up.
    pub fn add_file(&self) {
        self.import.files_done.fetch_add(1, Ordering::AcqRel);
    }
}
