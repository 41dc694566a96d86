//! The sparse sections of an open segment: a row's vector, and the rows that
//! share a term with a query, scored exactly.
//!
//! A row that shares no term with the query is no result, even where the
//! rows that do share one score below 0.

use crossbill_core::SparseVector;

use super::bytes_view::{array, check_starts, checked, view};
use crate::FormatError;

/// Up to this many rows of the segment per posting of the query, a score per
/// row is cheaper than sorting the postings by row.
const ROWS_PER_POSTING: usize = 16;

/// The bytes of the four sections.
#[derive(Clone, Copy)]
pub(super) struct SparseBytes<'a> {
    pub(super) offsets: &'a [u8],
    pub(super) entries: &'a [u8],
    pub(super) terms: &'a [u8],
    pub(super) postings: &'a [u8],
}

/// The sparse vectors of a segment, by row and by term.
#[derive(Clone, Copy)]
pub(super) struct Sparse<'a> {
    offsets: &'a [u64],
    indices: &'a [u32],
    values: &'a [f32],
    terms: &'a [u32],
    starts: &'a [u64],
    rows: &'a [u32],
    weights: &'a [f32],
}

impl<'a> Sparse<'a> {
    /// Checks the sections of a segment of `rows` rows.
    pub(super) fn check(rows: u32, bytes: SparseBytes<'a>) -> Result<(), FormatError> {
        let offsets: &[u64] = checked("sparse offsets", bytes.offsets)?;
        if offsets.len() as u64 != u64::from(rows) + 1 {
            let found = format!("{} offsets", offsets.len());
            return Err(FormatError::damaged("sparse offsets", found, format!("{}", rows + 1)));
        }
        let entries = halves("sparse entries", bytes.entries)?;
        check_starts("sparse offsets", offsets, entries.0.len() as u64)?;
        let (terms, starts) = terms(bytes.terms)?;
        if !terms.is_sorted_by(|a, b| a < b) {
            return Err(FormatError::damaged("sparse terms", "terms out of order", "ascending"));
        }
        let postings = halves("sparse postings", bytes.postings)?;
        check_starts("sparse terms", starts, postings.0.len() as u64)?;
        match postings.0.iter().max() {
            Some(&row) if row >= rows => {
                let expected = format!("rows below {rows}");
                Err(FormatError::damaged("sparse postings", format!("row {row}"), expected))
            }
            _ => Ok(()),
        }
    }

    /// The sections, which were checked.
    pub(super) fn new(bytes: SparseBytes<'a>) -> Self {
        const CHECKED: &str = "the sparse sections were checked at open";
        let (indices, values) = halves("sparse entries", bytes.entries).expect(CHECKED);
        let (terms, starts) = terms(bytes.terms).expect(CHECKED);
        let (rows, weights) = halves("sparse postings", bytes.postings).expect(CHECKED);
        Self { offsets: view(bytes.offsets), indices, values, terms, starts, rows, weights }
    }

    /// Checks what opening does not: that each row's vector is one that may
    /// be stored, and that rows rise within a term.
    pub(super) fn verify(&self) -> Result<(), FormatError> {
        for row in 0..self.offsets.len() as u32 - 1 {
            let (indices, values) = self.entries(row);
            let ascending = indices.is_sorted_by(|a, b| a < b);
            if !ascending || (!indices.is_empty() && self.vector(row).is_none()) {
                let found = format!("row {row} with {} values", values.len());
                return Err(FormatError::damaged("sparse entries", found, "a sparse vector"));
            }
        }
        for pair in self.starts.windows(2) {
            if !self.rows[pair[0] as usize..pair[1] as usize].is_sorted_by(|a, b| a < b) {
                return Err(FormatError::damaged("sparse postings", "rows out of order", "rising"));
            }
        }
        Ok(())
    }

    /// The vector of `row`, where it has one.
    pub(super) fn vector(&self, row: u32) -> Option<SparseVector> {
        let (indices, values) = self.entries(row);
        // An empty vector is none; entries that no vector may have only
        // stand in a file that `verify` refuses.
        SparseVector::new(indices.to_vec(), values.to_vec()).ok()
    }

    fn entries(&self, row: u32) -> (&'a [u32], &'a [f32]) {
        let row = row as usize;
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        (&self.indices[range.clone()], &self.values[range])
    }

    /// The dot product of `query` with the vector of `row`; 0 without one.
    /// Adds up in the order of the indices, as [`SparseVector::dot`] does.
    pub(super) fn dot(&self, query: &SparseVector, row: u32) -> f32 {
        let (indices, values) = self.entries(row);
        let (mut at, mut sum) = (0, 0.0);
        for (index, value) in query.indices().iter().zip(query.values()) {
            at += indices[at..].partition_point(|found| found < index);
            if indices.get(at) == Some(index) {
                sum += value * values[at];
            }
        }
        sum
    }

    /// Hands every live row that shares a term with `query` and that `accept`
    /// lets pass to `visit`, ascending, with its score; the number of
    /// postings read.
    pub(super) fn score_all(
        &self,
        query: &SparseVector,
        accept: &dyn Fn(u32) -> bool,
        visit: &mut dyn FnMut(u32, f32),
    ) -> usize {
        let lists: Vec<(f32, &[u32], &[f32])> = query
            .indices()
            .iter()
            .zip(query.values())
            .filter_map(|(term, value)| {
                let at = self.terms.binary_search(term).ok()?;
                let range = self.starts[at] as usize..self.starts[at + 1] as usize;
                Some((*value, &self.rows[range.clone()], &self.weights[range]))
            })
            .collect();
        let postings: usize = lists.iter().map(|list| list.1.len()).sum();
        let rows = self.offsets.len() - 1;
        if rows / ROWS_PER_POSTING > postings {
            score_few(&lists, postings, accept, visit);
        } else {
            score_many(&lists, rows, accept, visit);
        }
        postings
    }
}

/// Sorts the postings by row, each row's in the order of the terms.
fn score_few(
    lists: &[(f32, &[u32], &[f32])],
    postings: usize,
    accept: &dyn Fn(u32) -> bool,
    visit: &mut dyn FnMut(u32, f32),
) {
    let mut products: Vec<(u32, f32)> = Vec::with_capacity(postings);
    for (value, rows, weights) in lists {
        products.extend(rows.iter().zip(*weights).map(|(&row, weight)| (row, value * weight)));
    }
    // Stable: the products of a row stay in the order of the terms.
    products.sort_by_key(|product| product.0);
    for products in products.chunk_by(|a, b| a.0 == b.0) {
        let row = products[0].0;
        if accept(row) {
            visit(row, products.iter().fold(0.0, |sum, product| sum + product.1));
        }
    }
}

/// Keeps a sum for each row of the segment, and a bit for those met.
fn score_many(
    lists: &[(f32, &[u32], &[f32])],
    rows: usize,
    accept: &dyn Fn(u32) -> bool,
    visit: &mut dyn FnMut(u32, f32),
) {
    let mut sums = vec![0.0_f32; rows];
    let mut met = vec![0_u64; rows.div_ceil(64)];
    for (value, rows, weights) in lists {
        for (&row, weight) in rows.iter().zip(*weights) {
            sums[row as usize] += value * weight;
            met[row as usize / 64] |= 1 << (row % 64);
        }
    }
    for (word, bits) in (0_u32..).zip(met) {
        let mut rest = bits;
        while rest != 0 {
            let row = word * 64 + rest.trailing_zeros();
            rest &= rest - 1;
            if accept(row) {
                visit(row, sums[row as usize]);
            }
        }
    }
}

/// A section of as many row or term numbers as values, the numbers first.
fn halves<'a>(
    section: &'static str,
    bytes: &'a [u8],
) -> Result<(&'a [u32], &'a [f32]), FormatError> {
    if !bytes.len().is_multiple_of(8) {
        let found = format!("{} bytes", bytes.len());
        return Err(FormatError::damaged(section, found, "a multiple of 8"));
    }
    let (numbers, values) = bytes.split_at(bytes.len() / 2);
    Ok((checked(section, numbers)?, checked(section, values)?))
}

/// The terms section: their count, where each one's postings start, they
/// themselves.
fn terms(bytes: &[u8]) -> Result<(&[u32], &[u64]), FormatError> {
    const SECTION: &str = "sparse terms";
    let count = array::<u64>(SECTION, bytes, 0, 1)?[0];
    let starts: &[u64] = array(SECTION, bytes, 8, count.saturating_add(1))?;
    let terms: &[u32] = array(SECTION, bytes, 8 + size_of_val(starts) as u64, count)?;
    Ok((terms, starts))
}
