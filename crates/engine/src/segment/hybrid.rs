//! Search by a dense and a sparse vector at once: the score of a row is the
//! sum of both products.
//!
//! The dense side gives its nearest rows, whose sums are computed. Any other
//! row's dense product is at most the worst of those (as far as the vector
//! index finds what it should), so it needs a sparse score that makes up for
//! the rest: the sparse bounds say which blocks of rows can have one, and
//! these are looked through. Where they are too many, the dense side is asked
//! for more rows first. What is missed is what the vector index misses.

use crossbill_core::{Metric, SparseVector};

use super::Segment;
use super::search::{Allowed, SegmentQuery};
use super::sparse::{Collect, Lookup, Sparse};
use crate::{RowScores, SearchStats, TopK};

/// Rows the dense side gives first, for each row wanted, and at least.
const DENSE_FACTOR: usize = 4;
const DENSE_MIN: usize = 200;
/// So many times more it is asked for the next time.
const DEEPER: usize = 4;
/// Up to so many rows of sparse blocks for each row of the dense side are
/// looked through rather than asking the dense side for more.
const SPARSE_PER_DENSE: usize = 16;

/// A dense and a sparse query over both parts of the rows.
pub(super) struct Hybrid<'a> {
    pub(super) dense: &'a [f32],
    /// The dense products.
    pub(super) products: &'a dyn RowScores,
    pub(super) sparse: &'a SparseVector,
    pub(super) lookup: Lookup,
    pub(super) index: Sparse<'a>,
}

impl Hybrid<'_> {
    fn dense(&self, row: u32) -> f32 {
        self.products.score(row)
    }

    /// The score of `row`, whose dense product is given.
    fn score(&self, row: u32, dense: f32) -> f32 {
        dense + self.index.score(&self.lookup, row).unwrap_or(0.0)
    }
}

impl Segment {
    pub(super) fn search_hybrid(
        &self,
        hybrid: &Hybrid<'_>,
        query: &SegmentQuery<'_>,
        allowed: Allowed<'_>,
        top: &mut TopK,
        stats: &mut SearchStats,
    ) {
        let bounded = hybrid.index.bounded(hybrid.sparse);
        stats.codes_scanned = stats.codes_scanned.saturating_add(bounded.len() as u32);
        let mut depth = query.top_k.saturating_mul(DENSE_FACTOR).max(DENSE_MIN);
        while let Some(ivf) = self.index_for(depth, query.effort, allowed) {
            let mut by_dense = TopK::new(Metric::DotProduct, depth);
            let Hybrid { dense, products, .. } = *hybrid;
            let (effort, list) = (query.effort, &mut by_dense);
            *stats += self.search_index(ivf, dense, products, effort, allowed, list);
            let floor = by_dense.worst();
            let mut rest = Rest::new(hybrid, allowed, by_dense, query.top_k);
            stats.reranked = stats.reranked.saturating_add(rest.listed.len() as u32);
            let Some(floor) = floor else {
                // A list that is not full has every row.
                *top = rest.top;
                return;
            };
            rest.floor = floor;
            let needed = rest.threshold().unwrap_or(f32::NEG_INFINITY);
            // Rows that share no term may be better than those found.
            let any_row = needed.is_nan() || needed <= 0.0;
            let deeper = depth.saturating_mul(DEEPER);
            let many = depth.saturating_mul(SPARSE_PER_DENSE);
            if (any_row || bounded.rows_within(needed) > many)
                && self.index_for(deeper, query.effort, allowed).is_some()
            {
                depth = deeper;
            } else if any_row {
                break;
            } else {
                let scored = bounded.search(&hybrid.lookup, query.top_k, &mut rest);
                stats.reranked = stats.reranked.saturating_add(scored);
                *top = rest.top;
                return;
            }
        }
        let mut scored = 0_u32;
        for row in allowed.iter() {
            top.push(row, hybrid.score(row, hybrid.dense(row)));
            scored += 1;
        }
        stats.reranked = stats.reranked.saturating_add(scored);
    }
}

/// Rows that the dense side did not list.
struct Rest<'a> {
    hybrid: &'a Hybrid<'a>,
    allowed: Allowed<'a>,
    /// The rows listed, ascending.
    listed: Vec<u32>,
    /// What the dense product of any other row is at most.
    floor: f32,
    top: TopK,
}

impl<'a> Rest<'a> {
    /// Scores the rows listed.
    fn new(hybrid: &'a Hybrid<'a>, allowed: Allowed<'a>, by_dense: TopK, top_k: usize) -> Self {
        let mut top = TopK::new(Metric::DotProduct, top_k);
        let mut listed = Vec::with_capacity(by_dense.len());
        for found in by_dense.into_sorted() {
            top.push(found.row, hybrid.score(found.row, found.score));
            listed.push(found.row);
        }
        listed.sort_unstable();
        Self { hybrid, allowed, listed, floor: f32::NEG_INFINITY, top }
    }
}

impl Collect for Rest<'_> {
    /// What is missing to the worst row kept, less what rounding can do.
    fn threshold(&self) -> Option<f32> {
        let worst = self.top.worst()?;
        let rounding = (worst.abs() + self.floor.abs()) * 4.0 * f32::EPSILON;
        Some(worst - self.floor - rounding)
    }

    fn offer(&mut self, row: u32, _score: f32) {
        if self.listed.binary_search(&row).is_err() && self.allowed.contains(row) {
            self.top.push(row, self.hybrid.score(row, self.hybrid.dense(row)));
        }
    }
}
