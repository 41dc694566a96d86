//! Neighbours of the held-out rows, found by the index itself, reading far
//! more than any tuned search does and scoring exactly.

use std::cell::RefCell;
use std::io;

use crossbill_core::Metric;
use rayon::prelude::*;

use super::search::Ivf;
use super::tuning::Reach;
use super::{Accept, RowScores, RowSource, distance_of};
use crate::{BuildWatch, Scored, TopK, exact, kernels};

/// How far a query is followed.
#[derive(Clone, Copy)]
struct Depth {
    /// Neighbours looked for.
    count: usize,
    /// How certain the bounds are that leave rows out.
    certainty: f32,
}

/// Enough to tell in which cells neighbours lie.
const USUAL: Depth = Depth { count: 100, certainty: 1.75 };
/// Hardly a neighbour is left out, so that these tell how certain a search's
/// bounds must be; one query in [`CERTAIN_SHARE`].
const CERTAIN: Depth = Depth { count: 20, certainty: 3.0 };
const CERTAIN_SHARE: usize = 4;
/// For searches that want many; one query in [`DEEP_SHARE`].
const DEEP: Depth = Depth { count: 1000, certainty: 1.5 };
const DEEP_SHARE: usize = 9;
/// The part of the cells that is read, and at least so many. What lies
/// outside is a few neighbours in a thousand.
const CELLS_PART: f32 = 0.4;
const CELLS_MIN: u32 = 64;

/// A row as a query, and what is nearest to it.
pub(super) struct Neighbours {
    /// The query, placed.
    pub(super) query: Vec<f32>,
    /// What its distances begin with.
    pub(super) base: f32,
    /// Rows and distances, nearest first.
    pub(super) nearest: Vec<Scored>,
    /// Whether hardly any is missing.
    pub(super) is_certain: bool,
}

/// Finds the neighbours of each of `rows` among the rows but itself.
pub(super) fn find(
    ivf: &Ivf,
    postings: &[u8],
    source: &dyn RowSource,
    rows: &[u32],
    watch: &dyn BuildWatch,
) -> io::Result<Vec<Neighbours>> {
    let others = (source.rows() as usize).saturating_sub(1);
    let probes = ((ivf.cells.len() as f32 * CELLS_PART) as u32).max(CELLS_MIN);
    let probes = probes.min(ivf.cells.len() as u32);
    let find_one = |(number, &row): (usize, &u32)| {
        let depth = match number {
            _ if number.is_multiple_of(DEEP_SHARE) => DEEP,
            _ if number.is_multiple_of(CERTAIN_SHARE) => CERTAIN,
            _ => USUAL,
        };
        let reach = Reach { probes, certainty: depth.certainty };
        let scores = SourceScores::new(ivf.metric, source, ivf.space.mean().len(), row)?;
        let mut top = TopK::new(ivf.metric, depth.count.min(others));
        let other = |found| found != row;
        let accept = Accept { contains: &other, part: 1.0, lists: None };
        ivf.search_by(postings, &scores.query, Some(accept), &scores, &mut top, &|_| reach);
        let mut query = vec![0.0; ivf.space.padded()];
        ivf.space.place(&scores.query, &mut query);
        let base = ivf.base(&scores.query);
        scores.finish()?;
        let mut nearest = top.into_sorted();
        nearest.iter_mut().for_each(|found| found.score = distance_of(ivf.metric, found.score));
        watch.done(1.0 / rows.len() as f64);
        Ok(Neighbours { query, base, nearest, is_certain: depth.certainty >= CERTAIN.certainty })
    };
    rows.par_iter().enumerate().map(find_one).collect()
}

/// Scores rows by reading them one at a time.
struct SourceScores<'a> {
    metric: Metric,
    source: &'a dyn RowSource,
    query: Vec<f32>,
    query_norm: f32,
    /// The row read last, and what went wrong with one.
    read: RefCell<(Vec<f32>, io::Result<()>)>,
}

impl<'a> SourceScores<'a> {
    /// Scores for the row `query`.
    fn new(
        metric: Metric,
        source: &'a dyn RowSource,
        dimension: usize,
        query: u32,
    ) -> io::Result<Self> {
        let mut values = vec![0.0; dimension];
        source.read(query, &mut values)?;
        let read = RefCell::new((vec![0.0; dimension], Ok(())));
        Ok(Self { metric, source, query_norm: kernels::norm(&values), query: values, read })
    }

    fn finish(self) -> io::Result<()> {
        self.read.into_inner().1
    }
}

impl RowScores for SourceScores<'_> {
    fn score(&self, row: u32) -> f32 {
        let (vector, failure) = &mut *self.read.borrow_mut();
        if let Err(error) = self.source.read(row, vector) {
            *failure = Err(error);
            return f32::NAN;
        }
        exact::score(self.metric, &self.query, self.query_norm, vector.as_slice())
    }

    fn prefetch(&self, _: u32) {}
}
