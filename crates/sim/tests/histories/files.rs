//! Parquet files to import.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use crossbill_core::{Metadata, Record};
use parquet::arrow::ArrowWriter;

/// Writes records without their sparse vectors.
pub(crate) fn write_parquet(path: &Path, records: &[Record]) {
    let (mut ids, mut metadata) = (StringBuilder::new(), StringBuilder::new());
    let mut values = ListBuilder::new(Float32Builder::new());
    for record in records {
        ids.append_value(&record.id);
        values.values().append_slice(&record.values);
        values.append(true);
        metadata.append_option(record.metadata.as_ref().map(Metadata::to_json));
    }
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(ids.finish()) as ArrayRef),
        ("values", Arc::new(values.finish()) as ArrayRef),
        ("metadata", Arc::new(metadata.finish()) as ArrayRef),
    ])
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    // Several row groups, so that an import has several tasks.
    for start in (0..batch.num_rows()).step_by(100) {
        writer.write(&batch.slice(start, (batch.num_rows() - start).min(100))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}
