//! Entry points of the fuzz targets: each takes bytes as a file would hold
//! them. Only there with the feature `fuzzing`; nothing that ships uses it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crossbill_core::{IndexShape, Metric, RequestLimits};
use crossbill_store::SourceError;
use rayon::ThreadPool;

use crate::decode::{DecodeBudget, Flow, Reading, decode_piece, survey};
use crate::source::blocks::ReadAhead;
use crate::source::{RangeRead, read_footer};
use crate::validate::record::KeptText;
use crate::validate::{Rules, validate};
use crate::{ColumnMapping, LineSpan, SourceFile, TaskPiece};

/// Rows after which a file has said enough.
const ROWS_MAX: usize = 10_000;

struct Memory(Bytes);

impl RangeRead for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

/// Reads a Parquet footer.
pub fn footer(bytes: &[u8]) {
    let _ = read_footer(&Memory(Bytes::copy_from_slice(bytes)));
}

/// Surveys, decodes and checks a file of the format that `path` ends with.
pub fn file(path: &str, bytes: &[u8], pool: &ThreadPool) {
    let shape = IndexShape::dense(4, Metric::DotProduct);
    let mapping = ColumnMapping::default();
    let bytes = Bytes::copy_from_slice(bytes);
    let memory = || Box::new(Memory(bytes.clone()));
    let Ok(found) = survey(memory(), path, &shape, &mapping) else { return };
    let spans = || found.groups.iter().filter_map(|group| group.lines);
    let lines = spans().next().zip(spans().next_back());
    let piece = TaskPiece {
        file: SourceFile { path: path.into(), size: bytes.len() as u64, etag: String::new() },
        first_row_group: 0,
        row_groups: found.groups.len() as u32,
        first_row: 0,
        rows: found.groups.iter().map(|group| group.rows).sum(),
        bytes: bytes.len() as u64,
        last: true,
        lines: lines.map(|(first, last)| LineSpan { end: last.end, ..first }),
    };
    let budget = DecodeBudget { batch_bytes: 64 << 10, block_bytes: 256 << 10 };
    let ahead = Arc::new(ReadAhead::default());
    let reading = Reading { shape: &shape, mapping: &mapping, budget, ahead: &ahead };
    let (mut rows, mut kept) = (0, KeptText::default());
    let limits = RequestLimits::default();
    let rules = Rules { shape: &shape, documents: None, limits: &limits };
    let _ = decode_piece(memory(), &piece, &reading, &mut |batch| {
        rows += batch.rows;
        validate(batch, rules, pool, &mut kept);
        if rows < ROWS_MAX { Flow::Go } else { Flow::Stop }
    });
}
