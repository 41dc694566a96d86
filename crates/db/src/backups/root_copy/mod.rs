//! Copies of the whole data directory to another place, made while it is
//! used: begun, described, cancelled; one at a time, by a background thread.
//!
//! ```text
//! begin ─ links of all files at one moment ─ files copied at a pace ─ manifest ─ name
//! ```
//! A copy is what a kill at that moment would have left, so opening it is what
//! every open after a crash is. It holds every write that was acknowledged
//! before it began.

mod run;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbill_core::{Error, Result, Timestamp};
use parking_lot::Mutex;

pub(crate) use run::run;

use crate::Database;
use crate::types::ImportStatus;

/// A copy of the data directory, as described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCopyView {
    /// The directory that was asked for, as a URI.
    pub uri: String,
    /// The directory in it that the copy is, or is to be.
    pub directory: PathBuf,
    /// How it stands.
    pub status: ImportStatus,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Files that it consists of, once known.
    pub files: u64,
    /// Their bytes, once known.
    pub bytes: u64,
    /// Bytes that were copied so far.
    pub bytes_copied: u64,
    /// Bytes that an earlier copy, or an attempt that was cut off, had already.
    pub bytes_reused: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// A copy in this process.
pub(crate) struct CopyJob {
    parent: PathBuf,
    name: String,
    stop: AtomicBool,
    live: Mutex<RootCopyView>,
}

impl CopyJob {
    /// Tells it to end.
    pub(crate) fn interrupt(&self) {
        self.stop.store(true, Ordering::Release);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn change(&self, change: impl FnOnce(&mut RootCopyView)) {
        change(&mut self.live.lock());
    }

    fn view(&self) -> RootCopyView {
        self.live.lock().clone()
    }
}

impl Database {
    /// Begins a copy of the whole data directory in a new directory below the
    /// one that `uri` names (`file:///…`, one that exports may write to).
    ///
    /// # Errors
    /// `Forbidden` for a place that the operator does not allow, `Conflict`
    /// while another copy is made.
    pub fn start_root_copy(&self, uri: &str) -> Result<RootCopyView> {
        let env = &self.env;
        crate::imports::check_length("uri", uri, env.limits.import_uri_chars)?;
        let destination = env.destinations.check(uri, None, &env.policy)?;
        let parent = destination.directory().ok_or_else(|| {
            Error::invalid(format!(
                "the copy's uri is {uri:?}, expected a directory on this machine: file:///…"
            ))
        })?;
        let now = env.clock.now();
        // RFC 3339 without what names of directories are better without.
        let name: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
        let view = RootCopyView {
            uri: uri.to_owned(),
            directory: parent.join(&name),
            status: ImportStatus::Pending,
            created_at: now,
            finished_at: None,
            files: 0,
            bytes: 0,
            bytes_copied: 0,
            bytes_reused: 0,
            error: None,
        };
        let mut current = self.root_copy.lock();
        if current.as_ref().is_some_and(|job| !job.view().status.is_final()) {
            return Err(Error::conflict(
                "a copy of the data directory is being made already; wait for it or cancel it",
            ));
        }
        let job = Arc::new(CopyJob {
            parent: parent.to_owned(),
            name,
            stop: AtomicBool::new(false),
            live: Mutex::new(view.clone()),
        });
        *current = Some(Arc::clone(&job));
        env.copies.push(job);
        Ok(view)
    }

    /// The copy that is made, or the last one that was since this process
    /// began. `NotFound` where there was none.
    pub fn describe_root_copy(&self) -> Result<RootCopyView> {
        let current = self.root_copy.lock();
        let view = current.as_ref().map(|job| job.view());
        view.ok_or_else(|| {
            Error::not_found("no copy of the data directory was made since the start")
        })
    }

    /// Ends the copy that is made; what it has written the next one goes on
    /// with. No effect where none is.
    pub fn cancel_root_copy(&self) {
        if let Some(job) = &*self.root_copy.lock() {
            job.interrupt();
        }
    }
}
