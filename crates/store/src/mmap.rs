//! The one place with `unsafe` in this crate: mapping published parts and what
//! scratch files hold into memory, read-only.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crossbill_core::limits::RESIDENT_VECTORS_BYTES_MIN;
use crossbill_core::{PartBytes, ScratchBytes, StoredBytes};
use memmap2::{Mmap, MmapOptions};

/// A part that is mapped.
struct Mapped {
    map: Mmap,
    /// Kept open for parts that may be read around the map; not for small
    /// ones, of which there may be more than a process may have files open.
    file: Option<File>,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl StoredBytes for Mapped {
    fn read_at(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        match &self.file {
            Some(file) => file.read_exact_at(buffer, offset as u64),
            None => {
                buffer.copy_from_slice(&self.map[offset..offset + buffer.len()]);
                Ok(())
            }
        }
    }
}

/// Maps the whole of `file`.
pub(crate) fn map(file: File) -> io::Result<PartBytes> {
    if file.metadata()?.len() == 0 {
        // An empty mapping is refused by the system.
        return Ok(Arc::new(Vec::new()));
    }
    // SAFETY: the bytes of a mapping must not change while it is read. Parts
    // are complete before they get their name, nothing of ours writes to a
    // named part or shortens it (it is only ever unlinked, which leaves the
    // mapping whole), and the data directory is locked against other
    // processes of ours.
    let map = unsafe { Mmap::map(&file)? };
    let file = (map.len() as u64 >= RESIDENT_VECTORS_BYTES_MIN).then_some(file);
    Ok(Arc::new(Mapped { map, file }))
}

/// Maps the first `length` bytes of a file that only grows.
pub(crate) fn map_appended(file: &File, length: u64) -> io::Result<ScratchBytes> {
    let Some(length) = usize::try_from(length).ok().filter(|&length| length > 0) else {
        return Ok(Box::new(Vec::new()));
    };
    // SAFETY: as in `map`. A scratch file has a name that no other file of ours
    // ever has, is written by the one that holds it, who can only append, and
    // is never shortened.
    let map = unsafe { MmapOptions::new().len(length).map(file)? };
    Ok(Box::new(map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_mapping_reads_as_the_file_does_and_outlives_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part");
        for length in [70_000, RESIDENT_VECTORS_BYTES_MIN as u32 + 1] {
            let bytes: Vec<u8> = (0..length).map(|i| i as u8).collect();
            File::create(&path).unwrap().write_all(&bytes).unwrap();
            let mapped = map(File::open(&path).unwrap()).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert_eq!((*mapped).as_ref(), &bytes[..]);
            let mut copy = [0; 300];
            mapped.read_at(69_700, &mut copy).unwrap();
            assert_eq!(copy, bytes[69_700..70_000]);
        }
        File::create(&path).unwrap();
        assert!((*map(File::open(&path).unwrap()).unwrap()).as_ref().is_empty());
    }
}
