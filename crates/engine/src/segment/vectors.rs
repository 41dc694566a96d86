//! The full vectors of a segment, as `f32` or encoded, where they are read
//! from, and how they are scored. The one place that tells the encodings apart
//! once a segment is open: it does so once for a search, not for each row.
//!
//! The first rows are read where they lie in the memory map, the others are
//! copied from the file each time, so that a search makes no more than the
//! first ones part of the process's memory.

use std::cell::RefCell;
use std::ops::Range;

use crossbill_core::{IndexShape, StoredBytes, VectorStorage};

use super::bytes_view::{checked, view};
use super::facts::Facts;
use super::writer::BLOCK_BYTES;
use crate::exact::{self, FullVector, VectorScores};
use crate::kernels::{self, StoredRow, StoredScorer};
use crate::{FormatError, RowScores, TopK};

/// Bytes of rows that one read takes where a search goes from row to row.
const READ_BYTES_MAX: usize = 64 * 1024;

/// The dense vectors of a segment.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a> {
    pub(super) shape: &'a IndexShape,
    pub(super) part: &'a dyn StoredBytes,
    /// Where they stand in the part.
    pub(super) place: (usize, usize),
    /// Rows from this one on are copied from the file.
    pub(super) resident_rows: u32,
    pub(super) rows: u32,
}

/// Rows of one encoding in memory.
trait Rows<'a>: Copy {
    type Row: FullVector;

    fn get(self, row: u32) -> Self::Row;
}

#[derive(Clone, Copy)]
struct PlainRows<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
}

impl<'a> Rows<'a> for PlainRows<'a> {
    type Row = &'a [f32];

    fn get(self, row: u32) -> &'a [f32] {
        view(&self.bytes[row as usize * self.row_bytes..][..self.row_bytes])
    }
}

#[derive(Clone, Copy)]
struct EncodedRows<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
    scorer: StoredScorer,
}

impl<'a> Rows<'a> for EncodedRows<'a> {
    type Row = StoredRow<'a>;

    fn get(self, row: u32) -> StoredRow<'a> {
        self.scorer.row(&self.bytes[row as usize * self.row_bytes..][..self.row_bytes])
    }
}

/// How rows in memory are made from bytes.
trait Encoding: Copy {
    type Rows<'a>: Rows<'a>;

    fn rows(self, bytes: &[u8], row_bytes: usize) -> Self::Rows<'_>;
}

#[derive(Clone, Copy)]
struct Plain;

impl Encoding for Plain {
    type Rows<'a> = PlainRows<'a>;

    fn rows(self, bytes: &[u8], row_bytes: usize) -> PlainRows<'_> {
        PlainRows { bytes, row_bytes }
    }
}

impl Encoding for StoredScorer {
    type Rows<'a> = EncodedRows<'a>;

    fn rows(self, bytes: &[u8], row_bytes: usize) -> EncodedRows<'_> {
        EncodedRows { bytes, row_bytes, scorer: self }
    }
}

impl<'a> Vectors<'a> {
    fn mapped(self) -> &'a [u8] {
        &self.part.as_ref()[self.place.0..][..self.place.1]
    }

    fn all_resident(self) -> bool {
        self.resident_rows >= self.rows
    }

    /// The vector of `row`.
    pub(super) fn decoded(self, row: u32) -> Vec<f32> {
        let (row_bytes, dimension) = (self.shape.row_bytes(), self.shape.dimension as usize);
        let mut values = vec![0.0; dimension];
        let mut copy = Vec::new();
        let mut bytes = &self.mapped()[row as usize * row_bytes..][..row_bytes];
        if row >= self.resident_rows {
            copy.resize(row_bytes, 0);
            if self.part.read_at(self.place.0 + row as usize * row_bytes, &mut copy).is_ok() {
                bytes = &copy;
            }
        }
        self.shape.storage.decode(bytes, &mut values);
        values
    }

    /// Hands the scores for `query` to `search`.
    pub(super) fn with_scores<T>(
        self,
        query: &[f32],
        search: impl FnOnce(&dyn RowScores) -> T,
    ) -> T {
        match self.shape.storage {
            VectorStorage::F32 => self.with_encoding(Plain, query, search),
            storage => self.with_encoding(StoredScorer::new(storage), query, search),
        }
    }

    fn with_encoding<T>(
        self,
        encoding: impl Encoding,
        query: &[f32],
        search: impl FnOnce(&dyn RowScores) -> T,
    ) -> T {
        let rows = encoding.rows(self.mapped(), self.shape.row_bytes());
        if self.all_resident() {
            search(&VectorScores::new(self.shape.metric, query, |row| rows.get(row)))
        } else {
            search(&PartlyResident::new(self, encoding, query))
        }
    }

    /// Scores each of `wanted` and offers it to `top`.
    pub(super) fn scan(self, query: &[f32], wanted: impl Iterator<Item = u32>, top: &mut TopK) {
        match self.shape.storage {
            VectorStorage::F32 => self.scan_encoding(Plain, query, wanted, top),
            storage => self.scan_encoding(StoredScorer::new(storage), query, wanted, top),
        }
    }

    fn scan_encoding(
        self,
        encoding: impl Encoding,
        query: &[f32],
        wanted: impl Iterator<Item = u32>,
        top: &mut TopK,
    ) {
        let rows = encoding.rows(self.mapped(), self.shape.row_bytes());
        if self.all_resident() {
            let wanted = wanted.map(|row| (row, rows.get(row)));
            exact::scan(self.shape.metric, query, wanted, top);
        } else {
            let scores = PartlyResident::new(self, encoding, query);
            wanted.for_each(|row| top.push(row, scores.score(row)));
        }
    }
}

/// The scores of vectors of which only the first are read in the map.
struct PartlyResident<'a, E> {
    vectors: Vectors<'a>,
    encoding: E,
    query: &'a [f32],
    query_norm: f32,
    read: RefCell<Copied>,
}

/// Rows that were copied from the file.
struct Copied {
    /// Whole numbers of `f32`, so that they can be looked at as such.
    buffer: Vec<f32>,
    rows: Range<u32>,
}

impl<'a, E: Encoding> PartlyResident<'a, E> {
    fn new(vectors: Vectors<'a>, encoding: E, query: &'a [f32]) -> Self {
        let read = RefCell::new(Copied { buffer: Vec::new(), rows: 0..0 });
        Self { vectors, encoding, query, query_norm: kernels::norm(query), read }
    }

    fn score_in(&self, bytes: &[u8], row: u32) -> f32 {
        let rows = self.encoding.rows(bytes, self.vectors.shape.row_bytes());
        exact::score(self.vectors.shape.metric, self.query, self.query_norm, rows.get(row))
    }

    /// Reads `row`, and where the last read ended before it, twice as many
    /// rows as that one.
    fn read(&self, copied: &mut Copied, row: u32) -> std::io::Result<()> {
        let Vectors { shape, part, place, rows, .. } = self.vectors;
        let row_bytes = shape.row_bytes();
        let ahead = if row == copied.rows.end { 2 * copied.rows.len() } else { 1 };
        let count = ahead.clamp(1, (READ_BYTES_MAX / row_bytes).max(1));
        let count = count.min((rows - row) as usize);
        copied.buffer.resize((count * row_bytes).div_ceil(size_of::<f32>()), 0.0);
        copied.rows = 0..0;
        let buffer = &mut bytemuck::cast_slice_mut(&mut copied.buffer)[..count * row_bytes];
        part.read_at(place.0 + row as usize * row_bytes, buffer)?;
        copied.rows = row..row + count as u32;
        Ok(())
    }
}

impl<E: Encoding> RowScores for PartlyResident<'_, E> {
    fn score(&self, row: u32) -> f32 {
        if row < self.vectors.resident_rows {
            return self.score_in(self.vectors.mapped(), row);
        }
        let copied = &mut *self.read.borrow_mut();
        if !copied.rows.contains(&row) && self.read(copied, row).is_err() {
            // The map is of the same file: it may know better, and if not
            // there is nothing that could go on.
            return self.score_in(self.vectors.mapped(), row);
        }
        self.score_in(bytemuck::cast_slice(&copied.buffer), row - copied.rows.start)
    }

    fn prefetch(&self, row: u32) {
        if row < self.vectors.resident_rows {
            let rows = self.encoding.rows(self.vectors.mapped(), self.vectors.shape.row_bytes());
            rows.get(row).prefetch();
        }
    }
}

/// Checks the lengths of the vectors and of the checksums of their blocks.
pub(super) fn check_vectors(
    facts: &Facts,
    vectors: &[u8],
    blocks: &[u8],
) -> Result<(), FormatError> {
    let expected = u64::from(facts.rows) * facts.shape.row_bytes() as u64;
    if vectors.len() as u64 != expected {
        let found = format!("{} bytes", vectors.len());
        return Err(FormatError::damaged("vectors", found, expected.to_string()));
    }
    if facts.shape.storage == VectorStorage::F32 {
        checked::<f32>("vectors", vectors)?;
    }
    let blocks: &[u32] = checked("vector blocks", blocks)?;
    let expected = vectors.len().div_ceil(BLOCK_BYTES);
    if blocks.len() != expected {
        let found = format!("{} blocks", blocks.len());
        return Err(FormatError::damaged("vector blocks", found, expected.to_string()));
    }
    Ok(())
}
