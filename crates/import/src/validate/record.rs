//! A refused row as JSON text for the reject log, cut where it is long. The
//! vector comes last, so that a cut takes from it first. A document is written
//! under the names that its index has for its fields.

use std::fmt::Write as _;

use crossbill_core::limits::{
    REJECT_RECORD_BYTES_MAX, REJECT_SHOWN_BYTES_MAX, REJECT_TASK_BYTES_MAX,
};

use crossbill_core::DocumentFields;

use crate::columns::{ID, METADATA, SPARSE, VALUES};
use crate::decode::{MetadataRow, RowBatch, SparseRow};
use crate::mapping::DOCUMENT_ID;

/// How much of refused records' text one task keeps: all of each until there
/// is much of it, then the beginning of each. It counts in source order, so
/// that the same task keeps the same.
#[derive(Debug)]
pub(crate) struct KeptText {
    left: usize,
}

impl Default for KeptText {
    fn default() -> Self {
        Self { left: REJECT_TASK_BYTES_MAX }
    }
}

impl KeptText {
    fn bytes_max(&self) -> usize {
        if self.left >= REJECT_RECORD_BYTES_MAX {
            REJECT_RECORD_BYTES_MAX
        } else {
            REJECT_SHOWN_BYTES_MAX
        }
    }

    /// `text`, as far as it is kept.
    pub(super) fn keep(&mut self, mut text: String) -> String {
        cut(&mut text, self.bytes_max());
        self.left = self.left.saturating_sub(text.len());
        text
    }
}

/// Row `row` of `batch`, a document where `documents` says so, as far as it is
/// kept.
pub(super) fn text(
    batch: &RowBatch,
    row: usize,
    documents: Option<&DocumentFields>,
    kept: &mut KeptText,
) -> String {
    let bytes_max = kept.bytes_max();
    let text = Writer { out: String::new(), bytes_max }.text(batch, row, documents);
    kept.left = kept.left.saturating_sub(text.len());
    text
}

struct Writer {
    out: String,
    bytes_max: usize,
}

impl Writer {
    fn text(mut self, batch: &RowBatch, row: usize, documents: Option<&DocumentFields>) -> String {
        let _ = write!(self.out, "{{\"{}\":", documents.map_or(ID, |_| DOCUMENT_ID));
        match batch.ids.get(row) {
            Some(Ok(id)) => self.string(&id),
            Some(Err(bytes)) => self.lossy(bytes),
            None => self.out.push_str("null"),
        }
        if let Some(column) = &batch.metadata
            && !(documents.is_some() && self.fields(&column.get(row)))
        {
            let _ = write!(self.out, ",\"{METADATA}\":");
            match column.get(row) {
                MetadataRow::Absent => self.out.push_str("null"),
                MetadataRow::NotUtf8(bytes) => self.lossy(bytes),
                MetadataRow::Json(json) => self.string(&json),
            }
        }
        let name = |own: Option<&String>, usual: &str| {
            serde_json::Value::from(own.map_or(usual, String::as_str)).to_string()
        };
        // A document has no field for what is absent.
        let is_said = |is_absent: bool| !is_absent || documents.is_none();
        if let Some(sparse) = batch.sparse.as_ref().map(|column| column.get(row))
            && is_said(matches!(sparse, SparseRow::Absent))
            && !self.is_full()
        {
            let own = documents.and_then(|fields| fields.sparse.as_ref());
            let _ = write!(self.out, ",{}:", name(own, SPARSE));
            self.sparse(sparse);
        }
        if let Some(column) = &batch.values
            && is_said(column.lists.range(row).is_none())
            && !self.is_full()
        {
            let own = documents.and_then(|fields| fields.dense.as_ref());
            let _ = write!(self.out, ",{}:", name(own, VALUES));
            match column.lists.range(row) {
                None => self.out.push_str("null"),
                Some(range) => {
                    let null = |at: &usize| column.first_null(&(*at..*at + 1)).is_some();
                    let value = |at| if null(&at) { None } else { Some(column.values[at]) };
                    self.numbers(range.map(value).map(Component));
                }
            }
        }
        self.out.push('}');
        self.cut()
    }

    /// Writes the fields of an object one by one; false where it is none.
    fn fields(&mut self, row: &MetadataRow<'_>) -> bool {
        let json = match row {
            MetadataRow::Absent => return true,
            MetadataRow::NotUtf8(_) => return false,
            MetadataRow::Json(json) => json.trim_ascii(),
        };
        let inner = json.strip_prefix('{').and_then(|json| json.strip_suffix('}'));
        let Some(inner) = inner.map(str::trim_ascii) else { return false };
        // What only begins and ends like an object stays a text.
        if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
            return false;
        }
        if !inner.is_empty() {
            let end = inner.floor_char_boundary(self.bytes_max + 1);
            self.out.push(',');
            self.out.push_str(&inner[..end]);
        }
        true
    }

    fn sparse(&mut self, row: SparseRow) {
        match row {
            SparseRow::Present(indices, values) => {
                self.out.push_str("{\"indices\":");
                self.numbers(indices.into_iter());
                self.out.push_str(",\"values\":");
                self.numbers(values.into_iter().map(Some).map(Component));
                self.out.push('}');
            }
            SparseRow::Absent | SparseRow::PartNull(_) | SparseRow::BadIndex(_) => {
                self.out.push_str("null");
            }
        }
    }

    fn is_full(&self) -> bool {
        self.out.len() > self.bytes_max
    }

    /// A JSON string, of which only what can be kept is written.
    fn string(&mut self, text: &str) {
        let end = text.floor_char_boundary(self.bytes_max + 1);
        self.out.push_str(&serde_json::Value::from(&text[..end]).to_string());
    }

    fn lossy(&mut self, bytes: &[u8]) {
        let head = &bytes[..bytes.len().min(self.bytes_max)];
        self.string(&String::from_utf8_lossy(head));
    }

    fn numbers<T: std::fmt::Display>(&mut self, numbers: impl Iterator<Item = T>) {
        self.out.push('[');
        for (place, number) in numbers.enumerate() {
            if self.is_full() {
                return;
            }
            if place > 0 {
                self.out.push(',');
            }
            let _ = write!(self.out, "{number}");
        }
        self.out.push(']');
    }

    fn cut(mut self) -> String {
        cut(&mut self.out, self.bytes_max);
        self.out
    }
}

/// Cuts a record's text to so many bytes; one that is cut ends with `…`, and
/// so is no JSON.
pub(crate) fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = text.floor_char_boundary(bytes_max - '…'.len_utf8());
        text.truncate(end);
        text.push('…');
    }
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
