//! Collects the rows that may be among the nearest, by the bounds of their
//! codes.

use std::collections::BinaryHeap;

use crate::kernels::{BLOCK_ROWS, BoundTerms};
use crate::rabitq::{Block, Bounds, QueryCode, block_bytes};
use crate::topk;

/// A row that may be among the nearest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Its distance is hardly less than this; NaN where nothing is known.
    pub(super) lower: f32,
    pub(super) row: u32,
}

/// The rows found so far whose lower bound is under the threshold: the k-th
/// smallest upper bound.
#[derive(Default)]
pub(super) struct Gather {
    k: usize,
    threshold: f32,
    /// The k smallest upper bounds, largest first.
    uppers: BinaryHeap<u32>,
    found: Vec<Candidate>,
    bounds: Bounds,
}

impl Gather {
    /// Begins anew: the `k` nearest are wanted, and nothing from `threshold` on.
    pub(super) fn reset(&mut self, k: usize, threshold: f32) {
        self.k = k;
        self.threshold = threshold;
        self.uppers.clear();
        self.found.clear();
    }

    /// Rows wanted.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Whether `k` accepted rows were found.
    pub(super) fn is_full(&self) -> bool {
        self.uppers.len() >= self.k
    }

    /// Reads the first `rows` rows of a list's blocks.
    pub(super) fn scan(
        &mut self,
        blocks: &[u8],
        rows: usize,
        query: &QueryCode,
        mut terms: BoundTerms,
        accept: &mut impl FnMut(u32) -> bool,
    ) {
        let dimension = query.dimension();
        let mut left = rows;
        for bytes in blocks.chunks_exact(block_bytes(dimension)) {
            let block = Block::new(dimension, bytes);
            terms.threshold = self.threshold;
            let mut wanted = block.bounds(query, &terms, &mut self.bounds);
            if left < BLOCK_ROWS {
                wanted &= (1 << left) - 1;
            }
            left = left.saturating_sub(BLOCK_ROWS);
            while wanted != 0 {
                let place = wanted.trailing_zeros() as usize;
                wanted &= wanted - 1;
                let (lower, upper) = (self.bounds.lower[place], self.bounds.upper[place]);
                let row = block.row(place);
                if !reaches(lower, self.threshold) && accept(row) {
                    self.add(Candidate { lower, row }, upper);
                }
            }
        }
    }

    fn add(&mut self, candidate: Candidate, upper: f32) {
        self.found.push(candidate);
        let upper = topk::to_ordered(upper);
        if self.uppers.len() < self.k {
            self.uppers.push(upper);
        } else if let Some(mut largest) = self.uppers.peek_mut()
            && upper < *largest
        {
            *largest = upper;
        }
        if self.uppers.len() >= self.k
            && let Some(&largest) = self.uppers.peek()
        {
            let upper = topk::from_ordered(largest);
            if upper < self.threshold {
                self.threshold = upper;
            }
        }
    }

    /// The rows that are still candidates, nearest lower bound first (unknown
    /// ones before all others).
    pub(super) fn sorted(&mut self) -> &[Candidate] {
        let threshold = self.threshold;
        self.found.retain(|candidate| !exceeds(candidate.lower, threshold));
        let key = |candidate: &Candidate| match candidate.lower {
            lower if lower.is_nan() => 0,
            lower => topk::to_ordered(lower),
        };
        self.found.sort_unstable_by_key(|candidate| (key(candidate), candidate.row));
        &self.found
    }

    /// The rows that are still candidates, in no order.
    pub(super) fn unsorted(&self) -> impl Iterator<Item = u32> {
        let within = |candidate: &&Candidate| !exceeds(candidate.lower, self.threshold);
        self.found.iter().filter(within).map(|candidate| candidate.row)
    }
}

/// Whether a bound leaves nothing to gain; never where it is NaN.
fn reaches(bound: f32, threshold: f32) -> bool {
    bound >= threshold
}

/// The same where a tie may still be one of the wanted.
fn exceeds(bound: f32, threshold: f32) -> bool {
    bound > threshold
}
