//! Reads posting lists and scores the rows that their codes cannot rule out.
//!
//! Rows whose lower bound is under the k-th best score so far are gathered,
//! and scored as soon as there are a few: an early exact score keeps most of
//! the later rows out.

use super::cells::{Placed, Ranked};
use super::search::Ivf;
use super::{Accept, RowScores, SearchStats, distance_of};
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
    /// Nothing from this distance on is wanted.
    threshold: f32,
    /// Rows that may be among the nearest: the lower bound in the high half,
    /// the row in the low one.
    found: Vec<u64>,
    /// Lower bounds below the threshold, of rows that are accepted in the first
    /// and of others in the second.
    near: [Vec<u32>; 2],
    /// Where rows are taken from lists: for each cell what the distances of its
    /// rows begin with, and its rows, accepted or not.
    cells: Vec<(f32, u32)>,
    /// What the distances of scored rows from lists are beyond that, in all.
    beyond: f64,
    scored: u32,
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
            near: Default::default(),
            cells: Vec::new(),
            beyond: 0.0,
            scored: 0,
            lower,
        };
        scan.threshold = scan.worst();
        scan
    }

    /// Whether as many rows were found as are wanted.
    pub(super) fn is_full(&self) -> bool {
        self.top.len() + self.found.len() >= self.top.k()
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
        let found = if accept.lists.is_some() {
            // All rows of a cell are counted where most are nearer.
            let beyond = (self.beyond / f64::from(self.scored.max(1))) as f32;
            let nearer = self.cells.iter().filter(|cell| cell.0 + beyond < self.threshold);
            nearer.map(|cell| cell.1 as f32).sum()
        } else {
            let [accepted, others] = [0, 1].map(|which| self.near[which].len() as f32);
            wanted * (accepted + others) / accepted.max(1.0)
        };
        usual.max(found)
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
            let cell = (self.cells.len() as u64) << 32;
            self.cells.push((base, rows as u32));
            self.found.extend(lists.of(ranked.cell).iter().map(|&row| cell | u64::from(row)));
            return;
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
            while wanted != 0 {
                let place = wanted.trailing_zeros() as usize;
                wanted &= wanted - 1;
                self.offer(self.lower[place], block.row(place));
            }
            if self.found.len() >= BATCH && self.is_full() {
                self.settle();
            }
        }
        self.stats.codes_scanned = self.stats.codes_scanned.saturating_add(rows as u32);
    }

    fn offer(&mut self, lower: f32, row: u32) {
        // A row of which nothing is known comes before all others.
        let key = if lower.is_nan() { 0 } else { to_ordered(lower) };
        if let Some(accept) = self.accept {
            let is_accepted = (accept.contains)(row);
            self.near[usize::from(!is_accepted)].push(key);
            if !is_accepted {
                return;
            }
        }
        self.found.push(u64::from(key) << 32 | u64::from(row));
    }

    /// Scores what was gathered, as far as its bounds leave anything to gain.
    pub(super) fn settle(&mut self) {
        let mut found = std::mem::take(&mut self.found);
        if self.accept.is_some_and(|accept| accept.lists.is_some()) {
            self.score_each(&found);
            found.clear();
        }
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
        let limit = to_ordered(self.threshold);
        self.near.iter_mut().for_each(|near| near.retain(|&key| key <= limit));
    }

    /// Scores rows from lists.
    fn score_each(&mut self, rows: &[u64]) {
        rows.iter().take(AHEAD).for_each(|&entry| self.scores.prefetch(entry as u32));
        for (at, &entry) in rows.iter().enumerate() {
            if let Some(&next) = rows.get(at + AHEAD) {
                self.scores.prefetch(next as u32);
            }
            let row = entry as u32;
            if self.accept.is_some_and(|accept| !(accept.contains)(row)) {
                continue;
            }
            let score = self.scores.score(row);
            self.top.push(row, score);
            let beyond = distance_of(self.ivf.metric, score) - self.cells[(entry >> 32) as usize].0;
            if beyond.is_finite() {
                self.beyond += f64::from(beyond);
                self.scored += 1;
            }
        }
        self.stats.reranked = self.stats.reranked.saturating_add(rows.len() as u32);
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
