//! Reads a namespace from one end to the other, in id order, as of one
//! moment: what an export works on.

use crossbill_core::Record;

use super::Namespace;
use super::snapshot::{Place, Snapshot};

/// A namespace as of one moment, to be read in id order.
pub(crate) struct Cursor {
    snapshot: Snapshot,
    /// Live rows of each table in memory, in id order.
    tables: Vec<Vec<u32>>,
}

impl Namespace {
    /// The namespace as it is now; nothing where it does not exist.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        let (snapshot, ()) = self.snapshot(|_| ())?;
        let sorted = |number: usize| {
            let (rows, dead) = &snapshot.tables[number];
            let mut live: Vec<u32> = (0..rows.len()).filter(|row| !dead.contains(*row)).collect();
            live.sort_unstable_by(|a, b| rows.id(*a).cmp(rows.id(*b)));
            live
        };
        let tables = (0..snapshot.tables.len()).map(sorted).collect();
        Some(Cursor { snapshot, tables })
    }
}

impl Cursor {
    /// The next `limit` records after the id `after`; fewer only at the end.
    pub(crate) fn records(&self, after: Option<&str>, limit: usize) -> Vec<Record> {
        let mut found: Vec<(&str, Place)> = Vec::new();
        for (number, rows) in self.tables.iter().enumerate() {
            let id = |row: &u32| self.snapshot.id(Place::Table(number, *row));
            let first = rows.partition_point(|row| after.is_some_and(|after| id(row) <= after));
            let next = rows[first..].iter().take(limit);
            found.extend(next.map(|row| (id(row), Place::Table(number, *row))));
        }
        for (number, live) in self.snapshot.segments.iter().enumerate() {
            let next = live.segment.ids_after("", after);
            let next = next.filter(|(_, row)| !live.deleted.contains(*row)).take(limit);
            found.extend(next.map(|(id, row)| (id, Place::Segment(number, row))));
        }
        found.sort_unstable_by_key(|(id, _)| *id);
        found.truncate(limit);
        found.into_iter().map(|(_, place)| self.snapshot.record(place)).collect()
    }
}
