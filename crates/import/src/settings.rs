//! What the operator and the user choose for an import, and its bounds.

use crossbill_core::RequestLimits;
use crossbill_core::limits::{
    IMPORT_FILE_BYTES_MAX, IMPORT_FILES_MAX, IMPORT_NAMESPACE_BYTES_MAX, IMPORT_NAMESPACES_MAX,
    SEGMENT_ROWS_MAX,
};
use serde::{Deserialize, Serialize};

use crate::decode::DecodeBudget;

/// What happens to an import when a record or file breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorMode {
    /// It is skipped, counted and kept in the reject log.
    Continue,
    /// The import stops; what was committed before stays.
    Abort,
}

/// Tasks are not made smaller than this so that every worker has one: few
/// large segments answer faster than many small ones.
pub(crate) const TASK_ROWS_SPLIT: u64 = 1 << 19;

/// How an import uses the machine, and what it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSettings {
    /// Tasks that run at once; at least 1.
    pub workers: usize,
    /// Bytes of memory for one import, shared by its workers.
    pub memory_bytes: u64,
    /// Rows a task has at most, but for a larger row group. An import of less
    /// for each worker is cut finer, down to half as many.
    pub task_rows: u64,
    /// Source bytes (packed) a task aims at.
    pub task_bytes: u64,
    /// Rows after which a task begins another segment.
    pub segment_rows: u32,
    /// Files of one import.
    pub files_max: usize,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Namespaces of one import.
    pub namespaces_max: usize,
    /// Bytes of one namespace's files.
    pub namespace_bytes_max: u64,
    /// What a record may hold, and the name of a namespace: the same as in a
    /// request.
    pub limits: RequestLimits,
}

impl ImportSettings {
    /// The usual task sizes and the hosted service's limits, for a machine
    /// share of `workers` threads and `memory_bytes`.
    pub fn new(workers: usize, memory_bytes: u64) -> Self {
        Self {
            workers: workers.max(1),
            memory_bytes,
            task_rows: 1 << 20,
            task_bytes: 4 << 30,
            segment_rows: SEGMENT_ROWS_MAX,
            files_max: IMPORT_FILES_MAX,
            file_bytes_max: IMPORT_FILE_BYTES_MAX,
            namespaces_max: IMPORT_NAMESPACES_MAX,
            namespace_bytes_max: IMPORT_NAMESPACE_BYTES_MAX,
            limits: RequestLimits::default(),
        }
    }

    /// Rows of a task of an import of `rows` rows.
    pub(crate) fn task_rows_for(&self, rows: u64) -> u64 {
        let split = TASK_ROWS_SPLIT.min(self.task_rows);
        rows.div_ceil(self.workers.max(1) as u64).clamp(split, self.task_rows)
    }

    /// One worker's share of the memory, at least 16 MiB.
    pub(crate) fn worker_bytes(&self) -> usize {
        const WORKER_BYTES_MIN: u64 = 16 << 20;
        let share = (self.memory_bytes / self.workers.max(1) as u64).max(WORKER_BYTES_MIN);
        usize::try_from(share).unwrap_or(usize::MAX)
    }

    /// What one worker's decoder may use: a batch is decoded, up to three
    /// wait, one is stored.
    pub(crate) fn decode_budget(&self) -> DecodeBudget {
        const BATCH_BYTES_MIN: usize = 256 << 10;
        const BATCH_BYTES_MAX: usize = 16 << 20;
        let worker = self.worker_bytes();
        let batch_bytes = (worker / 32).clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX);
        DecodeBudget { batch_bytes, block_bytes: worker / 8 }
    }

    /// What one worker's segment builder may hold before it is sealed.
    pub(crate) fn builder_bytes(&self) -> usize {
        self.worker_bytes() / 2
    }
}

/// A limit that the import breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many {what}: found {found}, expected at most {limit} (setting {setting})")]
pub(crate) struct LimitError {
    what: String,
    found: u64,
    limit: u64,
    setting: &'static str,
}

impl LimitError {
    /// Checks `found` of `what` against the `limit` that `setting` sets.
    pub(crate) fn check(
        setting: &'static str,
        what: impl FnOnce() -> String,
        found: u64,
        limit: u64,
    ) -> Result<(), LimitError> {
        if found > limit {
            return Err(LimitError { what: what(), found, limit, setting });
        }
        Ok(())
    }
}
