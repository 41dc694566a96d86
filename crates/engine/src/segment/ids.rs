//! Ids: putting the rows of a segment in id order when it is built, and
//! looking ids up in that order when it is read.
//!
//! Rows stay in the order they came in; the order of ids is a list of row
//! numbers beside them. Only the newest row of an id is on that list.

use std::cmp::Ordering;

use crossbill_core::StringColumn;
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::bytes_view::{check_starts, checked, view};
use super::id_table::IdTable;
use crate::FormatError;

/// Looking up ids one by one beats walking both lists where one is this much
/// longer.
const LOOKUP_RATIO: usize = 4;

/// The newest row of each id in the order of the ids' bytes, and the rows
/// that a later row of the same id replaces.
pub(super) fn order_rows(
    ids: &StringColumn,
    pool: &rayon::ThreadPool,
) -> (Vec<u32>, RoaringBitmap) {
    let shared = shared_prefix_bytes(ids);
    let mut keys: Vec<(u64, u32)> =
        ids.iter().zip(0..).map(|(id, row)| (sort_key(id, shared), row)).collect();
    let id = |row: u32| ids.get(row as usize);
    // The order is total (rows differ), so any sort gives the same list.
    pool.install(|| {
        keys.par_sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| id(a.1).cmp(id(b.1))).then(a.1.cmp(&b.1))
        });
    });
    let mut order: Vec<u32> = Vec::with_capacity(keys.len());
    let mut replaced = Vec::new();
    for (_, row) in keys {
        match order.last_mut() {
            Some(last) if id(*last) == id(row) => replaced.push(std::mem::replace(last, row)),
            _ => order.push(row),
        }
    }
    replaced.sort_unstable();
    let superseded = replaced.into_iter().collect();
    (order, superseded)
}

/// Bytes that all ids begin with, which would only waste their sort keys.
fn shared_prefix_bytes(ids: &StringColumn) -> usize {
    let first = ids.iter().next().unwrap_or_default();
    ids.iter().fold(first.len(), |shared, id| {
        first.bytes().zip(id.bytes()).take(shared).take_while(|(a, b)| a == b).count()
    })
}

/// Eight bytes of the id after `skip`, as a number that compares like them.
fn sort_key(id: &str, skip: usize) -> u64 {
    let mut key = [0; 8];
    let rest = &id.as_bytes()[skip..];
    let taken = rest.len().min(8);
    key[..taken].copy_from_slice(&rest[..taken]);
    u64::from_be_bytes(key)
}

/// The id sections of an open segment.
#[derive(Clone, Copy)]
pub(super) struct Ids<'a> {
    bytes: &'a [u8],
    offsets: &'a [u32],
    order: &'a [u32],
    table: IdTable<'a>,
}

/// The bytes of those sections.
#[derive(Clone, Copy)]
pub(super) struct IdBytes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offsets: &'a [u8],
    pub(super) order: &'a [u8],
    pub(super) table: &'a [u8],
}

impl<'a> Ids<'a> {
    /// Checks the sections: `live_rows` of `rows` rows are in the order list
    /// and in the table.
    pub(super) fn check(
        rows: u32,
        live_rows: u32,
        sections: IdBytes<'_>,
    ) -> Result<(), FormatError> {
        let bytes = sections.bytes;
        let offsets: &[u32] = checked("id offsets", sections.offsets)?;
        let order: &[u32] = checked("id order", sections.order)?;
        IdTable::check(rows, live_rows, sections.table)?;
        if offsets.len() as u64 != u64::from(rows) + 1 {
            return Err(FormatError::damaged(
                "id offsets",
                format!("{} offsets", offsets.len()),
                format!("{}", u64::from(rows) + 1),
            ));
        }
        check_starts("id offsets", offsets, bytes.len() as u64)?;
        if !bytes.is_ascii() {
            return Err(FormatError::damaged("ids", "a byte over 127", "ASCII"));
        }
        if order.len() as u64 != u64::from(live_rows) {
            let found = format!("{} rows", order.len());
            return Err(FormatError::damaged("id order", found, live_rows.to_string()));
        }
        match order.iter().find(|&&row| row >= rows) {
            Some(row) => {
                let found = format!("row {row}");
                Err(FormatError::damaged("id order", found, format!("rows below {rows}")))
            }
            None => Ok(()),
        }
    }

    /// The sections, which were checked.
    pub(super) fn new(sections: IdBytes<'a>) -> Self {
        Self {
            bytes: sections.bytes,
            offsets: view(sections.offsets),
            order: view(sections.order),
            table: IdTable::new(sections.table),
        }
    }

    /// The id of `row`.
    pub(super) fn get(&self, row: u32) -> &'a str {
        let row = row as usize;
        let bytes = &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize];
        std::str::from_utf8(bytes).expect("ids were found to be ASCII at open")
    }

    /// Live rows in the order of their ids.
    pub(super) fn order(&self) -> &'a [u32] {
        self.order
    }

    /// The live row of `id`.
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.table.find(id, |row| self.get(row))
    }

    /// Live rows whose ids start with `prefix` and come after `after`.
    pub(super) fn after(
        self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, u32)> + 'a {
        let first = self.order.partition_point(|&row| {
            let id = self.get(row);
            id < prefix || after.is_some_and(|after| id <= after)
        });
        self.order[first..]
            .iter()
            .map(move |&row| (self.get(row), row))
            .take_while(move |(id, _)| id.starts_with(prefix))
    }

    /// Ids that are live in both, as (own row, the other's row) in id order.
    pub(super) fn common(&self, other: &Ids<'_>) -> Vec<(u32, u32)> {
        if self.order.len() / LOOKUP_RATIO > other.order.len() {
            return other.lookups(self).map(|(theirs, own)| (own, theirs)).collect();
        }
        if other.order.len() / LOOKUP_RATIO > self.order.len() {
            return self.lookups(other).collect();
        }
        let (mut own, mut theirs, mut pairs) = (0, 0, Vec::new());
        while own < self.order.len() && theirs < other.order.len() {
            let rows = (self.order[own], other.order[theirs]);
            match self.get(rows.0).cmp(other.get(rows.1)) {
                Ordering::Less => own += 1,
                Ordering::Greater => theirs += 1,
                Ordering::Equal => {
                    pairs.push(rows);
                    (own, theirs) = (own + 1, theirs + 1);
                }
            }
        }
        pairs
    }

    fn lookups(&self, other: &Ids<'_>) -> impl Iterator<Item = (u32, u32)> {
        self.order.iter().filter_map(|&row| Some((row, other.find(self.get(row))?)))
    }

    /// The first row of the order list whose id does not come after the one
    /// before it.
    pub(super) fn first_disorder(&self) -> Option<u32> {
        self.order
            .windows(2)
            .find(|pair| self.get(pair[0]) >= self.get(pair[1]))
            .map(|pair| pair[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(ids: &[&str], threads: usize) -> (Vec<u32>, Vec<u32>) {
        let mut column = StringColumn::default();
        ids.iter().for_each(|id| column.push(id));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (order, superseded) = order_rows(&column, &pool);
        (order, superseded.iter().collect())
    }

    #[test]
    fn the_later_row_of_an_id_wins() {
        assert_eq!(ordered(&["b", "a", "b", "c", "b"], 2), (vec![1, 4, 3], vec![0, 2]));
        assert_eq!(ordered(&[], 2), (vec![], vec![]));
        assert_eq!(ordered(&["x", "x"], 1), (vec![1], vec![0]));
    }

    #[test]
    fn ids_that_begin_alike_are_ordered_by_the_rest() {
        let ids = ["item-10", "item-1", "item-100000000x", "item-100000000", "item-"];
        assert_eq!(ordered(&ids, 2).0, [4, 1, 0, 3, 2]);
    }
}
