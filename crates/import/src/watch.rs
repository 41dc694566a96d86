//! Progress and cancellation, shared by whoever runs an import and whoever
//! looks at it. Counters only grow while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crossbill_engine::BuildWatch;

use crate::{Plan, TaskSpec};

/// Nanoseconds that a row takes to be read and checked, and to be built into a
/// segment: of each row, and of each component of its vector. Measured from
/// local files of 100 and 768 components on two cores; what an import takes
/// itself soon counts for more, since sources and machines differ.
const READING_COST: (f64, f64) = (600.0, 4.0);
const BUILDING_COST: (f64, f64) = (1000.0, 4.5);
/// Rows that the times above weigh as much as.
const EXPECTED_ROWS: f64 = 20_000.0;
/// Percent that stand for the commits.
const COMMIT_PERCENT: f64 = 2.0;
/// Parts of a row that are counted while it is built.
const ROW_PARTS: u64 = 1000;

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
#[derive(Debug, Clone, Copy, PartialEq, Default)]
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
    /// Rows that are done with: rejected, or in a segment, where one that is
    /// being built counts as far as it is.
    pub rows_done: u64,
    /// Rows of committed tasks.
    pub rows_committed: u64,
    /// Packed bytes the footers promise.
    pub bytes_total: u64,
    /// Packed bytes read.
    pub bytes_read: u64,
    /// What reading takes of the time of reading and building.
    pub reading_part: f64,
}

impl Progress {
    /// Percent of the whole work, loading and indexing, below 100 until all
    /// is committed.
    pub fn percent(&self) -> f64 {
        if self.rows_total == 0 {
            return 0.0;
        }
        let share = |rows: u64| rows.min(self.rows_total) as f64 / self.rows_total as f64;
        let work = self.reading_part * share(self.rows_read)
            + (1.0 - self.reading_part) * share(self.rows_done);
        (100.0 - COMMIT_PERCENT) * work + COMMIT_PERCENT * share(self.rows_committed)
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
    /// In parts of a row.
    parts_done: AtomicU64,
    rows_committed: AtomicU64,
    bytes_total: AtomicU64,
    bytes_read: AtomicU64,
    dimension: AtomicU32,
    reading: Pace,
    building: Pace,
}

/// How long rows took.
#[derive(Debug, Default)]
struct Pace {
    rows: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Pace {
    fn note(&self, rows: u64, time: Duration) {
        self.rows.fetch_add(rows, Ordering::AcqRel);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::AcqRel);
    }

    /// Nanoseconds that a row takes, where so many were expected.
    fn of_row(&self, expected: f64) -> f64 {
        let [rows, nanoseconds] =
            [&self.rows, &self.nanoseconds].map(|counter| counter.load(Ordering::Acquire) as f64);
        (EXPECTED_ROWS * expected + nanoseconds) / (EXPECTED_ROWS + rows)
    }
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
            &self.parts_done,
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
            rows_done: read(&self.parts_done) / ROW_PARTS,
            rows_committed: read(&self.rows_committed),
            bytes_total: read(&self.bytes_total),
            bytes_read: read(&self.bytes_read),
            reading_part: self.reading_part(),
        }
    }

    pub(crate) fn set_totals(&self, plan: &Plan) {
        self.files_total.store(plan.files.len() as u64, Ordering::Release);
        self.rows_total.store(plan.rows_total, Ordering::Release);
        self.bytes_total.store(plan.bytes_total, Ordering::Release);
        let dimension = plan.tasks.first().map_or(0, |task| task.shape.dimension);
        self.dimension.store(dimension, Ordering::Release);
    }

    /// What reading takes of the time of reading and building.
    fn reading_part(&self) -> f64 {
        let dimension = f64::from(self.dimension.load(Ordering::Acquire));
        let expected = |(row, component): (f64, f64)| row + component * dimension;
        let reading = self.reading.of_row(expected(READING_COST));
        reading / (reading + self.building.of_row(expected(BUILDING_COST)))
    }

    /// Notes a task that was committed before this process ran it.
    pub(crate) fn add_resumed(&self, task: &TaskSpec) {
        let (rows, bytes) = (task.rows(), task.bytes());
        let files = task.pieces.iter().filter(|piece| piece.last).count() as u64;
        self.files_done.fetch_add(files, Ordering::AcqRel);
        self.add_done(rows * ROW_PARTS);
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

    fn add_done(&self, parts: u64) {
        self.parts_done.fetch_add(parts, Ordering::AcqRel);
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

    /// Notes how long rows took to be read and checked.
    pub fn add_reading_time(&self, rows: u64, time: Duration) {
        self.import.reading.note(rows, time);
    }

    /// Notes rows that were rejected, and so are done with.
    pub fn add_rejected(&self, rows: u64) {
        self.import.rows_rejected.fetch_add(rows, Ordering::AcqRel);
        self.import.add_done(rows * ROW_PARTS);
    }

    /// The view of a segment of so many rows that is about to be built.
    pub fn building(&self, rows: u64) -> Building<'a> {
        Building { watch: *self, parts: rows * ROW_PARTS, done: AtomicU64::new(0) }
    }

    /// Notes a file that was read to its end or given up.
    pub fn add_file(&self) {
        self.import.files_done.fetch_add(1, Ordering::AcqRel);
    }
}

/// A segment while it is built: what of it is done counts as rows done.
#[derive(Debug)]
pub struct Building<'a> {
    watch: TaskWatch<'a>,
    /// Parts of its rows in all, and those that count as done.
    parts: u64,
    done: AtomicU64,
}

impl BuildWatch for Building<'_> {
    fn is_stopped(&self) -> bool {
        self.watch.is_cancelled()
    }

    fn done(&self, part: f64) {
        let more = (part * self.parts as f64) as u64;
        let before = self.done.fetch_add(more, Ordering::AcqRel);
        self.watch.import.add_done(more.min(self.parts.saturating_sub(before)));
    }
}

impl Building<'_> {
    /// Notes that the segment is finished, and how long that took: all its rows
    /// are done.
    pub fn finish(self, time: Duration) {
        self.watch.import.building.note(self.parts / ROW_PARTS, time);
        self.watch.import.add_done(self.parts.saturating_sub(self.done.into_inner()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_counts_as_far_as_it_is_and_whole_at_its_end() {
        let (import, stop) = (ImportWatch::default(), AtomicU32::new(NO_STOP));
        let task = TaskWatch::new(&import, 0, &stop);
        import.rows_total.store(100, Ordering::Release);
        let building = task.building(90);
        let mut before = import.progress().percent();
        for (part, rows) in [(0.5, 45), (0.25, 67), (0.2, 85), (0.3, 90), (0.1, 90)] {
            building.done(part);
            let progress = import.progress();
            assert_eq!(progress.rows_done, rows);
            assert!(progress.percent() >= before);
            before = progress.percent();
        }
        building.finish(Duration::ZERO);
        assert_eq!(import.progress().rows_done, 90);
        let other = task.building(10);
        other.done(1.0 / 3.0);
        other.finish(Duration::ZERO);
        assert_eq!(import.progress().rows_done, 100);
        import.cancel();
        assert!(task.building(1).is_stopped());
    }

    #[test]
    fn what_an_import_takes_itself_soon_says_how_reading_weighs() {
        for dimension in [0, 1, 100, 768, 20_000] {
            let (import, stop) = (ImportWatch::default(), AtomicU32::new(NO_STOP));
            import.dimension.store(dimension, Ordering::Release);
            assert!((0.3..0.5).contains(&import.reading_part()), "{dimension}");
            let task = TaskWatch::new(&import, 0, &stop);
            task.add_reading_time(1_000_000, Duration::from_secs(400));
            assert!(import.reading_part() > 0.7);
            task.building(1_000_000).finish(Duration::from_secs(1200));
            assert!((0.23..0.27).contains(&import.reading_part()), "{dimension}");
        }
    }
}
