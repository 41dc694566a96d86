//! What it takes to find rows, and which way to them is the cheapest, by the
//! bytes of memory that each would read.

use super::Effort;
use super::search::Ivf;
use super::tuning::Reach;
use crate::kernels::BLOCK_ROWS;
use crate::rabitq::block_bytes;

/// Recall at which the bounds are as certain as a search that says its
/// probes itself wants them.
const RECALL_OF_PROBES: f32 = 0.99;
/// Recall whose cells a scaled effort is a multiple of.
const RECALL_SCALED: f32 = 0.95;
/// What a row read by itself costs beside its own bytes: waiting for it.
const ROW_LATENCY_BYTES: f32 = 128.0;
/// Bytes of a centroid that are read for each of its components: rounded ones
/// of three cells, and one in full.
const CENTROID_BYTES: f32 = 7.0;
/// Rows that are scored for each one wanted where codes are read.
const SCORED_PER_WANTED: f32 = 4.0;
/// So few bytes of vectors take about a tenth of a millisecond to score: an
/// exact answer is worth that.
const EXACT_BYTES_MAX: f32 = 1e6;
/// Where at most one row in so many may be found, rows by cell are worth making.
const LISTED_ROWS_SHARE: u64 = 16;

/// Whether the rows that a filter leaves are few enough to be sorted by cell.
pub(crate) fn is_worth_listing(matching: u64, rows: u32) -> bool {
    matching <= u64::from(rows) / LISTED_ROWS_SHARE
}

impl Ivf {
    /// What it takes to find `count` rows.
    pub(super) fn reach(&self, effort: Effort, count: f32) -> Reach {
        match effort {
            Effort::Recall(recall) => self.tuning.reach(count, recall),
            Effort::Scaled(factor) => {
                let recall = if factor > 1.0 { RECALL_OF_PROBES } else { RECALL_SCALED };
                let usual = self.tuning.reach(count, RECALL_SCALED);
                let probes = (usual.probes as f32 * factor).round().max(1.0);
                Reach { probes: probes as u32, ..self.tuning.reach(count, recall) }
            }
            Effort::Probes(probes) => {
                Reach { probes, ..self.tuning.reach(count, RECALL_OF_PROBES) }
            }
        }
    }

    /// Whether `wanted` of `matching` rows of a segment of `rows` are found
    /// sooner by way of the index than by scoring all that match.
    pub(crate) fn is_worth_reading(
        &self,
        effort: Effort,
        wanted: usize,
        matching: u64,
        rows: u32,
    ) -> bool {
        let cells = self.cells.len() as f32;
        let (all, matched) = (rows as f32, matching as f32);
        if matched * self.vector_bytes() <= EXACT_BYTES_MAX {
            return false;
        }
        let reach = self.reach(effort, wanted as f32 * all / matched.max(1.0));
        let probes = (reach.probes as f32).min(cells);
        let part = probes / cells.max(1.0);
        let ranking =
            cells * self.code_bytes() + probes * self.space.padded() as f32 * CENTROID_BYTES;
        let scored = wanted as f32 * SCORED_PER_WANTED * self.vector_bytes();
        let mut reading = all * part * self.code_bytes() + scored;
        if is_worth_listing(matching, rows) {
            reading = reading.min(matched * part * self.vector_bytes());
        }
        ranking + reading < matched * self.vector_bytes()
    }

    /// Whether the few rows of a cell that may be found are scored rather than
    /// the codes of all `rows` read.
    pub(super) fn is_worth_scoring(&self, few: usize, rows: usize) -> bool {
        few as f32 * self.vector_bytes() <= rows as f32 * self.code_bytes()
    }

    fn code_bytes(&self) -> f32 {
        block_bytes(self.space.padded()) as f32 / BLOCK_ROWS as f32
    }

    fn vector_bytes(&self) -> f32 {
        self.row_bytes as f32 + ROW_LATENCY_BYTES
    }
}
