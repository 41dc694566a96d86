//! Reads posting lists and scores the rows that their codes cannot rule out.
//!
//! Rows whose lower bound is under the k-th best score so far are gathered,
//! and scored as soon as there are a few: an early exact score keeps most of
//! the later rows out.

use super::cells::{Placed, Ranked};
use super::search::Ivf;
use super::{RowScores, SearchStats, distance_of};
use crate::TopK;
use crate::kernels::{self, BLOCK_ROWS};
use crate::rabitq::{Block, Form, block_bytes, blocks_of};
use crate::topk::{from_ordered, to_ordered};

/// Rows gathered before they are scored.
const BATCH: usize = 384;
/// Rows scored at a time, those of the lowest bounds first.
const STRIDE: usize = 12;
/// How many rows before its score is computed a row is called near.
const AHEAD: usize = 6;
/// Rows to have been asked for before what part of them is accepted is
/// believed.
const ASKED_MIN: u32 = 128;

/// Whether a row may be found.
pub(super) type Accept<'a> = dyn Fn(u32) -> bool + 'a;

/// One search while it reads lists.
pub(super) struct Scan<'a> {
    pub(super) ivf: &'a Ivf,
    pub(super) postings: &'a [u8],
    pub(super) placed: &'a Placed,
    /// What every distance begins with.
    pub(super) base: f32,
    /// None: every row is accepted.
    pub(super) accept: Option<&'a Accept<'a>>,
    pub(super) scores: &'a dyn RowScores,
    pub(super) top: &'a mut TopK,
    pub(super) stats: SearchStats,
    /// Nothing from this distance on is wanted.
    threshold: f32,
    /// Rows that may be among the nearest: the lower bound in the high half,
    /// the row in the low one.
    found: Vec<u64>,
    /// Rows that `accept` was asked for.
    asked: u32,
    accepted: u32,
    lower: [f32; BLOCK_ROWS],
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        ivf: &'a Ivf,
        postings: &'a [u8],
        placed: &'a Placed,
        base: f32,
        accept: Option<&'a Accept<'a>>,
        scores: &'a dyn RowScores,
        top: &'a mut TopK,
    ) -> Self {
        let stats = SearchStats::default();
        let (threshold, found) = (f32::INFINITY, Vec::new());
        let lower = [0.0; BLOCK_ROWS];
        let (asked, accepted) = (0, 0);
        let mut scan = Self {
            ivf,
            postings,
            placed,
            base,
            accept,
            scores,
            top,
            stats,
            threshold,
            found,
            asked,
            accepted,
            lower,
        };
        scan.threshold = scan.worst();
        scan
    }

    /// Whether as many rows were found as are wanted.
    pub(super) fn is_full(&self) -> bool {
        self.top.len() + self.found.len() >= self.top.k()
    }

    /// The part of the rows that is accepted, as far as is known: one
    /// and a half standard deviations low, or a search would stop as soon as chance makes
    /// the part look large.
    pub(super) fn accepted_part(&self) -> f32 {
        if self.asked < ASKED_MIN || self.accepted == self.asked {
            return 1.0;
        }
        let (asked, accepted) = (self.asked as f32, self.accepted as f32);
        let low = accepted - 1.5 * (accepted * (1.0 - accepted / asked)).sqrt();
        low.max(1.0) / asked
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
        let base = match self.ivf.form {
            Form::SquaredL2 => ranked.square_distance,
            Form::NegativeDot => self.base - ranked.product,
        };
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
            while wanted != 0 {
                let place = wanted.trailing_zeros() as usize;
                wanted &= wanted - 1;
                self.offer(self.lower[place], block.row(place));
            }
            if self.found.len() >= BATCH && self.is_full() {
                self.settle();
            }
        }
        self.stats.cells_probed += 1;
        self.stats.codes_scanned = self.stats.codes_scanned.saturating_add(rows as u32);
    }

    fn offer(&mut self, lower: f32, row: u32) {
        if let Some(accept) = self.accept {
            let is_accepted = accept(row);
            self.asked += 1;
            self.accepted += u32::from(is_accepted);
            if !is_accepted {
                return;
            }
        }
        // A row of which nothing is known comes before all others.
        let key = if lower.is_nan() { 0 } else { to_ordered(lower) };
        self.found.push(u64::from(key) << 32 | u64::from(row));
    }

    /// Scores what was gathered, as far as its bounds leave anything to gain.
    pub(super) fn settle(&mut self) {
        let mut found = std::mem::take(&mut self.found);
        let mut rest = &mut found[..];
        while !rest.is_empty() {
            let stride = STRIDE.max(self.top.k() - self.top.len()).min(rest.len());
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
        }
        found.clear();
        self.found = found;
        self.threshold = self.worst();
    }

    fn score(&mut self, rows: &[u64]) {
        rows.iter().take(AHEAD).for_each(|&entry| self.scores.prefetch(entry as u32));
        let mut worst = self.worst();
        for (at, &entry) in rows.iter().enumerate() {
            if let Some(&next) = rows.get(at + AHEAD) {
                self.scores.prefetch(next as u32);
            }
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
