//! Decodes a task's pieces into batches of bounded size, one row group (or
//! what a format has instead) after the other. Each format has a module that
//! surveys a file for the plan and decodes a piece of it. Files are hostile:
//! whatever a decoder does, a panic included, becomes that file's failure.

mod arrow;
mod columns;
mod convert;
mod json;
mod lines;
mod look;
mod npy;
mod parquet;
mod record;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbill_core::IndexShape;

pub(crate) use columns::{
    DenseColumn, IdColumn, MetadataColumn, MetadataRow, SparseColumn, SparseRow,
};
pub(crate) use look::{Look, look};
pub(crate) use record::Fault;

use crate::columns::ColumnNames;
use crate::failure::FileFailure;
use crate::mapping::ColumnMapping;
use crate::reject::codes;
use crate::source::blocks::{Blocks, ReadAhead};
use crate::source::{Format, RangeRead, panic_text};
use crate::{LineSpan, SourceFile, TaskPiece};

/// Rows of a batch at most, however small they are.
const BATCH_ROWS_MAX: usize = 16_384;

/// Rows as a file holds them, before any rule is checked. All of one row
/// group.
pub(crate) struct RowBatch {
    /// The file.
    pub(crate) file: Arc<SourceFile>,
    /// What the file calls the parts of the schema.
    pub(crate) names: Arc<ColumnNames>,
    /// The row group they are from, where the format has such.
    pub(crate) row_group: Option<u32>,
    /// The file's row that the first of them is.
    pub(crate) first_row: u64,
    /// How many.
    pub(crate) rows: usize,
    /// Their share of the packed bytes.
    pub(crate) packed_bytes: u64,
    pub(crate) ids: IdColumn,
    pub(crate) values: Option<DenseColumn>,
    pub(crate) sparse: Option<SparseColumn>,
    pub(crate) metadata: Option<MetadataColumn>,
    /// The lines they are, from 1, where the format has lines.
    pub(crate) lines: Option<Vec<u64>>,
    /// Rows that are no records at all, ascending.
    pub(crate) faults: Vec<RowFault>,
}

/// A row that is no record.
pub(crate) struct RowFault {
    pub(crate) row: usize,
    pub(crate) fault: Fault,
    /// The row as it stands in the file, or its beginning.
    pub(crate) raw: String,
}

impl RowBatch {
    /// Says where the rows stand.
    fn place(&mut self, row_group: Option<u32>, first_row: u64) {
        self.row_group = row_group;
        self.first_row = first_row;
        self.ids.start_at(first_row);
    }
}

/// Memory the decoder may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecodeBudget {
    /// Bytes of one decoded batch.
    pub(crate) batch_bytes: usize,
    /// Bytes of blocks kept of the file.
    pub(crate) block_bytes: usize,
}

/// How a task's files are read.
pub(crate) struct Reading<'a> {
    pub(crate) shape: &'a IndexShape,
    pub(crate) mapping: &'a ColumnMapping,
    pub(crate) budget: DecodeBudget,
    pub(crate) ahead: &'a Arc<ReadAhead>,
}

/// What a plan needs to know of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Its row groups.
    pub(crate) groups: Vec<Group>,
    /// Columns that are not read.
    pub(crate) ignored: Vec<String>,
}

/// A row group, or what a format has instead: the least that a task reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    /// Rows.
    pub(crate) rows: u64,
    /// Packed bytes of the columns to read.
    pub(crate) bytes: u64,
    /// Its lines, where the format has lines.
    pub(crate) lines: Option<LineSpan>,
}

impl Group {
    pub(crate) fn new(rows: u64, bytes: u64) -> Self {
        Self { rows, bytes, lines: None }
    }
}

/// Where a piece stopped, and why.
pub(crate) struct PieceFailure {
    pub(crate) failure: FileFailure,
    /// The row group that could not be read (none: the whole file).
    pub(crate) row_group: Option<u32>,
    /// Rows of the piece handed out before.
    pub(crate) rows_done: u64,
}

/// Whether whoever takes the batches wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Go,
    Stop,
}

/// Where batches go, and how far a piece is.
struct Output<'a> {
    take: &'a mut dyn FnMut(RowBatch) -> Flow,
    row_group: Option<u32>,
    rows_done: u64,
}

impl Output<'_> {
    fn give(&mut self, batch: RowBatch) -> Flow {
        self.rows_done += batch.rows as u64;
        (self.take)(batch)
    }
}

/// What a plan needs to know of `file` at `path`.
pub(crate) fn survey(
    file: Box<dyn RangeRead>,
    path: &str,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Survey, FileFailure> {
    let surveyed = catch_unwind(AssertUnwindSafe(|| match format_of(path)? {
        Format::Parquet => parquet::survey(&*file, shape, mapping),
        Format::Lines(packing) => lines::survey(file, packing, shape, mapping),
        Format::Arrow => arrow::survey(&*file, shape, mapping),
        Format::Numpy => npy::survey(&*file, shape, mapping),
    }));
    surveyed.unwrap_or_else(|panic| {
        let reason = format!("it cannot be read: {}", panic_text(&*panic));
        Err(FileFailure::bad(codes::FILE_DECODE, reason))
    })
}

/// Decodes `piece` and hands its batches to `take`, in order.
pub(crate) fn decode_piece(
    file: Box<dyn RangeRead>,
    piece: &TaskPiece,
    reading: &Reading<'_>,
    take: &mut dyn FnMut(RowBatch) -> Flow,
) -> Result<(), PieceFailure> {
    let mut output = Output { take, row_group: None, rows_done: 0 };
    let decoded = format_of(&piece.file.path).and_then(|format| match format {
        Format::Parquet => parquet::decode(file, piece, reading, &mut output),
        Format::Lines(packing) => lines::decode(file, packing, piece, reading, &mut output),
        Format::Arrow => arrow::decode(file, piece, reading, &mut output),
        Format::Numpy => npy::decode(file, piece, reading, &mut output),
    });
    let Output { row_group, rows_done, .. } = output;
    decoded.map_err(|failure| PieceFailure { failure, row_group, rows_done })
}

fn format_of(path: &str) -> Result<Format, FileFailure> {
    Format::of(path).ok_or_else(|| {
        FileFailure::bad(codes::FILE_FORMAT, "its name has the ending of no format that is read")
    })
}

/// Runs a step of a decoder; what goes wrong in it is the file's failure. The
/// decoder keeps only the text of a source's error; the blocks have the error
/// itself.
fn guarded<T>(
    blocks: &Blocks,
    decode: impl FnOnce() -> Result<T, String>,
) -> Result<T, FileFailure> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(outcome) => outcome.map_err(|text| failure(blocks, &text)),
        Err(panic) => Err(failure(blocks, &panic_text(&*panic))),
    }
}

fn failure(blocks: &Blocks, text: &str) -> FileFailure {
    match blocks.failure() {
        Some(error) => FileFailure::Source(error),
        None => {
            let text = without_prefixes(text);
            FileFailure::bad(codes::FILE_DECODE, format!("it is damaged: {text}"))
        }
    }
}

/// What the decoder says without the names of its own layers.
fn without_prefixes(mut text: &str) -> &str {
    const PREFIXES: [&str; 4] =
        ["Parquet argument error: ", "Parquet error: ", "External: ", "Arrow: "];
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text
}

/// `rows` rows' share of `bytes` that `total` rows have.
fn portion(bytes: u64, rows: u64, total: u64) -> u64 {
    (u128::from(bytes) * u128::from(rows.min(total)) / u128::from(total.max(1))) as u64
}

#[cfg(test)]
mod formats_tests;
#[cfg(test)]
mod large_tests;
#[cfg(test)]
mod tests;
