//! Backups, collections and schedules: copies of an index by reference. A
//! backup names the parts that its namespaces had at one moment; a restore
//! makes an index of manifests that name the same parts. No record is copied
//! by either.
//!
//! ```text
//! backup:  parts held ─ content stored ─ catalog committed
//! restore: parts held ─ manifests stored ─ catalog committed
//! delete:  catalog committed ─ parts released ─ content deleted
//! ```
//! The catalog's commit is the one moment at which a backup begins or ceases
//! to be. What a crash leaves beside it, the next open sweeps.

mod entries;
mod make;
mod restore;
mod root_copy;
mod schedules;
mod types;

pub(crate) use entries::BackupCatalog;
pub(crate) use make::open as open_backups;
pub use root_copy::RootCopyView;
pub(crate) use root_copy::{CopyJob, run as run_copy};
pub(crate) use schedules::{Failures, keep_schedules};
pub use types::{
    BackupFilter, BackupInfo, BackupSchedule, Frequency, IndexSource, NewBackup, NewSchedule,
    RestoreJob, RestoreOptions, ScheduleChange,
};

use crossbill_core::{Error, IdSource, Result};
use crossbill_store::{Documents, Key, Manifest, Root};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crossbill_core::limits::BACKUP_NAMESPACES_AT_ONCE;

/// The kind under which a backup's content is stored.
const CONTENT_KIND: &str = "backup";

/// What a backup consists of. Stored once and never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BackupContent {
    /// As an index restored from it begins; their parts are named as from
    /// another index.
    namespaces: Vec<Manifest>,
}

impl BackupContent {
    /// Every part that it refers to.
    fn parts(&self) -> impl Iterator<Item = &str> {
        let segments = self.namespaces.iter().flat_map(|manifest| &manifest.segments);
        segments.map(|entry| entry.part.as_str())
    }
}

/// Where all backups lie.
fn backups_dir() -> Result<Key> {
    Key::new("backups").map_err(|error| Error::internal(error.to_string()))
}

/// Where the backup `id` lies.
fn backup_dir(id: &str) -> Result<Key> {
    Ok(backups_dir()?.join(id))
}

fn content_of(root: &Root, id: &str) -> Result<Documents<BackupContent>> {
    Ok(Documents::new(root, backup_dir(id)?.join("content"), CONTENT_KIND))
}

/// The manifests of a backup's content, as somebody reads them who opens no
/// database.
pub(crate) fn backup_manifests(root: &Root, id: &str) -> Result<Vec<Manifest>> {
    let stored = content_of(root, id)?.load()?;
    Ok(stored.ok_or_else(|| make::missing(id))?.value.namespaces)
}

/// An id as the API writes it: a UUID.
fn new_id(ids: &dyn IdSource) -> String {
    let hex = ids.next_id().to_string();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

/// Does `work` to each of `things`, several at once because each waits for the
/// disk; what came of them in their order, or the first error.
pub(crate) fn at_once<T: Sync, R: Send>(
    things: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let waiting = Mutex::new(things.iter().enumerate());
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(things.len()));
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let run = || {
        while failed.lock().is_none() {
            let Some((number, thing)) = waiting.lock().next() else { return };
            match work(thing) {
                Ok(result) => done.lock().push((number, result)),
                Err(error) => drop(failed.lock().get_or_insert(error)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..BACKUP_NAMESPACES_AT_ONCE.min(things.len()) {
            scope.spawn(run);
        }
        run();
    });
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let mut done = done.into_inner();
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use crossbill_core::{Seed, SeededIds};

    use super::*;

    #[test]
    fn ids_are_uuids() {
        let id = new_id(&SeededIds::new(Seed(1)));
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn work_at_once_keeps_its_order_and_its_error() {
        let numbers: Vec<u32> = (0..100).collect();
        assert_eq!(at_once(&numbers, |number| Ok(number * 2)).unwrap()[99], 198);
        let odd = |number: &u32| match number {
            57 => Err(Error::invalid("57")),
            number => Ok(*number),
        };
        assert_eq!(at_once(&numbers, odd).unwrap_err().message(), "57");
        assert!(at_once::<u32, u32>(&[], |number| Ok(*number)).unwrap().is_empty());
    }
}
