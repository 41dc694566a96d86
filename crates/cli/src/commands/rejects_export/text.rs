//! Rejects as JSON lines and as CSV.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use crossbill_core::REJECT_FIELD;
use crossbill_wire::RejectModel;
use serde_json::{Map, Value, json};

use super::record::{Component, Record};
use super::{Rejects, failed};
use crate::error::Result;

/// One object a line: the record's columns, then the reasons.
pub(super) struct JsonRejects {
    out: BufWriter<File>,
    path: PathBuf,
}

impl JsonRejects {
    pub(super) fn new(out: BufWriter<File>, path: PathBuf) -> Self {
        Self { out, path }
    }
}

impl Rejects for JsonRejects {
    fn add(&mut self, reject: &RejectModel, record: &Record) -> Result<()> {
        let line = line(reject, record).to_string();
        writeln!(self.out, "{line}").map_err(|error| failed(&self.path, &error))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.out.flush().map_err(|error| failed(&self.path, &error))
    }
}

/// One document a line, the reasons in a field of their own.
pub(super) struct DocumentRejects(JsonRejects);

impl DocumentRejects {
    pub(super) fn new(out: BufWriter<File>, path: PathBuf) -> Self {
        Self(JsonRejects::new(out, path))
    }
}

impl Rejects for DocumentRejects {
    fn add(&mut self, reject: &RejectModel, record: &Record) -> Result<()> {
        let JsonRejects { out, path } = &mut self.0;
        writeln!(out, "{}", document(reject, record)).map_err(|error| failed(path, &error))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Box::new(self.0).finish()
    }
}

/// A document with the reasons beside its fields.
fn document(reject: &RejectModel, record: &Record) -> Value {
    let mut document = record.document.clone();
    document.insert(REJECT_FIELD.to_owned(), reasons(reject, record));
    Value::Object(document)
}

/// Why a record was refused and where it stood, with its text where it could
/// not be taken apart.
fn reasons(reject: &RejectModel, record: &Record) -> Value {
    let mut reasons = Map::new();
    put_reasons(&mut reasons, reject, record);
    Value::Object(reasons)
}

fn line(reject: &RejectModel, record: &Record) -> Value {
    let mut line = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            line.insert(name.to_owned(), value);
        }
    };
    put("id", record.id.as_deref().map(Value::from));
    put("values", record.values.as_deref().map(numbers));
    let sparse = record.sparse_values.as_ref();
    put(
        "sparse_values",
        sparse.map(|one| json!({"indices": one.indices, "values": numbers(&one.values)})),
    );
    put("metadata", record.metadata.as_deref().map(metadata));
    put_reasons(&mut line, reject, record);
    Value::Object(line)
}

fn put_reasons(line: &mut Map<String, Value>, reject: &RejectModel, record: &Record) {
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            line.insert(name.to_owned(), value);
        }
    };
    put("record", record.text.as_deref().map(Value::from));
    put("file", Some(Value::from(reject.file.as_str())));
    put("row_group", reject.row_group.map(Value::from));
    put("row", reject.row.map(Value::from));
    put("code", Some(Value::from(reject.code.as_str())));
    put("column", reject.column.as_deref().map(Value::from));
    put("message", Some(Value::from(reject.message.as_str())));
}

fn numbers(components: &[Component]) -> Value {
    components.iter().map(number).collect()
}

/// A number as short as it can be; by name where JSON has none for it.
fn number(component: &Component) -> Value {
    match component.0 {
        None => Value::Null,
        Some(value) if value.is_finite() => {
            // By way of its text: 0.1 as f32 is 0.10000000149 as f64.
            value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
        }
        Some(value) => Value::from(value.to_string()),
    }
}

/// The object that the text is; the text itself where it is none.
fn metadata(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(object @ Value::Object(_)) => object,
        _ => Value::from(text),
    }
}

/// One line a reject, the record as one column of JSON.
pub(super) struct CsvRejects {
    out: BufWriter<File>,
    path: PathBuf,
}

impl CsvRejects {
    pub(super) fn new(out: BufWriter<File>, path: PathBuf) -> Result<Self> {
        let mut made = Self { out, path };
        made.line(["file", "row_group", "row", "id", "code", "column", "message", "record"])?;
        Ok(made)
    }

    fn line<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let fields: Vec<String> = fields.into_iter().map(quoted).collect();
        write!(self.out, "{}\r\n", fields.join(",")).map_err(|error| failed(&self.path, &error))
    }
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

impl Rejects for CsvRejects {
    fn add(&mut self, reject: &RejectModel, _: &Record) -> Result<()> {
        let text =
            |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let (row_group, row) = (text(reject.row_group.map(u64::from)), text(reject.row));
        self.line([
            reject.file.as_str(),
            &row_group,
            &row,
            reject.id.as_deref().unwrap_or_default(),
            &reject.code,
            reject.column.as_deref().unwrap_or_default(),
            &reject.message,
            reject.record.as_deref().unwrap_or_default(),
        ])
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.out.flush().map_err(|error| failed(&self.path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_record_and_the_reason() {
        let reject: RejectModel = serde_json::from_value(json!({
            "file": "n/f.parquet", "row": 3, "code": "E_DIMENSION", "message": "m",
            "record": r#"{"id":"a","metadata":"{\"n\":1}","values":[0.1,"NaN",null]}"#,
        }))
        .unwrap();
        let line = line(&reject, &Record::of(&reject)).to_string();
        let expected = r#"{"code":"E_DIMENSION","file":"n/f.parquet","id":"a","message":"m","metadata":{"n":1},"row":3,"values":[0.1,"NaN",null]}"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn a_document_keeps_its_names() {
        let reject: RejectModel = serde_json::from_value(json!({
            "file": "n/f.jsonl", "row": 3, "code": "E_TEXT", "message": "m",
            "record": r#"{"_id":"a","body":7,"at":[0.1,null]}"#,
        }))
        .unwrap();
        let document = document(&reject, &Record::of_document(&reject)).to_string();
        let expected = r#"{"_id":"a","_reject":{"code":"E_TEXT","file":"n/f.jsonl","message":"m","row":3},"at":[0.1,null],"body":7}"#;
        assert_eq!(document, expected);
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }
}
