//! What all parts of an open database share: the root, the clock, the thread
//! pools, the queues of background work and the memory bounds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbill_core::limits::MEMTABLE_BYTES_MAX;
use crossbill_core::{Clock, Error, IdSource, RequestLimits, Result};
use crossbill_import::ImportSettings;
use crossbill_store::{DestinationPolicy, Root, SourcePolicy, StoredIntegrations};
use rayon::ThreadPool;

use crate::DatabaseOptions;
use crate::background::Queue;
use crate::backups::CopyJob;
use crate::exports;
use crate::imports::Waiting;
use crate::metrics::Metrics;
use crate::namespace::Namespace;
use crate::pace::Pace;
use crate::parts::SharedParts;
use crate::priority::step_back;
use crate::reserve::Reserve;
use crate::webhooks::Webhooks;

/// Bytes after which a memtable is flushed while all of them together hold
/// too much.
const MEMTABLE_BYTES_TIGHT: usize = 128 * 1024;

/// Memory that a merge may take however little there is: enough for the rows
/// of a few memtables.
const MERGE_MEMORY_MIN: u64 = 32 << 20;

/// Shared by everything in one database.
pub(crate) struct Env {
    pub(crate) root: Root,
    /// What the tokens of listings are signed with.
    pub(crate) page_key: [u8; 32],
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    /// What is counted for whoever scrapes it.
    pub(crate) metrics: Metrics,
    /// Searches run here.
    pub(crate) query_pool: ThreadPool,
    /// Searches that run now.
    pub(crate) searches: AtomicUsize,
    /// Segments are built here, so that searches do not wait for them; they
    /// step back where searches need the processors.
    pub(crate) build_pool: Arc<ThreadPool>,
    /// The short parts of flushes and commits that writers wait for.
    pub(crate) commit_pool: ThreadPool,
    /// How fast merges write.
    pub(crate) merge_pace: Arc<Pace>,
    /// Bytes of memory that a merge may take.
    pub(crate) merge_memory_max: u64,
    /// Namespaces whose frozen memtable waits to be flushed.
    pub(crate) flushes: Arc<Queue<Weak<Namespace>>>,
    /// Namespaces that may have segments to merge.
    pub(crate) merges: Arc<Queue<Weak<Namespace>>>,
    /// Imports that wait for their turn.
    pub(crate) imports: Arc<Queue<Waiting>>,
    /// Exports that wait for their turn.
    pub(crate) exports: Arc<Queue<exports::Waiting>>,
    /// Copies of the data directory that are to be made.
    pub(crate) copies: Arc<Queue<Arc<CopyJob>>>,
    /// Parts that backups and restored indexes refer to.
    pub(crate) parts: SharedParts,
    /// Wakes what makes backups by their schedules.
    pub(crate) schedules: Arc<Queue<()>>,
    /// Tells of imports that have ended.
    pub(crate) webhooks: Webhooks,
    /// Keeps processors free for queries.
    pub(crate) reserve: Arc<Reserve>,
    /// Where imports may read from.
    pub(crate) policy: Arc<SourcePolicy>,
    /// Where exports may write to.
    pub(crate) destinations: DestinationPolicy,
    /// What may be asked for and held.
    pub(crate) limits: RequestLimits,
    /// How imports run.
    pub(crate) import: ImportSettings,
    /// How many percent of their raw size the full vectors of a segment may
    /// take of the process's memory.
    pub(crate) resident_vectors_percent: u8,
    /// Rows a memtable holds before it is flushed.
    pub(crate) memtable_rows_max: usize,
    /// Bytes a memtable holds before it is flushed.
    pub(crate) memtable_bytes_max: usize,
    /// Bytes that all memtables may hold before small ones are flushed too.
    memtables_bytes_max: usize,
    /// Bytes that all memtables hold.
    memtables_bytes: AtomicUsize,
}

impl Env {
    /// An environment over `root`.
    pub(crate) fn new(root: Root, options: &DatabaseOptions) -> Result<Self> {
        let threads = options.threads.max(1);
        // Two memtables (one frozen) of a busy namespace take a sixteenth.
        let share = usize::try_from(options.memory_bytes / 32).unwrap_or(usize::MAX);
        let policy = SourcePolicy {
            data_dir: Some(options.data.clone()),
            stored: StoredIntegrations::open(&root)?,
            ..options.source_policy.clone()
        };
        Ok(Self {
            page_key: root.page_key()?,
            root,
            clock: Arc::clone(&options.clock),
            ids: Arc::clone(&options.ids),
            metrics: Metrics::new(),
            query_pool: pool("crossbill-query", threads, || {})?,
            searches: AtomicUsize::new(0),
            build_pool: Arc::new(pool("crossbill-build", threads, step_back)?),
            commit_pool: pool("crossbill-commit", threads, || {})?,
            merge_pace: Arc::new(Pace::new(Arc::clone(&options.clock), options.merge_rate)),
            merge_memory_max: (options.memory_bytes / 8 / options.merges_at_once.max(1) as u64)
                .max(MERGE_MEMORY_MIN),
            flushes: Arc::new(Queue::new()),
            merges: Arc::new(Queue::new()),
            imports: Arc::new(Queue::new()),
            exports: Arc::new(Queue::new()),
            copies: Arc::new(Queue::new()),
            parts: SharedParts::default(),
            schedules: Arc::new(Queue::new()),
            webhooks: Webhooks::new(options.webhook.clone()),
            reserve: Arc::new(Reserve::new()),
            policy: Arc::new(policy),
            destinations: DestinationPolicy {
                allow_dirs: options.export_dirs.clone(),
                allow_uris: options.export_uris.clone(),
                data_dir: Some(options.data.clone()),
            },
            limits: options.limits,
            import: ImportSettings { limits: options.limits, ..options.import.clone() },
            resident_vectors_percent: options.resident_vectors_percent,
            memtable_rows_max: options.memtable_rows,
            memtable_bytes_max: share.clamp(1 << 20, MEMTABLE_BYTES_MAX),
            memtables_bytes_max: share.saturating_mul(8).max(16 << 20),
            memtables_bytes: AtomicUsize::new(0),
        })
    }

    /// Bytes that all memtables hold.
    pub(crate) fn memtables_bytes(&self) -> usize {
        self.memtables_bytes.load(Ordering::Relaxed)
    }

    /// Notes that a namespace's memtables hold `after` bytes, not `before`.
    pub(crate) fn memory_changed(&self, before: usize, after: usize) {
        if after >= before {
            self.memtables_bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.memtables_bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Bytes after which a memtable is to be flushed now.
    pub(crate) fn memtable_bytes_now(&self) -> usize {
        let tight = self.memtables_bytes() > self.memtables_bytes_max;
        if tight { MEMTABLE_BYTES_TIGHT } else { self.memtable_bytes_max }
    }
}

fn pool(
    name: &'static str,
    threads: usize,
    start: impl Fn() + Send + Sync + 'static,
) -> Result<ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .thread_name(move |number| format!("{name}-{number}"))
        .start_handler(move |_| start())
        .build()
        .map_err(|error| Error::internal(format!("cannot start {threads} threads: {error}")))
}
