//! What a filter leaves of a segment, and the few such sets that are kept for
//! the next query with the same filter. A segment never changes, so a set
//! never gets old; what was deleted since is no part of it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crossbill_core::limits::{FILTER_SETS_BYTES_PER_ROW, FILTER_SETS_MAX};
use crossbill_core::{Filter, FilterValue};
use roaring::RoaringBitmap;

use crate::Ivf;
use crate::ivf::{CellLists, is_worth_listing};
use crate::rows::RowSet;

/// The rows of one segment whose metadata matches a filter, superseded ones
/// included.
#[derive(Debug)]
pub struct Matching {
    rows: RowSet,
    count: u64,
    /// The same rows by the cells of the vector index, once they were wanted.
    lists: OnceLock<CellLists>,
}

impl Matching {
    pub(super) fn new(rows: RowSet) -> Self {
        Self { count: rows.len(), rows, lists: OnceLock::new() }
    }

    /// Those of `rows` below `end`, the rows of the segment.
    pub fn of_rows(end: u32, rows: &RoaringBitmap) -> Self {
        let mut set = RowSet::none(end);
        set.insert_bitmap(rows);
        Self::new(set)
    }

    /// Rows that match.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether no row matches.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether `row` matches.
    pub fn contains(&self, row: u32) -> bool {
        self.rows.contains(row)
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter()
    }

    /// The rows as a bitmap that can be changed.
    pub fn to_bitmap(&self) -> RoaringBitmap {
        self.rows.to_bitmap()
    }

    pub(super) fn rows(&self) -> &RowSet {
        &self.rows
    }

    /// Bytes of memory held, those of the lists included that may come later.
    fn bytes_max(&self) -> usize {
        let is_listed = is_worth_listing(self.count, self.rows.end());
        let listed = if is_listed { size_of::<u32>() * self.count as usize } else { 0 };
        self.rows.bytes() + listed
    }

    /// The rows by cell; `ivf` and `postings` are those of the segment.
    pub(super) fn lists(&self, ivf: &Ivf, postings: &[u8]) -> &CellLists {
        self.lists.get_or_init(|| ivf.lists_of(postings, &self.iter().collect::<Vec<u32>>()))
    }
}

/// The sets that were asked for last.
#[derive(Debug)]
pub(super) struct MatchingCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Those asked for last come last.
    sets: Vec<(Filter, Arc<Matching>, usize)>,
    bytes: usize,
}

impl MatchingCache {
    /// A cache for a segment of `rows` rows.
    pub(super) fn new(rows: u32) -> Self {
        let bytes_max = FILTER_SETS_BYTES_PER_ROW * rows as usize;
        Self { bytes_max, kept: Mutex::default() }
    }

    /// The set of a filter, made by `make` where it is not kept, and whether it
    /// was. Two threads may make the same one at the same time; neither waits.
    pub(super) fn get(
        &self,
        filter: &Filter,
        make: impl FnOnce() -> Matching,
    ) -> (Arc<Matching>, bool) {
        if let Some(found) = self.lock().find(filter) {
            return (found, true);
        }
        let made = Arc::new(make());
        let bytes = made.bytes_max() + filter_bytes(filter);
        if bytes <= self.bytes_max {
            let mut kept = self.lock();
            kept.push(filter.clone(), Arc::clone(&made), bytes);
            kept.shrink(self.bytes_max);
        }
        (made, false)
    }

    /// The filters whose sets are kept, those asked for last at the end.
    #[cfg(test)]
    pub(super) fn kept_filters(&self) -> Vec<Filter> {
        self.lock().sets.iter().map(|(filter, ..)| filter.clone()).collect()
    }

    /// Sets kept, and the bytes they count for.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        let kept = self.lock();
        (kept.sets.len(), kept.sets.iter().map(|(.., bytes)| bytes).sum())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that could panic leaves it half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A filter with a NaN in it equals none and is not found.
    fn find(&mut self, filter: &Filter) -> Option<Arc<Matching>> {
        let at = self.sets.iter().rposition(|(own, ..)| own == filter)?;
        let entry = self.sets.remove(at);
        let found = Arc::clone(&entry.1);
        self.sets.push(entry);
        Some(found)
    }

    fn push(&mut self, filter: Filter, set: Arc<Matching>, bytes: usize) {
        if self.sets.iter().any(|(own, ..)| *own == filter) {
            return;
        }
        self.bytes += bytes;
        self.sets.push((filter, set, bytes));
    }

    fn shrink(&mut self, bytes_max: usize) {
        let mut left = (self.bytes, self.sets.len());
        let gone = self.sets.iter().take_while(|(_, _, bytes)| {
            let is_over = left.0 > bytes_max || left.1 > FILTER_SETS_MAX;
            if is_over {
                left = (left.0 - bytes, left.1 - 1);
            }
            is_over
        });
        let gone = gone.count();
        self.sets.drain(..gone);
        self.bytes = left.0;
    }
}

/// Memory that a filter takes, roughly.
fn filter_bytes(filter: &Filter) -> usize {
    let own = size_of::<Filter>();
    own + match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().map(filter_bytes).sum(),
        Filter::Not(part) => filter_bytes(part),
        Filter::In(name, values) => {
            let text = |value: &FilterValue| match value {
                FilterValue::String(text) => text.len(),
                FilterValue::Number(_) | FilterValue::Bool(_) => 0,
            };
            let values = values.iter().map(|value| size_of::<FilterValue>() + text(value));
            name.len() + values.sum::<usize>()
        }
        Filter::Compare(name, ..) | Filter::Exists(name) => name.len(),
        Filter::Text(name, _, text) => name.len() + text.len(),
    }
}
