//! Columns and files to be spoiled.

use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

pub(crate) const DIMENSION: usize = 4;

pub(crate) type Columns<'a> = Vec<(&'a str, ArrayRef)>;

pub(crate) fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Ids `a0`, `a1`, …
pub(crate) fn ids(count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(|row| format!("a{row}"))))
}

pub(crate) fn vectors(rows: &[Option<Vec<Option<f32>>>]) -> ArrayRef {
    let mut builder = ListBuilder::new(Float32Builder::new());
    for row in rows {
        match row {
            Some(values) => builder.append_value(values.iter().copied()),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

pub(crate) fn good_vector() -> Option<Vec<Option<f32>>> {
    Some(vec![Some(1.0), Some(2.0), Some(3.0), Some(4.0)])
}

pub(crate) fn good_vectors(count: usize) -> ArrayRef {
    vectors(&vec![good_vector(); count])
}

/// Columns of `count` good rows.
pub(crate) fn good(count: usize) -> Columns<'static> {
    vec![("id", ids(count)), ("values", good_vectors(count))]
}

pub(crate) fn batch(columns: &Columns<'_>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(crate) fn writer() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_dictionary_enabled(false)
}

pub(crate) fn parquet_as(columns: &Columns<'_>, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let batch = batch(columns);
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

pub(crate) fn parquet(columns: &Columns<'_>) -> Vec<u8> {
    parquet_as(columns, writer())
}

pub(crate) fn packed(count: usize, codec: Compression) -> Vec<u8> {
    parquet_as(&good(count), writer().set_compression(codec))
}

/// A good file of ten rows, of the format of the file `name`: an import reads
/// one format.
pub(crate) fn good_beside(name: &str) -> (&'static str, Vec<u8>) {
    let format = name.rsplit('.').next().unwrap_or_default();
    match format {
        "parquet" => ("good.parquet", parquet(&good(10))),
        "npy" => ("good.npy", crate::npy::array("<f4", "(10, 4)", &[0, 0, 128, 63].repeat(40))),
        "arrow" => ("good.arrow", crate::arrow::arrow_file(&good(10))),
        _ => {
            let line = |row: usize| format!("{{\"id\":\"a{row}\",\"values\":[1,2,3,4]}}\n");
            ("good.jsonl", (0..10).map(line).collect::<String>().into_bytes())
        }
    }
}
