//! The database: one data directory, its indexes, its background work.
#![allow(clippy::todo)]

use std::path::PathBuf;
use std::sync::Arc;

use crossbill_core::{Clock, IdSource, Result};
use crossbill_import::ImportSettings;
use crossbill_store::{FaultPlan, SourcePolicy};

use crate::{Index, IndexChange, IndexEvent, IndexInfo, NewIndex};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// The data directory; made where it is missing.
    pub data: PathBuf,
    /// Bytes of memory for memtables and imports together.
    pub memory_bytes: u64,
    /// Threads for searching and for building.
    pub threads: usize,
    /// Where imports may read from.
    pub source_policy: SourcePolicy,
    /// How imports run.
    pub import: ImportSettings,
    /// Imports that run at once; others wait.
    pub imports_at_once: usize,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where unique ids come from.
    pub ids: Arc<dyn IdSource>,
    /// Faults to inject, for tests.
    pub faults: Option<Arc<FaultPlan>>,
    /// The first data-plane port.
    pub first_port: u16,
}

/// An open database.
pub struct Database {}

impl Database {
    /// Opens the data directory, replays logs, sweeps what a crash left over
    /// and goes on with unfinished imports.
    pub fn open(options: DatabaseOptions) -> Result<Arc<Database>> {
        let _ = options;
        todo!()
    }

    /// Makes an index. `Conflict` where the name is taken.
    pub fn create_index(&self, new: NewIndex) -> Result<IndexInfo> {
        let _ = new;
        todo!()
    }

    /// All indexes by name.
    pub fn list_indexes(&self) -> Vec<IndexInfo> {
        todo!()
    }

    /// One index. `NotFound` where there is none of that name.
    pub fn describe_index(&self, name: &str) -> Result<IndexInfo> {
        let _ = name;
        todo!()
    }

    /// Changes an index's settings.
    pub fn configure_index(&self, name: &str, change: IndexChange) -> Result<IndexInfo> {
        let _ = (name, change);
        todo!()
    }

    /// Deletes an index and all it holds. `Forbidden` where it is protected.
    pub fn delete_index(&self, name: &str) -> Result<()> {
        let _ = name;
        todo!()
    }

    /// The index of that name, to read and write.
    pub fn index(&self, name: &str) -> Result<Arc<Index>> {
        let _ = name;
        todo!()
    }

    /// The index with that uid, to read and write.
    pub fn index_by_id(&self, uid: &str) -> Result<Arc<Index>> {
        let _ = uid;
        todo!()
    }

    /// Calls `listener` for each index made or deleted from now on, on the
    /// thread that did it and before its call returns.
    pub fn subscribe(&self, listener: Box<dyn Fn(&IndexEvent) + Send + Sync>) {
        let _ = listener;
        todo!()
    }

    /// Stops imports at a safe point (they go on at the next open) and ends
    /// all background work. Nothing acknowledged needs this: it is durable
    /// already.
    pub fn shutdown(&self) {
        todo!()
    }
}
