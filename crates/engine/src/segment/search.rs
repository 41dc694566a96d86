//! Which rows of a segment are nearest? Chooses between scoring rows one by
//! one, the vector index, the sparse bounds, and dense and sparse together
//! (`hybrid`). Every score that leaves here is exact.

use crossbill_core::{SparseVector, VectorType};
use roaring::RoaringBitmap;

use super::Segment;
use super::hybrid::Hybrid;
use super::layout::Kind;
use super::matching::Matching;
use super::sparse::{Collect, Lookup, Sparse};
use crate::ivf::is_worth_listing;
use crate::{Accept, Effort, Ivf, RowScores, Scored, SearchStats, TopK};

/// Up to this many rows let through by a filter are scored one by one by their
/// sparse vectors.
const FILTERED_ROWS_MIN: u64 = 5_000;
/// So are those that are at most one row in this many.
const FILTERED_ROWS_SHARE: u64 = 50;
/// A query that wants one row in this many or more scores them all.
const WANTED_ROWS_SHARE: u64 = 8;

/// What is asked of a segment.
#[derive(Debug, Clone, Copy)]
pub struct SegmentQuery<'a> {
    /// The dense query vector, of the index's dimension. Without it a record's
    /// dense vector counts nothing.
    pub dense: Option<&'a [f32]>,
    /// The sparse query vector. Without it a record's sparse vector counts
    /// nothing.
    pub sparse: Option<&'a SparseVector>,
    /// Rows wanted.
    pub top_k: usize,
    /// How hard to look where the segment is not scanned.
    pub effort: Effort,
}

/// The rows that may be found.
#[derive(Clone, Copy)]
pub(super) struct Allowed<'a> {
    rows: u32,
    superseded: &'a RoaringBitmap,
    skip: &'a RoaringBitmap,
    only: Option<&'a Matching>,
}

impl<'a> Allowed<'a> {
    pub(super) fn contains(&self, row: u32) -> bool {
        // The filter is asked first: its answer is one load away.
        self.only.is_none_or(|only| only.contains(row))
            && !self.skip.contains(row)
            && !self.superseded.contains(row)
    }

    /// Whether every row may be found.
    fn is_all(&self) -> bool {
        self.only.is_none() && self.skip.is_empty() && self.superseded.is_empty()
    }

    /// Rows at most, without taking the sets apart.
    fn count_max(&self) -> u64 {
        let live = u64::from(self.rows) - self.superseded.len();
        self.only.map_or(live, |only| only.len().min(live))
    }

    /// The rows, ascending.
    pub(super) fn iter(self) -> Box<dyn Iterator<Item = u32> + 'a> {
        match self.only {
            Some(only) => Box::new(
                only.iter()
                    .filter(move |&row| !self.skip.contains(row) && !self.superseded.contains(row)),
            ),
            None if self.skip.is_empty() && self.superseded.is_empty() => Box::new(0..self.rows),
            None => Box::new((0..self.rows).filter(move |&row| self.contains(row))),
        }
    }
}

impl Segment {
    /// The nearest of the rows that are not superseded, not in `skip`, and in
    /// `only` where that is given; nearest first, ties by lower row.
    ///
    /// Under cosine, dot product and Euclidean distance alike the dense query
    /// finds any row. A query with a sparse vector alone finds the rows that
    /// share a term with it. One with both finds any row by the sum of both
    /// dot products.
    ///
    /// # Panics
    /// Where the dense query's length is not the index's dimension.
    pub fn search(
        &self,
        query: &SegmentQuery<'_>,
        skip: &RoaringBitmap,
        only: Option<&Matching>,
    ) -> (Vec<Scored>, SearchStats) {
        let shape = &self.facts.shape;
        let dense = query.dense.filter(|_| shape.vector_type == VectorType::Dense);
        let allowed = Allowed { rows: self.rows(), superseded: &self.superseded, skip, only };
        let mut stats = SearchStats { segments: 1, ..SearchStats::default() };
        let mut top = TopK::new(shape.metric_of(dense.is_some()), query.top_k);
        if query.top_k == 0 || allowed.count_max() == 0 {
            return (Vec::new(), stats);
        }
        match (dense, query.sparse, self.sparse_part()) {
            (Some(dense), Some(vector), Some(index)) => {
                self.check_dimension(dense);
                self.vectors().with_scores(dense, |products| {
                    let lookup = Lookup::new(vector);
                    let hybrid = Hybrid { dense, products, sparse: vector, lookup, index };
                    self.search_hybrid(&hybrid, query, allowed, &mut top, &mut stats);
                });
            }
            // No row has a sparse vector: its part of every sum is 0.
            (Some(dense), _, _) => self.search_dense(dense, query, allowed, &mut top, &mut stats),
            (None, Some(vector), Some(index)) => {
                self.search_sparse(index, vector, allowed, &mut top, &mut stats);
            }
            (None, _, _) => {}
        }
        (top.into_sorted(), stats)
    }

    /// The vector index, where it is worth its while.
    pub(super) fn index_for(
        &self,
        top_k: usize,
        effort: Effort,
        allowed: Allowed<'_>,
    ) -> Option<&Ivf> {
        let (ivf, matching) = (self.ivf.as_ref()?, allowed.count_max());
        let many_wanted = top_k as u64 >= matching / WANTED_ROWS_SHARE;
        let is_worth =
            || allowed.only.is_none() || ivf.is_worth_reading(effort, top_k, matching, self.rows());
        (!many_wanted && is_worth()).then_some(ivf)
    }

    /// Whether a filter leaves so few rows that they are scored one by one.
    fn lets_few_through(&self, allowed: Allowed<'_>) -> bool {
        let (rows, count) = (u64::from(self.rows()), allowed.count_max());
        allowed.only.is_some() && (count < FILTERED_ROWS_MIN || count < rows / FILTERED_ROWS_SHARE)
    }

    fn search_dense(
        &self,
        dense: &[f32],
        query: &SegmentQuery<'_>,
        allowed: Allowed<'_>,
        top: &mut TopK,
        stats: &mut SearchStats,
    ) {
        self.check_dimension(dense);
        if let Some(ivf) = self.index_for(query.top_k, query.effort, allowed) {
            *stats += self.vectors().with_scores(dense, |scores| {
                self.search_index(ivf, dense, scores, query.effort, allowed, top)
            });
            return;
        }
        let mut scored = 0_u32;
        self.vectors().scan(dense, allowed.iter().inspect(|_| scored += 1), top);
        stats.reranked = stats.reranked.saturating_add(scored);
    }

    /// Few rows are scored one by one, many by way of their bounds.
    fn search_sparse(
        &self,
        index: Sparse<'_>,
        vector: &SparseVector,
        allowed: Allowed<'_>,
        top: &mut TopK,
        stats: &mut SearchStats,
    ) {
        let lookup = Lookup::new(vector);
        let mut scored = 0_u32;
        if self.lets_few_through(allowed) {
            for row in allowed.iter() {
                scored += 1;
                index.score(&lookup, row).into_iter().for_each(|score| top.push(row, score));
            }
        } else {
            let bounded = index.bounded(vector);
            stats.codes_scanned = stats.codes_scanned.saturating_add(bounded.len() as u32);
            let wanted = top.k();
            scored = bounded.search(&lookup, wanted, &mut Nearest { top, allowed });
        }
        stats.reranked = stats.reranked.saturating_add(scored);
    }

    pub(super) fn search_index(
        &self,
        ivf: &Ivf,
        dense: &[f32],
        scores: &dyn RowScores,
        effort: Effort,
        allowed: Allowed<'_>,
        top: &mut TopK,
    ) -> SearchStats {
        let postings = self.section(Kind::IvfPostings);
        let contains = |row| allowed.contains(row);
        let lists = allowed.only.filter(|only| is_worth_listing(only.len(), allowed.rows));
        let accept = (!allowed.is_all()).then(|| Accept {
            contains: &contains,
            part: allowed.count_max() as f32 / allowed.rows as f32,
            lists: lists.map(|only| only.lists(ivf, postings)),
        });
        let found = ivf.search(postings, dense, effort, accept, scores, top);
        SearchStats { segments: 0, ..found }
    }

    pub(super) fn check_dimension(&self, dense: &[f32]) {
        assert_eq!(
            dense.len(),
            self.facts.shape.dimension as usize,
            "the caller checks a query's dimension"
        );
    }
}

/// The nearest of the allowed rows by their sparse vectors.
struct Nearest<'a> {
    top: &'a mut TopK,
    allowed: Allowed<'a>,
}

impl Collect for Nearest<'_> {
    fn threshold(&self) -> Option<f32> {
        self.top.worst()
    }

    fn offer(&mut self, row: u32, score: f32) {
        if self.allowed.contains(row) {
            self.top.push(row, score);
        }
    }
}
