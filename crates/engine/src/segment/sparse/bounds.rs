//! The upper bounds in the file, term by term, and what they add up to for a
//! query. Knows no rows' entries; docs/format.md has the layout.

use crossbill_core::SparseVector;

use super::super::bytes_view::{array, check_starts, checked, view};
use super::{BLOCK_ROWS, RANGE_ROWS_MAX};
use crate::FormatError;
use crate::kernels;

const TERMS: &str = "sparse terms";
const BOUNDS: &str = "sparse bounds";
/// A term's bounds stand for every block, not as a list of blocks.
pub(super) const EVERY_BLOCK: u64 = 1;
/// The term has negative weights, which have bounds of their own.
pub(super) const SIGNED: u64 = 2;
/// Bits of a start below its offset.
pub(super) const FLAG_BITS: u32 = 2;

/// The bounds of all ranges.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    rows: u32,
    range_rows: u32,
    /// The number of the first term of each range; last, of all terms.
    firsts: &'a [u64],
    /// Where each term's bounds begin, above its flags.
    starts: &'a [u64],
    terms: &'a [u32],
    /// What one step of each term's bounds is worth.
    steps: &'a [f32],
    bytes: &'a [u8],
}

/// One term's bounds in a range.
struct TermBounds<'a> {
    /// The blocks they are of; none where they are of all.
    blocks: Option<&'a [u16]>,
    /// Steps of the largest weight of each block.
    above: &'a [u8],
    /// Steps of the largest magnitude of a negative weight; empty where the
    /// term has none.
    below: &'a [u8],
}

/// What the rows of each block of a range score at most.
#[derive(Debug)]
pub(super) struct Upper {
    /// The range's first row.
    pub(super) first_row: u32,
    pub(super) bounds: Vec<f32>,
    /// How far a score may be above its bound by rounding.
    pub(super) slack: f32,
    /// Whether no row of a block whose bound is 0 shares a term.
    pub(super) zero_is_none: bool,
}

impl<'a> Bounds<'a> {
    /// The sections of a segment of `rows` rows, whose contents are not
    /// looked at yet.
    pub(super) fn read(rows: u32, terms: &'a [u8], bytes: &'a [u8]) -> Result<Self, FormatError> {
        let range_rows = array::<u64>(TERMS, terms, 0, 1)?[0];
        if range_rows == 0
            || range_rows > RANGE_ROWS_MAX.into()
            || !range_rows.is_multiple_of(BLOCK_ROWS.into())
        {
            let found = format!("ranges of {range_rows} rows");
            let expected = format!("a multiple of {BLOCK_ROWS} up to {RANGE_ROWS_MAX}");
            return Err(FormatError::damaged(TERMS, found, expected));
        }
        let range_rows = range_rows as u32;
        let ranges = u64::from(rows.div_ceil(range_rows));
        let firsts: &[u64] = array(TERMS, terms, 8, ranges + 1)?;
        let count = firsts[ranges as usize];
        let at = 8 + size_of_val(firsts) as u64;
        let starts: &[u64] = array(TERMS, terms, at, count.saturating_add(1))?;
        let at = at + size_of_val(starts) as u64;
        let steps: &[f32] = array(TERMS, terms, at, count)?;
        let terms: &[u32] = array(TERMS, terms, at + size_of_val(steps) as u64, count)?;
        Ok(Self { rows, range_rows, firsts, starts, terms, steps, bytes })
    }

    /// Checks what a search relies on.
    pub(super) fn check(&self) -> Result<(), FormatError> {
        check_starts(TERMS, self.firsts, self.terms.len() as u64)?;
        let offsets: Vec<u64> = self.starts.iter().map(|start| start >> FLAG_BITS).collect();
        check_starts(TERMS, &offsets, self.bytes.len() as u64)?;
        if let Some(odd) = offsets.iter().find(|&offset| offset % 2 != 0) {
            let found = format!("bounds at byte {odd}");
            return Err(FormatError::damaged(TERMS, found, "a multiple of 2"));
        }
        for range in 0..self.ranges() {
            for term in self.terms_of(range) {
                self.check_term(range, term)?;
            }
        }
        Ok(())
    }

    fn check_term(&self, range: usize, term: usize) -> Result<(), FormatError> {
        let blocks = self.blocks(range);
        let bytes = self.bytes_of(term);
        if self.starts[term] & EVERY_BLOCK != 0 {
            let rows = if self.starts[term] & SIGNED == 0 { 1 } else { 2 };
            let expected = rows * blocks.next_multiple_of(2);
            if bytes.len() != expected {
                let found = format!("{} bytes of term {term}", bytes.len());
                return Err(FormatError::damaged(BOUNDS, found, expected.to_string()));
            }
            return Ok(());
        }
        let listed: &[u16] = checked(BOUNDS, &bytes[..self.listed(term) * 2])?;
        match listed.iter().max() {
            Some(&block) if usize::from(block) >= blocks => {
                let expected = format!("blocks below {blocks}");
                Err(FormatError::damaged(BOUNDS, format!("block {block}"), expected))
            }
            _ => Ok(()),
        }
    }

    /// Checks what right answers rely on, beside that bounds are high enough.
    pub(super) fn verify(&self) -> Result<(), FormatError> {
        for range in 0..self.ranges() {
            let terms = self.terms_of(range);
            if !self.terms[terms.clone()].is_sorted_by(|a, b| a < b) {
                return Err(FormatError::damaged(TERMS, "terms out of order", "ascending"));
            }
            for term in terms {
                if !self.steps[term].is_normal() || self.steps[term] < 0.0 {
                    let found = format!("a step of {}", self.steps[term]);
                    return Err(FormatError::damaged(TERMS, found, "one above 0"));
                }
                let listed = self.term(range, term).blocks.unwrap_or_default();
                if !listed.is_sorted_by(|a, b| a < b) {
                    return Err(FormatError::damaged(BOUNDS, "blocks out of order", "ascending"));
                }
            }
        }
        Ok(())
    }

    /// Whether the bound of `row` in `term` is at least `weight`, whatever
    /// the query's sign.
    pub(super) fn covers(&self, row: u32, term: u32, weight: f32) -> bool {
        let range = (row / self.range_rows) as usize;
        let block = (row % self.range_rows / BLOCK_ROWS) as usize;
        let Some(term) = self.find(range, term) else { return false };
        let bounds = self.term(range, term);
        let at = match bounds.blocks {
            None => Some(block),
            Some(blocks) => blocks.binary_search(&(block as u16)).ok(),
        };
        let steps = if weight > 0.0 { bounds.above } else { bounds.below };
        let steps = at.and_then(|at| steps.get(at));
        let magnitude = f64::from(weight).abs();
        steps.is_some_and(|&steps| f64::from(steps) * f64::from(self.steps[term]) >= magnitude)
    }

    /// What rows of `range` score at most; none where no row has a term of
    /// the query.
    pub(super) fn upper(&self, range: usize, query: &SparseVector) -> Option<Upper> {
        let mut bounds = Vec::new();
        let (mut total, mut count, mut zero_is_none) = (0.0_f64, 0_u32, true);
        for (&index, &weight) in query.indices().iter().zip(query.values()) {
            let Some(term) = self.find(range, index) else { continue };
            if bounds.is_empty() {
                bounds = vec![0.0; self.blocks(range)];
            }
            let found = self.term(range, term);
            let factor = weight.abs() * self.steps[term];
            found.add_to(&mut bounds, weight > 0.0, factor);
            total += f64::from(weight.abs()) * f64::from(self.steps[term]) * 255.0;
            count += 1;
            // Only positive products leave a trace in the bounds.
            zero_is_none &= weight > 0.0 && found.below.is_empty() && factor.is_normal();
        }
        if count == 0 {
            return None;
        }
        if total.is_nan() || total > f64::from(f32::MAX) / 4.0 {
            // Sums may leave the range of f32: no bound holds.
            bounds.fill(f32::INFINITY);
        }
        // Each product and each sum is rounded once in the score and once in
        // the bound; products too small for f32 are off by less than the
        // smallest number there is.
        let slack = total * f64::from(count + 8) * f64::from(f32::EPSILON)
            + f64::from(count) * f64::from(f32::MIN_POSITIVE);
        let first_row = range as u32 * self.range_rows;
        Some(Upper { first_row, bounds, slack: slack as f32, zero_is_none })
    }

    /// Ranges of rows there are.
    pub(super) fn ranges(&self) -> usize {
        self.firsts.len() - 1
    }

    /// Blocks of `range`.
    fn blocks(&self, range: usize) -> usize {
        let rows = self.rows - range as u32 * self.range_rows;
        rows.min(self.range_rows).div_ceil(BLOCK_ROWS) as usize
    }

    fn terms_of(&self, range: usize) -> std::ops::Range<usize> {
        self.firsts[range] as usize..self.firsts[range + 1] as usize
    }

    /// The number of `term` in `range`.
    fn find(&self, range: usize, term: u32) -> Option<usize> {
        let terms = self.terms_of(range);
        Some(terms.start + position(&self.terms[terms], term)?)
    }

    fn bytes_of(&self, term: usize) -> &'a [u8] {
        let offset = |start: u64| (start >> FLAG_BITS) as usize;
        &self.bytes[offset(self.starts[term])..offset(self.starts[term + 1])]
    }

    /// Blocks that the list of `term` names: each takes two bytes, and one
    /// more for each sign.
    fn listed(&self, term: usize) -> usize {
        let each = if self.starts[term] & SIGNED == 0 { 3 } else { 4 };
        self.bytes_of(term).len() / each
    }

    fn term(&self, range: usize, term: usize) -> TermBounds<'a> {
        let bytes = self.bytes_of(term);
        let (every, signed) =
            (self.starts[term] & EVERY_BLOCK != 0, self.starts[term] & SIGNED != 0);
        let (blocks, rest, count, width) = if every {
            let blocks = self.blocks(range);
            (None, bytes, blocks, blocks.next_multiple_of(2))
        } else {
            let count = self.listed(term);
            let (blocks, rest) = bytes.split_at(count * 2);
            (Some(view(blocks)), rest, count, count)
        };
        let below = if signed { &rest[width..][..count] } else { &[] };
        TermBounds { blocks, above: &rest[..count], below }
    }
}

/// Where `wanted` stands in `terms`, which ascend. They are numbered without
/// gaps, or spread evenly by a hash: the search begins where it should be.
fn position(terms: &[u32], wanted: u32) -> Option<usize> {
    let (&first, &last) = (terms.first()?, terms.last()?);
    if wanted < first || wanted > last {
        return None;
    }
    let width = u64::from(last - first).max(1);
    let guess = (u64::from(wanted - first) * (terms.len() as u64 - 1) / width) as usize;
    let (mut low, mut high, mut step) = (guess, guess, 1);
    while terms[low] > wanted && low > 0 {
        low = low.saturating_sub(step);
        step *= 4;
    }
    while terms[high] < wanted && high + 1 < terms.len() {
        high = (high + step).min(terms.len() - 1);
        step *= 4;
    }
    terms[low..=high].binary_search(&wanted).ok().map(|at| low + at)
}

impl TermBounds<'_> {
    /// Adds `factor` times the bounds to those of the blocks.
    fn add_to(&self, bounds: &mut [f32], positive: bool, factor: f32) {
        let steps = if positive { self.above } else { self.below };
        match self.blocks {
            // Without negative weights a negative query adds nothing above 0.
            _ if steps.is_empty() => {}
            None => kernels::add_scaled_bytes(bounds, steps, factor),
            Some(blocks) => {
                for (&block, &steps) in blocks.iter().zip(steps) {
                    bounds[usize::from(block)] += factor * f32::from(steps);
                }
            }
        }
    }
}
