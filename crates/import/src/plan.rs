//! From a listing and its footers to tasks.
#![allow(clippy::todo, unused_variables)]

use crossbill_core::{IndexShape, Seed};
use crossbill_store::{Source, SourceObject};
use serde::{Deserialize, Serialize};

use crate::{ErrorMode, ImportError, ImportSettings, ImportWatch, Reject, TaskSpec};

/// What an import is to read, and into what.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// The import's id.
    pub import: String,
    /// The source's URI.
    pub uri: String,
    /// The integration that gives access to it, where one was named.
    pub integration: Option<String>,
    /// The key under the root that the index's objects stand below
    /// (`indexes/<uid>`).
    pub index_dir: String,
    /// What the index fixes.
    pub shape: IndexShape,
    /// Where random choices start.
    pub seed: Seed,
    /// What happens on a bad record.
    pub error_mode: ErrorMode,
}

/// A file that will be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// The file, pinned by its ETag.
    pub object: SourceObject,
    /// The namespace its records go to.
    pub namespace: String,
    /// Rows its footer promises.
    pub rows: u64,
    /// Packed bytes of the columns to read.
    pub bytes: u64,
}

/// What an import will do, fixed before a byte of data is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The files to be read, in order.
    pub files: Vec<PlannedFile>,
    /// The work, in source order.
    pub tasks: Vec<TaskSpec>,
    /// What was ignored and why, for people.
    pub warnings: Vec<String>,
    /// Files that cannot be read at all, in order. In abort mode only the
    /// first: the plan ends there, so that the import imports what stands
    /// before it and then fails with it.
    pub file_errors: Vec<Reject>,
    /// What happens on a bad record or file.
    pub error_mode: ErrorMode,
    /// Rows all footers promise.
    pub rows_total: u64,
    /// Packed bytes of all columns to read.
    pub bytes_total: u64,
}

/// Lists the source, reads every footer, and cuts the work into tasks.
pub fn plan(
    source: &Source,
    request: &PlanRequest,
    settings: &ImportSettings,
    watch: &ImportWatch,
) -> Result<Plan, ImportError> {
    todo!()
}
