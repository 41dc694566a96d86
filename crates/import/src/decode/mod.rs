//! Decodes a task's row groups into batches of bounded size, page by page,
//! one row group after the other. Files are hostile: whatever the decoder
//! does, a panic included, becomes that file's failure.

mod columns;
mod json;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch as ArrowBatch;
use crossbill_core::IndexShape;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelector};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

pub(crate) use columns::{
    DenseColumn, IdColumn, MetadataColumn, MetadataRow, SparseColumn, SparseRow,
};

use crate::columns::{self as schema, Columns};
use crate::failure::FileFailure;
use crate::reject::codes;
use crate::source::blocks::{BlockOptions, Blocks, ReadAhead};
use crate::source::{BatchLimit, OneRowGroup, RangeRead, panic_text, read_footer};
use crate::{SourceFile, TaskPiece};

/// Rows of a batch at most, however small they are.
const BATCH_ROWS_MAX: usize = 16_384;
/// What a column of a batch may take however small the budget is.
const COLUMN_BYTES_MIN: u64 = 8 << 20;
/// How much smaller batches become where one would take too much.
const SHRINK: usize = 16;

/// Rows as a file holds them, before any rule is checked. All of one row
/// group.
pub(crate) struct RowBatch {
    /// The file.
    pub(crate) file: Arc<SourceFile>,
    /// The row group they are from.
    pub(crate) row_group: u32,
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
}

/// Memory the decoder may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecodeBudget {
    /// Bytes of one decoded batch.
    pub(crate) batch_bytes: usize,
    /// Bytes of blocks kept of the file.
    pub(crate) block_bytes: usize,
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

/// Decodes `piece` and hands its batches to `take`, in order.
pub(crate) fn decode_piece(
    file: Box<dyn RangeRead>,
    piece: &TaskPiece,
    shape: &IndexShape,
    budget: DecodeBudget,
    ahead: &Arc<ReadAhead>,
    take: &mut dyn FnMut(RowBatch) -> Flow,
) -> Result<(), PieceFailure> {
    let mut rows_done = 0;
    let mut at = None;
    let run = || -> Result<(), FileFailure> {
        let opened = OpenFile::open(file, piece, shape, budget, ahead)?;
        for number in piece.first_row_group..piece.first_row_group + piece.row_groups {
            at = Some(number);
            let mut counted = |batch: RowBatch| {
                rows_done += batch.rows as u64;
                take(batch)
            };
            let first_row = piece.first_row + opened.rows_before(piece, number);
            if opened.row_group(number, first_row, budget, &mut counted)? == Flow::Stop {
                return Ok(());
            }
        }
        Ok(())
    };
    run().map_err(|failure| PieceFailure { failure, row_group: at, rows_done })
}

struct OpenFile {
    file: Arc<SourceFile>,
    blocks: Arc<Blocks>,
    metadata: Arc<ParquetMetaData>,
    columns: Columns,
    dimension: usize,
}

impl OpenFile {
    fn open(
        file: Box<dyn RangeRead>,
        piece: &TaskPiece,
        shape: &IndexShape,
        budget: DecodeBudget,
        ahead: &Arc<ReadAhead>,
    ) -> Result<Self, FileFailure> {
        let metadata = read_footer(&*file)?;
        let columns = Columns::resolve(metadata.file_metadata().schema_descr(), shape)?;
        let groups = piece.first_row_group..piece.first_row_group + piece.row_groups;
        let rows: i64 = metadata
            .row_groups()
            .get(groups.start as usize..groups.end as usize)
            .unwrap_or_default()
            .iter()
            .map(RowGroupMetaData::num_rows)
            .sum();
        if u64::try_from(rows) != Ok(piece.rows) {
            // The pinned version cannot say this; only a source that lies.
            let reason = format!("its footer now has {rows} rows, had {}", piece.rows);
            return Err(FileFailure::bad(codes::FILE_CHANGED, reason));
        }
        let (wanted, streams) = wanted_ranges(&metadata, &columns, groups);
        let options = BlockOptions::within(budget.block_bytes, streams);
        let blocks = Blocks::new(file, options, wanted, Arc::clone(ahead));
        let dimension = shape.dimension as usize;
        let metadata = Arc::new(metadata);
        Ok(Self { file: Arc::new(piece.file.clone()), blocks, metadata, columns, dimension })
    }

    /// Rows of the piece before row group `number`.
    fn rows_before(&self, piece: &TaskPiece, number: u32) -> u64 {
        (piece.first_row_group..number)
            .map(|group| self.metadata.row_group(group as usize).num_rows() as u64)
            .sum()
    }

    /// The decoder keeps only the text of a source's error; the blocks have
    /// the error itself.
    fn failure(&self, text: &str) -> FileFailure {
        match self.blocks.failure() {
            Some(error) => FileFailure::Source(error),
            None => {
                let text = without_prefixes(text);
                FileFailure::bad(codes::FILE_DECODE, format!("it is damaged: {text}"))
            }
        }
    }

    fn guarded<T>(&self, decode: impl FnOnce() -> Result<T, String>) -> Result<T, FileFailure> {
        match catch_unwind(AssertUnwindSafe(decode)) {
            Ok(outcome) => outcome.map_err(|text| self.failure(&text)),
            Err(panic) => Err(self.failure(&panic_text(&*panic))),
        }
    }

    fn row_group(
        &self,
        number: u32,
        first_row: u64,
        budget: DecodeBudget,
        take: &mut dyn FnMut(RowBatch) -> Flow,
    ) -> Result<Flow, FileFailure> {
        let group = self.metadata.row_group(number as usize);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        if rows == 0 {
            return Ok(Flow::Go);
        }
        let mut limit = BatchLimit {
            rows: self.batch_rows(group, rows, budget.batch_bytes),
            first_row: 0,
            bytes_max: (4 * budget.batch_bytes as u64).max(COLUMN_BYTES_MIN),
            exceeded: Arc::default(),
            page_too_large: Arc::default(),
        };
        let mut reader = self.guarded(|| self.reader(number, &limit, rows))?;
        let packed: u64 = self.chunks(group).map(|chunk| chunk.1).sum();
        let mut done = 0_u64;
        loop {
            let next = self.guarded(|| {
                let Some(batch) = reader.next() else { return Ok(None) };
                let batch = batch.map_err(|error| error.to_string())?;
                self.convert(&batch).map(Some)
            });
            let exceeded = limit.exceeded.swap(false, Ordering::AcqRel);
            if next.is_err() && exceeded && limit.rows > 1 {
                limit.rows = (limit.rows / SHRINK).max(1);
                limit.first_row = done;
                reader = self.guarded(|| self.reader(number, &limit, rows))?;
                continue;
            }
            let over = exceeded || limit.page_too_large.load(Ordering::Acquire);
            let next = next.map_err(|failure| if over { failure.of_a_limit() } else { failure });
            let Some(mut batch) = next? else { break };
            batch.row_group = number;
            batch.first_row = first_row + done;
            let before = portion(packed, done, rows);
            done += batch.rows as u64;
            batch.packed_bytes = portion(packed, done, rows) - before;
            if done > rows {
                break;
            }
            if take(batch) == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        if done != rows {
            let text = format!("it has {done} rows here, its footer promised {rows}");
            return Err(self.failure(&text));
        }
        Ok(Flow::Go)
    }

    /// Decodes row group `number` of `rows` rows from the limit's first row
    /// on. Rows before it cost their reading once more, nothing else.
    fn reader(
        &self,
        number: u32,
        limit: &BatchLimit,
        rows: u64,
    ) -> Result<ParquetRecordBatchReader, String> {
        let schema = self.metadata.file_metadata().schema_descr();
        let levels = self.columns.levels(schema).map_err(|error| error.to_string())?;
        let group = OneRowGroup {
            blocks: Arc::clone(&self.blocks),
            metadata: Arc::clone(&self.metadata),
            number: number as usize,
            limit: limit.clone(),
        };
        let wanted = (limit.first_row > 0).then(|| {
            RowSelection::from(vec![
                RowSelector::skip(limit.first_row as usize),
                RowSelector::select((rows - limit.first_row) as usize),
            ])
        });
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, limit.rows, wanted)
            .map_err(|error| error.to_string())
    }

    /// Values, packed bytes and unpacked bytes of the chunks read.
    fn chunks<'a>(
        &'a self,
        group: &'a RowGroupMetaData,
    ) -> impl Iterator<Item = (u64, u64, u64)> + 'a {
        let schema = self.metadata.file_metadata().schema_descr();
        group.columns().iter().enumerate().filter_map(move |(leaf, chunk)| {
            let root = schema.get_column_root_idx(leaf);
            self.columns.roots().any(|read| read == root).then(|| {
                let positive = |number: i64| u64::try_from(number).unwrap_or(0);
                (
                    positive(chunk.num_values()),
                    positive(chunk.compressed_size()),
                    positive(chunk.uncompressed_size()),
                )
            })
        })
    }

    /// Rows of a batch so that it decodes to about `bytes`.
    fn batch_rows(&self, group: &RowGroupMetaData, rows: u64, bytes: usize) -> usize {
        // A value takes four bytes decoded and as many for its levels, and a
        // string about what it takes in the file.
        let values: u64 = self.chunks(group).map(|chunk| chunk.0.saturating_mul(8)).sum();
        let text: u64 = self.chunks(group).map(|chunk| chunk.2).sum();
        let per_row =
            (values / rows).saturating_add(text / rows).max(self.dimension as u64 * 4).max(64);
        let fitting = usize::try_from(bytes as u64 / per_row).unwrap_or(BATCH_ROWS_MAX);
        fitting.clamp(1, BATCH_ROWS_MAX)
    }

    fn convert(&self, batch: &ArrowBatch) -> Result<RowBatch, String> {
        let column = |name: &str| batch.column_by_name(name);
        let missing = || "a column is missing".to_owned();
        let ids = IdColumn::new(column(schema::ID).ok_or_else(missing)?)?;
        let values = match self.columns.values {
            Some(_) => Some(DenseColumn::new(column(schema::VALUES).ok_or_else(missing)?)?),
            None => None,
        };
        let sparse = match self.columns.sparse {
            Some(_) => Some(SparseColumn::new(column(schema::SPARSE).ok_or_else(missing)?)?),
            None => None,
        };
        let metadata = match self.columns.metadata {
            Some(_) => MetadataColumn::new(column(schema::METADATA).ok_or_else(missing)?)?,
            None => None,
        };
        Ok(RowBatch {
            file: Arc::clone(&self.file),
            row_group: 0,
            first_row: 0,
            rows: batch.num_rows(),
            packed_bytes: 0,
            ids,
            values,
            sparse,
            metadata,
        })
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

/// The byte ranges of the chunks that will be read, and how many columns are
/// read at once.
fn wanted_ranges(
    metadata: &ParquetMetaData,
    columns: &Columns,
    groups: Range<u32>,
) -> (Vec<Range<u64>>, usize) {
    let schema = metadata.file_metadata().schema_descr();
    let leaves: Vec<usize> = (0..schema.num_columns())
        .filter(|leaf| columns.roots().any(|root| root == schema.get_column_root_idx(*leaf)))
        .collect();
    let mut ranges = Vec::new();
    for number in groups {
        let group = metadata.row_group(number as usize);
        ranges.extend(leaves.iter().map(|leaf| {
            let (start, length) = group.column(*leaf).byte_range();
            start..start + length
        }));
    }
    (ranges, leaves.len())
}

#[cfg(test)]
mod tests;
