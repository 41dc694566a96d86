//! Temporary files, deleted when dropped; those below a root are also swept
//! when it is opened. A finished one may become an object: see
//! [`crate::Root::publish`]; or a file of its own: [`LocalScratchFile::keep_as`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbill_core::{IdSource, ScratchBytes, ScratchFile, ScratchSpace};

use crate::FaultPlan;
use crate::faults::{self, Fault, FaultOp};

/// Characters of a label that are kept in the file's name.
const LABEL_CHARS_MAX: usize = 64;

/// Makes temporary files in one directory.
#[derive(Debug, Clone)]
pub struct LocalScratch {
    directory: PathBuf,
    ids: Arc<dyn IdSource>,
    faults: Option<Arc<FaultPlan>>,
}

impl LocalScratch {
    /// Makes them in a directory that belongs to no root; the caller sweeps
    /// what a crash leaves there.
    pub fn in_directory(directory: PathBuf, ids: Arc<dyn IdSource>) -> Self {
        Self::new(directory, ids, None)
    }

    pub(crate) fn new(
        directory: PathBuf,
        ids: Arc<dyn IdSource>,
        faults: Option<Arc<FaultPlan>>,
    ) -> Self {
        Self { directory, ids, faults }
    }
}

impl ScratchSpace for LocalScratch {
    type File = LocalScratchFile;

    fn create(&self, label: &str) -> io::Result<LocalScratchFile> {
        let kept: String = label
            .chars()
            .take(LABEL_CHARS_MAX)
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .collect();
        let path = self.directory.join(format!("{kept}-{}", self.ids.next_id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let faults = self.faults.clone();
        Ok(LocalScratchFile { file, path, len: 0, published: false, faults, syncing: None })
    }
}

/// A temporary file. Each append is one write to the system: callers gather
/// small pieces themselves.
#[derive(Debug)]
pub struct LocalScratchFile {
    file: File,
    path: PathBuf,
    len: u64,
    published: bool,
    faults: Option<Arc<FaultPlan>>,
    /// The thread that makes the first part durable.
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl LocalScratchFile {
    /// Waits until all that was appended is durable.
    pub(crate) fn make_durable(&mut self) -> io::Result<()> {
        // An error is told only once for a file that is open once: the
        // thread's must not be lost.
        if let Some(syncing) = self.syncing.take() {
            syncing.join().unwrap_or_else(|_| Err(io::Error::other("syncing panicked")))?;
        }
        self.file.sync_all()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It has another name now: nothing is left to delete.
    pub(crate) fn set_published(&mut self) {
        self.published = true;
    }

    /// Gives the finished file the name `path`, in place of what had it: it
    /// is there whole and durable, or not at all. The directories above are
    /// made; all must lie on one file system.
    pub fn keep_as(mut self, path: &Path) -> io::Result<()> {
        self.make_durable()?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        crate::disk::create_dirs(parent)?;
        std::fs::rename(&self.path, path)?;
        self.set_published();
        crate::disk::sync_dir(parent)
    }

    /// Brings what was written so far to the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        match faults::decide(self.faults.as_ref(), FaultOp::ScratchWrite, &name) {
            Some(Fault::ErrorBefore) => return Err(faults::injected_io()),
            Some(Fault::Full) => return Err(faults::full_io()),
            Some(Fault::ErrorAfter | Fault::ShortBody) => {
                self.file.write_all_at(&bytes[..bytes.len() / 2], self.len)?;
                return Err(faults::injected_io());
            }
            _ => {}
        }
        self.file.write_all_at(bytes, self.len)
    }
}

impl ScratchFile for LocalScratchFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn map(&self) -> io::Result<Option<ScratchBytes>> {
        crate::mmap::map_appended(&self.file, self.len).map(Some)
    }

    fn begin_sync(&mut self) -> io::Result<()> {
        if self.syncing.is_none() {
            let file = self.file.try_clone()?;
            // Joined by `make_durable`. A file that is dropped instead needs no
            // waiting: the thread ends when the system has written.
            let thread = std::thread::Builder::new().name("scratch-sync".to_owned());
            self.syncing = Some(thread.spawn(move || file.sync_data())?);
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }
}

impl Drop for LocalScratchFile {
    fn drop(&mut self) {
        if !self.published {
            // If this fails, the next opening of the root sweeps it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FaultRule;
    use crossbill_core::{RandomIds, Seed};

    #[test]
    fn what_was_appended_reads_back_and_goes_when_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let space = LocalScratch::new(directory.path().into(), Arc::new(RandomIds), None);
        let mut file = space.create("a/../b é").unwrap();
        assert!(file.is_empty());
        file.append(b"hello ").unwrap();
        file.append(b"world").unwrap();
        let mut bytes = [0; 5];
        file.read_at(6, &mut bytes).unwrap();
        assert_eq!((&bytes, file.len()), (b"world", 11));
        assert!(file.read_at(7, &mut bytes).is_err());
        let mapped = file.map().unwrap().unwrap();
        file.append(b", again").unwrap();
        assert_eq!((*mapped).as_ref(), b"hello world");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!((*mapped).as_ref(), b"hello world");
    }

    #[test]
    fn a_kept_file_replaces_an_earlier_one() {
        let directory = tempfile::tempdir().unwrap();
        let space = LocalScratch::in_directory(directory.path().into(), Arc::new(RandomIds));
        let kept = directory.path().join("a/b/kept");
        for text in ["an earlier one, longer", "whole"] {
            let mut file = space.create("x").unwrap();
            file.append(text.as_bytes()).unwrap();
            file.keep_as(&kept).unwrap();
            assert_eq!(std::fs::read_to_string(&kept).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_full_disk_is_an_error_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let rule = FaultRule::once(FaultOp::ScratchWrite, Fault::ShortBody, "spill", 2);
        let plan = Arc::new(FaultPlan::new(Seed(1), vec![rule]));
        let space = LocalScratch::new(directory.path().into(), Arc::new(RandomIds), Some(plan));
        let mut file = space.create("spill").unwrap();
        file.append(b"1234").unwrap();
        assert!(file.append(b"5678").is_err());
        assert_eq!(file.len(), 4);
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
