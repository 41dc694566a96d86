//! The data root: where every durable byte of a server lives. One process
//! owns it at a time. Objects are created, never changed; parts are mapped
//! into memory; temporary files become parts by one atomic rename.

mod look;
mod private;
mod snapshot;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbill_core::{Clock, IdSource, PartBytes, limits};
use futures::stream::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use parking_lot::RwLock;

use crate::faults::{self, Fault, FaultOp};
use crate::runtime::block_on;
use crate::{FaultPlan, FaultStore, Key, LocalScratch, LocalScratchFile, StoreError, disk, mmap};

pub(crate) use look::collect_files;
pub use look::{DocumentFacts, RootFile};
pub use snapshot::{RootSnapshot, SnapshotFile};

/// How often an operation is tried before its error is the caller's.
const ATTEMPTS: u32 = 5;
/// What is waited before the second attempt; four times as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// How a root is opened.
#[derive(Debug, Clone)]
pub struct RootOptions {
    /// The data directory; made if it does not exist.
    pub path: PathBuf,
    /// Faults to inject; `None` but in tests.
    pub faults: Option<Arc<FaultPlan>>,
    /// Where unique names come from.
    pub ids: Arc<dyn IdSource>,
    /// What pauses between attempts.
    pub clock: Arc<dyn Clock>,
}

/// An opened data root. Clones are the same root; the last one that is
/// dropped gives the directory free.
#[derive(Debug, Clone)]
pub struct Root(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    store: Arc<dyn ObjectStore>,
    scratch: LocalScratch,
    options: RootOptions,
    /// Read by whoever makes or deletes an object, written while all are to
    /// stay as they are.
    changes: RwLock<()>,
    /// Held for the lock on it; none where the root is only looked at.
    lock: Option<File>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Closing alone would not do where this process was forked: the lock
        // stays until the child's copy of the file is closed, too.
        if let Some(lock) = &self.lock {
            let _ = rustix::fs::flock(lock, rustix::fs::FlockOperation::Unlock);
        }
    }
}

impl Root {
    /// Opens the directory for this process alone and empties its scratch.
    ///
    /// # Errors
    /// `Locked` where another process owns it, `Unavailable` where it cannot
    /// be made or written.
    pub fn open(options: RootOptions) -> Result<Root, StoreError> {
        let shown = options.path.display().to_string();
        let failed = |error: &io::Error| StoreError::io("opening data directory", &shown, error);
        disk::create_dirs(&options.path).map_err(|error| failed(&error))?;
        let path = options.path.canonicalize().map_err(|error| failed(&error))?;
        look::refuse_unfinished(&path)?;
        let lock = lock(&path)?;
        let scratch_path = path.join("scratch");
        empty(&scratch_path).map_err(|error| failed(&error))?;
        let local = LocalFileSystem::new_with_prefix(&path)
            .map_err(|error| StoreError::object("opening data directory", &shown, error))?
            .with_fsync(true);
        let mut store: Arc<dyn ObjectStore> = Arc::new(local);
        if let Some(plan) = &options.faults {
            store = Arc::new(FaultStore::new(store, Arc::clone(plan)));
        }
        let ids = Arc::clone(&options.ids);
        let scratch = LocalScratch::new(scratch_path, ids, options.faults.clone());
        let changes = RwLock::new(());
        Ok(Root(Arc::new(Inner { path, store, scratch, options, changes, lock: Some(lock) })))
    }

    /// The object's bytes; `None` if there is none.
    pub fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let found = self.attempt(|| {
            block_on(async {
                let result = self.0.store.get_opts(&key.path(), GetOptions::default()).await;
                let result = result.map_err(|error| StoreError::object("reading", key, error))?;
                let size = result.meta.size;
                check_size("object", size)?;
                let bytes = result.bytes().await;
                let bytes = bytes.map_err(|error| StoreError::object("reading", key, error))?;
                if bytes.len() as u64 != size {
                    let problem = format!("got {} of {size} bytes", bytes.len());
                    let key = key.to_string();
                    return Err(StoreError::Unavailable { operation: "reading", key, problem });
                }
                Ok(bytes)
            })
        });
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates the object; it is durable when this returns.
    ///
    /// An answer that got lost is recognised by reading the object back, so
    /// callers for whom it matters who made it put something unique inside.
    ///
    /// # Errors
    /// `Exists` where there is one already; `Unavailable` where it is not
    /// known to exist (it may).
    pub fn put_new(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let _changing = self.changing("creating", key)?;
        check_size("object", bytes.len() as u64)?;
        let path = key.path();
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let options = PutOptions::from(PutMode::Create);
            let put = self.0.store.put_opts(&path, bytes.clone().into(), options);
            let error = match block_on(put) {
                Ok(_) => return Ok(()),
                Err(error) => StoreError::object("creating", key, error),
            };
            if attempt == 1 && matches!(error, StoreError::Exists { .. }) {
                return Err(error);
            }
            match self.get(key)? {
                Some(found) if found == bytes => return Ok(()),
                Some(_) => return Err(StoreError::Exists { key: key.to_string() }),
                None if attempt == ATTEMPTS || matches!(error, StoreError::Full { .. }) => {
                    return Err(error);
                }
                None => self.pause(&mut pause),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// The objects below `prefix` at any depth with their bytes, in key order.
    pub fn list(&self, prefix: &Key) -> Result<Vec<(Key, u64)>, StoreError> {
        let path = prefix.path();
        let listed = self.attempt(|| {
            let listed = block_on(self.0.store.list(Some(&path)).try_collect::<Vec<_>>());
            listed.map_err(|error| StoreError::object("listing", prefix, error))
        })?;
        let mut found: Vec<(Key, u64)> = listed
            .into_iter()
            .filter_map(|meta| Some((Key::new(meta.location.as_ref()).ok()?, meta.size)))
            .collect();
        found.sort();
        Ok(found)
    }

    /// The names of the directories right below `prefix`, sorted. One that
    /// holds no object any more may be among them.
    pub fn list_dirs(&self, prefix: &Key) -> Result<Vec<String>, StoreError> {
        let path = prefix.path();
        let listed = self.attempt(|| {
            let listed = block_on(self.0.store.list_with_delimiter(Some(&path)));
            listed.map_err(|error| StoreError::object("listing", prefix, error))
        })?;
        let mut names: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|path| Some(path.filename()?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Deletes the object; no error where there is none. A power cut right
    /// after may bring it back.
    pub fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let _changing = self.changing("deleting", key)?;
        self.delete_now(key)
    }

    fn delete_now(&self, key: &Key) -> Result<(), StoreError> {
        let deleted = self.attempt(|| {
            let deleted = block_on(self.0.store.delete(&key.path()));
            deleted.map_err(|error| StoreError::object("deleting", key, error))
        });
        match deleted {
            Err(StoreError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Deletes everything below `prefix`, logs included.
    pub fn delete_prefix(&self, prefix: &Key) -> Result<(), StoreError> {
        let _changing = self.changing("deleting", prefix)?;
        for (key, _) in self.list(prefix)? {
            self.delete_now(&key)?;
        }
        // What no listing shows: empty directories, half-staged objects.
        match std::fs::remove_dir_all(self.file_path(prefix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("deleting", prefix, &error))
            }
            _ => Ok(()),
        }
    }

    /// Where temporary files are made.
    pub fn scratch(&self) -> &LocalScratch {
        &self.0.scratch
    }

    /// Makes a finished temporary file the object `key`, in one step that
    /// nobody sees half of, durably. Gives its bytes.
    ///
    /// # Errors
    /// `Exists` where the key is taken. After `Unavailable` the object may
    /// exist.
    pub fn publish(&self, mut file: LocalScratchFile, key: &Key) -> Result<u64, StoreError> {
        let _changing = self.changing("publishing", key)?;
        let fault = self.fault(FaultOp::Publish, key.as_str())?;
        let target = self.file_path(key);
        let mut publish = || {
            file.make_durable()?;
            if let Some(parent) = target.parent() {
                disk::create_dirs(parent)?;
            }
            disk::rename_new(file.path(), &target)
        };
        match publish() {
            Ok(()) => file.set_published(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Exists { key: key.to_string() });
            }
            Err(error) => return Err(StoreError::io("publishing", key, &error)),
        }
        if fault == Some(Fault::ErrorAfter) {
            return Err(StoreError::io("publishing", key, &faults::injected_io()));
        }
        use crossbill_core::ScratchFile as _;
        Ok(file.len())
    }

    /// The object mapped into memory, read-only. It stays readable after the
    /// object is deleted.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub fn open_part(&self, key: &Key) -> Result<PartBytes, StoreError> {
        self.fault(FaultOp::Get, key.as_str())?;
        match File::open(self.file_path(key)).and_then(mmap::map) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::NotFound { key: key.to_string() })
            }
            Err(error) => Err(StoreError::io("opening", key, &error)),
        }
    }

    /// Bytes that can still be written to the root's disk.
    pub fn disk_free(&self) -> Result<u64, StoreError> {
        let failed = |errno: rustix::io::Errno| {
            StoreError::io("asking for the free space of", self.0.path.display(), &errno.into())
        };
        let stat = rustix::fs::statvfs(&self.0.path).map_err(failed)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Where unique names come from.
    pub fn ids(&self) -> &Arc<dyn IdSource> {
        &self.0.options.ids
    }

    /// The clock this root was opened with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.options.clock
    }

    /// The directory, with every link in its name resolved.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn file_path(&self, key: &Key) -> PathBuf {
        self.0.path.join(key.as_str())
    }

    pub(crate) fn faults(&self) -> Option<&Arc<FaultPlan>> {
        self.0.options.faults.as_ref()
    }

    /// Deletes what crashed writers left half-staged right below `prefix`,
    /// where `stale` says so of the object's name.
    pub(crate) fn sweep_staged(
        &self,
        prefix: &Key,
        stale: impl Fn(&str) -> bool,
    ) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::io("sweeping", prefix, &error);
        for entry in std::fs::read_dir(self.file_path(prefix)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let staged = name.to_str().and_then(|name| name.split_once('#'));
            if staged.is_some_and(|(object, _)| stale(object)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    fn fault(&self, op: FaultOp, key: &str) -> Result<Option<Fault>, StoreError> {
        match faults::decide(self.faults(), op, key) {
            Some(Fault::ErrorBefore) => {
                Err(StoreError::io("reaching", key, &faults::injected_io()))
            }
            Some(Fault::Full) => Err(StoreError::io("writing", key, &faults::full_io())),
            Some(Fault::Delay(duration)) => {
                self.clock().sleep(duration);
                Ok(None)
            }
            other => Ok(other),
        }
    }

    /// Tries an operation that may be repeated, until it gives something
    /// other than `Unavailable` or has been tried often enough.
    fn attempt<T>(
        &self,
        mut operation: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match operation() {
                Err(StoreError::Unavailable { .. }) => self.pause(&mut pause),
                other => return other,
            }
        }
        operation()
    }

    fn pause(&self, pause: &mut Duration) {
        self.clock().sleep(*pause);
        *pause *= 4;
    }
}

fn check_size(what: &'static str, found: u64) -> Result<(), StoreError> {
    let limit = limits::DOCUMENT_BYTES_MAX as u64;
    if found > limit { Err(StoreError::TooLarge { what, found, limit }) } else { Ok(()) }
}

/// Takes the directory for this process.
fn lock(path: &Path) -> Result<File, StoreError> {
    use rustix::fs::{FlockOperation, flock};
    use std::io::{Read as _, Write as _};

    let name = path.join("lock");
    let failed = |error: &io::Error| StoreError::io("locking", name.display(), error);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&name).map_err(|error| failed(&error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = (&mut file).take(64).read_to_string(&mut text);
            let pid = text.trim();
            let holder = if pid.is_empty() { String::new() } else { format!(" ({pid})") };
            return Err(StoreError::Locked { path: path.display().to_string(), holder });
        }
        Err(errno) => return Err(failed(&errno.into())),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.write_all(format!("process {}\n", std::process::id()).as_bytes()));
    written.map_err(|error| failed(&error))?;
    Ok(file)
}

/// Makes `directory` an empty one.
fn empty(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    disk::create_dirs(directory)
}

#[cfg(test)]
mod tests;
