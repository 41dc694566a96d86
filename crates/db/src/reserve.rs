//! Keeps a part of the processors free of background work while queries come
//! one after another.
//!
//! A lower priority alone does not do this: a thread that wakes up for a query
//! waits until the next tick of the scheduler for one that computes, which is
//! several times what the query takes. Background threads are told apart by
//! their priority (see `priority`), so that this needs no list of them. May
//! not know what queries or background work are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::background::Queue;
use crate::priority::Background;

/// How often the queries are counted. Threads that were started meanwhile are
/// looked for as often.
const TICK: Duration = Duration::from_millis(250);
/// Queries within a tick from which on processors are kept free: 20 a second.
/// A single query now and then is not worth a slower import.
const QUERIES_MIN: u64 = 5;
/// Ticks with fewer queries after which background work gets all processors
/// again.
const QUIET_TICKS: u32 = 8;

/// Counts queries, and says when to keep processors free for them.
pub(crate) struct Reserve {
    queries: AtomicU64,
    is_counting: AtomicBool,
    wakes: Arc<Queue<()>>,
}

impl Reserve {
    /// Nothing is kept free yet.
    pub(crate) fn new() -> Self {
        let wakes = Arc::new(Queue::new());
        Self { queries: AtomicU64::new(0), is_counting: AtomicBool::new(false), wakes }
    }

    /// Calls for [`Self::keep`], to be drained; to be closed at the end.
    pub(crate) fn wakes(&self) -> &Arc<Queue<()>> {
        &self.wakes
    }

    /// Notes that a query begins.
    pub(crate) fn query_begins(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
        if !self.is_counting.load(Ordering::Relaxed)
            && !self.is_counting.swap(true, Ordering::Relaxed)
        {
            self.wakes.push(());
        }
    }

    /// Keeps processors free of `background` threads for as long as queries
    /// come quickly; returns once they do not, or the queue is closed.
    pub(crate) fn keep(&self, background: &Background) {
        let mut is_kept = false;
        let mut quiet = 0;
        let mut before = self.queries.load(Ordering::Relaxed);
        while quiet < QUIET_TICKS && !self.wakes.closed_within(TICK) {
            let now = self.queries.load(Ordering::Relaxed);
            quiet = if now.wrapping_sub(before) < QUERIES_MIN { quiet + 1 } else { 0 };
            before = now;
            if quiet == 0 || is_kept {
                background.leave_processors_free();
                is_kept = true;
            }
        }
        if is_kept {
            background.use_all_processors();
        }
        self.is_counting.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_query_wakes_who_keeps_and_the_others_do_not() {
        let reserve = Reserve::new();
        for _ in 0..3 {
            reserve.query_begins();
        }
        assert_eq!(reserve.wakes().len(), 1);
        // Closed: whoever keeps lets go at once, and can be woken again.
        reserve.wakes().close();
        if let Some(background) = Background::new() {
            reserve.keep(&background);
            assert!(!reserve.is_counting.load(Ordering::Relaxed));
        }
    }
}
