//! The words every other crate speaks: records, metadata, filters, metrics,
//! limits, errors, and the ports for time and randomness.
//!
//! Nothing here does I/O (but for asking the system clock and entropy source
//! behind their ports), nothing is async, nothing knows the wire or the disk.

mod batch;
mod clock;
mod documents;
mod error;
mod filter;
mod ids;
pub mod limits;
mod metadata;
mod names;
mod request_limits;
mod scratch;
mod seed;
mod storage;
mod stored_bytes;
mod text;
mod vector;

pub use batch::{Record, RecordBatch, StringColumn};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use documents::{DocumentError, DocumentFields, REJECT_FIELD, check_document};
pub use error::{Error, ErrorKind, Result};
pub use filter::{Comparison, Filter, FilterError, FilterValue, TextMatch};
pub use ids::{IdSource, RandomIds, SeededIds, UniqueId};
pub use metadata::{Metadata, MetadataError, MetadataValue};
pub use names::{IndexName, NameError, NamespaceName, check_new_id, check_record_id};
pub use request_limits::{RequestLimit, RequestLimits};
pub use scratch::{
    MemoryScratch, MemoryScratchFile, ScratchBytes, ScratchFile, ScratchSpace, is_disk_full,
};
pub use seed::{Rng, Seed};
pub use storage::{VectorStorage, int8_parts};
pub use stored_bytes::{PartBytes, StoredBytes};
pub use text::{Language, Ngrams, TextClause, TextField, TextOptions, TextSchema};
pub use vector::{
    IndexShape, Metric, SparseVector, VectorError, VectorType, check_dense, check_dense_query,
    check_stored,
};
