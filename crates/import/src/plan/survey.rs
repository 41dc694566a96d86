//! Reads every file's footer, several at once, and keeps what the plan needs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbill_core::{Error, IndexShape};
use crossbill_store::{Source, SourceError, SourceObject};
use parquet::file::metadata::ParquetMetaData;

use crate::columns::Columns;
use crate::failure::{FileFailure, file_reject};
use crate::reject::codes;
use crate::source::{SourceRead, read_footer};
use crate::{ImportError, ImportWatch, Reject};

/// Footers read at once; mostly waiting, so more than there are cores.
const READERS: usize = 16;

/// What a good footer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Rows and packed bytes of the columns to read, per row group.
    pub(crate) row_groups: Vec<(u64, u64)>,
    /// Columns that are not read.
    pub(crate) ignored: Vec<String>,
}

/// Surveys all files; one entry each, in order: what it says, or why the file
/// cannot be read. A source that fails ends the import.
pub(crate) fn survey(
    source: &Source,
    files: &[(SourceObject, String)],
    shape: &IndexShape,
    watch: &ImportWatch,
) -> Result<Vec<Result<Survey, Box<Reject>>>, ImportError> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(files.len()));
    let failed = Mutex::new(None);
    let read_some = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((object, _)) = files.get(number) else { return };
            if watch.is_cancelled() {
                return;
            }
            let file = SourceRead { source: source.clone(), object: object.clone() };
            let outcome = read_footer(&file).and_then(|footer| summarise(&footer, shape));
            let entry = outcome.map(Ok).or_else(|failure| {
                let (code, reason) = failure.of_the_file()?;
                Ok(Err(Box::new(file_reject(&object.path, None, code, &reason))))
            });
            match entry {
                Ok(entry) => lock(&found).push((number, entry)),
                Err(error) => {
                    // The others stop; the first file's error is told.
                    next.store(files.len(), Ordering::Relaxed);
                    let mut failed = lock(&failed);
                    if failed.as_ref().is_none_or(|(first, _)| number < *first) {
                        *failed = Some((number, error));
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 1..READERS.min(files.len()) {
            let name = format!("import-footers-{number}");
            // Without the thread the others do its share.
            let _ = std::thread::Builder::new().name(name).spawn_scoped(scope, read_some);
        }
        read_some();
    });
    if watch.is_cancelled() {
        return Err(ImportError::Cancelled);
    }
    if let Some((_, error)) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(source_error(error));
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_unstable_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, entry)| entry).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A source's error as the import's.
pub(crate) fn source_error(error: SourceError) -> ImportError {
    match error {
        SourceError::Cancelled(_) => ImportError::Cancelled,
        error => ImportError::Failed(Error::from(error)),
    }
}

fn summarise(metadata: &ParquetMetaData, shape: &IndexShape) -> Result<Survey, FileFailure> {
    let schema = metadata.file_metadata().schema_descr();
    let columns = Columns::resolve(schema, shape)?;
    let roots: Vec<usize> = columns.roots().collect();
    let mut row_groups = Vec::with_capacity(metadata.num_row_groups());
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let mut bytes = 0_u64;
        for (leaf, chunk) in group.columns().iter().enumerate() {
            let root = schema.get_column_root_idx(leaf);
            if !roots.contains(&root) {
                continue;
            }
            bytes += u64::try_from(chunk.compressed_size()).unwrap_or(0);
            // Every row has an entry in every column, null or not.
            if u64::try_from(chunk.num_values()).unwrap_or(0) < rows {
                let reason = format!(
                    "its footer is damaged: row group {number} claims {rows} rows, but {} values \
                     of column {:?}",
                    chunk.num_values(),
                    schema.get_column_root(leaf).name()
                );
                return Err(FileFailure::bad(codes::FILE_DECODE, reason));
            }
        }
        row_groups.push((rows, bytes));
    }
    Ok(Survey { row_groups, ignored: columns.ignored })
}
