//! The one place with `unsafe` in this crate: mapping published parts and what
//! scratch files hold into memory, read-only.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::Arc;

use crossbill_core::ScratchBytes;
use memmap2::{Mmap, MmapOptions};

/// The bytes of a part, however they are held.
pub type PartBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Maps the whole of `file`.
pub(crate) fn map(file: &File) -> io::Result<PartBytes> {
    if file.metadata()?.len() == 0 {
        // An empty mapping is refused by the system.
        return Ok(Arc::new(Vec::new()));
    }
    // SAFETY: the bytes of a mapping must not change while it is read. Parts
    // are complete before they get their name, nothing of ours writes to a
    // named part or shortens it (it is only ever unlinked, which leaves the
    // mapping whole), and the data directory is locked against other
    // processes of ours.
    let map = unsafe { Mmap::map(file)? };
    Ok(Arc::new(map))
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
        let bytes: Vec<u8> = (0..70_000_u32).map(|i| i as u8).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let mapped = map(&File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((*mapped).as_ref(), &bytes[..]);
        File::create(&path).unwrap();
        assert!((*map(&File::open(&path).unwrap()).unwrap()).as_ref().is_empty());
    }
}
