//! Which way to the nearest rows is the cheapest, by the bytes of memory that
//! each would read.

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
/// Rows that are scored for each one wanted where codes are read.
const SCORED_PER_WANTED: f32 = 4.0;

/// How to find the nearest of the rows that a filter leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Score each of them.
    Each,
    /// Score those of the nearest cells.
    Lists,
    /// Read the codes of the nearest cells.
    Codes,
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

    /// The cheapest way to `wanted` of `matching` rows of a segment of `rows`.
    pub(crate) fn way(&self, effort: Effort, wanted: usize, matching: u64, rows: u32) -> Way {
        let (matching, rows) = (matching as f32, rows as f32);
        let cells = self.cells.len() as f32;
        let reach = self.reach(effort, wanted as f32 * rows / matching.max(1.0));
        let probes = (reach.probes as f32).min(cells);
        let part = probes / cells.max(1.0);
        let padded = self.space.padded();
        let code = block_bytes(padded) as f32 / BLOCK_ROWS as f32;
        let vector = (self.space.mean().len() * size_of::<f32>()) as f32 + ROW_LATENCY_BYTES;
        let ranking = cells * code + probes * (3 * padded + padded * size_of::<f32>()) as f32;
        let each = matching * vector;
        let lists = ranking + matching * part * vector;
        let codes = ranking + rows * part * code + wanted as f32 * SCORED_PER_WANTED * vector;
        if each <= lists && each <= codes {
            Way::Each
        } else if lists <= codes {
            Way::Lists
        } else {
            Way::Codes
        }
    }
}
