//! What the segment builder needs of a temporary file, so that the engine
//! itself opens none: append, read back, length.

use std::io;

/// An append-only temporary file that can be read back while it grows.
pub trait ScratchFile: Send + Sync {
    /// Adds `bytes` at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Fills `buffer` from `offset`; an error where the file is shorter.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// What was appended so far, to be looked at where it lies, where the file
    /// can do that. Nothing that was appended is ever changed.
    fn map(&self) -> io::Result<Option<ScratchBytes>> {
        Ok(None)
    }
    /// Begins to make durable what was appended so far, without waiting; what
    /// publishes the file waits, and learns of errors. May do nothing.
    fn begin_sync(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Bytes appended so far.
    fn len(&self) -> u64;
    /// Whether nothing was appended yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether an error of a file says that there is no more room: the disk is
/// full, or a quota or limit of it is used up.
pub fn is_disk_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Bytes of a temporary file; they outlive it.
pub type ScratchBytes = Box<dyn AsRef<[u8]> + Send + Sync>;

/// Where temporary files are made. A file that is dropped is deleted.
pub trait ScratchSpace: Send + Sync {
    /// The files made here.
    type File: ScratchFile;
    /// A new empty file; `label` is only for people who look at the disk.
    fn create(&self, label: &str) -> io::Result<Self::File>;
}

/// Files that are vectors: for tests and measurements that need no disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryScratch;

/// A file in memory.
#[derive(Debug, Default)]
pub struct MemoryScratchFile(Vec<u8>);

impl MemoryScratchFile {
    /// What was appended so far.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What was appended.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl ScratchSpace for MemoryScratch {
    type File = MemoryScratchFile;

    fn create(&self, _label: &str) -> io::Result<MemoryScratchFile> {
        Ok(MemoryScratchFile::default())
    }
}

impl ScratchFile for MemoryScratchFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..));
        let bytes = rest.and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn map(&self) -> io::Result<Option<ScratchBytes>> {
        Ok(Some(Box::new(self.0.clone())))
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}
