//! The inverted file: cells, posting lists of one-bit codes, and the search
//! over them.
#![allow(clippy::todo, unused_variables)]

use crossbill_core::{IndexShape, Seed};
use roaring::RoaringBitmap;

use crate::{FormatError, TopK};

/// Where the full vectors of a segment are read from while it is built.
pub trait RowSource: Sync {
    /// Rows there are.
    fn rows(&self) -> u32;
    /// Fills `out` with consecutive rows from `first` on; `out` is a whole
    /// number of rows long.
    fn read(&self, first: u32, out: &mut [f32]) -> std::io::Result<()>;
}

/// The index as bytes.
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
    /// The recall aimed at, such as 0.95.
    Recall(f32),
    /// Cells to read.
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
    /// Segments searched.
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

/// Builds the index over the rows of `source` that are not in `skip`.
pub fn build_ivf(
    shape: &IndexShape,
    seed: Seed,
    source: &dyn RowSource,
    skip: &RoaringBitmap,
    pool: &rayon::ThreadPool,
) -> std::io::Result<IvfSections> {
    todo!()
}

/// An opened index.
#[derive(Debug)]
pub struct Ivf {}

impl Ivf {
    /// Opens the three sections of a segment of `rows` rows.
    pub fn open(
        shape: &IndexShape,
        rows: u32,
        centroids: &[u8],
        postings: &[u8],
        tuning: &[u8],
    ) -> Result<Ivf, FormatError> {
        todo!()
    }

    /// Searches.
    #[allow(clippy::too_many_arguments)]
    pub fn search<'v>(
        &self,
        postings: &[u8],
        query: &[f32],
        effort: Effort,
        accept: &dyn Fn(u32) -> bool,
        vector: &dyn Fn(u32) -> &'v [f32],
        top: &mut TopK,
    ) -> SearchStats {
        todo!()
    }
}
