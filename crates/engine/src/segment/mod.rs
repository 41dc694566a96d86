//! The segment: what a batch of records becomes at rest, and how it answers.
//!
//! Signatures first; bodies follow.
#![allow(clippy::todo, unused_variables, dead_code)]

mod bytes_view;
pub use bytes_view::AlignedBytes;
use std::marker::PhantomData;
use std::sync::Arc;

use crossbill_core::{
    Filter, IndexShape, Record, RecordBatch, ScratchSpace, Seed, SparseVector,
};
use roaring::RoaringBitmap;

use crate::{Effort, FormatError, Scored, SearchStats};

/// A segment file's bytes: a memory map, or a buffer.
pub type PartBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What a segment is built with, beside its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Where the build's random choices start.
    pub seed: Seed,
    /// Up to this many live rows the segment is scanned exactly.
    pub exact_rows_max: u32,
}

/// Why a segment could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The scratch file failed.
    #[error("segment scratch file: {0}")]
    Io(#[from] std::io::Error),
    /// The batch does not fit the shape.
    #[error("batch has {found}, expected {expected}")]
    Batch {
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
}

impl From<BuildError> for crossbill_core::Error {
    fn from(error: BuildError) -> Self {
        crossbill_core::Error::internal(error.to_string()).with_source(error)
    }
}

/// Builds one segment from batches of checked records.
pub struct SegmentBuilder<S: ScratchSpace> {
    space: PhantomData<S>,
}

impl<S: ScratchSpace> SegmentBuilder<S> {
    /// An empty builder.
    pub fn new(shape: IndexShape, options: SegmentOptions, space: &S) -> Result<Self, BuildError> {
        todo!()
    }

    /// Adds a batch of records.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), BuildError> {
        todo!()
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u32 {
        todo!()
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        todo!()
    }

    /// Writes the rest of the file.
    pub fn finish(self, pool: &rayon::ThreadPool) -> Result<BuiltSegment<S::File>, BuildError> {
        todo!()
    }
}

/// A finished segment, not yet published.
#[derive(Debug)]
pub struct BuiltSegment<F> {
    /// The file.
    pub file: F,
    /// Rows, superseded ones included.
    pub rows: u32,
    /// Rows that are the newest of their id in this segment.
    pub live_rows: u32,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The file's checksum: the crc32c its footer ends with.
    pub checksum: u32,
}

/// An open segment.
pub struct Segment {
    bytes: PartBytes,
}

/// What is asked of a segment.
#[derive(Debug, Clone, Copy)]
pub struct SegmentQuery<'a> {
    /// The dense query vector.
    pub dense: Option<&'a [f32]>,
    /// The sparse query vector.
    pub sparse: Option<&'a SparseVector>,
    /// Rows wanted.
    pub top_k: usize,
    /// How hard to look.
    pub effort: Effort,
}

impl Segment {
    /// Opens a segment.
    pub fn open(bytes: PartBytes) -> Result<Segment, FormatError> {
        todo!()
    }

    /// Checks every byte.
    pub fn verify(&self) -> Result<(), FormatError> {
        todo!()
    }

    /// The index's shape.
    pub fn shape(&self) -> &IndexShape {
        todo!()
    }

    /// Rows, superseded ones included.
    pub fn rows(&self) -> u32 {
        todo!()
    }

    /// Rows replaced by a later row of this segment.
    pub fn superseded(&self) -> &RoaringBitmap {
        todo!()
    }

    /// The id of `row`.
    pub fn id(&self, row: u32) -> &str {
        todo!()
    }

    /// The dense vector of `row`; empty in a sparse index.
    pub fn vector(&self, row: u32) -> &[f32] {
        todo!()
    }

    /// The sparse vector of `row`.
    pub fn sparse(&self, row: u32) -> Option<SparseVector> {
        todo!()
    }

    /// The metadata of `row` as canonical JSON.
    pub fn metadata_json(&self, row: u32) -> Option<&str> {
        todo!()
    }

    /// All of `row`.
    pub fn record(&self, row: u32) -> Record {
        todo!()
    }

    /// The live row of `id`.
    pub fn find(&self, id: &str) -> Option<u32> {
        todo!()
    }

    /// Live rows in id order: ids that start with `prefix` and come after `after`.
    pub fn ids_after<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, u32)> + 'a {
        std::iter::empty()
    }

    /// Ids live in both: (own row, the other's row).
    pub fn common_ids(&self, other: &Segment) -> Vec<(u32, u32)> {
        todo!()
    }

    /// Rows whose metadata matches.
    pub fn matching(&self, filter: &Filter) -> RoaringBitmap {
        todo!()
    }

    /// The nearest rows, nearest first.
    pub fn search(
        &self,
        query: &SegmentQuery<'_>,
        skip: &RoaringBitmap,
        only: Option<&RoaringBitmap>,
    ) -> (Vec<Scored>, SearchStats) {
        todo!()
    }
}
