//! The inverted file: cells around trained centroids, a posting list of
//! one-bit codes for each, and the search that reads the nearest lists and
//! scores what their bounds leave exactly.
//!
//! It is three byte sections of a segment, all little endian. `D` is the
//! dimension, `P` the padded dimension (next multiple of 64), `C` the number
//! of cells. Centroids are rotated and relative to the mean; "block" is the
//! block of 32 codes that `rabitq` describes, `32 × (P/8 + 16)` bytes.
//!
//! | centroids | |
//! | --- | --- |
//! | 4 | `C`, u32; 0 only where no row is indexed |
//! | 4 | `D`, u32 |
//! | 4 | order of the cells, u32: 0 by squared distance, 1 by dot product |
//! | 4 | 0 |
//! | 8 | seed of the rotation, u64 |
//! | 40 | 0 |
//! | 4 × D | the mean, f32 |
//! | to a multiple of 64 | 0 |
//! | 4 × P × C | centroids, row after row, f32 |
//!
//! | postings | |
//! | --- | --- |
//! | 4 × (C + 2) | ends of the lists in rows, u32: 0, then the sum of the lengths so far. List `C` holds rows whose numbers leave the range of f32: it is always read, and its codes say nothing |
//! | to a multiple of 64 | 0 |
//! | blocks | list after list, each begins with a block of its own; rows ascend in a list |
//!
//! | tuning | |
//! | --- | --- |
//! | 4 | `K`, number of result counts, u32 |
//! | 4 | `R`, number of recalls, u32 |
//! | 4 × K | result counts, ascending, u32 |
//! | 4 × R | recalls, ascending, f32 |
//! | 8 × K × R | for each count and each recall: cells to read, u32, and certainty of the bound, f32 |

mod accept;
mod assign;
mod build;
mod bytes;
mod cells;
mod listed;
mod plan;
mod scan;
mod search;
mod space;
#[cfg(test)]
mod tests;
mod train;
mod truth;
mod tuning;

use crossbill_core::{IndexShape, Metric};

pub use accept::{Accept, CellLists};
pub use build::{build_ivf, index_bytes_per_row};
pub(crate) use plan::is_worth_listing;
pub use search::Ivf;

use crate::BuildWatch;
use crate::rabitq::Form;

/// Where the full vectors of a segment are read from while it is built.
pub trait RowSource: Sync {
    /// Rows there are.
    fn rows(&self) -> u32;
    /// Fills `out` with consecutive rows from `first` on; `out` is a whole
    /// number of rows long. An error ends the build.
    fn read(&self, first: u32, out: &mut [f32]) -> std::io::Result<()>;
    /// Who looks on at the build; no one.
    fn watch(&self) -> &dyn BuildWatch {
        &|| false
    }
}

/// What the build of something no longer wanted ends with.
pub(crate) fn stopped() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::Interrupted, "the build was stopped")
}

/// The exact scores of a segment's rows for one query.
pub trait RowScores {
    /// The score of a row in the API's scale.
    fn score(&self, row: u32) -> f32;
    /// Brings what `score` will read near; a hint only.
    fn prefetch(&self, row: u32);
}

/// The index as bytes; the module says what they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IvfSections {
    /// Centroids and their codes.
    pub centroids: Vec<u8>,
    /// Posting lists.
    pub postings: Vec<u8>,
    /// What it takes to reach a recall.
    pub tuning: Vec<u8>,
}

/// How hard a search tries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effort {
    /// As hard as the tuning says it takes to reach this recall, such as
    /// 0.95. At 1 every list is read.
    Recall(f32),
    /// So many times the cells that a recall of 0.95 takes; above 1 the bounds
    /// are more certain as well.
    Scaled(f32),
    /// Reads this many cells (more only where too few rows are accepted).
    Probes(u32),
}

/// What a search did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchStats {
    /// Cells read.
    pub cells_probed: u32,
    /// Codes compared with the query.
    pub codes_scanned: u32,
    /// Rows scored exactly.
    pub reranked: u32,
    /// Segments searched; the segment counts itself.
    pub segments: u32,
}

impl std::ops::AddAssign for SearchStats {
    fn add_assign(&mut self, other: Self) {
        self.cells_probed = self.cells_probed.saturating_add(other.cells_probed);
        self.codes_scanned = self.codes_scanned.saturating_add(other.codes_scanned);
        self.reranked = self.reranked.saturating_add(other.reranked);
        self.segments = self.segments.saturating_add(other.segments);
    }
}

/// What the codes of an index of this shape estimate. Cosine works on
/// normalised vectors, where the squared distance is `2 - 2 cos`.
fn form_of(shape: &IndexShape) -> Form {
    match shape.metric {
        Metric::Cosine | Metric::Euclidean => Form::SquaredL2,
        Metric::DotProduct => Form::NegativeDot,
    }
}

/// A score as the distance that codes estimate.
fn distance_of(metric: Metric, score: f32) -> f32 {
    match metric {
        Metric::Cosine => 2.0 - 2.0 * score,
        Metric::Euclidean => score,
        Metric::DotProduct => -score,
    }
}
