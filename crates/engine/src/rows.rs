//! Sets of rows: a bit for each row of a segment, so that asking whether a
//! row is in one is a single load whatever the set. Knows no filters.

use roaring::RoaringBitmap;

const WORD_BITS: u32 = u64::BITS;

/// A set of rows below a fixed number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowSet {
    rows: u32,
    words: Vec<u64>,
}

impl RowSet {
    /// No row of `rows`.
    pub(crate) fn none(rows: u32) -> Self {
        Self { rows, words: vec![0; rows.div_ceil(WORD_BITS) as usize] }
    }

    /// All of `rows`.
    pub(crate) fn all(rows: u32) -> Self {
        let mut all = Self { rows, words: vec![u64::MAX; rows.div_ceil(WORD_BITS) as usize] };
        all.clear_beyond();
        all
    }

    /// Whether `row` is in the set; one beyond the segment is not.
    pub(crate) fn contains(&self, row: u32) -> bool {
        self.words
            .get((row / WORD_BITS) as usize)
            .is_some_and(|word| word >> (row % WORD_BITS) & 1 == 1)
    }

    /// Rows of the segment.
    pub(crate) fn end(&self) -> u32 {
        self.rows
    }

    /// Rows in the set.
    pub(crate) fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.words[..])
    }

    /// The rows, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip(0_u32..).flat_map(|(&word, at)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let place = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(at * WORD_BITS + place)
            })
        })
    }

    /// Adds those of `rows` that are rows of the segment.
    pub(crate) fn insert_all(&mut self, rows: &[u32]) {
        for &row in rows.iter().filter(|&&row| row < self.rows) {
            self.words[(row / WORD_BITS) as usize] |= 1 << (row % WORD_BITS);
        }
    }

    /// Takes `rows` out.
    pub(crate) fn remove_all(&mut self, rows: &[u32]) {
        for &row in rows.iter().filter(|&&row| row < self.rows) {
            self.words[(row / WORD_BITS) as usize] &= !(1 << (row % WORD_BITS));
        }
    }

    /// Adds the rows of a bitmap, run by run.
    pub(crate) fn insert_bitmap(&mut self, bitmap: &RoaringBitmap) {
        let mut runs = bitmap.iter();
        while let Some(run) = runs.next_range() {
            let (first, last) = (*run.start(), (*run.end()).min(self.rows.saturating_sub(1)));
            if first > last || self.rows == 0 {
                return;
            }
            self.insert_run(first, last);
        }
    }

    fn insert_run(&mut self, first: u32, last: u32) {
        let (from, to) = ((first / WORD_BITS) as usize, (last / WORD_BITS) as usize);
        let head = u64::MAX << (first % WORD_BITS);
        let tail = u64::MAX >> (WORD_BITS - 1 - last % WORD_BITS);
        if from == to {
            self.words[from] |= head & tail;
            return;
        }
        self.words[from] |= head;
        self.words[from + 1..to].fill(u64::MAX);
        self.words[to] |= tail;
    }

    /// Adds the rows of `other`, a set of the same segment.
    pub(crate) fn add(&mut self, other: &RowSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(own, other)| *own |= other);
    }

    /// Keeps what is in `other` as well.
    pub(crate) fn intersect(&mut self, other: &RowSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(own, other)| *own &= other);
    }

    /// The rows that are not in the set.
    pub(crate) fn complement(mut self) -> Self {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.clear_beyond();
        self
    }

    pub(crate) fn to_bitmap(&self) -> RoaringBitmap {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        RoaringBitmap::from_lsb0_bytes(0, &bytes)
    }

    fn clear_beyond(&mut self) {
        let used = self.rows % WORD_BITS;
        if let Some(last) = self.words.last_mut().filter(|_| used > 0) {
            *last &= (1 << used) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Sets with runs in them, of which some rows lie beyond the segment.
    fn rows() -> impl Strategy<Value = Vec<u32>> {
        let run = (0_u32..220, 1_u32..90).prop_map(|(first, count)| first..first + count);
        prop::collection::vec(run, 0..4).prop_map(|runs| runs.into_iter().flatten().collect())
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(count in 0_u32..200, a in rows(), b in rows()) {
            let inside = |rows: &[u32]| -> BTreeSet<u32> {
                rows.iter().copied().filter(|&row| row < count).collect()
            };
            let (mut own, mut other) = (RowSet::none(count), RowSet::none(count));
            own.insert_all(&a);
            other.insert_bitmap(&b.iter().copied().collect());
            let (x, y) = (inside(&a), inside(&b));
            let same = |set: &RowSet, expected: &BTreeSet<u32>| {
                prop_assert!(set.iter().eq(expected.iter().copied()));
                prop_assert_eq!(set.len(), expected.len() as u64);
                prop_assert_eq!(set.is_empty(), expected.is_empty());
                prop_assert!((0..300).all(|row| set.contains(row) == expected.contains(&row)));
                prop_assert!(set.to_bitmap().iter().eq(expected.iter().copied()));
                Ok(())
            };
            same(&own, &x)?;
            same(&other, &y)?;
            let all: BTreeSet<u32> = (0..count).collect();
            same(&RowSet::all(count), &all)?;
            same(&own.clone().complement(), &(&all - &x))?;
            let mut changed = own.clone();
            changed.add(&other);
            same(&changed, &(&x | &y))?;
            changed = own.clone();
            changed.intersect(&other);
            same(&changed, &(&x & &y))?;
            own.remove_all(&b);
            same(&own, &(&x - &y))?;
        }
    }
}
