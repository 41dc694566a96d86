//! What a dry run keeps in place of segments: which ids there were, so that it
//! counts the records that an import would replace. Memory is bounded; beyond
//! the bound an id that comes again counts as new, and that is told.

use std::collections::HashSet;

use crossbill_core::limits::DRY_RUN_ID_BYTES;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// What stands for an id: two ids with the same number are one in ten million
/// imports of a million records.
pub type IdHash = u64;

/// The ids of a dry run's task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DryIds {
    /// Each once.
    pub ids: Vec<IdHash>,
    /// Whether there were more than there was memory for.
    pub is_partial: bool,
}

/// Ids seen so far, as many as there is memory for.
#[derive(Debug)]
pub struct SeenIds {
    ids: HashSet<IdHash>,
    is_partial: bool,
}

impl SeenIds {
    /// None yet.
    pub fn new() -> Self {
        Self { ids: HashSet::new(), is_partial: false }
    }

    /// Notes an id where there is `room` for so many more; whether it is new.
    /// Takes one from `room` where it is kept.
    pub fn note(&mut self, id: IdHash, room: &mut u64) -> bool {
        if *room == 0 {
            let is_new = !self.ids.contains(&id);
            self.is_partial |= is_new;
            return is_new;
        }
        let is_new = self.ids.insert(id);
        *room -= u64::from(is_new);
        is_new
    }

    /// Whether an id was left out for want of room.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// All that are kept, in an order that depends on nothing else.
    pub(crate) fn finish(self) -> DryIds {
        let mut ids: Vec<IdHash> = self.ids.into_iter().collect();
        ids.sort_unstable();
        DryIds { ids, is_partial: self.is_partial }
    }
}

impl Default for SeenIds {
    fn default() -> Self {
        Self::new()
    }
}

/// What stands for `id`.
pub(crate) fn id_hash(id: &str) -> IdHash {
    xxh3_64(id.as_bytes())
}

/// How many ids may be kept in `bytes` of memory.
pub fn ids_within(bytes: u64) -> u64 {
    bytes / DRY_RUN_ID_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_as_far_as_memory_goes() {
        let (mut seen, mut room) = (SeenIds::new(), 2);
        assert!(seen.note(1, &mut room) && !seen.note(1, &mut room));
        assert!(seen.note(2, &mut room));
        assert_eq!((room, seen.is_partial()), (0, false));
        assert!(!seen.note(2, &mut room), "known, and no room is needed");
        assert!(!seen.is_partial());
        assert!(seen.note(3, &mut room) && seen.note(3, &mut room), "3 had no room");
        assert_eq!(seen.finish(), DryIds { ids: vec![1, 2], is_partial: true });
        assert_eq!(ids_within(4096), 4096 / DRY_RUN_ID_BYTES);
    }
}
