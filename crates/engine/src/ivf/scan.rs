//! Reads posting lists and scores the rows that their codes cannot rule out.
//!
//! Rows whose lower bound is under the k-th best score so far are gathered,
//! and scored as soon as there are a few: an early exact score keeps most of
//! the later rows out. Of cells in which a filter leaves few rows those are
//! scored instead.

use super::cells::{Placed, Ranked};
use super::listed::Listed;
use super::search::Ivf;
use super::{Accept, RowScores, SearchStats, distance_of};
use crate::TopK;
use crate::kernels::{self, BLOCK_ROWS};
use crate::rabitq::{Block, Form, block_bytes, blocks_of};
use crate::topk::{from_ordered, to_ordered};

/// Rows gathered before they are scored: at least so many, and so many for
/// each that is wanted.
const BATCH: usize = 384;
const BATCH_OF_WANTED: usize = 6;
/// Under a filter fewer are gathered, by this power of the part of the rows that
/// it accepts: codes of other rows are read until as many are together, and
/// as long as no score is known every one of them looks near.
const BATCH_POWER: f32 = 0.75;
/// But at least so many.
const BATCH_MIN: usize = 64;
/// Rows from lists gathered before they are scored.
const LISTED_BATCH: usize = 64;
/// Rows scored at a time, those of the lowest bounds first: at least so many
/// to begin with, or this part of the wanted ones, and twice as many each
/// time. Where scores rule out the rest a short stride saves scoring it; where
/// they do not, ordering it finely costs more than scoring it.
const STRIDE: usize = 12;
const STRIDE_OF_WANTED: f32 = 0.5;
/// How many rows before its score is computed a row is called near.
const AHEAD: usize = 6;

/// One search while it reads lists.
pub(super) struct Scan<'a> {
    pub(super) ivf: &'a Ivf,
    pub(super) postings: &'a [u8],
    pub(super) placed: &'a Placed,
    /// What every distance begins with.
    pub(super) base: f32,
    /// None: every row is accepted.
    pub(super) accept: Option<Accept<'a>>,
    pub(super) scores: &'a dyn RowScores,
    pub(super) top: &'a mut TopK,
    pub(super) stats: SearchStats,
    /// Rows gathered before they are scored, and first scored of them.
    batch: usize,
    stride: usize,
    /// Nothing from this distance on is wanted.
    threshold: f32,
    /// Rows that may be among the nearest: the lower bound in the high half,
    /// the row in the low one.
    found: Vec<u64>,
    /// Distances below the threshold, as codes estimate them: of accepted rows
    /// in the first, of others in the second.
    near: [Vec<f32>; 2],
    listed: Listed,
    lower: [f32; BLOCK_ROWS],
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        ivf: &'a Ivf,
        postings: &'a [u8],
        placed: &'a Placed,
        base: f32,
        accept: Option<Accept<'a>>,
        scores: &'a dyn RowScores,
        top: &'a mut TopK,
    ) -> Self {
        let stats = SearchStats::default();
        let (threshold, found) = (f32::INFINITY, Vec::new());
        let lower = [0.0; BLOCK_ROWS];
        let batch = batch_of(top.k(), accept.map_or(1.0, |accept| accept.part));
        let stride = STRIDE.max((STRIDE_OF_WANTED * top.k() as f32) as usize);
        let mut scan = Self {
            ivf,
            postings,
            placed,
            base,
            accept,
            scores,
            top,
            stats,
            batch,
            stride,
            threshold,
            found,
            near: Default::default(),
            listed: Listed::default(),
            lower,
        };
        scan.threshold = scan.worst();
        scan
    }

    /// Whether as many rows were found as are wanted.
    pub(super) fn is_full(&self) -> bool {
        self.top.len() + self.found.len() + self.listed.rows.len() >= self.top.k()
    }

    /// How many rows, accepted or not, are about as near as the wanted ones.
    /// Where other rows than the usual part are accepted near the query, what
    /// was found so far shows it.
    pub(super) fn depth(&mut self) -> f32 {
        let wanted = self.top.k() as f32;
        let Some(accept) = self.accept else { return wanted };
        let usual = wanted / accept.part;
        self.settle();
        if self.threshold.is_infinite() {
            return usual;
        }
        let [accepted, all] = self.listed.nearer_than(self.threshold);
        let [own, others] = [0, 1].map(|which| self.near[which].len() as f64);
        let part = (accepted + own) / (all + own + others);
        if part > 0.0 {
            // Rows beyond the usual number come before the wanted ones, which
            // are harder to find than so many rows are on average.
            usual + 2.0 * (wanted / part as f32 - usual).max(0.0)
        } else {
            usual
        }
    }

    /// Brings the first block of a list near.
    pub(super) fn prefetch(&self, ranked: &Ranked) {
        let (start, rows) = self.ivf.lists[ranked.cell as usize];
        if rows > 0 {
            let bytes = block_bytes(self.ivf.space.padded());
            kernels::prefetch(&self.postings[start..start + bytes]);
        }
    }

    /// Reads a list.
    pub(super) fn read(&mut self, ranked: &Ranked, certainty: f32) {
        let (start, rows) = self.ivf.lists[ranked.cell as usize];
        if rows == 0 {
            return;
        }
        self.stats.cells_probed += 1;
        let base = match self.ivf.form {
            Form::SquaredL2 => ranked.square_distance,
            Form::NegativeDot => self.base - ranked.product,
        };
        if let Some(lists) = self.accept.and_then(|accept| accept.lists) {
            let listed = lists.of(ranked.cell);
            if self.ivf.is_worth_scoring(listed.len(), rows) {
                self.take(base, rows, listed);
                return;
            }
        }
        let padded = self.ivf.space.padded();
        let mut terms = self.placed.code.terms(base, ranked.square_distance, certainty);
        let blocks = &self.postings[start..start + blocks_of(rows) * block_bytes(padded)];
        let mut left = rows;
        for bytes in blocks.chunks_exact(block_bytes(padded)) {
            let block = Block::new(padded, bytes);
            terms.threshold = self.threshold;
            let mut wanted = block.bounds(&self.placed.code, &terms, &mut self.lower);
            if left < BLOCK_ROWS {
                wanted &= (1 << left) - 1;
            }
            left = left.saturating_sub(BLOCK_ROWS);
            if self.accept.is_some() {
                // One row of each block tells of those that are taken from no list.
                self.listed.look_at(self.lower[0] + block.error(0) * terms.width - base);
            }
            while wanted != 0 {
                let place = wanted.trailing_zeros() as usize;
                wanted &= wanted - 1;
                let lower = self.lower[place];
                let estimate = || lower + block.error(place) * terms.width;
                self.offer(lower, estimate, block.row(place));
            }
            if self.found.len() >= self.batch && self.is_full() {
                self.settle();
            }
        }
        self.stats.codes_scanned = self.stats.codes_scanned.saturating_add(rows as u32);
    }

    /// Takes the rows of a cell from a list.
    fn take(&mut self, base: f32, rows: usize, listed: &[u32]) {
        self.listed.take(base, rows, listed);
        if self.listed.rows.len() >= LISTED_BATCH {
            self.score_listed();
        }
    }

    fn offer(&mut self, lower: f32, estimate: impl FnOnce() -> f32, row: u32) {
        // A row of which nothing is known comes before all others.
        let key = if lower.is_nan() { 0 } else { to_ordered(lower) };
        if let Some(accept) = self.accept {
            let is_accepted = (accept.contains)(row);
            let estimate = estimate();
            if estimate <= self.threshold {
                self.near[usize::from(!is_accepted)].push(estimate);
            }
            if !is_accepted {
                return;
            }
        }
        self.found.push(u64::from(key) << 32 | u64::from(row));
    }

    /// Scores what was gathered, as far as its bounds leave anything to gain.
    pub(super) fn settle(&mut self) {
        self.score_listed();
        let mut found = std::mem::take(&mut self.found);
        let mut rest = &mut found[..];
        let mut stride = self.stride.max(self.top.k() - self.top.len());
        while !rest.is_empty() {
            stride = stride.min(rest.len());
            if stride < rest.len() {
                rest.select_nth_unstable(stride - 1);
            }
            let (nearest, others) = rest.split_at_mut(stride);
            self.score(nearest);
            let limit = to_ordered(self.worst());
            let mut kept = 0;
            for at in 0..others.len() {
                if (others[at] >> 32) as u32 <= limit {
                    others.swap(at, kept);
                    kept += 1;
                }
            }
            rest = &mut others[..kept];
            stride *= 2;
        }
        found.clear();
        self.found = found;
        self.threshold = self.worst();
        let limit = self.threshold;
        self.near.iter_mut().for_each(|near| near.retain(|&estimate| estimate <= limit));
    }

    fn score_listed(&mut self) {
        let mut rows = std::mem::take(&mut self.listed.rows);
        for entry in near_first(self.scores, &rows) {
            let (row, cell) = (entry as u32, (entry >> 32) as usize);
            if self.accept.is_some_and(|accept| !(accept.contains)(row)) {
                continue;
            }
            let score = self.scores.score(row);
            self.top.push(row, score);
            let distance = distance_of(self.ivf.metric, score);
            self.listed.look_at(distance - self.listed.base(cell));
            self.stats.reranked += 1;
        }
        rows.clear();
        self.listed.rows = rows;
        self.threshold = self.worst();
    }

    fn score(&mut self, rows: &[u64]) {
        let mut worst = self.worst();
        for entry in near_first(self.scores, rows) {
            if from_ordered((entry >> 32) as u32) > worst {
                continue;
            }
            let row = entry as u32;
            self.top.push(row, self.scores.score(row));
            self.stats.reranked += 1;
            worst = self.worst();
        }
    }

    /// The distance a row has to beat.
    fn worst(&self) -> f32 {
        self.top.worst().map_or(f32::INFINITY, |score| distance_of(self.ivf.metric, score))
    }
}

/// Rows gathered before they are scored, where `part` of all are accepted.
fn batch_of(wanted: usize, part: f32) -> usize {
    let all = BATCH.max(BATCH_OF_WANTED * wanted);
    ((all as f32 * part.clamp(0.0, 1.0).powf(BATCH_POWER)) as usize).max(BATCH_MIN)
}

/// The entries in their order; the rows in their low halves are called near
/// [`AHEAD`] entries before.
fn near_first<'a>(scores: &'a dyn RowScores, rows: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
    rows.iter().take(AHEAD).for_each(|&entry| scores.prefetch(entry as u32));
    rows.iter().enumerate().map(move |(at, &entry)| {
        if let Some(&next) = rows.get(at + AHEAD) {
            scores.prefetch(next as u32);
        }
        entry
    })
}
