//! The write-ahead log of a namespace. An append returns when its frame is
//! durable; appends that wait at the same time share one sync. Frames have
//! consecutive log sequence numbers (lsn), from 1 for the life of the
//! namespace.
//!
//! After a write or sync fails, nobody knows what is on the disk: the log
//! takes nothing more until it is opened again.

mod format;
mod recover;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use crossbill_core::{is_disk_full, limits};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::faults::{self, Fault, FaultOp};
use crate::killpoint::reach;
use crate::{Key, Root, StoreError, disk};
use format::{BatchBuffer, FileHeader};
use recover::{ActiveFile, ClosedFile, Tail, file_path, recover};

/// A file that has reached this many bytes takes no further batch.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a log holds, as somebody sees it who does not own it.
#[derive(Debug)]
pub struct WalFrames {
    /// The frames asked for, each with its number, in order.
    pub frames: Vec<(u64, Bytes)>,
    /// Bytes at the end that a crash, or a write under way, left unfinished.
    pub torn_bytes: u64,
}

/// An opened log. Any number of threads may append at once.
#[derive(Debug)]
pub struct Wal {
    root: Root,
    directory: PathBuf,
    name: String,
    queue: Mutex<Queue>,
    /// Signalled when a batch is durable or the log is poisoned.
    settled: Condvar,
    files: Mutex<Files>,
}

/// Frames between being handed in and being durable.
#[derive(Debug)]
struct Queue {
    next_lsn: u64,
    durable_lsn: u64,
    waiting: BatchBuffer,
    /// Whether some thread is writing a batch right now.
    led: bool,
    /// What failed, and whether because the disk is full.
    poisoned: Option<(String, bool)>,
}

#[derive(Debug)]
struct Files {
    closed: Vec<ClosedFile>,
    active: Option<ActiveFile>,
}

impl Wal {
    /// Opens the log in `<dir>/wal` (none yet is an empty log), and gives the
    /// frames with an lsn above `after_lsn` in order. What a crash left half
    /// written at the very end is cut off; it was never acknowledged.
    ///
    /// # Errors
    /// `Corrupt` where frames above `after_lsn` are missing or damaged.
    pub fn open(
        root: &Root,
        dir: &Key,
        after_lsn: u64,
    ) -> Result<(Wal, Vec<(u64, Bytes)>), StoreError> {
        let key = dir.join("wal");
        let directory = root.file_path(&key);
        let found = recover(&directory, after_lsn, Tail::Cut)?;
        let wal = Wal {
            root: root.clone(),
            directory,
            name: key.to_string(),
            queue: Mutex::new(Queue {
                next_lsn: found.next_lsn,
                durable_lsn: found.next_lsn - 1,
                waiting: BatchBuffer::new(),
                led: false,
                poisoned: None,
            }),
            settled: Condvar::new(),
            files: Mutex::new(Files { closed: found.closed, active: found.active }),
        };
        Ok((wal, found.frames))
    }

    /// Reads the log in `<dir>/wal` as [`Wal::open`] does and changes nothing,
    /// for whoever does not own it: its frames above `after_lsn`, and how many
    /// bytes at its end are no whole batch.
    ///
    /// # Errors
    /// As of [`Wal::open`].
    pub fn read(root: &Root, dir: &Key, after_lsn: u64) -> Result<WalFrames, StoreError> {
        let found = recover(&root.file_path(&dir.join("wal")), after_lsn, Tail::Keep)?;
        Ok(WalFrames { frames: found.frames, torn_bytes: found.torn_bytes })
    }

    /// Adds a frame, and gives its lsn when it is durable. Frames of threads
    /// that append at once get their order here; their calls may return in
    /// another one.
    ///
    /// # Errors
    /// `TooLarge` above the limit; `Unavailable` where the disk failed now or
    /// before: the frame may or may not be found at the next opening.
    pub fn append(&self, payload: &[u8]) -> Result<u64, StoreError> {
        let (found, limit) = (payload.len() as u64, limits::WAL_FRAME_BYTES_MAX as u64);
        if found > limit {
            return Err(StoreError::TooLarge { what: "log frame", found, limit });
        }
        reach("wal.append_before");
        let mut queue = self.queue.lock();
        while queue.led && queue.waiting.len() > limits::WAL_FRAME_BYTES_MAX {
            self.settled.wait(&mut queue);
        }
        self.refuse_poisoned(&queue)?;
        let lsn = queue.next_lsn;
        queue.next_lsn += 1;
        queue.waiting.push(payload);
        while queue.durable_lsn < lsn {
            self.refuse_poisoned(&queue)?;
            if queue.led {
                self.settled.wait(&mut queue);
            } else {
                self.lead(&mut queue);
            }
        }
        Ok(lsn)
    }

    /// Says that frames up to `through_lsn` are needed no more: deletes the
    /// files that hold nothing newer.
    pub fn truncate(&self, through_lsn: u64) -> Result<(), StoreError> {
        let mut files = self.files.lock();
        // Batches are written under this lock, so what is durable now is all
        // that the active file holds.
        let last_lsn = self.queue.lock().durable_lsn;
        if let Some(active) = files.active.take_if(|active| active.header.first_lsn <= through_lsn)
        {
            files.closed.push(ClosedFile { first_lsn: active.header.first_lsn, last_lsn });
        }
        // Oldest first, so that what is left never has a gap.
        while let Some(oldest) = files.closed.first().filter(|file| file.last_lsn <= through_lsn) {
            let path = file_path(&self.directory, oldest.first_lsn);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("truncating log", path.display(), &error));
                }
                _ => files.closed.remove(0),
            };
        }
        Ok(())
    }

    /// The lsn of the newest durable frame; 0 if there was never one.
    pub fn last_lsn(&self) -> u64 {
        self.queue.lock().durable_lsn
    }

    fn refuse_poisoned(&self, queue: &Queue) -> Result<(), StoreError> {
        let Some((cause, is_full)) = &queue.poisoned else { return Ok(()) };
        let problem = format!("{cause}; it takes no more until it is opened again");
        Err(StoreError::failed("appending to log", &self.name, problem, *is_full))
    }

    /// Writes everything that waits as one batch, for all who wait.
    fn lead(&self, queue: &mut MutexGuard<'_, Queue>) {
        queue.led = true;
        let batch = std::mem::replace(&mut queue.waiting, BatchBuffer::new());
        let (first_lsn, last_lsn) = (queue.durable_lsn + 1, queue.next_lsn - 1);
        assert_eq!(
            last_lsn + 1 - first_lsn,
            u64::from(batch.frames()),
            "what waits is exactly what has an lsn and is not durable"
        );
        let written = MutexGuard::unlocked(queue, || {
            let mut files = self.files.lock();
            let written = self.write(&mut files, batch, first_lsn);
            // Settled under the files' lock, as truncation relies on.
            let mut queue = self.queue.lock();
            match &written {
                Ok(()) => queue.durable_lsn = last_lsn,
                Err(error) => {
                    queue.poisoned = Some((error.to_string(), is_disk_full(error)));
                }
            }
            written
        });
        if let Err(error) = written {
            tracing::error!(log = self.name, %error, "a log failed and takes no more frames");
        }
        queue.led = false;
        self.settled.notify_all();
    }

    fn write(&self, files: &mut Files, batch: BatchBuffer, first_lsn: u64) -> io::Result<()> {
        if let Some(full) = files.active.take_if(|active| active.size >= FILE_BYTES_MAX) {
            let last_lsn = first_lsn - 1;
            files.closed.push(ClosedFile { first_lsn: full.header.first_lsn, last_lsn });
        }
        if files.active.is_none() {
            files.active = Some(self.create_file(first_lsn)?);
        }
        let active = files.active.as_mut().expect("it was just made");
        let bytes = batch.seal(first_lsn, active.header.salt);
        match self.fault(FaultOp::WalWrite) {
            Some(Fault::ErrorBefore) => return Err(faults::injected_io()),
            Some(Fault::Full) => return Err(faults::full_io()),
            Some(Fault::ErrorAfter | Fault::ShortBody) => {
                active.file.write_all_at(&bytes[..bytes.len() / 2], active.size)?;
                return Err(faults::injected_io());
            }
            _ => active.file.write_all_at(&bytes, active.size)?,
        }
        reach("wal.append_written");
        if matches!(self.fault(FaultOp::WalSync), Some(Fault::ErrorBefore | Fault::ErrorAfter)) {
            return Err(faults::injected_io());
        }
        active.file.sync_data()?;
        active.size += bytes.len() as u64;
        reach("wal.synced");
        Ok(())
    }

    fn create_file(&self, first_lsn: u64) -> io::Result<ActiveFile> {
        disk::create_dirs(&self.directory)?;
        let header = FileHeader { first_lsn, salt: self.root.ids().next_id().0 as u64 };
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        let file = options.open(file_path(&self.directory, first_lsn))?;
        let bytes = header.encode();
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        disk::sync_dir(&self.directory)?;
        Ok(ActiveFile { file, header, size: bytes.len() as u64 })
    }

    fn fault(&self, op: FaultOp) -> Option<Fault> {
        let fault = faults::decide(self.root.faults(), op, &self.name);
        if let Some(Fault::Delay(duration)) = fault {
            self.root.clock().sleep(duration);
        }
        fault
    }
}

#[cfg(test)]
mod tests;
