//! The reject log: a Parquet table per task, written as rejects come, and the
//! reader that pages through all of them.
//!
//! Columns: `file` string, `row_group` int32?, `row` int64?, `id` string?,
//! `code` string, `column` string?, `message` string, `record` string?.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt32Builder, UInt64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use crossbill_core::limits::{REJECT_PAGE_BYTES_MAX, REJECT_SHOWN_BYTES_MAX};
use crossbill_core::{Error, PartBytes, Result, ScratchFile, ScratchSpace};
use crossbill_store::{Key, LocalScratchFile, Root};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::Reject;
use crate::validate::record::cut;

/// Rejects gathered before they are written; also a row group's rows.
const BATCH_ROWS: usize = 2048;
/// Bytes of text gathered before they are written.
const BATCH_BYTES: usize = 4 << 20;
/// Rejects read at once: each may be as long as a record's text may be.
const READ_ROWS: usize = 64;

/// How much of rejected records' own text a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordText {
    /// The beginning of each.
    Shown,
    /// All that was kept; the page ends where it would become too large, but
    /// not before its first reject.
    Whole,
}

/// The key of task `ordinal`'s reject table.
pub fn rejects_key(index_dir: &str, import: &str, ordinal: u32) -> Result<Key> {
    let key = format!("{index_dir}/imports/{import}/rejects/{ordinal:06}.parquet");
    Key::new(&key).map_err(|error| Error::internal(error.to_string()))
}

fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType, nullable| Field::new(name, kind, nullable);
    Arc::new(Schema::new(vec![
        field("file", DataType::Utf8, false),
        field("row_group", DataType::UInt32, true),
        field("row", DataType::UInt64, true),
        field("id", DataType::Utf8, true),
        field("code", DataType::Utf8, false),
        field("column", DataType::Utf8, true),
        field("message", DataType::Utf8, false),
        field("record", DataType::Utf8, true),
    ]))
}

/// A scratch file as the Parquet writer wants it.
pub(crate) struct ScratchWrite(pub(crate) LocalScratchFile);

impl io::Write for ScratchWrite {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes one task's rejects as they come; memory is bounded by one row
/// group. Nothing is made before the first reject.
pub(crate) struct RejectWriter<'a> {
    root: &'a Root,
    writer: Option<ArrowWriter<ScratchWrite>>,
    waiting: Vec<Reject>,
    waiting_bytes: usize,
    count: u64,
    first: Option<Reject>,
}

impl<'a> RejectWriter<'a> {
    pub(crate) fn new(root: &'a Root) -> Self {
        Self { root, writer: None, waiting: Vec::new(), waiting_bytes: 0, count: 0, first: None }
    }

    /// Rejects so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds rejects in source order.
    pub(crate) fn add(&mut self, rejects: Vec<Reject>) -> Result<()> {
        if self.first.is_none() {
            self.first = rejects.first().cloned();
            // Kept in memory for as long as the import runs.
            if let Some(record) = self.first.as_mut().and_then(|first| first.record.as_mut()) {
                cut(record, REJECT_SHOWN_BYTES_MAX);
            }
        }
        self.count += rejects.len() as u64;
        for reject in rejects {
            self.waiting_bytes += reject.record.as_ref().map_or(0, String::len);
            self.waiting.push(reject);
            if self.waiting.len() == BATCH_ROWS || self.waiting_bytes >= BATCH_BYTES {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let batch = to_arrow(&std::mem::take(&mut self.waiting))?;
        self.waiting_bytes = 0;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let file = self.root.scratch().create("rejects").map_err(|error| {
                    Error::internal(format!("reject log: {error}")).with_source(error)
                })?;
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(BATCH_ROWS))
                    .build();
                let writer = ArrowWriter::try_new(ScratchWrite(file), schema(), Some(properties));
                none.insert(writer.map_err(failed)?)
            }
        };
        writer.write(&batch).map_err(failed)?;
        // A row group is what the writer holds in memory.
        writer.flush().map_err(failed)
    }

    /// Stores the table at `key`, if there is any reject: whether there was,
    /// and the first of them.
    pub(crate) fn finish(mut self, key: &Key) -> Result<(bool, Option<Reject>)> {
        if !self.waiting.is_empty() {
            self.write()?;
        }
        let Some(writer) = self.writer.take() else { return Ok((false, None)) };
        let file = writer.into_inner().map_err(failed)?.0;
        // A run of this task that was killed before its commit left one.
        self.root.delete(key)?;
        self.root.publish(file, key)?;
        Ok((true, self.first))
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal(format!("reject log: {error}")).with_source(error)
}

fn to_arrow(rejects: &[Reject]) -> Result<RecordBatch> {
    let mut text: [StringBuilder; 6] = Default::default();
    let (mut row_groups, mut rows) = (UInt32Builder::new(), UInt64Builder::new());
    for reject in rejects {
        let [file, id, code, column, message, record] = &mut text;
        file.append_value(&reject.file);
        row_groups.append_option(reject.row_group);
        rows.append_option(reject.row);
        id.append_option(reject.id.as_deref());
        code.append_value(&reject.code);
        column.append_option(reject.column.as_deref());
        message.append_value(&reject.message);
        record.append_option(reject.record.as_deref());
    }
    let [mut file, mut id, mut code, mut column, mut message, mut record] = text;
    let columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(file.finish()),
        Arc::new(row_groups.finish()),
        Arc::new(rows.finish()),
        Arc::new(id.finish()),
        Arc::new(code.finish()),
        Arc::new(column.finish()),
        Arc::new(message.finish()),
        Arc::new(record.finish()),
    ];
    RecordBatch::try_new(schema(), columns).map_err(failed)
}

fn from_arrow(batch: &RecordBatch) -> Option<Vec<Reject>> {
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let (file, id, code) = (text("file")?, text("id")?, text("code")?);
    let (column, message, record) = (text("column")?, text("message")?, text("record")?);
    let row_groups = batch.column_by_name("row_group")?.as_primitive_opt::<UInt32Type>()?;
    let rows = batch.column_by_name("row")?.as_primitive_opt::<UInt64Type>()?;
    let optional = |array: &arrow_array::StringArray, row: usize| {
        (!array.is_null(row)).then(|| array.value(row).to_owned())
    };
    let reject = |row: usize| Reject {
        file: file.value(row).to_owned(),
        row_group: (!row_groups.is_null(row)).then(|| row_groups.value(row)),
        row: (!rows.is_null(row)).then(|| rows.value(row)),
        id: optional(id, row),
        code: code.value(row).to_owned(),
        column: optional(column, row),
        message: message.value(row).to_owned(),
        record: optional(record, row),
    };
    Some((0..batch.num_rows()).map(reject).collect())
}

/// A stored table.
struct Table {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    rows: u64,
}

/// Stored bytes that the reader borrows.
struct Stored(PartBytes);

impl AsRef<[u8]> for Stored {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// All rejects of an import: broken files of the plan first, then the tasks'
/// in order.
pub struct RejectLog {
    file_errors: Vec<Reject>,
    tables: Vec<Table>,
}

impl RejectLog {
    /// Opens the tables at `keys` (those that committed outcomes name, in task
    /// order) behind the plan's broken files.
    pub fn open(root: &Root, file_errors: &[Reject], keys: &[Key]) -> Result<RejectLog> {
        let mut tables = Vec::with_capacity(keys.len());
        for key in keys {
            let bytes = Bytes::from_owner(Stored(root.open_part(key)?));
            let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new())
                .map_err(|error| damaged(key, &error))?;
            let rows = metadata.metadata().file_metadata().num_rows();
            tables.push(Table { bytes, metadata, rows: u64::try_from(rows).unwrap_or(0) });
        }
        Ok(RejectLog { file_errors: file_errors.to_vec(), tables })
    }

    /// Forgets all rejects behind the first `total`.
    pub fn truncate(&mut self, total: u64) {
        self.file_errors.truncate(usize::try_from(total).unwrap_or(usize::MAX));
        let mut left = total - self.file_errors.len() as u64;
        for table in &mut self.tables {
            table.rows = table.rows.min(left);
            left -= table.rows;
        }
    }

    /// Rejects in all.
    pub fn total(&self) -> u64 {
        self.file_errors.len() as u64 + self.tables.iter().map(|table| table.rows).sum::<u64>()
    }

    /// How often each code occurs, and with which each file is broken.
    pub fn summary(&self) -> Result<RejectSummary> {
        let mut summary = RejectSummary::default();
        for reject in &self.file_errors {
            summary.note(&reject.file, reject.row.is_some(), &reject.code);
        }
        for table in &self.tables {
            table.summarise(&mut summary)?;
        }
        Ok(summary)
    }

    /// Up to `limit` rejects from number `offset` on.
    pub fn page(&self, offset: u64, limit: usize, text: RecordText) -> Result<Vec<Reject>> {
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = self.file_errors.iter().skip(skipped).take(limit).cloned().collect();
        let mut page = Page { rejects: found, limit, text, bytes: 0 };
        let mut offset = offset.saturating_sub(self.file_errors.len() as u64);
        for table in &self.tables {
            if page.is_full() {
                break;
            }
            if offset >= table.rows {
                offset -= table.rows;
                continue;
            }
            let wanted = usize::try_from(table.rows - offset).unwrap_or(usize::MAX);
            table.read(offset, wanted.min(limit - page.rejects.len()), &mut page)?;
            offset = 0;
        }
        Ok(page.rejects)
    }
}

/// What a log holds, without its records.
#[derive(Debug, Default)]
pub struct RejectSummary {
    /// By code: how many records and how many files.
    pub codes: BTreeMap<String, (u64, u64)>,
    /// By file, where it cannot be read (to its end): the code.
    pub broken: BTreeMap<String, String>,
}

impl RejectSummary {
    fn note(&mut self, file: &str, is_record: bool, code: &str) {
        if !self.codes.contains_key(code) {
            self.codes.insert(code.to_owned(), (0, 0));
        }
        let counts = self.codes.get_mut(code).expect("it was just put there");
        if is_record {
            counts.0 += 1;
            return;
        }
        counts.1 += 1;
        self.broken.entry(file.to_owned()).or_insert_with(|| code.to_owned());
    }
}

/// A page as it fills.
struct Page {
    rejects: Vec<Reject>,
    limit: usize,
    text: RecordText,
    bytes: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.rejects.len() >= self.limit || self.bytes >= REJECT_PAGE_BYTES_MAX
    }

    fn add(&mut self, mut reject: Reject) {
        if let Some(record) = &mut reject.record {
            match self.text {
                RecordText::Shown => cut(record, REJECT_SHOWN_BYTES_MAX),
                RecordText::Whole => self.bytes += record.len(),
            }
        }
        self.rejects.push(reject);
    }
}

impl Table {
    fn summarise(&self, summary: &mut RejectSummary) -> Result<()> {
        let corrupt = |what: String| Error::corrupt(format!("reject log: {what}"));
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.bytes.clone(),
            self.metadata.clone(),
        );
        let columns = ProjectionMask::columns(builder.parquet_schema(), ["file", "row", "code"]);
        let reader = builder
            .with_projection(columns)
            .with_limit(usize::try_from(self.rows).unwrap_or(usize::MAX))
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| corrupt(error.to_string()))?;
        for batch in reader {
            let batch = batch.map_err(|error| corrupt(error.to_string()))?;
            let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
            let (Some(files), Some(codes), Some(rows)) =
                (text("file"), text("code"), batch.column_by_name("row"))
            else {
                return Err(corrupt("unknown columns".to_owned()));
            };
            for row in 0..batch.num_rows() {
                summary.note(files.value(row), !rows.is_null(row), codes.value(row));
            }
        }
        Ok(())
    }

    fn read(&self, offset: u64, limit: usize, page: &mut Page) -> Result<()> {
        let corrupt = |what: String| Error::corrupt(format!("reject log: {what}"));
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.bytes.clone(),
            self.metadata.clone(),
        )
        .with_offset(usize::try_from(offset).unwrap_or(usize::MAX))
        .with_limit(limit)
        .with_batch_size(limit.clamp(1, READ_ROWS))
        .build()
        .map_err(|error| corrupt(error.to_string()))?;
        for batch in reader {
            let batch = batch.map_err(|error| corrupt(error.to_string()))?;
            let rejects =
                from_arrow(&batch).ok_or_else(|| corrupt("unknown columns".to_owned()))?;
            for reject in rejects {
                if page.is_full() {
                    return Ok(());
                }
                page.add(reject);
            }
        }
        Ok(())
    }
}

fn damaged(key: &Key, error: &dyn std::error::Error) -> Error {
    Error::corrupt(format!("reject log {key}: {error}"))
}

#[cfg(test)]
mod tests;
