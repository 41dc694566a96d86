//! What the database counts about itself, for whoever scrapes it. Counters
//! and histograms are filled where the work is done; what can be read off the
//! state (records, waiting work) is read when it is asked for.
//!
//! May not know who asks or in which format; never fails and never waits.

mod load;

use std::sync::atomic::Ordering;

use crossbill_core::Clock;
use crossbill_engine::SearchStats;
use crossbill_store::TaskCounts;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

pub use self::load::DatabaseLoad;
use crate::{Database, QueryAnswer};

type Labels = [(&'static str, String); 1];
type Counters = Family<Labels, Counter>;

/// What is counted while the work is done.
pub(crate) struct Metrics {
    /// Finding the nearest records.
    search: Histogram,
    /// Reading what a query gives back of them.
    read: Histogram,
    /// Searches by text, with what they give back.
    text: Histogram,
    segments: Counter,
    cells: Counter,
    codes: Counter,
    scored: Counter,
    filter_sets: Counters,
    /// Those of them that a search counts, at hand.
    sets_kept: Counter,
    sets_made: Counter,
    /// Appends to a write-ahead log, until they are on the disk.
    pub(crate) wal_append: Histogram,
    pub(crate) wal_bytes: Counter,
    pub(crate) flush: Histogram,
    pub(crate) merge: Histogram,
    pub(crate) merged_rows: Counter,
    failures: Counters,
    import_records: Counters,
    import_bytes: Counter,
}

/// Background work or a write that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failure {
    WalAppend,
    Flush,
    Merge,
}

impl Failure {
    const ALL: [Failure; 3] = [Failure::WalAppend, Failure::Flush, Failure::Merge];

    fn name(self) -> &'static str {
        match self {
            Failure::WalAppend => "wal_append",
            Failure::Flush => "flush",
            Failure::Merge => "merge",
        }
    }
}

const KEPT: &str = "kept";
const MADE: &str = "made";
const OUTCOMES: [&str; 3] = ["imported", "rejected", "superseded"];

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let filter_sets = counters("from", [KEPT, MADE]);
        let of = |from: &str| filter_sets.get_or_create(&[("from", from.to_owned())]).clone();
        Self {
            sets_kept: of(KEPT),
            sets_made: of(MADE),
            search: seconds(0.000_05),
            read: seconds(0.000_005),
            text: seconds(0.000_05),
            segments: Counter::default(),
            cells: Counter::default(),
            codes: Counter::default(),
            scored: Counter::default(),
            filter_sets,
            wal_append: seconds(0.000_1),
            wal_bytes: Counter::default(),
            flush: seconds(0.01),
            merge: seconds(0.01),
            merged_rows: Counter::default(),
            failures: counters("what", Failure::ALL.map(Failure::name)),
            import_records: counters("outcome", OUTCOMES),
            import_bytes: Counter::default(),
        }
    }

    /// Notes a query by vectors: how long its parts took, and what it read.
    pub(crate) fn note_query(&self, answer: &QueryAnswer) {
        self.search.observe(answer.took.search.as_secs_f64());
        self.read.observe(answer.took.read.as_secs_f64());
        self.note_search(&answer.stats);
    }

    /// The same of a query by text.
    pub(crate) fn note_text(&self, answer: &QueryAnswer) {
        self.text.observe((answer.took.search + answer.took.read).as_secs_f64());
        self.note_search(&answer.stats);
    }

    fn note_search(&self, stats: &SearchStats) {
        self.segments.inc_by(u64::from(stats.segments));
        self.cells.inc_by(u64::from(stats.cells_probed));
        self.codes.inc_by(u64::from(stats.codes_scanned));
        self.scored.inc_by(u64::from(stats.reranked));
    }

    /// Notes whether the rows that a filter matches in a segment were kept.
    pub(crate) fn note_filter_set(&self, was_kept: bool) {
        let counter = if was_kept { &self.sets_kept } else { &self.sets_made };
        counter.inc();
    }

    /// Notes that something failed.
    pub(crate) fn note_failure(&self, failure: Failure) {
        self.failures.get_or_create(&[("what", failure.name().to_owned())]).inc();
    }

    /// Notes a task of an import that was committed.
    pub(crate) fn note_import(&self, counts: &TaskCounts) {
        let records = [counts.imported, counts.rejected, counts.superseded];
        for (outcome, records) in OUTCOMES.into_iter().zip(records) {
            let counter = self.import_records.get_or_create(&[("outcome", outcome.to_owned())]);
            counter.inc_by(records);
        }
        self.import_bytes.inc_by(counts.bytes);
    }

    fn register(&self, registry: &mut Registry) {
        let counters: [(&str, &str, &Counter); 7] = [
            ("query_segments", "Segments that queries searched", &self.segments),
            ("query_cells", "Lists of the inverted file that queries read", &self.cells),
            ("query_codes", "Codes that queries compared", &self.codes),
            ("query_rows_scored", "Rows that queries scored by their vectors", &self.scored),
            ("merged_rows", "Rows that merges wrote", &self.merged_rows),
            ("wal_bytes", "Bytes appended to write-ahead logs", &self.wal_bytes),
            (
                "import_bytes",
                "Bytes of source files that imports are done with",
                &self.import_bytes,
            ),
        ];
        for (name, about, counter) in counters {
            registry.register(name, about, counter.clone());
        }
        let families: [(&str, &str, &Counters); 3] = [
            ("filter_sets", "Sets of rows for filters, kept or made anew", &self.filter_sets),
            ("failures", "Writes and background work that failed", &self.failures),
            ("import_records", "Records of imports, by what became of them", &self.import_records),
        ];
        for (name, about, family) in families {
            registry.register(name, about, family.clone());
        }
        let histograms: [(&str, &str, &Histogram); 6] = [
            ("query_search", "Finding what is nearest", &self.search),
            ("query_read", "Reading what a query gives back", &self.read),
            ("query_text", "Searches by text, with what they give back", &self.text),
            ("wal_append", "Appending to a write-ahead log, until it is on disk", &self.wal_append),
            ("flush", "Making a segment of a memtable", &self.flush),
            ("merge", "Merging segments", &self.merge),
        ];
        for (name, about, histogram) in histograms {
            registry.register_with_unit(name, about, Unit::Seconds, histogram.clone());
        }
    }
}

/// Counters by one label, there from the beginning, so that a rate over them
/// has its zero.
fn counters<const N: usize>(label: &'static str, values: [&str; N]) -> Counters {
    let counters = Counters::default();
    for value in values {
        drop(counters.get_or_create(&[(label, value.to_owned())]));
    }
    counters
}

/// Buckets that double, from `first` seconds on.
fn seconds(first: f64) -> Histogram {
    Histogram::new(exponential_buckets(first, 2.0, 16))
}

/// Of an index, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexGauges {
    /// Its name.
    pub index: String,
    /// Records of all namespaces.
    pub records: u64,
    /// Bytes of segments and memtables.
    pub bytes: u64,
    /// Namespaces that exist.
    pub namespaces: u64,
    /// Segments.
    pub segments: u64,
    /// Imports by status.
    pub imports: Vec<(&'static str, u64)>,
}

/// Of the database, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges {
    /// Its indexes, by name.
    pub indexes: Vec<IndexGauges>,
    /// Bytes of all memtables.
    pub memtable_bytes: u64,
    /// Searches that run.
    pub searches: u64,
    /// Work that waits, by queue.
    pub waiting: [(&'static str, u64); 4],
}

impl Database {
    /// Registers what the database counts.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.env.metrics.register(registry);
    }

    /// What can be read off the state.
    pub fn gauges(&self) -> Gauges {
        let env = &self.env;
        Gauges {
            indexes: self.all_indexes().iter().map(|index| index.gauges()).collect(),
            memtable_bytes: env.memtables_bytes() as u64,
            searches: env.searches.load(Ordering::Relaxed) as u64,
            waiting: [
                ("flush", env.flushes.len() as u64),
                ("merge", env.merges.len() as u64),
                ("import", env.imports.len() as u64),
                ("export", env.exports.len() as u64),
            ],
        }
    }
}

/// Runs `work`, and notes how long it took.
pub(crate) fn timed<T>(clock: &dyn Clock, histogram: &Histogram, work: impl FnOnce() -> T) -> T {
    let began = clock.monotonic();
    let result = work();
    histogram.observe(clock.monotonic().saturating_sub(began).as_secs_f64());
    result
}
