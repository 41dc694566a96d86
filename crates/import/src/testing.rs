//! Parquet for tests, written from code, and an in-memory file to read it
//! from.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::builder::{Float32Builder, ListBuilder, UInt32Builder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use crossbill_core::IndexShape;
use crossbill_store::SourceError;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::decode::{DecodeBudget, Flow, PieceFailure, Reading, RowBatch, decode_piece, survey};
use crate::failure::FileFailure;
use crate::source::RangeRead;
use crate::source::blocks::ReadAhead;
use crate::{ColumnMapping, LineSpan, SourceFile, TaskPiece};

/// A string column.
pub(crate) fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Ids `<prefix>0`, `<prefix>1`, …
pub(crate) fn ids(prefix: &str, count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(|row| format!("{prefix}{row}"))))
}

/// A column of float lists.
pub(crate) fn vectors(rows: &[Option<Vec<Option<f32>>>]) -> ArrayRef {
    let mut builder = ListBuilder::new(Float32Builder::new());
    for row in rows {
        match row {
            Some(values) => {
                values.iter().for_each(|value| builder.values().append_option(*value));
                builder.append(true);
            }
            None => builder.append(false),
        }
    }
    Arc::new(builder.finish())
}

/// `count` vectors that are neither zero nor alike.
pub(crate) fn some_vectors(count: usize, dimension: usize) -> ArrayRef {
    let row = |row: usize| {
        Some((0..dimension).map(|at| Some((row * 31 + at * 7) as f32 % 97.0 + 0.5)).collect())
    };
    vectors(&(0..count).map(row).collect::<Vec<_>>())
}

/// Indices and values of one row; none where that part is null.
pub(crate) type SparseParts = (Option<Vec<Option<u32>>>, Option<Vec<Option<f32>>>);

/// A column of sparse vectors.
pub(crate) fn sparse(rows: &[Option<SparseParts>]) -> ArrayRef {
    let list = |kind| DataType::List(Arc::new(Field::new("item", kind, true)));
    let fields = Fields::from(vec![
        Field::new("indices", list(DataType::UInt32), true),
        Field::new("values", list(DataType::Float32), true),
    ]);
    let mut indices = ListBuilder::new(UInt32Builder::new());
    let mut values = ListBuilder::new(Float32Builder::new());
    for row in rows {
        let (at, of) = row.clone().unwrap_or((None, None));
        match at {
            Some(at) => indices.append_value(at),
            None => indices.append_null(),
        }
        match of {
            Some(of) => values.append_value(of),
            None => values.append_null(),
        }
    }
    let nulls: NullBuffer = rows.iter().map(Option::is_some).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(indices.finish()), Arc::new(values.finish())];
    Arc::new(arrow_array::StructArray::new(fields, columns, Some(nulls)))
}

/// The bytes of a Parquet file.
pub(crate) fn parquet(columns: &[(&str, ArrayRef)], properties: WriterProperties) -> Vec<u8> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// As [`parquet`], with the writer's defaults.
pub(crate) fn plain(columns: &[(&str, ArrayRef)]) -> Vec<u8> {
    parquet(columns, WriterProperties::default())
}

/// A file in memory that knows how many bytes of it are borrowed.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    bytes: Arc<Vec<u8>>,
    /// What follows again and again up to the end.
    body: Arc<Vec<u8>>,
    size: u64,
    live: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
    pub(crate) reads: Arc<Mutex<Vec<Range<u64>>>>,
}

impl Memory {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { size: bytes.len() as u64, bytes: Arc::new(bytes), ..Self::default() }
    }

    /// A file of `head` and of `body` so many times over, which is never all
    /// in memory.
    pub(crate) fn repeated(head: Vec<u8>, body: Vec<u8>, times: u64) -> Self {
        let size = head.len() as u64 + times * body.len() as u64;
        Self { size, bytes: Arc::new(head), body: Arc::new(body), ..Self::default() }
    }

    fn copy(&self, range: Range<u64>) -> Vec<u8> {
        let head = self.bytes.len() as u64;
        let mut part = Vec::with_capacity((range.end - range.start) as usize);
        part.extend(&self.bytes[range.start.min(head) as usize..range.end.min(head) as usize]);
        let mut at = range.start.max(head);
        while at < range.end {
            let from = ((at - head) % self.body.len() as u64) as usize;
            let left = usize::try_from(range.end - at).unwrap();
            let piece = &self.body[from..self.body.len().min(from.saturating_add(left))];
            part.extend(piece);
            at += piece.len() as u64;
        }
        part
    }

    /// The most bytes that were borrowed at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

struct Borrowed(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::SeqCst);
    }
}

impl RangeRead for Memory {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        self.reads.lock().unwrap().push(range.clone());
        let part = self.copy(range);
        let live = part.len() + self.live.fetch_add(part.len(), Ordering::SeqCst);
        self.peak.fetch_max(live, Ordering::SeqCst);
        Ok(Bytes::from_owner(Borrowed(part, Arc::clone(&self.live))))
    }
}

/// A budget that makes many small batches and blocks.
pub(crate) const SMALL: DecodeBudget = DecodeBudget { batch_bytes: 4 << 10, block_bytes: 64 << 10 };

/// The piece that is the whole of `file`.
pub(crate) fn whole(file: &Memory, shape: &IndexShape) -> Result<TaskPiece, FileFailure> {
    piece_of(file, "b/part-1.parquet", shape, &ColumnMapping::default())
}

/// The piece that is the whole of `file`, which stands at `path`.
pub(crate) fn piece_of(
    file: &Memory,
    path: &str,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<TaskPiece, FileFailure> {
    let found = survey(Box::new(file.clone()), path, shape, mapping)?;
    let spans = || found.groups.iter().filter_map(|group| group.lines);
    let lines = spans().next().zip(spans().next_back());
    Ok(TaskPiece {
        file: SourceFile { path: path.into(), size: file.size(), etag: "e".into() },
        first_row_group: 0,
        row_groups: found.groups.len() as u32,
        first_row: 0,
        rows: found.groups.iter().map(|group| group.rows).sum(),
        bytes: file.size(),
        last: true,
        lines: lines.map(|(first, last)| LineSpan { end: last.end, ..first }),
    })
}

/// Decodes all of `file`; what came before a failure is in the first half.
pub(crate) fn decode_all(
    file: &Memory,
    shape: &IndexShape,
    budget: DecodeBudget,
    take: &mut dyn FnMut(RowBatch),
) -> Result<(), PieceFailure> {
    decode_as(file, "b/part-1.parquet", shape, &ColumnMapping::default(), budget, take)
}

/// As [`decode_all`], of a file at `path`.
pub(crate) fn decode_as(
    file: &Memory,
    path: &str,
    shape: &IndexShape,
    mapping: &ColumnMapping,
    budget: DecodeBudget,
    take: &mut dyn FnMut(RowBatch),
) -> Result<(), PieceFailure> {
    let failed = |failure| PieceFailure { failure, row_group: None, rows_done: 0 };
    let piece = piece_of(file, path, shape, mapping).map_err(failed)?;
    let ahead = Arc::new(ReadAhead::default());
    let reading = Reading { shape, mapping, budget, ahead: &ahead };
    std::thread::scope(|scope| {
        scope.spawn(|| ahead.serve());
        let mut all = |batch| {
            take(batch);
            Flow::Go
        };
        let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            decode_piece(Box::new(file.clone()), &piece, &reading, &mut all)
        }));
        ahead.close();
        decoded.unwrap()
    })
}
