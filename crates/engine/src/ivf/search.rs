//! Opens the sections and searches them.

use std::sync::OnceLock;

use crossbill_core::{IndexShape, Metric, Seed};

use super::bytes::Reader;
use super::cells::{Cells, Placed, Ranked};
use super::scan::Scan;
use super::space::Space;
use super::tuning::{Reach, Tuning};
use super::{Accept, Effort, RowScores, SearchStats, form_of};
use crate::kernels::{self, BLOCK_ROWS};
use crate::rabitq::{Block, Form, block_bytes, blocks_of};
use crate::{FormatError, TopK};

const CENTROIDS: &str = "vector centroids";
const POSTINGS: &str = "vector postings";
/// An opened index. Holds centroids and offsets; the postings stay where they
/// are and are handed to each search.
#[derive(Debug)]
pub struct Ivf {
    pub(super) metric: Metric,
    pub(super) form: Form,
    /// Bytes of a full vector as the index keeps it.
    pub(super) row_bytes: usize,
    pub(super) space: Space,
    pub(super) cells: Cells,
    pub(super) tuning: Tuning,
    /// Where each list begins in the postings, in bytes, and its rows; the
    /// last one holds the rows that are out of range.
    pub(super) lists: Vec<(usize, usize)>,
    postings_bytes: usize,
    /// The cell of each row, once it was asked for.
    pub(super) cell_of: OnceLock<Vec<u32>>,
}

impl Ivf {
    /// Opens the three sections of a segment of `rows` rows. Everything a
    /// search relies on is checked: lengths, offsets, row numbers.
    pub fn open(
        shape: &IndexShape,
        rows: u32,
        centroids: &[u8],
        postings: &[u8],
        tuning: &[u8],
    ) -> Result<Ivf, FormatError> {
        let (space, cells) = read_centroids(shape, rows, centroids)?;
        let tuning = Tuning::from_bytes(cells.len() as u32, tuning)?;
        Self::over(shape, rows, space, cells, tuning, postings)
    }

    /// An index over postings that were made for these cells.
    pub(super) fn over(
        shape: &IndexShape,
        rows: u32,
        space: Space,
        cells: Cells,
        tuning: Tuning,
        postings: &[u8],
    ) -> Result<Ivf, FormatError> {
        let lists = read_lists(&space, &cells, rows, postings)?;
        let (metric, form) = (shape.metric, form_of(shape));
        let (postings_bytes, cell_of) = (postings.len(), OnceLock::new());
        let row_bytes = shape.row_bytes();
        Ok(Ivf { metric, form, row_bytes, space, cells, tuning, lists, postings_bytes, cell_of })
    }

    /// Offers the rows nearest to `query` to `top`, as many as it keeps, each
    /// with its exact score. `postings` are the bytes this was opened with;
    /// rows that `accept` does not contain are passed over, and lists are read
    /// until enough were accepted or none is left.
    pub fn search(
        &self,
        postings: &[u8],
        query: &[f32],
        effort: Effort,
        accept: Option<Accept<'_>>,
        scores: &dyn RowScores,
        top: &mut TopK,
    ) -> SearchStats {
        let reach = |count| self.reach(effort, count);
        self.search_by(postings, query, accept, scores, top, &reach)
    }

    /// The same, with `reach` for the effort: what it takes to find so many
    /// rows.
    pub(super) fn search_by(
        &self,
        postings: &[u8],
        query: &[f32],
        accept: Option<Accept<'_>>,
        scores: &dyn RowScores,
        top: &mut TopK,
        reach: &dyn Fn(f32) -> Reach,
    ) -> SearchStats {
        assert_eq!(postings.len(), self.postings_bytes, "the postings this was opened with");
        if top.k() == 0 {
            return SearchStats::default();
        }
        let mut placed = Placed::new(self.space.padded());
        self.space.place(query, &mut placed.values);
        placed.refresh();
        let base = self.base(query);
        let mut scan = Scan::new(self, postings, &placed, base, accept, scores, top);
        self.run(&mut scan, reach);
        scan.stats
    }

    /// What the distances of a query begin with, whatever the cell.
    pub(super) fn base(&self, query: &[f32]) -> f32 {
        match self.form {
            Form::SquaredL2 => 0.0,
            Form::NegativeDot => -kernels::dot(self.space.mean(), query),
        }
    }

    fn run(&self, scan: &mut Scan<'_>, reach_for: &dyn Fn(f32) -> Reach) {
        let cells = &self.cells;
        let mut reach = reach_for(scan.depth());
        let out_of_range =
            Ranked { cell: cells.len() as u32, key: 0.0, square_distance: f32::NAN, product: 0.0 };
        scan.read(&out_of_range, reach.certainty);
        // Where the query leaves the range of f32 the codes say nothing.
        let in_range = scan.placed.square.is_finite();
        let count = if in_range { (reach.probes as usize).min(cells.len()) } else { cells.len() };
        let mut order = cells.rank(scan.placed, count);
        let mut was_read = Vec::new();
        let (mut at, mut read) = (0, 0);
        loop {
            if read >= reach.probes && scan.is_full() {
                // What was found tells how deep it lies.
                let deeper = reach_for(scan.depth());
                if deeper.probes <= reach.probes {
                    break;
                }
                reach = deeper;
            }
            if at == order.len() {
                if order.len() == cells.len() {
                    break;
                }
                // More are wanted than were ranked: rank more, pass over those
                // that were read.
                was_read.resize(cells.len(), false);
                order.iter().for_each(|ranked| was_read[ranked.cell as usize] = true);
                let count = (reach.probes as usize).max(2 * order.len()).min(cells.len());
                order = cells.rank(scan.placed, count);
                at = 0;
                continue;
            }
            let ranked = order[at];
            at += 1;
            if was_read.get(ranked.cell as usize) == Some(&true) {
                continue;
            }
            if let Some(next) = order.get(at) {
                scan.prefetch(next);
            }
            scan.read(&ranked, reach.certainty);
            read += 1;
        }
        scan.settle();
    }
}

fn read_centroids(
    shape: &IndexShape,
    rows: u32,
    bytes: &[u8],
) -> Result<(Space, Cells), FormatError> {
    let mut reader = Reader::new(CENTROIDS, bytes);
    let (cells, dimension, order) = (reader.u32()?, reader.u32()?, reader.u32()?);
    reader.u32()?;
    if dimension != shape.dimension || dimension == 0 {
        return Err(reader.damaged(
            format!("dimension {dimension}"),
            format!("the index's {}", shape.dimension),
        ));
    }
    if cells > rows {
        return Err(reader.damaged(format!("{cells} cells"), format!("at most {rows}, the rows")));
    }
    let order = match order {
        0 => Form::SquaredL2,
        1 => Form::NegativeDot,
        other => return Err(reader.damaged(format!("order {other}"), "0 or 1")),
    };
    let seed = reader.u64()?;
    reader.skip_padding()?;
    let mean = reader.f32s(dimension as usize)?;
    reader.skip_padding()?;
    let space = Space::new(shape, Seed(seed), mean);
    let centroids = reader.f32s((cells as usize).saturating_mul(space.padded()))?;
    reader.finish()?;
    let cells = Cells::new(order, centroids, space.origin());
    Ok((space, cells))
}

/// Start in bytes and rows of each list.
fn read_lists(
    space: &Space,
    cells: &Cells,
    rows: u32,
    bytes: &[u8],
) -> Result<Vec<(usize, usize)>, FormatError> {
    let mut reader = Reader::new(POSTINGS, bytes);
    let ends = reader.u32s(cells.len() + 2)?;
    let indexed = ends[cells.len() + 1];
    let nowhere_to_go = cells.len() == 0 && indexed > 0;
    if ends[0] != 0 || !ends.is_sorted() || indexed > rows || nowhere_to_go {
        return Err(reader.damaged(
            format!("lists that end at {indexed} rows, or not in order"),
            format!("ends that ascend from 0 to at most {rows}"),
        ));
    }
    reader.skip_padding()?;
    let mut lists = Vec::with_capacity(ends.len() - 1);
    for pair in ends.windows(2) {
        let count = (pair[1] - pair[0]) as usize;
        let start = reader.position();
        let blocks = reader.take(blocks_of(count) * block_bytes(space.padded()))?;
        check_rows(space.padded(), blocks, count, rows)?;
        lists.push((start, count));
    }
    reader.finish()?;
    Ok(lists)
}

/// The `count` rows of a list must ascend and be below `rows`.
fn check_rows(padded: usize, blocks: &[u8], count: usize, rows: u32) -> Result<(), FormatError> {
    let mut next = 0;
    for row in rows_of_list(padded, blocks, count) {
        if row < next || row >= rows {
            return Err(FormatError::damaged(
                POSTINGS,
                format!("row {row} in a list"),
                format!("one from {next} to below {rows}"),
            ));
        }
        next = row + 1;
    }
    Ok(())
}

/// The `count` rows of a list that begins with `blocks`, in its order.
pub(super) fn rows_of_list(
    padded: usize,
    blocks: &[u8],
    count: usize,
) -> impl Iterator<Item = u32> + '_ {
    let blocks = blocks.chunks_exact(block_bytes(padded)).map(move |b| Block::new(padded, b));
    blocks.flat_map(|block| (0..BLOCK_ROWS).map(move |place| block.row(place))).take(count)
}
