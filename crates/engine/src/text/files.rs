//! The files that tantivy believes it has: bytes in memory or borrowed from a
//! part, under names. Nothing here is on a disk.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

type Contents = BTreeMap<PathBuf, Arc<OwnedBytes>>;

/// Files by name.
#[derive(Clone, Default)]
pub(super) struct Files(Arc<Mutex<Contents>>);

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.lock().keys()).finish()
    }
}

impl Files {
    /// These files.
    pub(super) fn of(files: impl IntoIterator<Item = (PathBuf, OwnedBytes)>) -> Self {
        let files = files.into_iter().map(|(name, bytes)| (name, Arc::new(bytes)));
        Self(Arc::new(Mutex::new(files.collect())))
    }

    /// The file whose name ends so, where there is one; it is gone then.
    pub(super) fn take(&self, ending: &str) -> Option<Arc<OwnedBytes>> {
        let mut files = self.lock();
        let name = files.keys().find(|name| name.extension().is_some_and(|own| own == ending));
        let name = name.cloned()?;
        files.remove(&name)
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing that could panic leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, path: &Path) -> Result<Arc<OwnedBytes>, OpenReadError> {
        let found = self.lock().get(path).cloned();
        found.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }
}

impl Directory for Files {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(self.get(path)?)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let found = self.lock().remove(path);
        found.map(drop).ok_or_else(|| DeleteError::FileDoesNotExist(path.to_owned()))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.lock().contains_key(path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        if self.lock().contains_key(path) {
            return Err(OpenWriteError::FileAlreadyExists(path.to_owned()));
        }
        let file = Writing { files: self.clone(), name: path.to_owned(), bytes: Vec::new() };
        Ok(BufWriter::new(Box::new(file)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        Ok(self.get(path)?.as_slice().to_vec())
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.lock().insert(path.to_owned(), Arc::new(OwnedBytes::new(data.to_vec())));
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// Nobody else is there.
    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

/// A file that is there once it is whole.
struct Writing {
    files: Files,
    name: PathBuf,
    bytes: Vec<u8>,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Writing {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        let bytes = OwnedBytes::new(std::mem::take(&mut self.bytes));
        self.files.lock().insert(std::mem::take(&mut self.name), Arc::new(bytes));
        Ok(())
    }
}
