//! A task: one unit of an import, restartable, of one namespace; and what it
//! made. Both are plain data that travel as JSON.

use crossbill_core::{DocumentFields, IndexShape, Seed, TextSchema};
use crossbill_store::{SourceObject, TaskCounts};
use serde::{Deserialize, Serialize};

use crate::{ColumnMapping, DryIds, ErrorMode, Reject};

/// Everything a worker needs to know to do a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The import's id.
    pub import: String,
    /// The source's URI.
    pub uri: String,
    /// The integration that gives access to it, where one was named.
    pub integration: Option<String>,
    /// The key under the root that the index's objects stand below.
    pub index_dir: String,
    /// The place in the import's order, from 0.
    pub ordinal: u32,
    /// The namespace all its records go to.
    pub namespace: String,
    /// What the index fixes.
    pub shape: IndexShape,
    /// Its fields that are searched as text.
    #[serde(default, skip_serializing_if = "TextSchema::is_empty")]
    pub text: TextSchema,
    /// Which fields hold the vectors, in an index of documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentFields>,
    /// Where the task's random choices start.
    pub seed: Seed,
    /// What happens on a bad record.
    pub error_mode: ErrorMode,
    /// Errors the task may have before it is no use going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_max: Option<u64>,
    /// Whether it only reads and checks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Which columns hold what.
    #[serde(default, skip_serializing_if = "ColumnMapping::is_default")]
    pub mapping: ColumnMapping,
    /// What to read, in source order.
    pub pieces: Vec<TaskPiece>,
}

impl TaskSpec {
    /// Rows the footers promise.
    pub fn rows(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.rows).sum()
    }

    /// Packed bytes of the columns to read.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }
}

/// A file of the source, pinned: should it change, reading it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the import's URI, with `/` between names.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The version of its content.
    pub etag: String,
}

impl From<SourceObject> for SourceFile {
    fn from(object: SourceObject) -> Self {
        let SourceObject { path, size, etag } = object;
        Self { path, size, etag }
    }
}

impl SourceFile {
    /// What pins its content, whichever URI it was found with.
    pub fn version(&self) -> String {
        self.object().version().to_owned()
    }

    /// As the source knows it.
    pub(crate) fn object(&self) -> SourceObject {
        SourceObject { path: self.path.clone(), size: self.size, etag: self.etag.clone() }
    }
}

/// Consecutive row groups of one file, or what its format has instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskPiece {
    /// The file, pinned by its ETag.
    pub file: SourceFile,
    /// The first row group.
    pub first_row_group: u32,
    /// How many row groups.
    pub row_groups: u32,
    /// The file's row that the first row group begins with.
    pub first_row: u64,
    /// Rows the footer promises.
    pub rows: u64,
    /// Packed bytes of the columns to read.
    pub bytes: u64,
    /// Whether the file ends with this piece (files done are counted so).
    pub last: bool,
    /// Where its lines are, in a file of lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<LineSpan>,
}

/// Consecutive whole lines of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSpan {
    /// The first byte; of a packed file, once unpacked.
    pub start: u64,
    /// The byte behind the last.
    pub end: u64,
    /// The number of the first line, from 1.
    pub first_line: u64,
}

/// One segment a task made, stored but not yet committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSegment {
    /// The part's name.
    pub part: String,
    /// Rows in it.
    pub rows: u32,
    /// Rows that no later row of the same segment replaces.
    pub live_rows: u32,
    /// Bytes of it.
    pub bytes: u64,
    /// CRC32C of the whole part.
    pub checksum: u32,
}

/// What a task made. `counts.read = imported + superseded + rejected`, where
/// superseded counts replacements within one segment; the ledger moves those
/// that a later segment replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// The task's place in the import's order.
    pub ordinal: u32,
    /// The namespace its records go to.
    pub namespace: String,
    /// What it stored, in source order: later ones win.
    pub segments: Vec<TaskSegment>,
    /// Rows and bytes.
    pub counts: TaskCounts,
    /// Entries of the reject log: one a record and one a broken file.
    pub rejects: u64,
    /// The first of them in source order.
    pub first_reject: Option<Reject>,
    /// Where they are kept, if there are any.
    pub rejects_key: Option<String>,
    /// Whether it had more errors than it may: then it stopped with the one
    /// too many, and there is nothing to commit.
    #[serde(default)]
    pub is_overrun: bool,
    /// Of a dry run: the ids that it would import, in place of segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry: Option<DryIds>,
}
