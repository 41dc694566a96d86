//! The facts section: which index a segment belongs to, how many rows it
//! has, what it was built with. Bytes in and out, no more.

use crossbill_core::limits::DIMENSION_MAX;
use crossbill_core::{IndexShape, Metric, Seed, VectorStorage, VectorType};

use super::SegmentOptions;
use super::layout::{u32_at, u64_at};
use crate::FormatError;

/// Bytes of the section.
const FACTS_BYTES: usize = 32;

/// Rows that the arithmetic of the readers is safe for.
const ROWS_MAX: u32 = 1 << 31;

/// What the section says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub(super) shape: IndexShape,
    /// Superseded ones included.
    pub(super) rows: u32,
    /// Rows that are the newest of their id in the segment.
    pub(super) live_rows: u32,
    pub(super) options: SegmentOptions,
}

impl Facts {
    /// The section's bytes.
    pub(super) fn to_bytes(&self) -> [u8; FACTS_BYTES] {
        let mut bytes = [0; FACTS_BYTES];
        bytes[0] = match self.shape.vector_type {
            VectorType::Dense => 0,
            VectorType::Sparse => 1,
        };
        bytes[1] = match self.shape.metric {
            Metric::Cosine => 0,
            Metric::Euclidean => 1,
            Metric::DotProduct => 2,
        };
        bytes[2] = match self.shape.storage {
            VectorStorage::F32 => 0,
            VectorStorage::F16 => 1,
            VectorStorage::Bf16 => 2,
            VectorStorage::Int8 => 3,
        };
        bytes[3] = u8::from(self.shape.documents);
        bytes[4..8].copy_from_slice(&self.shape.dimension.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.rows.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.live_rows.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.options.seed.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.options.exact_rows_max.to_le_bytes());
        bytes
    }

    /// Reads and checks the section.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let wrong = |found: String, expected: &str| {
            Err(FormatError::damaged("facts", found, expected.to_owned()))
        };
        if bytes.len() != FACTS_BYTES {
            return wrong(format!("{} bytes", bytes.len()), "32 bytes");
        }
        let metric = match bytes[1] {
            0 => Metric::Cosine,
            1 => Metric::Euclidean,
            2 => Metric::DotProduct,
            other => return wrong(format!("metric {other}"), "0, 1 or 2"),
        };
        let storage = match bytes[2] {
            0 => VectorStorage::F32,
            1 => VectorStorage::F16,
            2 => VectorStorage::Bf16,
            3 => VectorStorage::Int8,
            other => return wrong(format!("vector storage {other}"), "0 to 3"),
        };
        let dimension = u32_at(bytes, 4);
        let is_sparse =
            dimension == 0 && metric == Metric::DotProduct && storage == VectorStorage::F32;
        let shape = match bytes[0] {
            0 if (1..=DIMENSION_MAX).contains(&dimension) => {
                IndexShape::dense(dimension, metric).stored_as(storage)
            }
            1 if is_sparse => IndexShape::sparse(),
            kind => {
                let found = format!(
                    "vector type {kind}, metric {}, storage {}, dimension {dimension}",
                    bytes[1], bytes[2]
                );
                return wrong(found, "a shape that an index can have");
            }
        };
        let shape = match bytes[3] {
            0 => shape,
            1 => shape.of_documents(),
            other => return wrong(format!("documents {other}"), "0 or 1"),
        };
        let (rows, live_rows) = (u32_at(bytes, 8), u32_at(bytes, 12));
        if rows > ROWS_MAX {
            return wrong(format!("{rows} rows"), &format!("at most {ROWS_MAX}"));
        }
        if live_rows > rows {
            return wrong(format!("{live_rows} live rows"), &format!("at most {rows}"));
        }
        let seed = Seed(u64_at(bytes, 16));
        let options = SegmentOptions { seed, exact_rows_max: u32_at(bytes, 24) };
        Ok(Self { shape, rows, live_rows, options })
    }
}
