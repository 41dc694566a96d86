//! JSON lines: a record a line. The file is read twice: once for the plan,
//! which counts lines, and once by the tasks, each its span of lines; of a
//! packed file one task reads all.

use std::io;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_schema::{DataType, Field, Fields};
use crossbill_core::IndexShape;
use crossbill_core::limits::{JSON_LINE_BYTES_MAX, PREVIEW_HEAD_BYTES, REJECT_RECORD_BYTES_MAX};
use serde_json::{Map, Value};

use super::columns::{DenseRows, IdColumn, MetadataColumn, SparseColumn};
use super::record::{Fault, SparseParts, Wanted};
use super::{
    BATCH_ROWS_MAX, Flow, Group, Output, Reading, RowBatch, RowFault, Survey, failure, portion,
};
use crate::columns::{ColumnNames, Columns, FoundColumn};
use crate::failure::FileFailure;
use crate::mapping::ColumnMapping;
use crate::reject::codes;
use crate::source::blocks::{BlockOptions, Blocks, Closing, ReadAhead};
use crate::source::{Counted, Line, Lines, Packing, RangeRead, TooMuch, count_lines, whole_lines};
use crate::{LineSpan, SourceFile, TaskPiece};

/// Bytes that a task may begin at a multiple of, about.
const SPAN_BYTES: u64 = 32 << 20;
/// What is looked at to learn which fields there are.
const HEAD_BYTES: usize = 1 << 20;
/// Lines that are looked at.
const HEAD_LINES: usize = 100;
/// Memory of a file's blocks while its lines are counted.
const COUNT_BYTES: usize = 8 << 20;

/// Counts the lines and looks at the first of them.
pub(super) fn survey(
    file: Box<dyn RangeRead>,
    packing: Packing,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Survey, FileFailure> {
    let size = file.size();
    let counted = counted(file, packing)?;
    let rows: u64 = counted.spans.iter().map(|(_, rows)| rows).sum();
    if rows == 0 {
        return Ok(Survey::default());
    }
    let groups = counted.spans.iter().map(|(span, rows)| {
        let bytes = if packing == Packing::Plain { span.end - span.start } else { size };
        Group { rows: *rows, bytes, lines: Some(*span) }
    });
    let groups = groups.collect();
    let unpacked = counted.spans.last().map_or(0, |(span, _)| span.end);
    let is_all = counted.head.len() as u64 >= unpacked;
    let head = &counted.head[whole_lines(&counted.head, is_all)];
    let ignored = check_head(head, shape, mapping)?;
    Ok(Survey { groups, ignored })
}

fn counted(file: Box<dyn RangeRead>, packing: Packing) -> Result<Counted, FileFailure> {
    let ahead = Arc::new(ReadAhead::default());
    let wanted = 0..file.size();
    let options = BlockOptions::within(COUNT_BYTES, 1);
    let blocks = Blocks::new(file, options, vec![wanted], Arc::clone(&ahead));
    std::thread::scope(|scope| {
        let closing = Closing(&ahead);
        // Without the thread nothing is read ahead.
        let thread = std::thread::Builder::new().name("import-count-read".to_owned());
        let _ = thread.spawn_scoped(scope, || ahead.serve());
        let counted = count_lines(&blocks, packing, SPAN_BYTES, HEAD_BYTES);
        drop(closing);
        counted.map_err(|error| unreadable(&blocks, &error))
    })
}

fn unreadable(blocks: &Blocks, error: &io::Error) -> FileFailure {
    let text = error.to_string();
    let is_over = error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
        || text.contains("requires too much memory");
    match error.kind() {
        _ if is_over => match failure(blocks, &text) {
            FileFailure::Bad { .. } => FileFailure::bad(codes::FILE_LIMIT, text),
            source => source,
        },
        io::ErrorKind::UnexpectedEof if blocks.failure().is_none() => {
            FileFailure::bad(codes::FILE_TRUNCATED, format!("it is cut off: {text}"))
        }
        _ => failure(blocks, &text),
    }
}

/// The first lines that are not blank.
fn lines_of(head: &[u8]) -> Vec<&[u8]> {
    let lines = head.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.take(HEAD_LINES).collect()
}

/// The fields that the lines have, in the order in which they come up; none
/// where no line is an object.
fn fields_of(lines: &[&[u8]]) -> Option<Vec<FoundColumn>> {
    let mut fields: Vec<(String, DataType)> = Vec::new();
    let mut objects = 0;
    for line in lines {
        let Ok(object) = serde_json::from_slice::<Map<String, Value>>(line) else { continue };
        objects += 1;
        for (name, value) in &object {
            let kind = kind_of(value);
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) if *known == DataType::Null => *known = kind,
                Some(_) => {}
                None => fields.push((name.clone(), kind)),
            }
        }
    }
    let found = fields.into_iter().map(|(name, kind)| FoundColumn { name, kind: Ok(kind) });
    (objects > 0).then(|| found.collect())
}

/// The fields of the first lines, and all lines as one group, or why they
/// cannot be imported. Reads the first lines and no more.
#[allow(clippy::type_complexity, reason = "a pair that one caller takes apart at once")]
pub(super) fn look(
    file: Box<dyn RangeRead>,
    packing: Packing,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<(Vec<FoundColumn>, Result<Option<Group>, FileFailure>), FileFailure> {
    let size = file.size();
    let end = if packing == Packing::Plain { size } else { u64::MAX };
    let span = LineSpan { start: 0, end, first_line: 1 };
    let head = read_head(file, packing, &span)?;
    let found = fields_of(&lines_of(&head)).unwrap_or_default();
    if head.is_empty() {
        return Ok((found, Ok(None)));
    }
    // How many there are is not known, and nobody reads so many.
    let group = Group { rows: u64::MAX, bytes: size, lines: Some(span) };
    Ok((found, check_head(&head, shape, mapping).map(|_| Some(group))))
}

/// The first lines.
fn read_head(
    file: Box<dyn RangeRead>,
    packing: Packing,
    span: &LineSpan,
) -> Result<Vec<u8>, FileFailure> {
    let ahead = Arc::new(ReadAhead::default());
    let _closing = Closing(&ahead);
    let options = BlockOptions::within(COUNT_BYTES, 1);
    let wanted = 0..file.size();
    let blocks = Blocks::new(file, options, vec![wanted], Arc::clone(&ahead));
    let mut lines =
        Lines::open(&blocks, packing, span).map_err(|error| unreadable(&blocks, &error))?;
    let (mut head, mut count) = (Vec::new(), 0);
    while count < HEAD_LINES && head.len() < PREVIEW_HEAD_BYTES {
        let Some((_, line)) = lines.next().map_err(|error| unreadable(&blocks, &error))? else {
            break;
        };
        count += 1;
        if let Line::Bytes(line) = line {
            head.extend_from_slice(line);
            head.push(b'\n');
        }
    }
    Ok(head)
}

/// Whether the first lines have what is wanted; names the fields that are
/// not.
fn check_head(
    head: &[u8],
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Vec<String>, FileFailure> {
    let lines = lines_of(head);
    let Some(first) = lines.first() else { return Ok(Vec::new()) };
    let found = fields_of(&lines);
    let columns = Columns::wanted(shape, mapping);
    let Some(found) = found else {
        let text = match Wanted::of(&columns).read(first) {
            Err(fault) => fault.text,
            Ok(_) => "the line is no JSON object".to_owned(),
        };
        let reason = format!(
            "not JSON lines: none of its first {} lines is an object; the first: {text}",
            lines.len()
        );
        return Err(FileFailure::bad(codes::FILE_FORMAT, reason));
    };
    // Fields of metadata may come in later lines.
    let metadata = mapping.metadata.clone().filter(|_| mapping.is_of_documents());
    let needed = ColumnMapping { metadata, ..mapping.clone() };
    let mut ignored = Columns::find(&found, shape, &needed)?.ignored;
    let names = Wanted::of(&columns);
    ignored.retain(|name| !names.contains(name));
    Ok(ignored)
}

/// The type a value would have as a column.
fn kind_of(value: &Value) -> DataType {
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    match value {
        Value::Null => DataType::Null,
        Value::Bool(_) => DataType::Boolean,
        Value::String(_) => DataType::Utf8,
        Value::Number(number) if number.is_f64() => DataType::Float64,
        Value::Number(_) => DataType::Int64,
        Value::Array(items) if items.iter().all(Value::is_number) => list(DataType::Float32),
        Value::Array(items) => list(items.first().map_or(DataType::Null, kind_of)),
        Value::Object(_) => {
            let field = |name: &str, item| Field::new(name, list(item), true);
            let is_list = |name: &str| value.get(name).is_some_and(Value::is_array);
            if is_list("indices") && is_list("values") {
                let fields =
                    [field("indices", DataType::UInt32), field("values", DataType::Float32)];
                return DataType::Struct(fields.into_iter().collect());
            }
            DataType::Struct(Fields::empty())
        }
    }
}

/// Decodes the piece's lines.
pub(super) fn decode(
    file: Box<dyn RangeRead>,
    packing: Packing,
    piece: &TaskPiece,
    reading: &Reading<'_>,
    output: &mut Output<'_>,
) -> Result<(), FileFailure> {
    let Some(span) = &piece.lines else {
        let reason = "its plan does not say where its lines are";
        return Err(FileFailure::bad(codes::FILE_DECODE, reason));
    };
    let columns = Columns::wanted(reading.shape, reading.mapping);
    let wanted_bytes = match packing {
        Packing::Plain => span.start..span.end,
        Packing::Gzip | Packing::Zstd => 0..file.size(),
    };
    let options = BlockOptions::within(reading.budget.block_bytes, 1);
    let blocks = Blocks::new(file, options, vec![wanted_bytes], Arc::clone(reading.ahead));
    let mut lines =
        Lines::open(&blocks, packing, span).map_err(|error| unreadable(&blocks, &error))?;
    let makes = Makes {
        file: Arc::new(piece.file.clone()),
        names: Arc::new(columns.names()),
        prefix: reading.mapping.prefix_of(&piece.file.path).map(Arc::from),
        wanted: Wanted::of(&columns),
        is_dense: columns.values.is_some(),
    };
    let mut done = 0;
    loop {
        let mut rows = Rows::default();
        while rows.lines.len() < BATCH_ROWS_MAX && rows.bytes() < reading.budget.batch_bytes {
            let next = lines.next().map_err(|error| unreadable(&blocks, &error))?;
            let Some((number, line)) = next else { break };
            rows.add(&makes.wanted, number, &line);
        }
        let count = rows.lines.len() as u64;
        if count == 0 {
            break;
        }
        let before = portion(piece.bytes, done, piece.rows);
        let mut batch = makes.batch(rows);
        batch.place(None, piece.first_row + done);
        done += count;
        if done > piece.rows {
            break;
        }
        batch.packed_bytes = portion(piece.bytes, done, piece.rows) - before;
        if output.give(batch) == Flow::Stop {
            return Ok(());
        }
    }
    if done != piece.rows {
        let reason = format!("it now has {done} lines here, had {}", piece.rows);
        return Err(FileFailure::bad(codes::FILE_CHANGED, reason));
    }
    Ok(())
}

/// What all batches of a piece share.
struct Makes {
    file: Arc<SourceFile>,
    names: Arc<ColumnNames>,
    prefix: Option<Arc<str>>,
    wanted: Wanted,
    is_dense: bool,
}

impl Makes {
    fn batch(&self, rows: Rows) -> RowBatch {
        let Rows { mut ids, dense, sparse, mut metadata, lines, faults, .. } = rows;
        let ids = match &self.prefix {
            Some(prefix) => IdColumn::numbered(prefix),
            None => IdColumn::Stored(Arc::new(ids.finish())),
        };
        let values = self.is_dense.then(|| dense.finish());
        let any_sparse = sparse.iter().any(Option::is_some) || !self.is_dense;
        let sparse = any_sparse.then(|| SparseColumn::of_rows(sparse));
        RowBatch {
            file: Arc::clone(&self.file),
            names: Arc::clone(&self.names),
            row_group: None,
            first_row: 0,
            rows: lines.len(),
            packed_bytes: 0,
            ids,
            values,
            sparse,
            metadata: Some(MetadataColumn::Text(Arc::new(metadata.finish()))),
            lines: Some(lines),
            faults,
        }
    }
}

/// The rows of a batch, as they come.
#[derive(Default)]
struct Rows {
    ids: StringBuilder,
    dense: DenseRows,
    sparse: Vec<Option<SparseParts>>,
    sparse_entries: usize,
    metadata: StringBuilder,
    lines: Vec<u64>,
    faults: Vec<RowFault>,
    fault_bytes: usize,
}

impl Rows {
    /// About what they take.
    fn bytes(&self) -> usize {
        self.ids.values_slice().len()
            + 4 * self.dense.len()
            + 12 * self.sparse_entries
            + self.metadata.values_slice().len()
            + 64 * self.lines.len()
            + self.fault_bytes
    }

    fn add(&mut self, wanted: &Wanted, number: u64, line: &Line<'_>) {
        let row = self.lines.len();
        self.lines.push(number);
        let outcome = match line {
            Line::TooLong => Err((None, Fault::too_long(JSON_LINE_BYTES_MAX))),
            Line::Bytes(line) => self.read(wanted, line),
        };
        let Err((id, fault)) = outcome else { return };
        let raw = match line {
            Line::TooLong => String::new(),
            Line::Bytes(line) => {
                let head = &line[..line.len().min(REJECT_RECORD_BYTES_MAX + 1)];
                String::from_utf8_lossy(head).into_owned()
            }
        };
        self.ids.append_option(id);
        self.dense.end(false);
        self.sparse.push(None);
        self.metadata.append_null();
        self.fault_bytes += raw.len();
        self.faults.push(RowFault { row, fault, raw });
    }

    /// Adds a whole record, or nothing; then the id where it is known.
    fn read(&mut self, wanted: &Wanted, line: &[u8]) -> Result<(), (Option<String>, Fault)> {
        let parts = wanted.read(line).map_err(|fault| (None, fault))?;
        let id = parts.id().map_err(|fault| (None, fault))?;
        let known = |fault| (id.as_deref().map(str::to_owned), fault);
        let sparse = parts.sparse().map_err(known)?;
        let is_there =
            parts.values(&mut self.dense.values, &mut self.dense.nulls).map_err(known)?;
        self.ids.append_option(id.as_deref());
        self.dense.end(is_there);
        self.sparse_entries += sparse.as_ref().map_or(0, SparseParts::len);
        self.sparse.push(sparse);
        self.metadata.append_option(parts.metadata());
        Ok(())
    }
}
