//! How fast merges write: a scratch space that waits where its files grow
//! faster than the settings allow, and that fails once the work is to stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Clock, ScratchBytes, ScratchFile, ScratchSpace};
use crossbill_store::{LocalScratch, LocalScratchFile};
use parking_lot::Mutex;

/// Bytes after which a file that grows is synced, so that its end does not
/// bring a flood of writes that others wait behind.
const SYNC_BYTES: u64 = 32 << 20;
/// The longest wait before looking again whether to stop.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// A rate that all who hold it share.
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    bytes_per_second: u64,
    /// When all that was written so far is within the rate.
    even_at: Mutex<Duration>,
}

impl Pace {
    /// A rate of `bytes_per_second`, at least 1.
    pub(crate) fn new(clock: Arc<dyn Clock>, bytes_per_second: u64) -> Self {
        let even_at = Mutex::new(Duration::ZERO);
        Self { clock, bytes_per_second: bytes_per_second.max(1), even_at }
    }

    /// Waits until `bytes` more are within the rate, or `stop` says to stop.
    pub(crate) fn wait(&self, bytes: usize, stop: &dyn Fn() -> bool) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let even_at = {
            let mut even_at = self.even_at.lock();
            // What was not used in quiet times is not saved up.
            *even_at = self.clock.monotonic().max(*even_at) + takes;
            *even_at
        };
        while !stop() {
            let left = even_at.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return;
            }
            self.clock.sleep(left.min(WAIT_MAX));
        }
    }
}

/// Whether the work is to stop.
pub(crate) type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Makes files that grow at a pace.
pub(crate) struct PacedScratch {
    pub(crate) inner: LocalScratch,
    pub(crate) pace: Arc<Pace>,
    pub(crate) stop: Stop,
}

/// A file that grows at a pace.
pub(crate) struct PacedFile {
    pub(crate) inner: LocalScratchFile,
    pace: Arc<Pace>,
    stop: Stop,
    unsynced: u64,
}

impl ScratchSpace for PacedScratch {
    type File = PacedFile;

    fn create(&self, label: &str) -> io::Result<PacedFile> {
        let inner = self.inner.create(label)?;
        let (pace, stop) = (Arc::clone(&self.pace), Arc::clone(&self.stop));
        Ok(PacedFile { inner, pace, stop, unsynced: 0 })
    }
}

impl PacedFile {
    fn check(&self) -> io::Result<()> {
        if (self.stop)() { Err(io::Error::other("the work was stopped")) } else { Ok(()) }
    }
}

impl ScratchFile for PacedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pace.wait(bytes.len(), &*self.stop);
        self.check()?;
        self.inner.append(bytes)?;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.inner.sync()?;
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.check()?;
        self.inner.read_at(offset, buffer)
    }

    fn map(&self) -> io::Result<Option<ScratchBytes>> {
        self.inner.map()
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crossbill_core::{ManualClock, RandomIds, Timestamp};
    use crossbill_store::{Root, RootOptions};

    use super::*;

    #[test]
    fn files_grow_at_the_rate_and_stop_when_told() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let root = Root::open(RootOptions {
            path: directory.path().into(),
            faults: None,
            ids: Arc::new(RandomIds),
            clock: clock.clone(),
        })
        .unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        let space = PacedScratch {
            inner: root.scratch().clone(),
            pace: Arc::new(Pace::new(clock.clone(), 1000)),
            stop: Arc::new(move || flag.load(Ordering::SeqCst)),
        };
        let (mut a, mut b) = (space.create("a").unwrap(), space.create("b").unwrap());
        for _ in 0..4 {
            a.append(&[1; 500]).unwrap();
            b.append(&[2; 250]).unwrap();
        }
        assert_eq!(clock.monotonic(), Duration::from_secs(3));
        clock.advance(Duration::from_secs(60));
        a.append(&[1; 1000]).unwrap();
        assert_eq!(clock.monotonic(), Duration::from_secs(64));
        let mut read = [0; 3];
        a.read_at(2999 - 2, &mut read).unwrap();
        assert_eq!((read, a.len(), b.len()), ([1; 3], 3000, 1000));
        stopped.store(true, Ordering::SeqCst);
        assert!(a.append(&[1; 1_000_000]).is_err());
        assert!(a.read_at(0, &mut read).is_err());
        assert_eq!(clock.monotonic(), Duration::from_secs(64));
    }
}
