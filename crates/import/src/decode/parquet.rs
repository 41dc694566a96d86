//! Parquet: row groups, decoded page by page through bounded reads.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_schema::{DataType, Field, FieldRef, Fields};
use crossbill_core::IndexShape;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelector};
use parquet::arrow::{
    FieldLevels, ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema,
    parquet_to_arrow_schema_by_columns,
};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::SchemaDescriptor;

use super::convert::Converter;
use super::{
    BATCH_ROWS_MAX, DecodeBudget, Flow, Group, Output, Reading, Survey, failure, guarded, portion,
};
use crate::TaskPiece;
use crate::columns::{Columns, FoundColumn};
use crate::failure::FileFailure;
use crate::mapping::ColumnMapping;
use crate::reject::codes;
use crate::source::blocks::{BlockOptions, Blocks};
use crate::source::{BatchLimit, OneRowGroup, RangeRead, read_footer};

/// What a column of a batch may take however small the budget is.
const COLUMN_BYTES_MIN: u64 = 8 << 20;
/// How much smaller batches become where one would take too much.
const SHRINK: usize = 16;

/// What the footer says.
pub(super) fn survey(
    file: &dyn RangeRead,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Survey, FileFailure> {
    let metadata = read_footer(file)?;
    let schema = metadata.file_metadata().schema_descr();
    let columns = Columns::resolve(&found_columns(schema), shape, mapping)?;
    let roots: Vec<usize> = columns.roots().collect();
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let mut bytes = 0_u64;
        for (leaf, chunk) in group.columns().iter().enumerate() {
            let root = schema.get_column_root_idx(leaf);
            if !roots.contains(&root) {
                continue;
            }
            bytes += u64::try_from(chunk.compressed_size()).unwrap_or(0);
            // Every row has an entry in every column, null or not.
            if u64::try_from(chunk.num_values()).unwrap_or(0) < rows {
                let reason = format!(
                    "its footer is damaged: row group {number} claims {rows} rows, but {} values \
                     of column {:?}",
                    chunk.num_values(),
                    schema.get_column_root(leaf).name()
                );
                return Err(FileFailure::bad(codes::FILE_DECODE, reason));
            }
        }
        groups.push(Group::new(rows, bytes));
    }
    Ok(Survey { groups, ignored: columns.ignored })
}

/// All columns of the file.
pub(super) fn columns(file: &dyn RangeRead) -> Result<Vec<FoundColumn>, FileFailure> {
    Ok(found_columns(read_footer(file)?.file_metadata().schema_descr()))
}

/// Decodes the piece's row groups.
pub(super) fn decode(
    file: Box<dyn RangeRead>,
    piece: &TaskPiece,
    reading: &Reading<'_>,
    output: &mut Output<'_>,
) -> Result<(), FileFailure> {
    let opened = OpenFile::open(file, piece, reading)?;
    for number in piece.first_row_group..piece.first_row_group + piece.row_groups {
        output.row_group = Some(number);
        let first_row = piece.first_row + opened.rows_before(piece, number);
        if opened.row_group(number, first_row, reading.budget, output)? == Flow::Stop {
            break;
        }
    }
    Ok(())
}

/// The file's top-level columns.
fn found_columns(schema: &SchemaDescriptor) -> Vec<FoundColumn> {
    let roots = schema.root_schema().get_fields().iter().enumerate();
    roots
        .map(|(root, column)| {
            let kind = field_of(schema, root).map(|field| field.data_type().clone());
            FoundColumn { name: column.name().to_owned(), kind }
        })
        .collect()
}

fn field_of(schema: &SchemaDescriptor, root: usize) -> Result<FieldRef, String> {
    let mask = ProjectionMask::roots(schema, [root]);
    let schema = parquet_to_arrow_schema_by_columns(schema, mask, None)
        .map_err(|error| error.to_string())?;
    schema.fields().first().cloned().ok_or_else(|| "it has no values".to_owned())
}

/// How the decoder is to read the columns: strings as views, so that a value
/// that a dictionary holds once takes memory once.
fn levels(columns: &Columns, schema: &SchemaDescriptor) -> parquet::errors::Result<FieldLevels> {
    let mask = ProjectionMask::roots(schema, columns.roots());
    // A column that is not read may be of a type Arrow has no name for; then
    // there are no hints, and strings are read plainly.
    let hints = parquet_to_arrow_schema(schema, None)
        .ok()
        .map(|schema| schema.fields().iter().map(viewed).collect::<Fields>());
    parquet_to_arrow_field_levels(schema, mask, hints.as_ref())
}

fn viewed(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        _ => return FieldRef::clone(field),
    };
    FieldRef::new(Field::clone(field).with_data_type(kind))
}

struct OpenFile {
    blocks: Arc<Blocks>,
    metadata: Arc<ParquetMetaData>,
    converter: Converter,
    dimension: usize,
}

impl OpenFile {
    fn open(
        file: Box<dyn RangeRead>,
        piece: &TaskPiece,
        reading: &Reading<'_>,
    ) -> Result<Self, FileFailure> {
        let metadata = read_footer(&*file)?;
        let found = found_columns(metadata.file_metadata().schema_descr());
        let columns = Columns::resolve(&found, reading.shape, reading.mapping)?;
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
        let options = BlockOptions::within(reading.budget.block_bytes, streams);
        let blocks = Blocks::new(file, options, wanted, Arc::clone(reading.ahead));
        let dimension = reading.shape.dimension as usize;
        let prefix = reading.mapping.prefix_of(&piece.file.path);
        let converter = Converter::new(&piece.file, columns, prefix);
        Ok(Self { blocks, metadata: Arc::new(metadata), converter, dimension })
    }

    /// Rows of the piece before row group `number`.
    fn rows_before(&self, piece: &TaskPiece, number: u32) -> u64 {
        (piece.first_row_group..number)
            .map(|group| self.metadata.row_group(group as usize).num_rows() as u64)
            .sum()
    }

    fn guarded<T>(&self, decode: impl FnOnce() -> Result<T, String>) -> Result<T, FileFailure> {
        guarded(&self.blocks, decode)
    }

    fn row_group(
        &self,
        number: u32,
        first_row: u64,
        budget: DecodeBudget,
        output: &mut Output<'_>,
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
                self.converter.convert(&batch).map(Some)
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
            batch.place(Some(number), first_row + done);
            let before = portion(packed, done, rows);
            done += batch.rows as u64;
            batch.packed_bytes = portion(packed, done, rows) - before;
            if done > rows {
                break;
            }
            if output.give(batch) == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        if done != rows {
            let text = format!("it has {done} rows here, its footer promised {rows}");
            return Err(failure(&self.blocks, &text));
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
        let columns = self.converter.columns();
        let levels = levels(columns, schema).map_err(|error| error.to_string())?;
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
            self.converter.columns().roots().any(|read| read == root).then(|| {
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
