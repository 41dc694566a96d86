//! The vector engine: which records are near? Distances, clustering, codes,
//! segments in and out of bytes, dense, sparse and filtered search.
//!
//! Pure compute: no I/O but through the ports it is handed, nothing async, no
//! clock; the same input and seed give the same bytes whatever the number of
//! threads.

mod build_watch;
pub mod exact;
mod format_error;
mod ivf;
pub mod kernels;
mod kmeans;
mod rabitq;
mod rotation;
mod rows;
mod segment;
mod text;
mod topk;

pub use build_watch::BuildWatch;
pub use format_error::FormatError;
pub use ivf::{
    Accept, CellLists, Effort, Ivf, IvfSections, RowScores, RowSource, SearchStats, build_ivf,
    index_bytes_per_row,
};
pub use segment::{
    AlignedBytes, BuildError, BuiltSegment, Matching, Segment, SegmentBuilder, SegmentOptions,
    SegmentQuery,
};
pub use text::{TextFields, TextIndex, TextPart, TextPlan, TextQuery, TextQueryError};
pub use topk::{Scored, TopK};
