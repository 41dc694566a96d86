//! The sparse vectors of a segment: each row's entries, and the upper bounds
//! by which a search passes most rows over.
//!
//! Rows stand in blocks of [`BLOCK_ROWS`]. For each term there is, block by
//! block, the largest weight that a live row of the block has in it, rounded
//! up to one of 255 steps. A query adds these up to a bound of what any row of
//! a block can score, visits the blocks from the highest bound down, scores
//! their rows from their own entries, and ends where no bound reaches the
//! worst score kept. So nothing is lost, and every score is a plain sum over
//! the shared terms in ascending order, as [`SparseVector::dot`] makes it.
//!
//! A row that shares no term with the query is no result, even where the
//! rows that do share one score below 0.

mod bounds;
mod build;
mod lookup;
mod rows;
mod search;
#[cfg(test)]
mod tests;

use crossbill_core::SparseVector;
use roaring::RoaringBitmap;

use crate::FormatError;
use bounds::Bounds;
use rows::Rows;

pub(super) use build::SparseBuilder;
pub(super) use lookup::Lookup;
pub(super) use search::Collect;

/// Rows that share their bounds. Fewer make bounds tighter and more of them;
/// with 8, BM25 and learned weights alike leave some tens of blocks to score.
const BLOCK_ROWS: u32 = 8;
/// Rows of a range at most: its blocks are numbered with 16 bits.
const RANGE_ROWS_MAX: u32 = BLOCK_ROWS << 16;

/// The bytes of the four sections.
#[derive(Clone, Copy)]
pub(super) struct SparseBytes<'a> {
    pub(super) offsets: &'a [u8],
    pub(super) entries: &'a [u8],
    pub(super) terms: &'a [u8],
    pub(super) bounds: &'a [u8],
}

/// The sparse vectors of a segment, and their bounds.
#[derive(Clone, Copy)]
pub(super) struct Sparse<'a> {
    rows: Rows<'a>,
    bounds: Bounds<'a>,
}

impl<'a> Sparse<'a> {
    /// Checks the sections of a segment of `rows` rows.
    pub(super) fn check(rows: u32, bytes: SparseBytes<'a>) -> Result<(), FormatError> {
        Rows::read(rows, bytes.offsets, bytes.entries)?.check()?;
        Bounds::read(rows, bytes.terms, bytes.bounds)?.check()
    }

    /// The sections of a segment of `rows` rows, which were checked.
    pub(super) fn new(rows: u32, bytes: SparseBytes<'a>) -> Self {
        const CHECKED: &str = "the sparse sections were checked at open";
        Self {
            rows: Rows::read(rows, bytes.offsets, bytes.entries).expect(CHECKED),
            bounds: Bounds::read(rows, bytes.terms, bytes.bounds).expect(CHECKED),
        }
    }

    /// Checks what opening does not: that each row's vector is one that may be
    /// stored, and that no entry of a live row is above its bound.
    pub(super) fn verify(&self, superseded: &RoaringBitmap) -> Result<(), FormatError> {
        self.rows.verify()?;
        self.bounds.verify()?;
        for row in (0..self.rows.count()).filter(|&row| !superseded.contains(row)) {
            let (indices, values) = self.rows.entries(row);
            for (&term, &weight) in indices.iter().zip(values) {
                if !self.bounds.covers(row, term, weight) {
                    let found = format!("a bound below {weight}, term {term} of row {row}");
                    return Err(FormatError::damaged("sparse bounds", found, "one above"));
                }
            }
        }
        Ok(())
    }

    /// The vector of `row`, where it has one.
    pub(super) fn vector(&self, row: u32) -> Option<SparseVector> {
        self.rows.vector(row)
    }

    /// The score of `row`, where it shares a term with the query.
    pub(super) fn score(&self, query: &Lookup, row: u32) -> Option<f32> {
        let (indices, values) = self.rows.entries(row);
        let mut sum = None;
        for (&term, value) in indices.iter().zip(values) {
            let weight = query.weight(term);
            if weight != 0.0 {
                sum = Some(sum.unwrap_or(0.0) + weight * value);
            }
        }
        sum
    }
}
