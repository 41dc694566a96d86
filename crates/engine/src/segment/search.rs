//! Which rows of a segment are nearest? Chooses between scoring rows one by
//! one, the vector index, the sparse index, and dense and sparse together.
//! Every score that leaves here is exact.

use crossbill_core::{Metric, SparseVector, VectorType};
use roaring::RoaringBitmap;

use super::Segment;
use super::layout::Kind;
use super::reader::Vectors;
use super::sparse::Sparse;
use crate::exact::VectorScores;
use crate::{Effort, Ivf, Scored, SearchStats, TopK, exact, kernels};

/// Up to this many rows let through by a filter are scored one by one.
const FILTERED_ROWS_MIN: u64 = 5_000;
/// So are those that are at most one row in this many.
const FILTERED_ROWS_SHARE: u64 = 50;
/// A query that wants one row in this many or more scores them all.
const WANTED_ROWS_SHARE: u64 = 8;
/// Candidates each side of a hybrid query gives, for each row wanted, and at
/// least: the best sum may stand somewhat down on both sides.
const HYBRID_CANDIDATES_FACTOR: usize = 4;
const HYBRID_CANDIDATES_MIN: usize = 200;

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
struct Allowed<'a> {
    rows: u32,
    superseded: &'a RoaringBitmap,
    skip: &'a RoaringBitmap,
    only: Option<&'a RoaringBitmap>,
}

impl<'a> Allowed<'a> {
    fn contains(&self, row: u32) -> bool {
        !self.skip.contains(row)
            && !self.superseded.contains(row)
            && self.only.is_none_or(|only| only.contains(row))
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
    fn iter(self) -> Box<dyn Iterator<Item = u32> + 'a> {
        match self.only {
            Some(only) => Box::new(
                only.range(..self.rows)
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
        only: Option<&RoaringBitmap>,
    ) -> (Vec<Scored>, SearchStats) {
        let allowed = Allowed { rows: self.rows(), superseded: &self.superseded, skip, only };
        let mut stats = SearchStats { segments: 1, ..SearchStats::default() };
        let mut top = TopK::new(self.facts.shape.metric, query.top_k);
        let dense = query.dense.filter(|_| self.facts.shape.vector_type == VectorType::Dense);
        if query.top_k == 0 || allowed.count_max() == 0 {
            return (Vec::new(), stats);
        }
        match (dense, query.sparse, self.sparse_part()) {
            (Some(dense), Some(vector), Some(index)) => {
                let hybrid = Hybrid { dense, sparse: vector, index, vectors: self.vectors() };
                self.search_hybrid(&hybrid, query, allowed, &mut top, &mut stats);
            }
            // No row has a sparse vector: its part of every sum is 0.
            (Some(dense), _, _) => self.search_dense(dense, query, allowed, &mut top, &mut stats),
            (None, Some(vector), Some(index)) => {
                search_sparse(index, vector, allowed, &mut top, &mut stats);
            }
            (None, _, _) => {}
        }
        (top.into_sorted(), stats)
    }

    /// The vector index, where it is worth its while.
    fn index_for(&self, top_k: usize, allowed: Allowed<'_>) -> Option<&Ivf> {
        let (rows, count) = (u64::from(self.rows()), allowed.count_max());
        let few = allowed.only.is_some()
            && (count < FILTERED_ROWS_MIN || count < rows / FILTERED_ROWS_SHARE);
        let many_wanted = top_k as u64 >= count / WANTED_ROWS_SHARE;
        self.ivf.as_ref().filter(|_| !few && !many_wanted)
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
        if let Some(ivf) = self.index_for(query.top_k, allowed) {
            *stats += self.search_index(ivf, dense, query.effort, allowed, top);
            return;
        }
        let vectors = self.vectors();
        let mut scored = 0_u32;
        let rows = allowed.iter().inspect(|_| scored += 1).map(|row| (row, vectors.get(row)));
        exact::scan(self.facts.shape.metric, dense, rows, top);
        stats.reranked = stats.reranked.saturating_add(scored);
    }

    fn search_index(
        &self,
        ivf: &Ivf,
        dense: &[f32],
        effort: Effort,
        allowed: Allowed<'_>,
        top: &mut TopK,
    ) -> SearchStats {
        let postings = self.section(Kind::IvfPostings);
        let vectors = self.vectors();
        let scores = VectorScores::new(self.facts.shape.metric, dense, |row| vectors.get(row));
        let accept = |row| row < allowed.rows && allowed.contains(row);
        let accept: Option<&dyn Fn(u32) -> bool> =
            if allowed.is_all() { None } else { Some(&accept) };
        let found = ivf.search(postings, dense, effort, accept, &scores, top);
        SearchStats { segments: 0, ..found }
    }

    fn search_hybrid(
        &self,
        hybrid: &Hybrid<'_>,
        query: &SegmentQuery<'_>,
        allowed: Allowed<'_>,
        top: &mut TopK,
        stats: &mut SearchStats,
    ) {
        self.check_dimension(hybrid.dense);
        let rows = self
            .hybrid_candidates(hybrid, query, allowed, stats)
            .unwrap_or_else(|| allowed.iter().collect());
        stats.reranked = stats.reranked.saturating_add(rows.len() as u32);
        for row in rows {
            top.push(row, hybrid.score(row));
        }
    }

    /// The nearest rows by the dense and by the sparse part, where scoring
    /// all rows is not worth its while.
    fn hybrid_candidates(
        &self,
        hybrid: &Hybrid<'_>,
        query: &SegmentQuery<'_>,
        allowed: Allowed<'_>,
        stats: &mut SearchStats,
    ) -> Option<Vec<u32>> {
        let wanted =
            query.top_k.saturating_mul(HYBRID_CANDIDATES_FACTOR).max(HYBRID_CANDIDATES_MIN);
        let ivf = self.index_for(wanted, allowed)?;
        let mut by_dense = TopK::new(Metric::DotProduct, wanted);
        *stats += self.search_index(ivf, hybrid.dense, query.effort, allowed, &mut by_dense);
        let mut by_sparse = TopK::new(Metric::DotProduct, wanted);
        search_sparse(hybrid.index, hybrid.sparse, allowed, &mut by_sparse, stats);
        let found = by_dense.into_sorted().into_iter().chain(by_sparse.into_sorted());
        let mut rows: Vec<u32> = found.map(|found| found.row).collect();
        rows.sort_unstable();
        rows.dedup();
        Some(rows)
    }

    fn check_dimension(&self, dense: &[f32]) {
        assert_eq!(
            dense.len(),
            self.facts.shape.dimension as usize,
            "the caller checks a query's dimension"
        );
    }
}

/// A dense and a sparse query over both parts of the rows.
struct Hybrid<'a> {
    dense: &'a [f32],
    sparse: &'a SparseVector,
    vectors: Vectors<'a>,
    index: Sparse<'a>,
}

impl Hybrid<'_> {
    fn score(&self, row: u32) -> f32 {
        kernels::dot(self.dense, self.vectors.get(row)) + self.index.dot(self.sparse, row)
    }
}

fn search_sparse(
    index: Sparse<'_>,
    vector: &SparseVector,
    allowed: Allowed<'_>,
    top: &mut TopK,
    stats: &mut SearchStats,
) {
    let mut scored = 0_u32;
    let postings = index.score_all(vector, &|row| allowed.contains(row), &mut |row, score| {
        scored += 1;
        top.push(row, score);
    });
    stats.codes_scanned =
        stats.codes_scanned.saturating_add(u32::try_from(postings).unwrap_or(u32::MAX));
    stats.reranked = stats.reranked.saturating_add(scored);
}
