//! Opens the sections and searches them.

use crossbill_core::{IndexShape, Metric, Seed};

use super::bytes::Reader;
use super::cells::{Cells, Placed, Ranked};
use super::gather::Gather;
use super::space::Space;
use super::tuning::{Reach, Tuning};
use super::{Effort, SearchStats, distance_of, form_of};
use crate::kernels::{self, BLOCK_ROWS};
use crate::rabitq::{Block, Form, block_bytes, blocks_of};
use crate::{FormatError, TopK, exact};

const CENTROIDS: &str = "vector centroids";
const POSTINGS: &str = "vector postings";
/// Recall at which the bounds are as certain as a search that says its
/// probes itself wants them.
const RECALL_OF_PROBES: f32 = 0.99;
/// Rows to have been asked for before what part of them is accepted is
/// believed.
const ASKED_MIN: u32 = 128;

/// An opened index. Holds centroids and offsets; the postings stay where they
/// are and are handed to each search.
#[derive(Debug)]
pub struct Ivf {
    metric: Metric,
    form: Form,
    space: Space,
    cells: Cells,
    tuning: Tuning,
    /// Where each list begins in the postings, in bytes, and its rows; the
    /// last one holds the rows that are out of range.
    lists: Vec<(usize, usize)>,
    postings_bytes: usize,
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
        let lists = read_lists(&space, &cells, rows, postings)?;
        let tuning = Tuning::from_bytes(cells.len() as u32, tuning)?;
        let (metric, form) = (shape.metric, form_of(shape));
        Ok(Ivf { metric, form, space, cells, tuning, lists, postings_bytes: postings.len() })
    }

    /// Offers the rows nearest to `query` to `top`, as many as it keeps, each
    /// with its exact score. `postings` are the bytes this was opened with;
    /// rows for which `accept` is false are passed over, and lists are read
    /// until enough were accepted or none is left; `vector` gives a row's full
    /// vector.
    pub fn search<'v>(
        &self,
        postings: &[u8],
        query: &[f32],
        effort: Effort,
        accept: &dyn Fn(u32) -> bool,
        vector: &dyn Fn(u32) -> &'v [f32],
        top: &mut TopK,
    ) -> SearchStats {
        assert_eq!(postings.len(), self.postings_bytes, "the postings this was opened with");
        let mut stats = SearchStats::default();
        if top.k() == 0 {
            return stats;
        }
        let mut placed = Placed::new(self.space.padded());
        self.space.place(query, &mut placed.values);
        placed.refresh();
        let mut scan = Scan {
            ivf: self,
            postings,
            placed: &placed,
            base: match self.form {
                Form::SquaredL2 => 0.0,
                Form::NegativeDot => -kernels::dot(self.space.mean(), query),
            },
            accept,
            asked: 0,
            accepted: 0,
            gather: Gather::default(),
        };
        let threshold = top.worst().map_or(f32::INFINITY, |s| distance_of(self.metric, s));
        scan.gather.reset(top.k(), threshold);
        scan.run(effort, &mut stats);

        let query_norm = kernels::norm(query);
        let candidates = scan.gather.sorted();
        for (at, candidate) in candidates.iter().enumerate() {
            if let Some(next) = candidates.get(at + 2) {
                kernels::prefetch(vector(next.row));
            }
            let worst = top.worst().map_or(f32::INFINITY, |s| distance_of(self.metric, s));
            if candidate.lower > worst {
                break;
            }
            let score = exact::score(self.metric, query, query_norm, vector(candidate.row));
            top.push(candidate.row, score);
            stats.reranked += 1;
        }
        stats
    }
}

/// One search while it reads lists.
struct Scan<'a> {
    ivf: &'a Ivf,
    postings: &'a [u8],
    placed: &'a Placed,
    /// What every distance begins with.
    base: f32,
    accept: &'a dyn Fn(u32) -> bool,
    /// Rows that `accept` was asked for.
    asked: u32,
    accepted: u32,
    gather: Gather,
}

impl Scan<'_> {
    fn run(&mut self, effort: Effort, stats: &mut SearchStats) {
        let mut reach = self.reach(effort);
        let cells = &self.ivf.cells;
        // Where the query leaves the range of f32 the codes say nothing.
        let in_range = self.placed.square.is_finite();
        let mut ranks = Gather::default();
        let out_of_range =
            Ranked { cell: cells.len() as u32, key: 0.0, square_distance: f32::NAN, product: 0.0 };
        self.read(&out_of_range, reach.certainty, stats);
        let count = if in_range { reach.probes as usize } else { cells.len() };
        let mut order = cells.rank(self.placed, count, &mut ranks);
        let mut was_read = vec![false; cells.len()];
        let (mut at, mut read) = (0, 0);
        while read < reach.probes || !self.gather.is_full() {
            if at == order.len() {
                if order.len() == cells.len() {
                    break;
                }
                order = cells.rank(self.placed, cells.len(), &mut ranks);
                at = 0;
                continue;
            }
            let ranked = order[at];
            at += 1;
            if std::mem::replace(&mut was_read[ranked.cell as usize], true) {
                continue;
            }
            if let Some(next) = order.get(at) {
                self.prefetch(next);
            }
            self.read(&ranked, reach.certainty, stats);
            read += 1;
            stats.cells_probed += 1;
            reach = self.reach(effort);
        }
    }

    /// How far to read, from what is known so far: where only a part of the
    /// rows is accepted, k of them lie as deep as k divided by that part. The
    /// part is taken one standard deviation low, or the search would stop as
    /// soon as chance makes it look large.
    fn reach(&self, effort: Effort) -> Reach {
        let mut count = self.gather.k() as f32;
        if self.asked >= ASKED_MIN && self.accepted < self.asked {
            let accepted = self.accepted as f32;
            let part = accepted / self.asked as f32;
            let low = (accepted - (accepted * (1.0 - part)).sqrt()).max(1.0);
            count *= self.asked as f32 / low;
        }
        match effort {
            Effort::Recall(recall) => self.ivf.tuning.reach(count, recall),
            Effort::Probes(probes) => {
                Reach { probes, ..self.ivf.tuning.reach(count, RECALL_OF_PROBES) }
            }
        }
    }

    /// Brings the first block of a list near.
    fn prefetch(&self, ranked: &Ranked) {
        let (start, rows) = self.ivf.lists[ranked.cell as usize];
        if rows > 0 {
            let bytes = block_bytes(self.ivf.space.padded());
            kernels::prefetch(&self.postings[start..start + bytes]);
        }
    }

    /// Reads a list.
    fn read(&mut self, ranked: &Ranked, certainty: f32, stats: &mut SearchStats) {
        let (start, rows) = self.ivf.lists[ranked.cell as usize];
        if rows == 0 {
            return;
        }
        let base = match self.ivf.form {
            Form::SquaredL2 => ranked.square_distance,
            Form::NegativeDot => self.base - ranked.product,
        };
        let bytes = blocks_of(rows) * block_bytes(self.ivf.space.padded());
        let terms = self.placed.code.terms(base, ranked.square_distance, certainty);
        let (asked, accepted, accept) = (&mut self.asked, &mut self.accepted, self.accept);
        let mut counted = |row| {
            let is_accepted = accept(row);
            *asked += 1;
            *accepted += u32::from(is_accepted);
            is_accepted
        };
        let blocks = &self.postings[start..start + bytes];
        self.gather.scan(blocks, rows, &self.placed.code, terms, &mut counted);
        stats.codes_scanned = stats.codes_scanned.saturating_add(rows as u32);
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
    let codes = reader.take(blocks_of(cells as usize) * block_bytes(space.padded()))?;
    reader.finish()?;
    check_rows(CENTROIDS, space.padded(), codes, cells as usize, cells)?;
    let cells = Cells::new(order, centroids, space.origin(), Some(codes.to_vec()));
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
        check_rows(POSTINGS, space.padded(), blocks, count, rows)?;
        lists.push((start, count));
    }
    reader.finish()?;
    Ok(lists)
}

/// The `count` rows of a list must ascend and be below `rows`.
fn check_rows(
    section: &'static str,
    padded: usize,
    blocks: &[u8],
    count: usize,
    rows: u32,
) -> Result<(), FormatError> {
    let mut next = 0;
    for at in 0..count {
        let block = &blocks[at / BLOCK_ROWS * block_bytes(padded)..][..block_bytes(padded)];
        let row = Block::new(padded, block).row(at % BLOCK_ROWS);
        if row < next || row >= rows {
            return Err(FormatError::damaged(
                section,
                format!("row {row} in a list"),
                format!("one from {next} to below {rows}"),
            ));
        }
        next = row + 1;
    }
    Ok(())
}
