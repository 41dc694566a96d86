//! The full vectors of a segment, as `f32` or encoded, and how they are
//! scored. The one place that tells the encodings apart once a segment is
//! open: it does so once for a search, not for each row.

use crossbill_core::{IndexShape, VectorStorage};

use super::bytes_view::{checked, view};
use super::facts::Facts;
use super::writer::BLOCK_BYTES;
use crate::exact::{self, VectorScores};
use crate::kernels::{StoredRow, StoredScorer};
use crate::{FormatError, RowScores, TopK};

/// The dense vectors of a segment.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a> {
    shape: &'a IndexShape,
    rows: Rows<'a>,
}

#[derive(Clone, Copy)]
enum Rows<'a> {
    Plain(PlainRows<'a>),
    Encoded(EncodedRows<'a>),
}

#[derive(Clone, Copy)]
struct PlainRows<'a> {
    values: &'a [f32],
    dimension: usize,
}

impl<'a> PlainRows<'a> {
    fn get(self, row: u32) -> &'a [f32] {
        &self.values[row as usize * self.dimension..][..self.dimension]
    }
}

#[derive(Clone, Copy)]
struct EncodedRows<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
    scorer: StoredScorer,
}

impl<'a> EncodedRows<'a> {
    fn get(self, row: u32) -> StoredRow<'a> {
        self.scorer.row(&self.bytes[row as usize * self.row_bytes..][..self.row_bytes])
    }
}

impl<'a> Vectors<'a> {
    /// The vectors in `bytes`, which were checked at open.
    pub(super) fn of(shape: &'a IndexShape, bytes: &'a [u8]) -> Self {
        let dimension = shape.dimension as usize;
        let rows = match shape.storage {
            VectorStorage::F32 => Rows::Plain(PlainRows { values: view(bytes), dimension }),
            storage => Rows::Encoded(EncodedRows {
                bytes,
                row_bytes: shape.row_bytes(),
                scorer: StoredScorer::new(storage),
            }),
        };
        Self { shape, rows }
    }

    /// The vector of `row`.
    pub(super) fn decoded(self, row: u32) -> Vec<f32> {
        match self.rows {
            Rows::Plain(rows) => rows.get(row).to_vec(),
            Rows::Encoded(rows) => rows.get(row).decoded(self.shape.dimension as usize),
        }
    }

    /// Hands the scores for `query` to `search`.
    pub(super) fn with_scores<T>(
        self,
        query: &[f32],
        search: impl FnOnce(&dyn RowScores) -> T,
    ) -> T {
        let metric = self.shape.metric;
        match self.rows {
            Rows::Plain(rows) => search(&VectorScores::new(metric, query, |row| rows.get(row))),
            Rows::Encoded(rows) => search(&VectorScores::new(metric, query, |row| rows.get(row))),
        }
    }

    /// Scores each of `wanted` and offers it to `top`.
    pub(super) fn scan(self, query: &[f32], wanted: impl Iterator<Item = u32>, top: &mut TopK) {
        let metric = self.shape.metric;
        match self.rows {
            Rows::Plain(rows) => {
                exact::scan(metric, query, wanted.map(|row| (row, rows.get(row))), top);
            }
            Rows::Encoded(rows) => {
                exact::scan(metric, query, wanted.map(|row| (row, rows.get(row))), top);
            }
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
