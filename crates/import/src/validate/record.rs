//! A refused row as JSON text for the reject log, cut where it is long. The
//! vector comes last, so that a cut takes from it first.

use std::fmt::Write as _;

use crossbill_core::limits::REJECT_RECORD_BYTES_MAX;

use crate::columns::{ID, METADATA, SPARSE, VALUES};
use crate::decode::{MetadataRow, RowBatch, SparseRow};

/// Row `row` of `batch`.
pub(super) fn text(batch: &RowBatch, row: usize) -> String {
    let mut out = format!("{{\"{ID}\":");
    match batch.ids.get(row) {
        Some(Ok(id)) => string(&mut out, &id),
        Some(Err(bytes)) => string(&mut out, &String::from_utf8_lossy(head(bytes))),
        None => out.push_str("null"),
    }
    if let Some(column) = &batch.metadata {
        let _ = write!(out, ",\"{METADATA}\":");
        match column.get(row) {
            MetadataRow::Absent => out.push_str("null"),
            MetadataRow::NotUtf8(bytes) => string(&mut out, &String::from_utf8_lossy(head(bytes))),
            MetadataRow::Json(json) => string(&mut out, &json),
        }
    }
    if let Some(column) = &batch.sparse
        && !is_full(&out)
    {
        let _ = write!(out, ",\"{SPARSE}\":");
        match column.get(row) {
            SparseRow::Present(indices, values) => {
                out.push_str("{\"indices\":");
                numbers(&mut out, indices.into_iter());
                out.push_str(",\"values\":");
                numbers(&mut out, values.into_iter());
                out.push('}');
            }
            SparseRow::Absent | SparseRow::PartNull(_) | SparseRow::BadIndex(_) => {
                out.push_str("null");
            }
        }
    }
    if let Some(column) = &batch.values
        && !is_full(&out)
    {
        let _ = write!(out, ",\"{VALUES}\":");
        match column.lists.range(row) {
            None => out.push_str("null"),
            Some(range) => {
                let null = |at: &usize| column.first_null(&(*at..*at + 1)).is_some();
                let values = range.map(|at| if null(&at) { None } else { Some(column.values[at]) });
                numbers(&mut out, values.map(Component));
            }
        }
    }
    out.push('}');
    cut(out)
}

fn is_full(out: &str) -> bool {
    out.len() > REJECT_RECORD_BYTES_MAX
}

fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(REJECT_RECORD_BYTES_MAX)]
}

/// A JSON string, of which only what can be kept is written.
fn string(out: &mut String, text: &str) {
    let end = text.floor_char_boundary(REJECT_RECORD_BYTES_MAX + 1);
    out.push_str(&serde_json::Value::from(&text[..end]).to_string());
}

fn numbers<T: std::fmt::Display>(out: &mut String, numbers: impl Iterator<Item = T>) {
    out.push('[');
    for (place, number) in numbers.enumerate() {
        if is_full(out) {
            return;
        }
        if place > 0 {
            out.push(',');
        }
        let _ = write!(out, "{number}");
    }
    out.push(']');
}

/// A component as it stood in the file; NaN and infinities by name.
struct Component(Option<f32>);

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("null"),
            Some(value) if value.is_finite() => write!(f, "{value}"),
            Some(value) => write!(f, "\"{value}\""),
        }
    }
}

/// A record's own text, cut where it is long.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > REJECT_RECORD_BYTES_MAX {
        let end = text.floor_char_boundary(REJECT_RECORD_BYTES_MAX - '…'.len_utf8());
        text.truncate(end);
        text.push('…');
    }
    text
}
