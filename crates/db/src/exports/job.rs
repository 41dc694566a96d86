//! One export in this process: its stored record, and the flags that end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbill_core::{Error, Result, Timestamp};
use crossbill_store::{Documents, Key, Root, Versioned};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::jobs;
use crate::types::{ExportView, ImportStatus};

/// The kind under which export records are stored.
const RECORD_KIND: &str = "export-record";
/// What an export that has not ended shows at most.
const PERCENT_UNFINISHED_MAX: f64 = 99.9;

/// What is stored of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ExportRecord {
    pub(super) id: u64,
    pub(super) uri: String,
    #[serde(default)]
    pub(super) integration: Option<String>,
    /// The one that was asked for; all without it.
    #[serde(default)]
    pub(super) namespace: Option<String>,
    /// Those that are exported, in order.
    pub(super) namespaces: Vec<String>,
    /// Records that they held at the start.
    pub(super) rows_total: u64,
    pub(super) created_at: Timestamp,
    pub(super) status: ImportStatus,
    /// What is written, in order.
    #[serde(default)]
    pub(super) parts: Vec<Part>,
    #[serde(default)]
    pub(super) finished_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) error: Option<String>,
}

/// A file that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) namespace: String,
    pub(super) file: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) crc32c: u32,
    /// The id that it ends with.
    pub(super) last_id: String,
}

struct Live {
    record: ExportRecord,
    version: u64,
    documents: Documents<ExportRecord>,
}

/// An export.
pub(crate) struct Job {
    pub(super) id: u64,
    /// Held while a part appears and while the export is cancelled, so that
    /// none appears after that was answered. Taken before `live`.
    pub(super) gate: Mutex<()>,
    live: Mutex<Live>,
    /// Tells the work, and waits for an object store, to end.
    pub(super) stop: Arc<AtomicBool>,
    running: AtomicBool,
}

impl Job {
    /// Stores the record of a new export.
    pub(super) fn create(root: &Root, exports: &Key, record: ExportRecord) -> Result<Self> {
        let documents = documents(root, exports, record.id);
        let version = documents.commit(0, &record)?;
        Ok(Self::with_record(record, version, documents))
    }

    /// Reads a stored record.
    pub(super) fn open(root: &Root, exports: &Key, id: u64) -> Result<Option<Self>> {
        let documents = documents(root, exports, id);
        let stored = documents.load()?;
        let job = |Versioned { version, value }| Self::with_record(value, version, documents);
        Ok(stored.map(job))
    }

    fn with_record(record: ExportRecord, version: u64, documents: Documents<ExportRecord>) -> Self {
        Self {
            id: record.id,
            gate: Mutex::new(()),
            live: Mutex::new(Live { record, version, documents }),
            stop: Arc::new(AtomicBool::new(false)),
            running: AtomicBool::new(false),
        }
    }

    /// The record as it is now.
    pub(super) fn record(&self) -> ExportRecord {
        self.live.lock().record.clone()
    }

    /// Changes the stored record; refused once the export has ended.
    pub(super) fn update(&self, change: impl FnOnce(&mut ExportRecord)) -> Result<()> {
        let mut live = self.live.lock();
        if live.record.status.is_final() {
            return Err(Error::failed_precondition("the export has ended"));
        }
        let mut record = live.record.clone();
        change(&mut record);
        let live = &mut *live;
        jobs::store(&live.documents, &mut live.version, &mut live.record, record)?;
        // Each version says all: older ones are of no use.
        if let Err(error) = live.documents.prune(1) {
            tracing::warn!(export = self.id, %error, "old records of an export stay for now");
        }
        Ok(())
    }

    /// Whether it has ended.
    pub(crate) fn is_final(&self) -> bool {
        self.live.lock().record.status.is_final()
    }

    /// When it was started.
    pub(crate) fn created_at(&self) -> Timestamp {
        self.live.lock().record.created_at
    }

    /// Stops the work without ending the export: it goes on at the next open.
    pub(crate) fn interrupt(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether a thread runs it.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// Notes whether a thread runs it.
    pub(super) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::SeqCst);
    }

    /// Cancels it; what is written stays. An export that has ended stays as
    /// it is.
    pub(super) fn cancel(&self, now: Timestamp) -> Result<()> {
        let _no_part_between = self.gate.lock();
        if self.is_final() {
            return Ok(());
        }
        self.interrupt();
        self.update(|record| {
            record.status = ImportStatus::Cancelled;
            record.finished_at = Some(now);
        })
    }

    /// As described.
    pub(super) fn view(&self) -> ExportView {
        let record = self.record();
        let sum = |of: fn(&Part) -> u64| record.parts.iter().map(of).sum();
        let records_exported: u64 = sum(|part| part.rows);
        let percent = 100.0 * records_exported as f64 / record.rows_total.max(1) as f64;
        ExportView {
            id: record.id.to_string(),
            percent_complete: match record.status {
                ImportStatus::Completed => 100.0,
                _ => percent.min(PERCENT_UNFINISHED_MAX),
            },
            records_exported,
            records_total: record.rows_total,
            bytes_written: sum(|part| part.bytes),
            files_written: record.parts.len() as u64,
            uri: record.uri,
            namespace: record.namespace,
            status: record.status,
            created_at: record.created_at,
            finished_at: record.finished_at,
            error: record.error,
        }
    }
}

fn documents(root: &Root, exports: &Key, id: u64) -> Documents<ExportRecord> {
    Documents::new(root, exports.join(&id.to_string()).join("record"), RECORD_KIND)
}
