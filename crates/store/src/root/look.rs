//! A data root that is only looked at: also beside the process that owns it.
//! Nothing here takes the lock for longer than a glance, and nothing writes.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use parking_lot::{RwLock, RwLockReadGuard};

use super::{Inner, Root, RootOptions};
use crate::{Key, LocalScratch, StoreError, copy, envelope};

/// Directories below each other that are looked into.
const DEPTH_MAX: usize = 16;

/// A file below a data root, whoever put it there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootFile {
    /// Its path below the root, with `/`; what is no text is shown as well as
    /// it can be.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
}

/// What the envelope of a stored document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFacts {
    /// Its kind.
    pub kind: String,
    /// Its version.
    pub version: u64,
}

impl Root {
    /// Opens the directory to be read only. No lock is taken and nothing is
    /// swept, so this also works beside the process that owns it: what it
    /// deletes or adds meanwhile may be found or not. Every write is refused.
    ///
    /// # Errors
    /// `NotFound` where there is no such directory, `Unavailable` where it
    /// cannot be read.
    pub fn look(options: RootOptions) -> Result<Root, StoreError> {
        let shown = options.path.display().to_string();
        let path = options.path.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { key: shown.clone() },
            _ => StoreError::io("opening data directory", &shown, &error),
        })?;
        refuse_unfinished(&path)?;
        Self::look_at(path, options)
    }

    /// As [`Root::look`], also where the directory is a copy that is not
    /// finished: for whoever makes it.
    pub fn look_at_copy(options: RootOptions) -> Result<Root, StoreError> {
        Self::look_at(options.path.clone(), options)
    }

    fn look_at(path: std::path::PathBuf, options: RootOptions) -> Result<Root, StoreError> {
        let shown = path.display().to_string();
        let local = LocalFileSystem::new_with_prefix(&path)
            .map_err(|error| StoreError::object("opening data directory", &shown, error))?;
        let store: Arc<dyn ObjectStore> = Arc::new(local);
        let scratch = LocalScratch::new(path.join("scratch"), Arc::clone(&options.ids), None);
        Ok(Root(Arc::new(Inner {
            path,
            store,
            scratch,
            options,
            changes: RwLock::new(()),
            lock: None,
        })))
    }

    /// What the lock file says of the process that owns the directory now;
    /// nothing where none does.
    pub fn holder(path: &Path) -> Result<Option<String>, StoreError> {
        use rustix::fs::{FlockOperation, flock};

        let name = path.join("lock");
        let failed = |error: &io::Error| StoreError::io("looking at", name.display(), error);
        let file = match File::open(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| failed(&error))?,
        };
        // Shared, and given back at once: two who look do not see each other.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let text = io::read_to_string(io::Read::take(file, 64)).unwrap_or_default();
                Ok(Some(text.trim().to_owned()))
            }
            Err(errno) => Err(failed(&errno.into())),
        }
    }

    /// Every file below the root in the order of their paths, those that are
    /// none of ours too. Links are not followed.
    pub fn files(&self) -> Result<Vec<RootFile>, StoreError> {
        let mut found = Vec::new();
        collect_files(&self.0.path, &mut found)
            .map_err(|error| StoreError::io("listing", self.0.path.display(), &error))?;
        found.sort();
        Ok(found)
    }

    /// What the envelope of the document at `key` says; nothing where there
    /// is no such object.
    ///
    /// # Errors
    /// `Corrupt` where it is not whole and unchanged.
    pub fn check_document(&self, key: &Key) -> Result<Option<DocumentFacts>, StoreError> {
        let Some(bytes) = self.get(key)? else { return Ok(None) };
        let (kind, stamp, _) =
            envelope::inspect(&bytes).map_err(|problem| StoreError::corrupt(key, problem))?;
        Ok(Some(DocumentFacts { kind, version: stamp.version }))
    }

    pub(crate) fn is_owned(&self) -> bool {
        self.0.lock.is_some()
    }

    /// The right to change what is stored, for the time of one change.
    pub(crate) fn changing(
        &self,
        operation: &'static str,
        key: &Key,
    ) -> Result<RwLockReadGuard<'_, ()>, StoreError> {
        if self.is_owned() {
            return Ok(self.0.changes.read());
        }
        let problem = "the data directory was opened to be read only".to_owned();
        Err(StoreError::Unavailable { operation, key: key.to_string(), problem })
    }
}

/// Refuses a copy of a data directory that was not finished.
pub(super) fn refuse_unfinished(path: &Path) -> Result<(), StoreError> {
    let marker = path.join(copy::UNFINISHED);
    if !marker.exists() {
        return Ok(());
    }
    let problem = "it is a copy of a data directory that was not finished; make it again with \
                   crossbill backup-root, which goes on with it, or delete it";
    Err(StoreError::corrupt(path.display(), problem))
}

/// Adds every file below `directory`.
pub(crate) fn collect_files(directory: &Path, found: &mut Vec<RootFile>) -> io::Result<()> {
    collect(directory, "", 0, found)
}

fn collect(
    directory: &Path,
    prefix: &str,
    depth: usize,
    found: &mut Vec<RootFile>,
) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        // Deleted since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = match entry.path().symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        if metadata.is_dir() && depth < DEPTH_MAX {
            collect(&entry.path(), &format!("{path}/"), depth + 1, found)?;
        } else {
            found.push(RootFile { path, bytes: metadata.len() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use crossbill_core::{RandomIds, SystemClock};

    use super::*;

    fn options(path: &Path) -> RootOptions {
        RootOptions {
            path: path.to_owned(),
            faults: None,
            ids: Arc::new(RandomIds),
            clock: Arc::new(SystemClock::new()),
        }
    }

    #[test]
    fn a_look_reads_beside_the_owner_and_writes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        assert!(matches!(Root::look(options(&path)), Err(StoreError::NotFound { .. })));
        let owner = Root::open(options(&path)).unwrap();
        let key = Key::new("a/b").unwrap();
        owner.put_new(&key, Bytes::from_static(b"x")).unwrap();
        let holder = format!("process {}", std::process::id());
        assert_eq!(Root::holder(&path).unwrap(), Some(holder));
        let look = Root::look(options(&path)).unwrap();
        assert_eq!(look.get(&key).unwrap().unwrap(), "x");
        assert!(look.put_new(&Key::new("c").unwrap(), Bytes::new()).is_err());
        assert!(look.delete(&key).is_err() && look.delete_prefix(&key).is_err());
        assert!(look.page_key().is_err(), "it would have to be made");
        let paths: Vec<_> = look.files().unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, ["a/b", "lock"]);
        drop(owner);
        assert_eq!(Root::holder(&path).unwrap(), None);
        assert_eq!(Root::holder(directory.path()).unwrap(), None);
    }

    #[test]
    fn envelopes_are_checked_whatever_they_hold() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(options(directory.path())).unwrap();
        root.page_key().unwrap();
        let key = Key::new("page-key.json").unwrap();
        let facts = root.check_document(&key).unwrap().unwrap();
        assert_eq!(facts, DocumentFacts { kind: "page-key".to_owned(), version: 1 });
        assert_eq!(root.check_document(&Key::new("none").unwrap()).unwrap(), None);
        let file = directory.path().join("page-key.json");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[70] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        assert!(matches!(root.check_document(&key), Err(StoreError::Corrupt { .. })));
    }
}
