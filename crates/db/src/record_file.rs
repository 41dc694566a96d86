//! Files of records outside any database, in the layout that imports read:
//! what a client that gathers records for an import writes. Knows no index.

use std::path::Path;
use std::sync::Arc;

use crossbill_core::{Error, IndexShape, RandomIds, Record, Result};
use crossbill_import::RecordTable;
use crossbill_store::LocalScratch;

use crate::exports::file_of;

/// A Parquet file of records while it is written. Memory is bounded by one
/// row group and what is added at once.
pub struct RecordFile(RecordTable);

impl RecordFile {
    /// Where part `part` of a namespace lies below the directory of an import.
    ///
    /// # Errors
    /// `Invalid` where an import would not read the namespace's name back
    /// from a directory.
    pub fn path_of(namespace: &str, part: usize) -> Result<String> {
        file_of(namespace, part)
    }

    /// An empty file for records of `shape`, unfinished in `scratch`, a
    /// directory that exists. It is gone when this is dropped; what a crash
    /// leaves there is the caller's to sweep.
    pub fn create(scratch: &Path, shape: IndexShape) -> Result<Self> {
        let scratch = LocalScratch::in_directory(scratch.to_owned(), Arc::new(RandomIds));
        Ok(Self(RecordTable::create(&scratch, shape)?))
    }

    /// Adds records in their order.
    pub fn add(&mut self, records: &[Record]) -> Result<()> {
        self.0.add(records)
    }

    /// Records so far.
    pub fn rows(&self) -> u64 {
        self.0.rows()
    }

    /// Bytes so far, about.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// The file as `path`, on the file system of the scratch directory: there
    /// whole and durable, or not at all.
    pub fn finish(self, path: &Path) -> Result<()> {
        self.0
            .finish()?
            .keep_as(path)
            .map_err(|error| Error::unavailable(format!("writing {}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use crossbill_core::Metric;

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let record = |id: &str| Record {
            id: id.to_owned(),
            values: vec![1.0, -0.5],
            sparse: None,
            metadata: None,
        };
        let shape = IndexShape::dense(2, Metric::Cosine);
        let whole = dir.path().join(RecordFile::path_of("a b", 2).unwrap());
        let entries = || std::fs::read_dir(dir.path()).unwrap().count();
        let mut dropped = RecordFile::create(dir.path(), shape).unwrap();
        dropped.add(&[record("x")]).unwrap();
        drop(dropped);
        assert_eq!(entries(), 0);
        let mut file = RecordFile::create(dir.path(), shape).unwrap();
        file.add(&[record("x"), record("y")]).unwrap();
        assert_eq!(file.rows(), 2);
        assert!(file.bytes() > 0 && !whole.exists());
        file.finish(&whole).unwrap();
        let bytes = std::fs::read(&whole).unwrap();
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
        assert_eq!(entries(), 1);
        for bad in ["a/b", "_x", ".."] {
            assert!(RecordFile::path_of(bad, 0).is_err(), "{bad}");
        }
    }
}
