//! Rejects as a Parquet file whose first columns an import reads.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow_array::builder::{
    Float32Builder, ListBuilder, StringBuilder, StructBuilder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use crossbill_wire::RejectModel;

use super::record::{Component, Record, Sparse};
use super::{Rejects, failed};
use crate::error::Result;

/// Rejects of one row group.
const GROUP_ROWS: usize = 2048;
/// Bytes of records' text after which a row group is written.
const GROUP_BYTES: usize = 16 << 20;

/// A Parquet file in the making; memory is bounded by one row group.
pub(super) struct ParquetRejects {
    writer: ArrowWriter<BufWriter<File>>,
    path: PathBuf,
    group: Group,
}

impl ParquetRejects {
    pub(super) fn new(out: BufWriter<File>, path: PathBuf) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(out, schema(), Some(properties))
            .map_err(|error| failed(&path, &error))?;
        Ok(Self { writer, path, group: Group::default() })
    }

    fn write(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.group);
        if group.rows == 0 {
            return Ok(());
        }
        let batch = RecordBatch::try_new(schema(), group.finish());
        let batch = batch.map_err(|error| failed(&self.path, &error))?;
        let written = self.writer.write(&batch).and_then(|()| self.writer.flush());
        written.map_err(|error| failed(&self.path, &error))
    }
}

impl Rejects for ParquetRejects {
    fn add(&mut self, reject: &RejectModel, record: &Record) -> Result<()> {
        self.group.add(reject, record);
        if self.group.rows >= GROUP_ROWS || self.group.bytes >= GROUP_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.write()?;
        self.writer.close().map_err(|error| failed(&self.path, &error))?;
        Ok(())
    }
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn sparse_fields() -> Fields {
    Fields::from(vec![
        Field::new("indices", list(DataType::UInt32), true),
        Field::new("values", list(DataType::Float32), true),
    ])
}

fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        field("id", DataType::Utf8),
        field("values", list(DataType::Float32)),
        field("sparse_values", DataType::Struct(sparse_fields())),
        field("metadata", DataType::Utf8),
        field("record", DataType::Utf8),
        field("file", DataType::Utf8),
        field("row_group", DataType::UInt32),
        field("row", DataType::UInt64),
        field("code", DataType::Utf8),
        field("column", DataType::Utf8),
        field("message", DataType::Utf8),
    ]))
}

/// A row group's columns.
struct Group {
    rows: usize,
    bytes: usize,
    /// id, metadata, record, file, code, column, message
    texts: [StringBuilder; 7],
    values: ListBuilder<Float32Builder>,
    sparse: StructBuilder,
    row_groups: UInt32Builder,
    row_numbers: UInt64Builder,
}

impl Default for Group {
    fn default() -> Self {
        let indices = Box::new(ListBuilder::new(UInt32Builder::new()));
        let values = Box::new(ListBuilder::new(Float32Builder::new()));
        Self {
            rows: 0,
            bytes: 0,
            texts: Default::default(),
            values: ListBuilder::new(Float32Builder::new()),
            sparse: StructBuilder::new(sparse_fields(), vec![indices, values]),
            row_groups: UInt32Builder::new(),
            row_numbers: UInt64Builder::new(),
        }
    }
}

impl Group {
    fn add(&mut self, reject: &RejectModel, record: &Record) {
        self.rows += 1;
        self.bytes += reject.record.as_ref().map_or(0, String::len);
        let texts = [
            record.id.as_deref(),
            record.metadata.as_deref(),
            record.text.as_deref(),
            Some(reject.file.as_str()),
            Some(reject.code.as_str()),
            reject.column.as_deref(),
            Some(reject.message.as_str()),
        ];
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            builder.append_option(text);
        }
        append(&mut self.values, record.values.as_deref());
        self.add_sparse(record.sparse_values.as_ref());
        self.row_groups.append_option(reject.row_group);
        self.row_numbers.append_option(reject.row);
    }

    fn add_sparse(&mut self, sparse: Option<&Sparse>) {
        let known = "the builders are those of sparse_fields";
        let indices = self.sparse.field_builder::<ListBuilder<UInt32Builder>>(0).expect(known);
        for index in sparse.map(|sparse| sparse.indices.as_slice()).unwrap_or_default() {
            indices.values().append_value(*index);
        }
        indices.append(sparse.is_some());
        let values = self.sparse.field_builder::<ListBuilder<Float32Builder>>(1).expect(known);
        append(values, sparse.map(|sparse| sparse.values.as_slice()));
        self.sparse.append(sparse.is_some());
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let [id, metadata, record, file, code, column, message] =
            self.texts.each_mut().map(|text| Arc::new(text.finish()) as ArrayRef);
        vec![
            id,
            Arc::new(self.values.finish()),
            Arc::new(self.sparse.finish()),
            metadata,
            record,
            file,
            Arc::new(self.row_groups.finish()),
            Arc::new(self.row_numbers.finish()),
            code,
            column,
            message,
        ]
    }
}

fn append(lists: &mut ListBuilder<Float32Builder>, components: Option<&[Component]>) {
    for component in components.unwrap_or_default() {
        lists.values().append_option(component.0);
    }
    lists.append(components.is_some());
}
