//! Records, one by one and in columns.

use crate::{Metadata, SparseVector};

/// An id, its vectors, its metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// 1 to 512 characters, unique in its namespace.
    pub id: String,
    /// The dense vector; empty in a sparse index.
    pub values: Vec<f32>,
    /// The sparse vector, where there is one.
    pub sparse: Option<SparseVector>,
    /// The metadata, where there is any.
    pub metadata: Option<Metadata>,
}

/// Strings end to end with their offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringColumn {
    bytes: String,
    /// One more than there are strings; starts with 0.
    offsets: Vec<usize>,
}

impl Default for StringColumn {
    fn default() -> Self {
        Self { bytes: String::new(), offsets: vec![0] }
    }
}

impl StringColumn {
    /// Adds a string.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.offsets.push(self.bytes.len());
    }

    /// Strings held.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether no string is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// String `row`. Panics where there is none, as a slice does.
    pub fn get(&self, row: usize) -> &str {
        &self.bytes[self.offsets[row]..self.offsets[row + 1]]
    }

    /// All strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.offsets.windows(2).map(|pair| &self.bytes[pair[0]..pair[1]])
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.offsets.capacity() * size_of::<usize>()
    }
}

/// Records in columns, all checked against their index's shape. This is what
/// a segment is built from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecordBatch {
    /// The ids.
    pub ids: StringColumn,
    /// Dense vectors row after row, `len × dimension` values; empty in a
    /// sparse index.
    pub values: Vec<f32>,
    /// Sparse vectors: empty (no record has one) or one entry a record.
    pub sparse: Vec<Option<SparseVector>>,
    /// Metadata: empty (no record has any) or one entry a record.
    pub metadata: Vec<Option<Metadata>>,
}

impl RecordBatch {
    /// Records held.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no record is held.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Adds a record that was checked already.
    pub fn push(&mut self, record: Record) {
        let row = self.len();
        if record.sparse.is_some() && self.sparse.is_empty() {
            self.sparse.resize(row, None);
        }
        if record.metadata.is_some() && self.metadata.is_empty() {
            self.metadata.resize(row, None);
        }
        // A column that has begun (or begins with this record) takes an entry
        // for every record.
        if record.sparse.is_some() || !self.sparse.is_empty() {
            self.sparse.push(record.sparse);
        }
        if record.metadata.is_some() || !self.metadata.is_empty() {
            self.metadata.push(record.metadata);
        }
        self.ids.push(&record.id);
        self.values.extend_from_slice(&record.values);
    }

    /// The sparse vector of record `row`.
    pub fn sparse(&self, row: usize) -> Option<&SparseVector> {
        self.sparse.get(row).and_then(Option::as_ref)
    }

    /// The metadata of record `row`.
    pub fn metadata(&self, row: usize) -> Option<&Metadata> {
        self.metadata.get(row).and_then(Option::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_begin_with_the_first_record_that_has_them() {
        let plain = Record { id: "a".into(), values: vec![1.0], sparse: None, metadata: None };
        let full = Record {
            id: "b".into(),
            values: vec![2.0],
            sparse: SparseVector::new(vec![1], vec![1.0]).ok(),
            metadata: Some(Metadata::default()),
        };
        let mut batch = RecordBatch::default();
        batch.push(plain.clone());
        assert!(batch.metadata.is_empty());
        batch.push(full.clone());
        batch.push(plain);
        assert_eq!(batch.len(), 3);
        assert_eq!((batch.sparse(0), batch.sparse(1)), (None, full.sparse.as_ref()));
        assert_eq!((batch.metadata(1), batch.metadata(2)), (full.metadata.as_ref(), None));
        assert_eq!(batch.ids.iter().collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(batch.values, [1.0, 2.0, 1.0]);
    }
}
