//! Reads every file's footer (or what its format has instead), several at
//! once, and keeps what the plan needs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbill_core::Error;
use crossbill_store::{Source, SourceError, SourceObject};

use super::PlanRequest;
use crate::decode::{self, Survey};
use crate::failure::file_reject;
use crate::source::SourceRead;
use crate::{ImportError, ImportWatch, Reject};

/// Footers read at once; mostly waiting, so more than there are cores.
const READERS: usize = 16;

/// Surveys all files; one entry each, in order: what it says, or why the file
/// cannot be read. A source that fails ends the import.
pub(crate) fn survey(
    source: &Source,
    files: &[(SourceObject, String)],
    request: &PlanRequest,
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
            let outcome =
                decode::survey(Box::new(file), &object.path, &request.shape, &request.mapping);
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
