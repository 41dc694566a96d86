//! A sparse query as a hash table, by which a row is scored in one pass over
//! its entries.

use crossbill_core::SparseVector;

/// Slots for each term: most terms of a row are not of the query, and then
/// the first slot looked at is free.
const SLOTS_PER_TERM: usize = 8;
const SLOTS_MIN: usize = 64;
/// 2^32 divided by the golden ratio: spreads consecutive numbers.
const SPREAD: u32 = 0x9e37_79b1;

/// The terms and weights of a query by their hash.
#[derive(Debug)]
pub(in super::super) struct Lookup {
    /// Term and weight. No weight is 0, so 0 marks a free slot.
    slots: Vec<(u32, f32)>,
    shift: u32,
}

impl Lookup {
    pub(in super::super) fn new(query: &SparseVector) -> Self {
        let count = (query.indices().len() * SLOTS_PER_TERM).next_power_of_two().max(SLOTS_MIN);
        let mut lookup = Self { slots: vec![(0, 0.0); count], shift: 32 - count.trailing_zeros() };
        for (&term, &weight) in query.indices().iter().zip(query.values()) {
            let mut at = lookup.place(term);
            while lookup.slots[at].1 != 0.0 {
                at = (at + 1) % count;
            }
            lookup.slots[at] = (term, weight);
        }
        lookup
    }

    /// The sum of the products over the shared terms, in the order of the
    /// entries; none where no term is shared.
    #[inline]
    pub(in super::super) fn score(&self, indices: &[u32], values: &[f32]) -> Option<f32> {
        let (mut sum, mut shares) = (0.0, false);
        for (&term, value) in indices.iter().zip(values) {
            let mut at = self.place(term);
            loop {
                let (found, weight) = self.slots[at];
                if weight == 0.0 {
                    break;
                }
                if found == term {
                    sum += weight * value;
                    shares = true;
                    break;
                }
                at = (at + 1) & (self.slots.len() - 1);
            }
        }
        shares.then_some(sum)
    }

    #[inline]
    fn place(&self, term: u32) -> usize {
        (term.wrapping_mul(SPREAD) >> self.shift) as usize
    }
}
