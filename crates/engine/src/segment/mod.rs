//! The segment: what records become at rest, and how they answer from there.
//!
//! One immutable file with everything that is needed to fetch, list, filter
//! and search the records it was built from; docs/format.md has it byte by
//! byte. [`SegmentBuilder`] writes one through the scratch port, [`Segment`]
//! reads one from bytes. Neither opens a file, and nothing here knows of
//! namespaces, manifests, or records deleted later: what a caller knows of
//! those it passes in as sets of rows.

mod builder;
mod bytes_view;
mod facts;
mod hybrid;
mod id_table;
mod ids;
mod layout;
mod matching;
mod metadata_index;
mod reader;
mod search;
mod sparse;
mod vectors;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use crossbill_core::{Seed, is_disk_full};

pub use builder::SegmentBuilder;
pub use bytes_view::AlignedBytes;
pub use matching::Matching;
pub use reader::Segment;
pub use search::SegmentQuery;

/// What a segment is built with, beside its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Where the build's random choices start.
    pub seed: Seed,
    /// With more live rows than this a segment of dense vectors gets a vector
    /// index; up to it, it is scanned.
    pub exact_rows_max: u32,
}

/// A finished segment that is not published yet.
#[derive(Debug)]
pub struct BuiltSegment<F> {
    /// The whole segment.
    pub file: F,
    /// Rows, superseded ones included.
    pub rows: u32,
    /// Rows that are the newest of their id in this segment.
    pub live_rows: u32,
    /// The file's length.
    pub bytes: u64,
    /// The checksum its footer ends with. It covers header and section table,
    /// and so, through the checksums in the table, every section.
    pub checksum: u32,
}

/// Why a segment could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The scratch space failed: most often, it is full.
    #[error("cannot write a segment's scratch file: {0}")]
    Io(#[from] std::io::Error),
    /// A batch that was not checked against the shape, or one too many.
    #[error("batch has {found}, expected {expected}")]
    Batch {
        /// What the batch has.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// The words of text fields could not be gathered.
    #[error("cannot gather the words of text fields: {0}")]
    Text(String),
}

impl From<tantivy::TantivyError> for BuildError {
    fn from(error: tantivy::TantivyError) -> Self {
        BuildError::Text(error.to_string())
    }
}

impl From<BuildError> for crossbill_core::Error {
    fn from(error: BuildError) -> Self {
        let message = error.to_string();
        match &error {
            BuildError::Io(cause) if is_disk_full(cause) => {
                crossbill_core::Error::disk_full(format!("the disk is full: {message}"))
            }
            BuildError::Io(_) => crossbill_core::Error::unavailable(message),
            BuildError::Batch { .. } | BuildError::Text(_) => {
                crossbill_core::Error::internal(message)
            }
        }
        .with_source(error)
    }
}
