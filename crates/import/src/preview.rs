//! A look at a source before an import: which columns its first file has, and
//! what its first rows would become. Reads through the decoders and the rules
//! of an import, within small bounds; keeps nothing and writes nothing.

use std::sync::Arc;

use crossbill_core::limits::{
    PREVIEW_BATCH_BYTES, PREVIEW_COLUMNS_MAX, PREVIEW_COMPONENTS_MAX, PREVIEW_ROWS_MAX,
    PREVIEW_TEXT_BYTES_MAX,
};
use crossbill_core::{DocumentFields, Error, IndexShape, RecordBatch, RequestLimits, TextSchema};
use crossbill_store::{Source, SourceObject};
use rayon::ThreadPool;

use crate::decode::{self, DecodeBudget, Flow, Look, Reading, RowBatch, decode_piece};
use crate::failure::{FileFailure, file_reject};
use crate::plan::layout::lay_out;
use crate::plan::source_error;
use crate::source::blocks::{Closing, ReadAhead};
use crate::source::{RangeRead, SourceRead};
use crate::validate::record::KeptText;
use crate::validate::{Rules, validate};
use crate::{ColumnMapping, ImportError, Reject, SourceFile, TaskPiece};

/// Memory of the blocks of the file.
const BLOCK_BYTES: usize = 8 << 20;

/// How a preview reads.
#[derive(Debug, Clone)]
pub struct PreviewRequest {
    /// What the index fixes.
    pub shape: IndexShape,
    /// Its fields that are searched as text.
    pub text: TextSchema,
    /// Which fields hold the vectors, in an index of documents.
    pub documents: Option<DocumentFields>,
    /// Which columns hold what.
    pub mapping: ColumnMapping,
    /// What a record may be.
    pub limits: RequestLimits,
}

/// What the first file of a source holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The file.
    pub file: String,
    /// The namespace that its records would go to.
    pub namespace: String,
    /// Its columns.
    pub columns: Vec<PreviewColumn>,
    /// What its first rows would become.
    pub rows: Vec<PreviewRow>,
    /// Why it cannot be imported so.
    pub error: Option<String>,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewColumn {
    /// Its name.
    pub name: String,
    /// Its type, in words.
    pub kind: String,
}

/// A row, as it would be imported.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewRow {
    /// The row in the file, from 0.
    pub row: u64,
    /// Its id, where it can be read.
    pub id: Option<String>,
    /// The first components of its vector.
    pub values: Vec<f32>,
    /// Entries of its sparse vector.
    pub sparse_entries: Option<u64>,
    /// Its metadata as JSON, or the beginning of that.
    pub metadata: Option<String>,
    /// Code and message, where it would be rejected.
    pub reject: Option<(String, String)>,
}

/// Looks at the first importable file among `objects`, which `source` listed.
///
/// What is wrong with the file itself is the preview's `error`; an error comes
/// back where there is no such file or the source fails.
pub fn preview(
    source: &Source,
    objects: Vec<SourceObject>,
    request: &PreviewRequest,
    pool: &ThreadPool,
) -> Result<Preview, ImportError> {
    let listed = objects.len();
    let found = lay_out(objects, request.limits.namespace_chars);
    if let Some(reason) = found.unclear {
        return Err(ImportError::Failed(Error::invalid(reason)));
    }
    let Some((object, namespace)) = found.files.into_iter().next() else {
        return Err(ImportError::Failed(Error::not_found(format!(
            "no file to import found among the first {listed} files, expected .parquet files (or \
             .jsonl, .arrow, .npy)"
        ))));
    };
    let open = || -> Box<dyn RangeRead> {
        Box::new(SourceRead { source: source.clone(), object: object.clone() })
    };
    of_file(&open, object.clone().into(), namespace, request, pool)
}

fn of_file(
    open: &dyn Fn() -> Box<dyn RangeRead>,
    file: SourceFile,
    namespace: String,
    request: &PreviewRequest,
    pool: &ThreadPool,
) -> Result<Preview, ImportError> {
    let path = file.path.clone();
    let mut preview = Preview {
        file: path.clone(),
        namespace,
        columns: Vec::new(),
        rows: Vec::new(),
        error: None,
    };
    let Look { columns, first } =
        match decode::look(open(), &path, &request.shape, &request.mapping) {
            Ok(look) => look,
            Err(failure) => {
                preview.error = Some(told(&path, failure)?);
                return Ok(preview);
            }
        };
    let named = columns.into_iter().take(PREVIEW_COLUMNS_MAX);
    preview.columns = named.map(|(name, kind)| PreviewColumn { name, kind }).collect();
    let rows = match first {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(first)) => rows_of(open(), &first.piece(file), request, pool),
        Err(failure) => Err(failure),
    };
    match rows {
        Ok(rows) => preview.rows = rows,
        Err(failure) => preview.error = Some(told(&path, failure)?),
    }
    Ok(preview)
}

/// The message about a file that is at fault itself.
fn told(path: &str, failure: FileFailure) -> Result<String, ImportError> {
    let (code, reason) = failure.of_the_file().map_err(source_error)?;
    Ok(file_reject(path, None, code, &reason).message)
}

fn rows_of(
    file: Box<dyn RangeRead>,
    piece: &TaskPiece,
    request: &PreviewRequest,
    pool: &ThreadPool,
) -> Result<Vec<PreviewRow>, FileFailure> {
    let ahead = Arc::new(ReadAhead::default());
    let _closing = Closing(&ahead);
    let reading = Reading {
        shape: &request.shape,
        mapping: &request.mapping,
        budget: DecodeBudget { batch_bytes: PREVIEW_BATCH_BYTES, block_bytes: BLOCK_BYTES },
        ahead: &ahead,
    };
    let mut rows = Vec::new();
    let mut take = |batch: RowBatch| {
        rows = checked(batch, request, pool);
        Flow::Stop
    };
    decode_piece(file, piece, &reading, &mut take).map_err(|stopped| stopped.failure)?;
    Ok(rows)
}

/// The first rows of a batch, each as a record or with the rule it breaks.
fn checked(batch: RowBatch, request: &PreviewRequest, pool: &ThreadPool) -> Vec<PreviewRow> {
    let (first_row, count) = (batch.first_row, batch.rows.min(PREVIEW_ROWS_MAX));
    let documents = request.documents.as_ref().map(|fields| (fields, &request.text));
    let rules = Rules { shape: &request.shape, documents, limits: &request.limits };
    let (valid, rejects) = validate(batch, rules, pool, &mut KeptText::default());
    let dimension = valid.records().values.len() / valid.records().len().max(1);
    let mut rejects = rejects.into_iter().peekable();
    let mut next = 0;
    let rows = (first_row..first_row + count as u64).map(|row| {
        match rejects.next_if(|reject| reject.row == Some(row)) {
            Some(reject) => rejected(row, reject),
            None => {
                next += 1;
                record(row, valid.records(), next - 1, dimension)
            }
        }
    });
    rows.collect()
}

fn record(row: u64, records: &RecordBatch, place: usize, dimension: usize) -> PreviewRow {
    let values = &records.values[place * dimension..(place + 1) * dimension];
    PreviewRow {
        row,
        id: Some(records.ids.get(place).to_owned()),
        values: values.iter().copied().take(PREVIEW_COMPONENTS_MAX).collect(),
        sparse_entries: records.sparse(place).map(|vector| vector.indices().len() as u64),
        metadata: records.metadata(place).map(|metadata| beginning(metadata.to_json())),
        reject: None,
    }
}

fn rejected(row: u64, reject: Reject) -> PreviewRow {
    PreviewRow {
        row,
        id: reject.id,
        values: Vec::new(),
        sparse_entries: None,
        metadata: None,
        reject: Some((reject.code, reject.message)),
    }
}

fn beginning(mut text: String) -> String {
    if text.len() > PREVIEW_TEXT_BYTES_MAX {
        let end = (0..=PREVIEW_TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crossbill_core::Metric;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::testing::{Memory, ids, plain, some_vectors};

    fn look(path: &str, file: &Memory, mapping: ColumnMapping) -> Preview {
        let shape = IndexShape::dense(4, Metric::Cosine);
        let request = PreviewRequest {
            shape,
            text: TextSchema::default(),
            documents: None,
            mapping,
            limits: RequestLimits::default(),
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let open = || -> Box<dyn RangeRead> { Box::new(file.clone()) };
        let source = SourceFile { path: path.into(), size: file.size(), etag: "e".into() };
        of_file(&open, source, "n".into(), &request, &pool).unwrap()
    }

    fn lines(count: usize) -> Vec<u8> {
        let line = |n: usize| format!("{{\"id\":\"r{n}\",\"values\":[1,2,3,{n}],\"x\":null}}\n");
        (0..count).map(line).collect::<String>().into_bytes()
    }

    #[test]
    fn every_format_shows_its_first_rows() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&lines(500)).unwrap();
        let parquet = plain(&[("id", ids("r", 500)), ("values", some_vectors(500, 4))]);
        for (path, bytes, columns) in [
            ("a.parquet", parquet, 2),
            ("a.jsonl", lines(500), 3),
            ("a.jsonl.gz", packed.finish().unwrap(), 3),
        ] {
            let found = look(path, &Memory::new(bytes), ColumnMapping::default());
            assert_eq!(found.error, None, "{path}");
            assert_eq!(found.columns.len(), columns, "{path}: {:?}", found.columns);
            assert_eq!(found.rows.len(), PREVIEW_ROWS_MAX, "{path}");
            for (place, row) in found.rows.iter().enumerate() {
                assert_eq!((row.row, &row.reject), (place as u64, &None), "{path}");
                assert_eq!(row.values.len(), 4, "{path}");
            }
        }
    }

    #[test]
    fn a_large_file_of_lines_is_not_read_to_its_end() {
        let file = Memory::repeated(lines(1), lines(1000), 1 << 20);
        let found = look("a.jsonl", &file, ColumnMapping::default());
        assert_eq!((found.rows.len(), found.error), (PREVIEW_ROWS_MAX, None));
        let reads = file.reads.lock().unwrap();
        let read: u64 = reads.iter().map(|range| range.end - range.start).sum();
        assert!(read < 64 << 20, "{read} of {} bytes were read", file.size());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let mapping = ColumnMapping { values: Some("emb".into()), ..ColumnMapping::default() };
        let found = look("a.jsonl", &Memory::new(lines(3)), mapping);
        assert!(found.error.unwrap().contains("\"emb\""));
        assert_eq!((found.columns.len(), found.rows.len()), (3, 0));
        for (path, bytes) in [("a.parquet", vec![1; 100]), ("a.npy", vec![2; 10])] {
            let found = look(path, &Memory::new(bytes), ColumnMapping::default());
            assert!(found.error.unwrap().starts_with(path));
        }
        let empty = look("a.jsonl", &Memory::new(b"\n\n".to_vec()), ColumnMapping::default());
        assert_eq!((empty.rows.len(), empty.error), (0, None));
    }

    #[test]
    fn long_texts_are_shortened_between_characters() {
        assert_eq!(beginning("a".into()), "a");
        let long = beginning(format!("a{}", "é".repeat(PREVIEW_TEXT_BYTES_MAX)));
        assert!(long.ends_with("é…") && long.len() <= PREVIEW_TEXT_BYTES_MAX + 3);
    }
}
