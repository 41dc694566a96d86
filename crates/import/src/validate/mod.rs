//! Checks every row against every rule. This is the only maker of a
//! [`ValidBatch`], and only that can be stored.

pub(crate) mod record;

use std::ops::Range;

use arrow_buffer::ScalarBuffer;
use crossbill_core::limits::{QUOTED_CHARS_MAX, RECORD_ID_CHARS_MAX};
use crossbill_core::{
    DocumentFields, IndexShape, Metadata, MetadataError, RecordBatch, RequestLimits, SparseVector,
    TextSchema, VectorError, VectorStorage, VectorType, check_document, check_new_id, check_stored,
};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::TaskSpec;
use crate::columns::{ID, METADATA, SPARSE, VALUES};
use crate::decode::{DenseColumn, Fault, MetadataRow, RowBatch, RowFault, SparseRow};
use crate::plan::layout::quoted;
use crate::reject::{Reject, codes};
use record::KeptText;

/// Below this many rows, and bytes, metadata is read on the calling thread.
const PARALLEL_ROWS_MIN: usize = 512;
const PARALLEL_BYTES_MIN: usize = 1 << 20;
/// Vectors that one task rounds.
const ROUND_ROWS: usize = 64;

/// Records that keep every rule.
pub(crate) struct ValidBatch {
    records: RecordBatch,
}

impl ValidBatch {
    /// The records.
    pub(crate) fn records(&self) -> &RecordBatch {
        &self.records
    }
}

/// Why a row breaks a rule.
#[derive(Debug, Clone, PartialEq)]
struct Reason {
    code: &'static str,
    column: Option<&'static str>,
    text: String,
}

impl Reason {
    fn new(code: &'static str, column: &'static str, text: impl Into<String>) -> Self {
        Self { code, column: Some(column), text: text.into() }
    }

    fn vector(column: &'static str, error: &VectorError) -> Self {
        let mut text = error.to_string();
        if let VectorError::Dimension { found, expected } = error {
            text.push_str(&format!(" (found {found}, expected {expected})"));
        }
        Self { code: error.code(), column: Some(column), text }
    }

    fn metadata(error: &MetadataError) -> Self {
        Self { code: error.code(), column: Some(METADATA), text: error.to_string() }
    }
}

/// The rules that an index and its server have for records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) shape: &'a IndexShape,
    /// Of an index of documents: its vectors' fields and its texts.
    pub(crate) documents: Option<(&'a DocumentFields, &'a TextSchema)>,
    pub(crate) limits: &'a RequestLimits,
}

impl<'a> Rules<'a> {
    /// Those of a task's index.
    pub(crate) fn of(task: &'a TaskSpec, limits: &'a RequestLimits) -> Self {
        let documents = task.documents.as_ref().map(|fields| (fields, &task.text));
        Self { shape: &task.shape, documents, limits }
    }
}

/// Checks `batch`: the records that keep the rules, and the others in row
/// order, each with the first rule it breaks and its text as far as it is kept.
pub(crate) fn validate(
    mut batch: RowBatch,
    rules: Rules<'_>,
    pool: &ThreadPool,
    kept_text: &mut KeptText,
) -> (ValidBatch, Vec<Reject>) {
    let shape = rules.shape;
    let mut faults = std::mem::take(&mut batch.faults).into_iter().peekable();
    let metadata = read_metadata(&batch, rules, pool);
    let mut records = RecordBatch::default();
    let mut rejects = Vec::new();
    let mut kept = Vec::with_capacity(batch.rows);
    let mut any_sparse = false;
    let mut any_metadata = false;
    for (row, metadata) in metadata.into_iter().enumerate() {
        if let Some(RowFault { fault, raw, .. }) = faults.next_if(|fault| fault.row == row) {
            let Fault { code, part, text } = fault;
            let reason = Reason { code, column: part, text };
            rejects.push(reject(&batch, row, reason, kept_text.keep(raw)));
            continue;
        }
        match check_row(&batch, row, rules, metadata) {
            Ok(parts) => {
                records.ids.push(&parts.id);
                any_sparse |= parts.sparse.is_some();
                any_metadata |= parts.metadata.is_some();
                records.sparse.push(parts.sparse);
                records.metadata.push(parts.metadata);
                kept.push(parts.values);
            }
            Err(reason) => {
                let documents = rules.documents.map(|(fields, _)| fields);
                let text = record::text(&batch, row, documents, kept_text);
                rejects.push(reject(&batch, row, reason, text));
            }
        }
    }
    // An empty column says that no record has one.
    if !any_sparse {
        records.sparse = Vec::new();
    }
    if !any_metadata {
        records.metadata = Vec::new();
    }
    if let Some(column) = batch.values {
        records.values = gather(column.values, &kept);
        round(shape, &mut records.values, pool);
    }
    (ValidBatch { records }, rejects)
}

/// What a good row has beside its place.
struct Parts<'a> {
    id: std::borrow::Cow<'a, str>,
    values: Range<usize>,
    sparse: Option<SparseVector>,
    metadata: Option<Metadata>,
}

fn check_row<'a>(
    batch: &'a RowBatch,
    row: usize,
    rules: Rules<'_>,
    metadata: Result<Option<Metadata>, Reason>,
) -> Result<Parts<'a>, Reason> {
    let shape = rules.shape;
    let id = check_id(batch, row, rules.limits.id_chars)?;
    let values = match &batch.values {
        Some(column) => check_values(column, row, shape)?,
        None => 0..0,
    };
    let sparse = check_sparse(batch, row, rules)?;
    Ok(Parts { id, values, sparse, metadata: metadata? })
}

/// Checks the rules that are those of documents, with their metadata at hand;
/// whether a vector is one is found out elsewhere.
fn check_as_document(
    batch: &RowBatch,
    row: usize,
    rules: Rules<'_>,
    metadata: Option<&Metadata>,
) -> Result<(), Reason> {
    let Some((fields, text)) = rules.documents else { return Ok(()) };
    let dense = batch.values.as_ref().and_then(|column| column.lists.range(row));
    let sparse = batch.sparse.as_ref().map_or(SparseRow::Absent, |column| column.get(row));
    let has_vector =
        dense.is_some_and(|range| !range.is_empty()) || !matches!(sparse, SparseRow::Absent);
    let none = Metadata::default();
    let (metadata, bytes_max) = (metadata.unwrap_or(&none), rules.limits.metadata_bytes);
    check_document(fields, text, has_vector, metadata, bytes_max).map_err(|error| Reason {
        code: error.code(),
        column: None,
        text: error.to_string(),
    })
}

fn check_id(
    batch: &RowBatch,
    row: usize,
    chars_max: usize,
) -> Result<std::borrow::Cow<'_, str>, Reason> {
    let id = match batch.ids.get(row) {
        Some(Ok(id)) => id,
        Some(Err(_)) => {
            let text = "id holds bytes that are not UTF-8, expected ASCII without NUL";
            return Err(Reason::new(codes::ID_CHARS, ID, text));
        }
        None => {
            let text = format!("id is null, expected 1 to {chars_max} characters");
            return Err(Reason::new(codes::ID_NULL, ID, text));
        }
    };
    match check_new_id(&id, chars_max) {
        Ok(()) => Ok(id),
        Err(error) => {
            let code = match id.chars().count() {
                0 => codes::ID_EMPTY,
                length if length > chars_max => codes::ID_LENGTH,
                _ => codes::ID_CHARS,
            };
            Err(Reason::new(code, ID, error.to_string()))
        }
    }
}

fn check_values(
    column: &DenseColumn,
    row: usize,
    shape: &IndexShape,
) -> Result<Range<usize>, Reason> {
    let Some(range) = column.lists.range(row) else {
        let text = format!("vector is null, expected {} components", shape.dimension);
        return Err(Reason::new(codes::VALUES_NULL, VALUES, text));
    };
    if range.len() == shape.dimension as usize
        && let Some(position) = column.first_null(&range)
    {
        let text = format!("component {position} is null, expected a finite number");
        return Err(Reason::new(codes::VALUES_NULL, VALUES, text));
    }
    check_stored(shape, &column.values[range.clone()])
        .map_err(|error| Reason::vector(VALUES, &error))?;
    Ok(range)
}

fn check_sparse(
    batch: &RowBatch,
    row: usize,
    rules: Rules<'_>,
) -> Result<Option<SparseVector>, Reason> {
    let shape = rules.shape;
    let found = batch.sparse.as_ref().map_or(SparseRow::Absent, |column| column.get(row));
    let required = shape.vector_type == VectorType::Sparse && !shape.documents;
    match found {
        SparseRow::Absent if required => {
            let text = "sparse vector is null, expected at least 1 entry";
            Err(Reason::new(codes::SPARSE_NULL, SPARSE, text))
        }
        SparseRow::Absent => Ok(None),
        _ if !shape.takes_sparse() => {
            let text = format!(
                "record has a sparse vector, expected none in an index with the metric {}",
                shape.metric.as_str()
            );
            Err(Reason::new(codes::SPARSE_NOT_ALLOWED, SPARSE, text))
        }
        SparseRow::PartNull(part) => {
            let text = format!("sparse vector's {part} is null, expected none to be");
            Err(Reason::new(codes::SPARSE_NULL, SPARSE, text))
        }
        SparseRow::BadIndex(index) => {
            let text = format!("sparse index is {index}, expected 0 to {}", u32::MAX);
            Err(Reason::new(codes::SPARSE_INDEX, SPARSE, text))
        }
        SparseRow::Present(indices, values) => {
            SparseVector::within(indices, values, rules.limits.sparse_entries)
                .map(Some)
                .map_err(|error| Reason::vector(SPARSE, &error))
        }
    }
}

/// Reads all rows' metadata and checks it, on all cores where it is worth it:
/// parsing JSON and counting the words of texts are the dearest of the checks.
fn read_metadata(
    batch: &RowBatch,
    rules: Rules<'_>,
    pool: &ThreadPool,
) -> Vec<Result<Option<Metadata>, Reason>> {
    let Some(column) = &batch.metadata else {
        let none = |row| check_as_document(batch, row, rules, None).map(|()| None);
        return (0..batch.rows).map(none).collect();
    };
    let parse = |row: usize| match column.get(row) {
        MetadataRow::Absent => Ok(None),
        MetadataRow::NotUtf8(_) => {
            let text = "metadata is not UTF-8, expected a JSON object";
            Err(Reason::new(codes::METADATA_UTF8, METADATA, text))
        }
        MetadataRow::Json(json) => {
            let read = match rules.documents {
                None => Metadata::from_json_within(&json, rules.limits.metadata_bytes),
                // Texts have a limit of their own, which is checked apart.
                Some(_) => Metadata::from_stored_json(&json),
            };
            read.map(Some).map_err(|error| Reason::metadata(&error))
        }
    };
    let read = |row: usize| {
        let metadata = parse(row)?;
        check_as_document(batch, row, rules, metadata.as_ref()).map(|()| metadata)
    };
    if batch.rows < PARALLEL_ROWS_MIN && column.bytes() < PARALLEL_BYTES_MIN {
        return (0..batch.rows).map(read).collect();
    }
    pool.install(|| (0..batch.rows).into_par_iter().map(read).collect())
}

/// Rounds vectors to what the index keeps of them.
fn round(shape: &IndexShape, values: &mut [f32], pool: &ThreadPool) {
    if shape.storage == VectorStorage::F32 {
        return;
    }
    pool.install(|| {
        let rows = values.par_chunks_mut(shape.dimension as usize);
        rows.with_min_len(ROUND_ROWS).for_each(|row| shape.storage.round(row));
    });
}

/// The vectors at `kept` (ascending, apart) end to end, moved within `values`.
fn gather(values: ScalarBuffer<f32>, kept: &[Range<usize>]) -> Vec<f32> {
    // The decoder's memory is taken over where nothing else holds it.
    let mut values = values
        .into_inner()
        .into_vec()
        .unwrap_or_else(|shared| ScalarBuffer::<f32>::from(shared).to_vec());
    let mut end = 0;
    for range in kept {
        if range.start != end {
            values.copy_within(range.clone(), end);
        }
        end += range.len();
    }
    values.truncate(end);
    values
}

fn reject(batch: &RowBatch, row: usize, reason: Reason, record: String) -> Reject {
    let Reason { code, column, text } = reason;
    let id = match batch.ids.get(row) {
        Some(Ok(id)) => Some(id.into_owned()),
        _ => None,
    };
    let place = batch.first_row + row as u64;
    let named = match &id {
        Some(id) if !id.is_empty() => format!(", id {}", quoted(id)),
        _ => String::new(),
    };
    let stands = match (&batch.lines, batch.row_group) {
        (Some(lines), _) => format!("line {}", lines[row]),
        (None, Some(group)) => format!("row group {group}, row {place}"),
        (None, None) => format!("row {place}"),
    };
    let column = column.map(|part| batch.names.of(part));
    let of_column = column.map(|column| format!(" column {}:", quoted(column))).unwrap_or_default();
    Reject {
        message: format!("{}: {stands}{named}:{of_column} {text}", batch.file.path),
        file: batch.file.path.clone(),
        row_group: batch.row_group,
        row: Some(place),
        id: id.map(|id| cut(id, RECORD_ID_CHARS_MAX.max(QUOTED_CHARS_MAX))),
        code: code.to_owned(),
        column: column.map(str::to_owned),
        record: Some(record),
    }
}

fn cut(mut text: String, chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
