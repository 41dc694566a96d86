//! The reject log: a Parquet table per task, and the reader that pages
//! through all of them.
#![allow(clippy::todo, unused_variables)]

use crossbill_core::Result;
use crossbill_store::{Key, Root};

use crate::Reject;

/// The key of task `ordinal`'s reject table.
pub fn rejects_key(index_dir: &str, import: &str, ordinal: u32) -> Result<Key> {
    todo!()
}

/// All rejects of an import: broken files of the plan first, then the tasks'
/// in order.
pub struct RejectLog {
    _todo: (),
}

impl RejectLog {
    /// Opens the tables at `keys` (those that committed outcomes name, in task
    /// order) behind the plan's broken files.
    pub fn open(root: &Root, file_errors: &[Reject], keys: &[Key]) -> Result<RejectLog> {
        todo!()
    }

    /// Rejects in all.
    pub fn total(&self) -> u64 {
        todo!()
    }

    /// Up to `limit` rejects from number `offset` on.
    pub fn page(&self, offset: u64, limit: usize) -> Result<Vec<Reject>> {
        todo!()
    }
}
