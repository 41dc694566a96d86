//! A namespace as of one moment: what a read works on, outside of all locks.
//! Nothing in it changes, however long the read takes and whatever is
//! written, flushed or merged meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbill_core::{Filter, Record};
use roaring::RoaringBitmap;

use super::Namespace;
use super::memtable::Rows;
use super::state::{LiveSegment, State};
use crate::types::Lsn;

/// A filter that matches fewer than one row in so many is followed row by
/// row, otherwise in id order.
const SELECTIVE: u64 = 64;

/// Tables in memory and segments, each with the rows of it that do not count.
pub(super) struct Snapshot {
    /// The memtable, and the frozen one where there is one.
    pub(super) tables: Vec<(Rows, Arc<RoaringBitmap>)>,
    pub(super) segments: Vec<LiveSegment>,
    pub(super) lsn: Lsn,
}

/// Where a record stands in a snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Table(usize, u32),
    Segment(usize, u32),
}

/// Live rows that match a filter, by table and by segment of a snapshot.
pub(super) struct Matching {
    pub(super) tables: Vec<RoaringBitmap>,
    pub(super) segments: Vec<RoaringBitmap>,
}

impl Namespace {
    /// The namespace as it is now, and what `look` finds in the state at the
    /// same moment; nothing where it does not exist. `look` holds up writes.
    pub(super) fn snapshot<T>(&self, look: impl FnOnce(&State) -> T) -> Option<(Snapshot, T)> {
        let state = self.state.read();
        if !state.exists() {
            return None;
        }
        let own = (state.memtable.rows().clone(), Arc::clone(state.memtable.dead()));
        let frozen = state.frozen.as_ref();
        let frozen =
            frozen.map(|frozen| (frozen.table.rows().clone(), Arc::clone(&frozen.deleted)));
        let snapshot = Snapshot {
            tables: std::iter::once(own).chain(frozen).collect(),
            segments: state.live.clone(),
            lsn: Lsn(self.context.lsn.load(Ordering::Acquire)),
        };
        Some((snapshot, look(&state)))
    }
}

/// Where `id` stands in memory; for [`Namespace::snapshot`].
pub(super) fn find_in_memory(state: &State, id: &str) -> Option<Place> {
    let frozen = || state.frozen.as_ref().and_then(|frozen| frozen.find(id));
    let own = state.memtable.find(id).map(|row| Place::Table(0, row));
    own.or_else(|| Some(Place::Table(1, frozen()?)))
}

impl Snapshot {
    /// Where `id` stands, given where it stands in memory.
    pub(super) fn find(&self, id: &str, in_memory: Option<Place>) -> Option<Place> {
        in_memory.or_else(|| {
            let mut segments = self.segments.iter().enumerate();
            segments.find_map(|(number, live)| Some(Place::Segment(number, live.find(id)?)))
        })
    }

    pub(super) fn id(&self, place: Place) -> &str {
        match place {
            Place::Table(number, row) => self.tables[number].0.id(row),
            Place::Segment(number, row) => self.segments[number].segment.id(row),
        }
    }

    pub(super) fn record(&self, place: Place) -> Record {
        match place {
            Place::Table(number, row) => self.tables[number].0.record(row),
            Place::Segment(number, row) => self.segments[number].segment.record(row),
        }
    }

    /// The live rows that match.
    pub(super) fn matching(&self, filter: &Filter) -> Matching {
        let tables = self.tables.iter().map(|(rows, dead)| rows.matching(filter, dead));
        let segments = self.segments.iter();
        Matching {
            tables: tables.collect(),
            segments: segments
                .map(|live| live.segment.matching(filter).to_bitmap() - &*live.deleted)
                .collect(),
        }
    }

    /// Ids in order of the first `limit` records that match, after `after`.
    pub(super) fn ids_where(
        &self,
        filter: &Filter,
        limit: usize,
        after: Option<&str>,
    ) -> Vec<String> {
        let matching = self.matching(filter);
        let behind = |id: &&str| after.is_none_or(|after| *id > after);
        let mut ids: Vec<&str> = Vec::new();
        for ((rows, _), matching) in self.tables.iter().zip(&matching.tables) {
            ids.extend(matching.iter().map(|row| rows.id(row)).filter(behind));
        }
        for (live, rows) in self.segments.iter().zip(&matching.segments) {
            let segment = &live.segment;
            if rows.len() < u64::from(segment.rows()) / SELECTIVE {
                ids.extend(rows.iter().map(|row| segment.id(row)).filter(behind));
            } else {
                let own = segment.ids_after("", after).filter(|(_, row)| rows.contains(*row));
                ids.extend(own.take(limit).map(|(id, _)| id));
            }
        }
        ids.sort_unstable();
        ids.truncate(limit);
        ids.into_iter().map(str::to_owned).collect()
    }
}

impl Matching {
    /// Records that match.
    pub(super) fn count(&self) -> u64 {
        self.tables.iter().chain(&self.segments).map(RoaringBitmap::len).sum()
    }

    /// Where they stand.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let tables = self.tables.iter().enumerate();
        let tables =
            tables.flat_map(|(number, rows)| rows.iter().map(move |row| Place::Table(number, row)));
        let segments = self.segments.iter().enumerate();
        tables.chain(
            segments
                .flat_map(|(number, rows)| rows.iter().map(move |row| Place::Segment(number, row))),
        )
    }
}
