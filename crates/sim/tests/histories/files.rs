//! Files to import: Parquet, and JSON lines of documents.

use std::fmt::Write as _;
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

/// Lines that are no documents of the schema: a title that is a number, and no
/// JSON.
const BAD_LINES: [&str; 2] = [r#"{"_id":"bad","title":7}"#, "{"];

/// Writes documents as JSON lines into a few files, with a bad line after
/// every ninth document; how many those are.
pub(crate) fn write_documents(directory: &Path, records: &[Record]) -> u64 {
    let mut bad = 0;
    for (number, part) in records.chunks(100).enumerate() {
        let mut lines = String::new();
        for (at, record) in part.iter().enumerate() {
            writeln!(lines, "{}", document(record)).unwrap();
            if at % 9 == 8 {
                writeln!(lines, "{}", BAD_LINES[at % 2]).unwrap();
                bad += 1;
            }
        }
        std::fs::write(directory.join(format!("{number}.jsonl")), lines).unwrap();
    }
    bad
}

/// A record as the document that it is.
fn document(record: &Record) -> String {
    let mut object = match &record.metadata {
        Some(metadata) => serde_json::from_str(&metadata.to_json()).unwrap(),
        None => serde_json::Map::new(),
    };
    object.insert("_id".into(), record.id.as_str().into());
    if !record.values.is_empty() {
        object.insert(crate::DENSE.into(), record.values.clone().into());
    }
    if let Some(sparse) = &record.sparse {
        let parts = serde_json::json!({"indices": sparse.indices(), "values": sparse.values()});
        object.insert(crate::SPARSE.into(), parts);
    }
    serde_json::Value::Object(object).to_string()
}
