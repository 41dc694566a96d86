//! The scrub: reads everything that a data directory holds and checks it
//! against its checksums, and what refers to what. Changes nothing and takes
//! no lock, so it also runs beside the server that owns the directory: what
//! that one deletes or adds meanwhile is looked for once more before it counts.
//!
//! ```text
//! list files ─ catalog ─ manifests, logs, backups: who refers to which part
//!            ─ parts ─ documents ─ reject tables ─ files that nothing refers to
//! ```

mod copies;
mod documents;
mod leftovers;
mod parts;
mod references;
mod report;

use std::path::PathBuf;
use std::sync::Arc;

use crossbill_core::{Clock, Error, IdSource, Result};
use crossbill_store::{Key, Root, RootFile, RootOptions, StoreError};

pub use report::{Finding, ScrubReport, Severity};

use crate::catalog::Catalog;
use crate::catalog_state::CatalogState;
use crate::pace::Pace;
use references::References;

/// How a scrub runs.
pub struct ScrubOptions {
    /// The data directory.
    pub data: PathBuf,
    /// Bytes a second that are read at most.
    pub rate: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where unique ids come from; none is drawn.
    pub ids: Arc<dyn IdSource>,
}

/// Checks all that is stored below the directory. `progress` is called with
/// the bytes that are done and the bytes that there are.
///
/// # Errors
/// Only where the directory itself cannot be read: all else is a finding.
pub fn scrub(options: &ScrubOptions, progress: &mut dyn FnMut(u64, u64)) -> Result<ScrubReport> {
    let root = Root::look(RootOptions {
        path: options.data.clone(),
        faults: None,
        ids: Arc::clone(&options.ids),
        clock: Arc::clone(&options.clock),
    })?;
    let is_live = Root::holder(&options.data)?.is_some();
    let files = root.files()?;
    let mut scrubber = Scrubber {
        total: files.iter().map(|file| file.bytes).sum(),
        report: ScrubReport { is_live, ..ScrubReport::default() },
        pace: Pace::new(Arc::clone(&options.clock), options.rate),
        root,
        done: 0,
        progress,
    };
    scrubber.run(&files);
    Ok(scrubber.report)
}

struct Scrubber<'a> {
    root: Root,
    report: ScrubReport,
    pace: Pace,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Scrubber<'_> {
    fn run(&mut self, files: &[RootFile]) {
        let catalog = self.catalog();
        let mut references = References::default();
        if let Some(catalog) = &catalog {
            self.references(catalog, &mut references);
        }
        self.parts(files, &references, catalog.as_ref());
        self.documents(files);
        self.private_documents();
        self.copied_files(files);
        if let Some(catalog) = &catalog {
            self.jobs(files, catalog);
            self.leftovers(files, catalog, &references);
        }
        self.report.files = files.len() as u64;
        self.report.bytes = self.done;
        (self.progress)(self.total, self.total);
    }

    /// The catalog; nothing where it cannot be read, which is a finding.
    fn catalog(&mut self) -> Option<Catalog> {
        match CatalogState::load(&self.root) {
            Ok(state) => Some(state.catalog),
            Err(error) => {
                self.report.problem(
                    "catalog",
                    error.message(),
                    "nothing can be served without it: start from a copy of the data directory \
                     (crossbill backup-root); what refers to which part is not checked",
                );
                None
            }
        }
    }

    /// Notes that `bytes` were read, waits as long as the rate asks, and tells.
    fn read(&mut self, bytes: u64) {
        let bytes_now = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.pace.wait(bytes_now, &|| false);
        self.done = self.done.saturating_add(bytes).min(self.total);
        (self.progress)(self.done, self.total);
    }
}

/// Whether something that was there a moment ago is gone.
fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::NotFound { .. })
}

fn key(text: &str) -> Result<Key> {
    Key::new(text).map_err(|error| Error::internal(error.to_string()))
}
