//! What the database is doing at this moment: figures for people who watch a
//! server. Counts only what is counted anyway; reads no record.

use std::sync::atomic::Ordering;

use crossbill_core::{Error, Result};

use crate::Database;

/// What a database is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatabaseLoad {
    /// Threads that search.
    pub threads: u64,
    /// Searches that run now.
    pub searches: u64,
    /// Imports that run now, over all indexes.
    pub imports_running: u64,
    /// Imports that wait for their turn.
    pub imports_waiting: u64,
    /// Bytes of records that are in memory and not yet in a segment.
    pub memtables_bytes: u64,
    /// Bytes that are free on the disk of the data directory.
    pub disk_free_bytes: u64,
}

impl Database {
    /// What it is doing now.
    pub fn load(&self) -> Result<DatabaseLoad> {
        let env = &self.env;
        let running: usize = self
            .all_indexes()
            .iter()
            .map(|index| index.imports().all().iter().filter(|job| job.is_running()).count())
            .sum();
        Ok(DatabaseLoad {
            threads: env.query_pool.current_num_threads() as u64,
            searches: env.searches.load(Ordering::Relaxed) as u64,
            imports_running: running as u64,
            imports_waiting: env.imports.len() as u64,
            memtables_bytes: env.memtables_bytes() as u64,
            disk_free_bytes: env.root.disk_free().map_err(Error::from)?,
        })
    }
}
