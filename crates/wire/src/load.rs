//! Body of `GET /load` (ours): what the server is doing at this moment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the server is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerLoad {
    /// The server's version.
    pub version: String,
    /// How long it has been running.
    pub uptime_seconds: f64,
    /// Its requests.
    pub requests: RequestLoad,
    /// Threads that search.
    pub threads: u64,
    /// Searches that run now.
    pub searches: u64,
    /// Its imports, over all indexes.
    pub imports: ImportLoad,
    /// Its memory.
    pub memory: MemoryLoad,
    /// Bytes that are free on the disk of its data.
    pub disk_free_bytes: u64,
}

/// Requests: those of now, and sums since the start, whose differences over
/// time are rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RequestLoad {
    /// Requests that work now; this one is not counted.
    pub working: u64,
    /// How many may at once; more wait.
    pub working_max: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests refused: what they asked for was wrong or not there.
    pub refused: u64,
    /// Requests that failed by a fault of the server or of what it needs.
    pub failed: u64,
    /// Microseconds that all of these took.
    pub micros: u64,
}

/// Imports of all indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ImportLoad {
    /// Those that run now.
    pub running: u64,
    /// Those that wait for their turn.
    pub waiting: u64,
}

/// Memory, as far as the system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MemoryLoad {
    /// Bytes of the process that are in memory, mapped files among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Those of them that are not files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_bytes: Option<u64>,
    /// Bytes of records that are not yet in a segment.
    pub memtables_bytes: u64,
}
