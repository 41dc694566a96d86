//! What a namespace consists of right now: the words of its manifest
//! document. Plain data; the rules live above this crate, and the document's
//! envelope and versions live in [`crate::Documents`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The kind under which manifests are stored (see [`crate::Documents::new`]).
pub const MANIFEST_KIND: &str = "manifest";

/// One version of a namespace: its live segments, what its log has already
/// given to them, and how far each import got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The namespace's name as its user wrote it.
    pub namespace: String,
    /// The sequence number that the next segment gets.
    pub next_seq: u64,
    /// Every log frame up to this one is contained in the segments.
    pub flushed_lsn: u64,
    /// The live segments in order of their sequence numbers.
    pub segments: Vec<SegmentEntry>,
    /// Segments of imports that show all of theirs at once, at their end:
    /// nobody reads them yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staged: Vec<SegmentEntry>,
    /// Imports that have committed a task here and are not yet finished.
    #[serde(default)]
    pub imports: BTreeMap<String, ImportProgress>,
    /// Metadata fields that may be filtered on; `None` means all.
    #[serde(default)]
    pub filterable: Option<Vec<String>>,
    /// Whether the namespace was deleted and waits to be swept.
    #[serde(default)]
    pub deleted: bool,
    /// Names this life of the namespace, which ends when all of it is deleted:
    /// what was loaded in an earlier one is not there. None before the first
    /// import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<String>,
}

/// One live segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// The part's name below the index's `parts` directory, without its ending.
    pub part: String,
    /// Where it stands in the order of the namespace: a later one wins.
    pub seq: u64,
    /// Rows in the part, deleted ones included.
    pub rows: u32,
    /// Bytes of the part.
    pub bytes: u64,
    /// The part's own checksum, as its builder gave it.
    pub checksum: u32,
    /// Rows that no longer count: a serialised bitmap in base64, opaque here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// The import that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
    /// The ordinal of the import's task that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u32>,
}

/// How far one import got in this namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProgress {
    /// The namespace's `next_seq` when the import committed here first.
    pub base_seq: u64,
    /// The committed tasks by ordinal, each with what it counted.
    pub tasks: BTreeMap<u32, TaskCounts>,
    /// Whether its tasks' segments are among the staged ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpublished: bool,
    /// The life of the namespace that it writes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<String>,
}

/// What one import task counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Rows read.
    pub read: u64,
    /// Records imported.
    pub imported: u64,
    /// Records replaced by a later one of the same task with the same id.
    pub superseded: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// Source bytes the task stands for.
    pub bytes: u64,
    /// Files that could not be read to the end of the task's part of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
