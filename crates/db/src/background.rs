//! Background work: queues that are drained by named threads, which are
//! joined when the database closes.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbill_core::{Error, Result};
use parking_lot::{Condvar, Mutex};

struct Inner<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

/// Work that waits for a thread, first come first served.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

impl<T> Queue<T> {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        let inner = Inner { waiting: VecDeque::new(), closed: false };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    /// Adds work; dropped where the queue is closed.
    pub(crate) fn push(&self, work: T) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.waiting.push_back(work);
            // All: a thread that only waits for time to pass may be among them.
            self.changed.notify_all();
        }
    }

    /// Things that wait.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// The next work; waits for some. Nothing once the queue is closed.
    fn pop(&self) -> Option<T> {
        let mut inner = self.inner.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some(work) = inner.waiting.pop_front() {
                return Some(work);
            }
            self.changed.wait(&mut inner);
        }
    }

    /// Drops what waits and lets the threads end.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.waiting.clear();
        self.changed.notify_all();
    }

    /// Whether the queue was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Waits until the queue is closed or `time` is over; whether it is closed.
    pub(crate) fn closed_within(&self, time: Duration) -> bool {
        let mut inner = self.inner.lock();
        if !inner.closed {
            // Woken by new work too, which only makes the wait shorter.
            self.changed.wait_for(&mut inner, time);
        }
        inner.closed
    }
}

/// Threads that drain a queue.
pub(crate) struct Workers {
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    /// No threads yet.
    pub(crate) fn new() -> Self {
        Self { threads: Mutex::new(Vec::new()) }
    }

    /// Starts `count` threads that call `begin` once and `work` for each thing
    /// in `queue`. A panic costs that one thing.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        name: &str,
        count: usize,
        queue: &Arc<Queue<T>>,
        begin: fn(),
        work: impl Fn(T) + Clone + Send + 'static,
    ) -> Result<()> {
        for number in 0..count {
            let (queue, work) = (Arc::clone(queue), work.clone());
            let name = format!("{name}-{number}");
            let label = name.clone();
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || {
                    begin();
                    while let Some(thing) = queue.pop() {
                        if catch_unwind(AssertUnwindSafe(|| work(thing))).is_err() {
                            tracing::error!(thread = label, "background work panicked");
                        }
                    }
                })
                .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Waits for all threads; their queues must have been closed.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        let own = std::thread::current().id();
        for thread in threads {
            // The last reference to a database may be dropped by its own thread.
            if thread.thread().id() != own {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn work_is_done_and_a_panic_costs_only_itself() {
        let queue = Arc::new(Queue::new());
        let (workers, sum) = (Workers::new(), Arc::new(AtomicU32::new(0)));
        let total = Arc::clone(&sum);
        let done = Arc::new(Queue::<()>::new());
        let finished = Arc::clone(&done);
        let work = move |number: u32| {
            assert!(number != 2, "two is refused");
            if total.fetch_add(number, Ordering::SeqCst) + number == 8 {
                finished.close();
            }
        };
        for number in [1, 2, 3, 4] {
            queue.push(number);
        }
        workers.start("test", 2, &queue, || {}, work).unwrap();
        while !done.closed_within(Duration::from_secs(5)) {}
        queue.close();
        workers.join();
        assert_eq!(sum.load(Ordering::SeqCst), 8);
    }
}
