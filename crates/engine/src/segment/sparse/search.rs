//! Visits the blocks that may hold wanted rows, from the highest bound down,
//! and scores their rows. Who wants which rows, a [`Collect`] says.

use crossbill_core::SparseVector;

use super::bounds::Upper;
use super::{BLOCK_ROWS, Lookup, Sparse};

/// Neighbouring blocks whose largest bound is looked at first.
const GROUP_BLOCKS: usize = 32;
/// At least so many blocks are visited in the order of their bounds, so that
/// what is wanted is known before the rest is looked at.
const ORDERED_MIN: usize = 16;

/// Takes rows, and says which ones it still wants.
pub(in super::super) trait Collect {
    /// Rows that score below this are not wanted; none where all are that
    /// share a term. Never falls.
    fn threshold(&self) -> Option<f32>;
    /// Takes a row that does not score below the threshold.
    fn offer(&mut self, row: u32, score: f32);
}

/// A query's bounds on all blocks of a segment.
pub(in super::super) struct Bounded<'a> {
    sparse: Sparse<'a>,
    ranges: Vec<Upper>,
}

impl<'a> Sparse<'a> {
    /// The bounds for a query.
    pub(in super::super) fn bounded(&self, query: &SparseVector) -> Bounded<'a> {
        let ranges = (0..self.bounds.ranges()).filter_map(|range| self.bounds.upper(range, query));
        Bounded { sparse: *self, ranges: ranges.collect() }
    }
}

impl Bounded<'_> {
    /// Bounds there are.
    pub(in super::super) fn len(&self) -> usize {
        self.ranges.iter().map(|upper| upper.bounds.len()).sum()
    }

    /// Rows of the blocks that reach `threshold`, at most.
    pub(in super::super) fn rows_within(&self, threshold: f32) -> usize {
        let within = |upper: &Upper| {
            upper.bounds.iter().filter(|bound| **bound >= threshold - upper.slack).count()
        };
        self.ranges.iter().map(within).sum::<usize>() * BLOCK_ROWS as usize
    }

    /// Offers all rows that share a term with the query and that `collect`
    /// wants, which is about `wanted` rows. The number of rows scored.
    pub(in super::super) fn search(
        &self,
        query: &Lookup,
        wanted: usize,
        collect: &mut impl Collect,
    ) -> u32 {
        let mut visit = Visit {
            sparse: self.sparse,
            query,
            collect,
            score_min: f32::NEG_INFINITY,
            bound_min: f32::NEG_INFINITY,
            places: Vec::new(),
            scored: 0,
        };
        for upper in &self.ranges {
            visit.range(upper, wanted.max(ORDERED_MIN));
        }
        visit.scored
    }
}

struct Visit<'a, C> {
    sparse: Sparse<'a>,
    query: &'a Lookup,
    collect: &'a mut C,
    /// The least score that is wanted.
    score_min: f32,
    /// The least bound of blocks that may have such a score.
    bound_min: f32,
    /// Entries of a block that may be of the query.
    places: Vec<u32>,
    scored: u32,
}

impl<C: Collect> Visit<'_, C> {
    fn range(&mut self, upper: &Upper, ordered_min: usize) {
        self.refresh(upper);
        let groups: Vec<f32> = upper.bounds.chunks(GROUP_BLOCKS).map(largest).collect();
        let floor = nth_largest(&groups, ordered_min);
        let mut ordered: Vec<(f32, u32)> = Vec::new();
        for (group, _) in groups.iter().enumerate().filter(|(_, bound)| **bound >= floor) {
            ordered.extend(numbered(upper, group).filter(|(bound, _)| *bound >= floor));
        }
        ordered.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (at, &(bound, block)) in ordered.iter().enumerate() {
            if bound < self.bound_min {
                // So are all that are not in the list.
                return;
            }
            if let Some(&(_, next)) = ordered.get(at + 1) {
                self.sparse.rows.prefetch(upper.first_row + next * BLOCK_ROWS);
            }
            self.block(upper, block);
        }
        for (group, &bound) in groups.iter().enumerate() {
            if bound < self.bound_min {
                continue;
            }
            for (bound, block) in numbered(upper, group) {
                if bound < floor && bound >= self.bound_min {
                    self.block(upper, block);
                }
            }
        }
    }

    /// Asks what is wanted now.
    fn refresh(&mut self, upper: &Upper) {
        // No score is known to be below NaN.
        let threshold = self.collect.threshold().filter(|threshold| !threshold.is_nan());
        self.score_min = threshold.unwrap_or(f32::NEG_INFINITY);
        let least = if upper.zero_is_none { f32::MIN_POSITIVE } else { f32::NEG_INFINITY };
        self.bound_min = least.max(self.score_min - upper.slack);
    }

    /// Scores the rows of a block.
    fn block(&mut self, upper: &Upper, block: u32) {
        let first = upper.first_row + block * BLOCK_ROWS;
        let end = self.sparse.rows.count().min(first + BLOCK_ROWS);
        self.scored += end - first;
        let (indices, values, start) = self.sparse.rows.entries_of(first, end);
        if self.places.len() < indices.len() {
            self.places.resize(indices.len(), 0);
        }
        let count = self.query.candidates(indices, &mut self.places);
        let mut at = 0;
        for row in first..end {
            let row_end = self.sparse.rows.end_of(row) - start;
            let (mut sum, mut shares) = (0.0, false);
            while at < count && (self.places[at] as usize) < row_end {
                let place = self.places[at] as usize;
                let weight = self.query.weight(indices[place]);
                if weight != 0.0 {
                    sum += weight * values[place];
                    shares = true;
                }
                at += 1;
            }
            // NaN is not below anything.
            if shares && (sum >= self.score_min || sum.is_nan()) {
                self.collect.offer(row, sum);
                self.refresh(upper);
            }
        }
    }
}

/// The bounds of a group's blocks, and their numbers.
fn numbered(upper: &Upper, group: usize) -> impl Iterator<Item = (f32, u32)> + '_ {
    let first = group * GROUP_BLOCKS;
    upper.bounds[first..].iter().take(GROUP_BLOCKS).copied().zip(first as u32..)
}

/// The largest of some bounds, none of which is NaN.
fn largest(bounds: &[f32]) -> f32 {
    let (eights, rest) = bounds.as_chunks::<8>();
    let mut lanes = [0.0_f32; 8];
    for eight in eights {
        for lane in 0..8 {
            lanes[lane] = if eight[lane] > lanes[lane] { eight[lane] } else { lanes[lane] };
        }
    }
    lanes.iter().chain(rest).fold(0.0, |a, &b| if b > a { b } else { a })
}

/// The `n`-th largest of some bounds; 0, which none is below, where there are
/// fewer.
fn nth_largest(bounds: &[f32], n: usize) -> f32 {
    let mut sorted = bounds.to_vec();
    if sorted.len() <= n {
        return 0.0;
    }
    let (_, &mut nth, _) = sorted.select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a));
    nth
}
