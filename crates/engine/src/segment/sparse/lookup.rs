//! A sparse query by the hash of its terms, by which the entries of rows are
//! matched in one pass: first all that may be of the query, without a branch,
//! then those that are.

use crossbill_core::SparseVector;

/// Places of the filter for each term: one entry in so many passes by chance.
const PLACES_PER_TERM: usize = 64;
/// The filter stays within what is nearest to the processor.
const PLACES: std::ops::RangeInclusive<usize> = 1 << 8..=1 << 15;
/// Slots of the table for each term, so that most searches end at once.
const SLOTS_PER_TERM: usize = 4;
/// 2^32 divided by the golden ratio: spreads consecutive numbers.
const SPREAD: u32 = 0x9e37_79b1;

/// The terms and weights of a query by their hash.
#[derive(Debug)]
pub(in super::super) struct Lookup {
    /// 1 where a term of the query falls.
    filter: Vec<u8>,
    filter_shift: u32,
    /// Term and weight. No weight is 0, so 0 marks a free slot.
    slots: Vec<(u32, f32)>,
    slot_shift: u32,
}

/// The bits to drop from a hash that numbers one of `count` places.
fn shift_of(count: usize) -> u32 {
    u32::BITS - count.trailing_zeros()
}

impl Lookup {
    pub(in super::super) fn new(query: &SparseVector) -> Self {
        let terms = query.indices().len();
        let places =
            (terms * PLACES_PER_TERM).next_power_of_two().clamp(*PLACES.start(), *PLACES.end());
        let slots = (terms * SLOTS_PER_TERM).next_power_of_two();
        let mut lookup = Self {
            filter: vec![0; places],
            filter_shift: shift_of(places),
            slots: vec![(0, 0.0); slots],
            slot_shift: shift_of(slots),
        };
        for (&term, &weight) in query.indices().iter().zip(query.values()) {
            lookup.filter[(term.wrapping_mul(SPREAD) >> lookup.filter_shift) as usize] = 1;
            let mut at = lookup.slot(term);
            while lookup.slots[at].1 != 0.0 {
                at = (at + 1) % slots;
            }
            lookup.slots[at] = (term, weight);
        }
        lookup
    }

    /// Writes the places in `indices` of all terms of the query, and of few
    /// others, to `places`, ascending; their number. `places` is as long.
    #[inline]
    pub(super) fn candidates(&self, indices: &[u32], places: &mut [u32]) -> usize {
        let places = &mut places[..indices.len()];
        let mut count = 0;
        for (at, term) in (0_u32..).zip(indices) {
            places[count] = at;
            let place = (term.wrapping_mul(SPREAD) >> self.filter_shift) as usize;
            count += usize::from(self.filter[place]);
        }
        count
    }

    /// The query's weight of `term`; 0 where it has none.
    #[inline]
    pub(super) fn weight(&self, term: u32) -> f32 {
        let mut at = self.slot(term);
        loop {
            let (found, weight) = self.slots[at];
            if weight == 0.0 || found == term {
                return weight;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn slot(&self, term: u32) -> usize {
        (term.wrapping_mul(SPREAD) >> self.slot_shift) as usize
    }
}
