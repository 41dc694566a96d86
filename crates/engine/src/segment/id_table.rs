//! A hash table from id to live row, read in place: one or two cache lines a
//! look-up, where walking down the ordered ids takes dozens.
//!
//! Each slot is a u64: the row in the low half, a tag from the id's hash in
//! the high half, all ones where it is free. An id's first slot is its hash
//! (XXH3-64) scaled to the number of slots; a taken slot sends on to the next.

use super::bytes_view::{checked, view};
use crate::FormatError;

const SECTION: &str = "id table";
/// A slot that holds no row.
const FREE: u64 = u64::MAX;

/// An id's hash, and where its row is looked for first among `slots`.
fn place(id: &str, slots: usize) -> (u64, usize) {
    let hash = xxhash_rust::xxh3::xxh3_64(id.as_bytes());
    (hash, ((u128::from(hash) * slots as u128) >> 64) as usize)
}

/// The row's number beside the half of the hash that the place says least of.
fn entry(hash: u64, row: u32) -> u64 {
    hash << 32 | u64::from(row)
}

/// Slots for this many rows: at least one of three stays free.
fn slots_for(rows: usize) -> usize {
    rows + rows / 2 + 1
}

/// The table of the rows of `order`.
pub(super) fn build<'a>(order: &[u32], id: impl Fn(u32) -> &'a str) -> Vec<u64> {
    let mut slots = vec![FREE; slots_for(order.len())];
    for &row in order {
        let (hash, mut at) = place(id(row), slots.len());
        while slots[at] != FREE {
            at = (at + 1) % slots.len();
        }
        slots[at] = entry(hash, row);
    }
    slots
}

/// The table of an open segment.
#[derive(Clone, Copy)]
pub(super) struct IdTable<'a>(&'a [u64]);

impl<'a> IdTable<'a> {
    /// Checks the section of a segment of `rows` rows, `live_rows` of them in
    /// the table.
    pub(super) fn check(rows: u32, live_rows: u32, bytes: &[u8]) -> Result<(), FormatError> {
        let slots: &[u64] = checked(SECTION, bytes)?;
        let expected = slots_for(live_rows as usize);
        if slots.len() != expected {
            let found = format!("{} slots", slots.len());
            return Err(FormatError::damaged(SECTION, found, expected.to_string()));
        }
        let taken = || slots.iter().filter(|&&slot| slot != FREE).map(|&slot| slot as u32);
        if taken().any(|row| row >= rows) || taken().count() != live_rows as usize {
            let found = format!("{} rows up to {:?}", taken().count(), taken().max());
            let expected = format!("{live_rows} rows below {rows}");
            return Err(FormatError::damaged(SECTION, found, expected));
        }
        Ok(())
    }

    /// The section, which was checked.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(view(bytes))
    }

    /// The row of `id`, where `id_of` gives the id of a row of the table.
    pub(super) fn find<'i>(&self, id: &str, id_of: impl Fn(u32) -> &'i str) -> Option<u32> {
        let (hash, first) = place(id, self.0.len());
        // There is a free slot, so this ends.
        let (before, from) = self.0.split_at(first);
        from.iter()
            .chain(before)
            .take_while(|&&slot| slot != FREE)
            .map(|&slot| (slot, slot as u32))
            .find(|&(slot, row)| slot == entry(hash, row) && id_of(row) == id)
            .map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        for rows in [0_u32, 1, 2, 3, 1000] {
            let ids: Vec<String> = (0..rows).map(|row| format!("id-{row}")).collect();
            let order: Vec<u32> = (0..rows).rev().collect();
            let slots = build(&order, |row| &ids[row as usize]);
            let bytes: &[u8] = bytemuck::cast_slice(&slots);
            IdTable::check(rows, rows, bytes).unwrap();
            let table = IdTable::new(bytes);
            let find = |id: &str| table.find(id, |row| &ids[row as usize]);
            assert!((0..rows).all(|row| find(&format!("id-{row}")) == Some(row)));
            assert!((rows..rows + 100).all(|row| find(&format!("id-{row}")).is_none()));
        }
    }
}
