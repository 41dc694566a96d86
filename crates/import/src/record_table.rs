//! Writes records as a Parquet file of the schema that imports read: what
//! exports and pulls are made of. The bytes depend on the records and their order alone.
//! Knows no namespaces and no destination.

use std::sync::Arc;

use arrow_array::builder::{
    Float32Builder, ListBuilder, StringBuilder, StructBuilder, UInt32Builder,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use crossbill_core::{Error, IndexShape, Record, Result, ScratchSpace as _, VectorType};
use crossbill_store::{LocalScratch, LocalScratchFile};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::rejects::ScratchWrite;

/// Bytes of encoded records after which a row group ends.
const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Columns whose bytes do not get smaller: dense components.
const VALUES: [&str; 3] = ["values", "list", "element"];

/// A Parquet file of records while it is written. Memory is bounded by one
/// row group and what is added at once.
pub struct RecordTable {
    writer: ArrowWriter<ScratchWrite>,
    schema: SchemaRef,
    shape: IndexShape,
    rows: u64,
}

impl RecordTable {
    /// An empty file for records of `shape`, in scratch space.
    pub fn create(scratch: &LocalScratch, shape: IndexShape) -> Result<Self> {
        let file = scratch.create("records").map_err(|error| failed(&error))?;
        let schema = schema(&shape);
        let values = ColumnPath::new(VALUES.map(str::to_owned).to_vec());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_column_compression(values.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(values, false)
            .build();
        let writer =
            ArrowWriter::try_new(ScratchWrite(file), Arc::clone(&schema), Some(properties))
                .map_err(|error| failed(&error))?;
        Ok(Self { writer, schema, shape, rows: 0 })
    }

    /// Adds records in their order.
    pub fn add(&mut self, records: &[Record]) -> Result<()> {
        let batch = to_arrow(&self.schema, &self.shape, records)?;
        self.writer.write(&batch).map_err(|error| failed(&error))?;
        self.rows += records.len() as u64;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.writer.flush().map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Records so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes so far, those of the row group under way about.
    pub fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// The finished file.
    pub fn finish(self) -> Result<LocalScratchFile> {
        Ok(self.writer.into_inner().map_err(|error| failed(&error))?.0)
    }
}

fn failed(error: &dyn std::error::Error) -> Error {
    Error::internal(format!("writing a file of records: {error}"))
}

fn list_of(kind: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", kind, false)))
}

fn sparse_fields() -> Fields {
    Fields::from(vec![
        Field::new("indices", list_of(DataType::UInt32), false),
        Field::new("values", list_of(DataType::Float32), false),
    ])
}

fn schema(shape: &IndexShape) -> SchemaRef {
    let is_dense = shape.vector_type == VectorType::Dense;
    let mut fields = vec![Field::new("id", DataType::Utf8, false)];
    if is_dense {
        fields.push(Field::new("values", list_of(DataType::Float32), false));
    }
    if shape.takes_sparse() {
        let kind = DataType::Struct(sparse_fields());
        fields.push(Field::new("sparse_values", kind, is_dense));
    }
    fields.push(Field::new("metadata", DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

fn to_arrow(schema: &SchemaRef, shape: &IndexShape, records: &[Record]) -> Result<RecordBatch> {
    let mut ids = StringBuilder::new();
    let mut metadata = StringBuilder::new();
    for record in records {
        ids.append_value(&record.id);
        metadata.append_option(record.metadata.as_ref().map(|metadata| metadata.to_json()));
    }
    let mut columns: Vec<Arc<dyn Array>> = vec![Arc::new(ids.finish())];
    if shape.vector_type == VectorType::Dense {
        let mut values = list_builder(Float32Builder::new(), DataType::Float32);
        for record in records {
            values.values().append_slice(&record.values);
            values.append(true);
        }
        columns.push(Arc::new(values.finish()));
    }
    if shape.takes_sparse() {
        columns.push(sparse_column(records)?);
    }
    columns.push(Arc::new(metadata.finish()));
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| failed(&error))
}

fn list_builder<B: arrow_array::builder::ArrayBuilder>(items: B, kind: DataType) -> ListBuilder<B> {
    ListBuilder::new(items).with_field(Field::new("element", kind, false))
}

fn sparse_column(records: &[Record]) -> Result<Arc<dyn Array>> {
    type Indices = ListBuilder<UInt32Builder>;
    type Values = ListBuilder<Float32Builder>;
    let unlike =
        || Error::internal("writing a file of records: the sparse column is not as it was made");
    let mut column = StructBuilder::new(
        sparse_fields(),
        vec![
            Box::new(list_builder(UInt32Builder::new(), DataType::UInt32)),
            Box::new(list_builder(Float32Builder::new(), DataType::Float32)),
        ],
    );
    for record in records {
        let sparse = record.sparse.as_ref();
        let indices: &mut Indices = column.field_builder(0).ok_or_else(unlike)?;
        indices.values().append_slice(sparse.map(|sparse| sparse.indices()).unwrap_or_default());
        indices.append(true);
        let values: &mut Values = column.field_builder(1).ok_or_else(unlike)?;
        values.values().append_slice(sparse.map(|sparse| sparse.values()).unwrap_or_default());
        values.append(true);
        column.append(sparse.is_some());
    }
    Ok(Arc::new(column.finish()))
}
