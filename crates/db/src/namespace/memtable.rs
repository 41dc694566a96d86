//! What was written lately: records by id, their vectors in blocks so that a
//! query scans them exactly. Rows are never overwritten; a replaced or
//! deleted row is only marked. A reader takes the rows as of a moment
//! ([`Rows`]) and reads them while others are added.
//!
//! Knows no log, no segments and no locks.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crossbill_core::{Filter, IndexShape, Metadata, Record, SparseVector};
use crossbill_engine::exact::score;
use crossbill_engine::kernels::norm;
use crossbill_engine::{Scored, TextFields, TopK};
use roaring::RoaringBitmap;

use super::text::{TextTable, WordConditions};

/// Rows of a block. Adding to a block that a reader holds copies it, so it is
/// small; a reader takes a pointer to each, so it is not very small.
const BLOCK_ROWS: usize = 64;
/// Bytes a row takes beside its contents (rough).
const ROW_BYTES: usize = 160;

struct Row {
    id: Arc<str>,
    sparse: Option<SparseVector>,
    metadata: Option<Metadata>,
}

/// Some rows, their vectors end to end.
#[derive(Clone)]
struct Block {
    values: Vec<f32>,
    rows: Vec<Arc<Row>>,
}

/// The rows of a memtable as of one moment, dead ones included.
#[derive(Clone)]
pub(crate) struct Rows {
    shape: IndexShape,
    /// All full but the last.
    blocks: Vec<Arc<Block>>,
    count: u32,
    /// Their words, where there are text fields.
    text: Option<Arc<TextTable>>,
}

/// Records in memory.
pub(crate) struct Memtable {
    rows: Rows,
    /// Live rows only.
    by_id: BTreeMap<Arc<str>, u32>,
    dead: Arc<RoaringBitmap>,
    bytes: usize,
}

impl Memtable {
    /// An empty one.
    pub(crate) fn new(shape: IndexShape, text: &TextFields) -> Self {
        let text = (!text.is_empty()).then(|| Arc::new(TextTable::new(text)));
        Self {
            rows: Rows { shape, blocks: Vec::new(), count: 0, text },
            by_id: BTreeMap::new(),
            dead: Arc::default(),
            bytes: 0,
        }
    }

    /// Puts a checked record in place of any with its id.
    pub(crate) fn put(&mut self, record: Record) {
        self.bytes += record_bytes(&record);
        if let Some(text) = &self.rows.text {
            self.bytes += text.bytes_of(record.metadata.as_ref());
        }
        let id: Arc<str> = record.id.into();
        if let Some(old) = self.by_id.insert(Arc::clone(&id), self.rows.count) {
            Arc::make_mut(&mut self.dead).insert(old);
        }
        let row = Row { id, sparse: record.sparse, metadata: record.metadata };
        self.rows.push(&record.values, row);
    }

    /// Marks the record with `id` as deleted, if there is one.
    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(row) = self.by_id.remove(id) {
            Arc::make_mut(&mut self.dead).insert(row);
        }
    }

    /// Marks all as deleted.
    pub(crate) fn clear(&mut self) {
        let text = self.rows.text.as_ref().map(|text| text.fields().clone());
        *self = Self::new(self.rows.shape, &text.unwrap_or_default());
    }

    /// Its rows, dead ones included.
    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Rows that were replaced or deleted.
    pub(crate) fn dead(&self) -> &Arc<RoaringBitmap> {
        &self.dead
    }

    /// Live records.
    pub(crate) fn live(&self) -> u64 {
        self.by_id.len() as u64
    }

    /// Bytes of memory held (rough).
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The row of the live record with `id`.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Ids of live records.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (&str, u32)> {
        self.by_id.iter().map(|(id, row)| (&**id, *row))
    }

    /// Ids of live records with `prefix`, in order, after `after`.
    pub(crate) fn ids_after<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, u32)> + 'a {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.by_id
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(id, row)| (&**id, *row))
            .take_while(move |(id, _)| id.starts_with(prefix))
    }
}

impl Rows {
    fn push(&mut self, values: &[f32], row: Row) {
        let full = self.blocks.last().is_none_or(|block| block.rows.len() == BLOCK_ROWS);
        if full {
            let values = Vec::with_capacity(BLOCK_ROWS * self.shape.dimension as usize);
            let rows = Vec::with_capacity(BLOCK_ROWS);
            self.blocks.push(Arc::new(Block { values, rows }));
        }
        let last = self.blocks.last_mut().expect("a block was pushed where there was none");
        let last = Arc::make_mut(last);
        last.values.extend_from_slice(values);
        last.rows.push(Arc::new(row));
        self.count += 1;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    fn row(&self, row: u32) -> &Row {
        &self.blocks[row as usize / BLOCK_ROWS].rows[row as usize % BLOCK_ROWS]
    }

    /// The id of `row`.
    pub(crate) fn id(&self, row: u32) -> &str {
        &self.row(row).id
    }

    /// The dense vector of `row`; empty in a sparse index.
    pub(crate) fn vector(&self, row: u32) -> &[f32] {
        let dimension = self.shape.dimension as usize;
        let values = &self.blocks[row as usize / BLOCK_ROWS].values;
        &values[row as usize % BLOCK_ROWS * dimension..][..dimension]
    }

    /// The record of `row`.
    pub(crate) fn record(&self, row: u32) -> Record {
        let found = self.row(row);
        Record {
            id: found.id.to_string(),
            values: self.vector(row).to_vec(),
            sparse: found.sparse.clone(),
            metadata: found.metadata.clone(),
        }
    }

    /// The metadata of `row`, where it has any.
    pub(super) fn metadata(&self, row: u32) -> Option<&Metadata> {
        self.row(row).metadata.as_ref()
    }

    /// Their words, where there are text fields.
    pub(super) fn text(&self) -> Option<&TextTable> {
        self.text.as_deref()
    }

    /// Answers `filter` row by row.
    fn matches<'a>(&'a self, filter: &'a Filter) -> impl Fn(u32) -> bool + 'a {
        let words = WordConditions::of(self, filter);
        let nothing = Metadata::default();
        move |row| {
            let has_words = |condition: &Filter| words.holds(condition, row);
            filter.matches_with(self.metadata(row).unwrap_or(&nothing), &has_words)
        }
    }

    /// The rows that match among those not in `dead`.
    pub(crate) fn matching(&self, filter: &Filter, dead: &RoaringBitmap) -> RoaringBitmap {
        let matches = self.matches(filter);
        let live = (0..self.count).filter(|row| !dead.contains(*row));
        live.filter(|row| matches(*row)).collect()
    }

    /// The rows nearest to the query among those not in `dead`, nearest first.
    pub(crate) fn search(
        &self,
        dense: Option<&[f32]>,
        sparse: Option<&SparseVector>,
        top_k: usize,
        filter: Option<&Filter>,
        dead: &RoaringBitmap,
    ) -> Vec<Scored> {
        let mut top = TopK::new(self.shape.metric, top_k.min(self.count as usize).max(1));
        let query_norm = dense.map_or(0.0, norm);
        let matches = filter.map(|filter| self.matches(filter));
        for row in 0..self.count {
            if dead.contains(row) || matches.as_ref().is_some_and(|matches| !matches(row)) {
                continue;
            }
            let sparse_score = match (sparse, &self.row(row).sparse) {
                (Some(query), Some(own)) => shared_dot(query, own),
                _ => None,
            };
            let total = match dense {
                Some(query) => {
                    score(self.shape.metric, query, query_norm, self.vector(row))
                        + sparse_score.unwrap_or(0.0)
                }
                // A sparse query finds the records that share an index with it.
                None => match sparse_score {
                    Some(score) => score,
                    None => continue,
                },
            };
            top.push(row, total);
        }
        top.into_sorted()
    }
}

/// The dot product, or nothing where no index is shared.
fn shared_dot(a: &SparseVector, b: &SparseVector) -> Option<f32> {
    let shares = {
        let (mut left, mut right) = (a.indices().iter().peekable(), b.indices().iter().peekable());
        loop {
            match (left.peek(), right.peek()) {
                (Some(x), Some(y)) if x == y => break true,
                (Some(x), Some(y)) if x < y => drop(left.next()),
                (Some(_), Some(_)) => drop(right.next()),
                _ => break false,
            }
        }
    };
    shares.then(|| a.dot(b))
}

/// Bytes of memory a record takes (rough).
pub(crate) fn record_bytes(record: &Record) -> usize {
    let sparse = record.sparse.as_ref().map_or(0, |sparse| sparse.indices().len() * 8);
    let metadata = record.metadata.as_ref().map_or(0, |metadata| {
        metadata.0.iter().map(|(field, value)| field.len() + 96 + value_bytes(value)).sum()
    });
    ROW_BYTES + record.id.len() * 2 + record.values.len() * 4 + sparse + metadata
}

fn value_bytes(value: &crossbill_core::MetadataValue) -> usize {
    match value {
        crossbill_core::MetadataValue::String(text) => text.len(),
        crossbill_core::MetadataValue::Strings(items) => {
            items.iter().map(|item| item.len() + 24).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use crossbill_core::Metric;

    use super::*;

    fn record(id: &str, values: [f32; 2]) -> Record {
        Record { id: id.into(), values: values.into(), sparse: None, metadata: None }
    }

    fn found(table: &Memtable, query: [f32; 2]) -> Vec<&str> {
        let hits = table.rows().search(Some(&query), None, 10, None, table.dead());
        hits.iter().map(|hit| table.rows().id(hit.row)).collect()
    }

    #[test]
    fn the_last_put_of_an_id_counts() {
        let mut table =
            Memtable::new(IndexShape::dense(2, Metric::Euclidean), &TextFields::default());
        table.put(record("a", [0.0, 0.0]));
        table.put(record("b", [1.0, 0.0]));
        table.put(record("a", [5.0, 0.0]));
        assert_eq!((table.live(), table.rows().len()), (2, 3));
        assert_eq!(found(&table, [0.0, 0.0]), ["b", "a"]);
        table.remove("b");
        table.remove("never there");
        assert_eq!(found(&table, [0.0, 0.0]), ["a"]);
        assert_eq!(table.rows().record(table.find("a").unwrap()), record("a", [5.0, 0.0]));
        table.clear();
        assert_eq!((table.live(), found(&table, [0.0, 0.0]).len()), (0, 0));
    }

    /// What a reader took stays as it was, whatever is written since.
    #[test]
    fn rows_taken_do_not_change() {
        let mut table =
            Memtable::new(IndexShape::dense(2, Metric::Euclidean), &TextFields::default());
        let mut taken = Vec::new();
        for number in 0..200_u16 {
            table.put(record(&format!("{number:03}"), [f32::from(number), 0.0]));
            taken.push((table.rows().clone(), Arc::clone(table.dead())));
            if number % 3 == 0 {
                table.remove(&format!("{:03}", number / 2));
            }
        }
        for (number, (rows, dead)) in taken.iter().enumerate() {
            assert_eq!(rows.len() as usize, number + 1);
            let last = rows.record(number as u32);
            assert_eq!((last.id, last.values[0]), (format!("{number:03}"), number as f32));
            let live = rows.search(Some(&[0.0, 0.0]), None, 1000, None, dead);
            assert_eq!(live.len(), rows.len() as usize - dead.len() as usize);
            assert_eq!(dead.len() as usize, number.div_ceil(3));
        }
    }

    #[test]
    fn ids_go_on_after_the_last_one() {
        let mut table =
            Memtable::new(IndexShape::dense(2, Metric::Euclidean), &TextFields::default());
        for id in ["b", "a1", "a2", "a3", "c"] {
            table.put(record(id, [0.0, 0.0]));
        }
        let page = |prefix, after| {
            table.ids_after(prefix, after).map(|(id, _)| id.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(page("a", None), ["a1", "a2", "a3"]);
        assert_eq!(page("a", Some("a1")), ["a2", "a3"]);
        assert_eq!(page("a", Some("A")), ["a1", "a2", "a3"]);
        assert_eq!(page("", Some("a3")), ["b", "c"]);
    }
}
