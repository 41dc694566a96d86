//! The nearest rows seen so far.

use crossbill_core::Metric;

/// A row and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Row of the segment.
    pub row: u32,
    /// Score in the API's scale: cosine similarity, dot product, or squared
    /// Euclidean distance.
    pub score: f32,
}

/// The `k` nearest rows of those pushed; ties go to the lower row, so that
/// the result does not depend on the order of the pushes.
#[derive(Debug, Clone)]
pub struct TopK {
    k: usize,
    larger_is_nearer: bool,
    /// A max-heap by `key`: the worst entry is first.
    heap: Vec<(u64, f32)>,
}

/// The usual map of floats to unsigned integers in the same order: NaN is the
/// largest, and -0 equals 0.
pub(crate) fn to_ordered(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    match bits >> 31 {
        _ if value.is_nan() => u32::MAX,
        1 => !bits,
        _ => bits | 0x8000_0000,
    }
}

/// The float that [`to_ordered`] mapped.
pub(crate) fn from_ordered(ordered: u32) -> f32 {
    f32::from_bits(if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered })
}

/// Distance and row in one integer whose order is "nearer first, then lower
/// row".
fn key(larger_is_nearer: bool, row: u32, score: f32) -> u64 {
    let distance = if larger_is_nearer { -score } else { score };
    u64::from(to_ordered(distance)) << 32 | u64::from(row)
}

impl TopK {
    /// An empty list that keeps `k` rows.
    pub fn new(metric: Metric, k: usize) -> Self {
        let heap = Vec::with_capacity(k.min(16_384));
        Self { k, larger_is_nearer: metric.larger_is_nearer(), heap }
    }

    /// Offers a row.
    pub fn push(&mut self, row: u32, score: f32) {
        let entry = (key(self.larger_is_nearer, row, score), score);
        if self.heap.len() < self.k {
            self.heap.push(entry);
            self.sift_up(self.heap.len() - 1);
        } else if self.heap.first().is_some_and(|worst| entry.0 < worst.0) {
            self.heap[0] = entry;
            self.sift_down();
        }
    }

    /// The score a row has to beat: the worst one kept, once `k` are kept.
    pub fn worst(&self) -> Option<f32> {
        if self.heap.len() < self.k { None } else { self.heap.first().map(|entry| entry.1) }
    }

    /// Rows this keeps at most.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Rows kept now.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.heap.clear();
    }

    /// Whether no row is kept.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The rows, nearest first, ties by lower row.
    pub fn into_sorted(mut self) -> Vec<Scored> {
        self.heap.sort_unstable_by_key(|entry| entry.0);
        self.heap.into_iter().map(|(key, score)| Scored { row: key as u32, score }).collect()
    }

    fn sift_up(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent].0 >= self.heap[at].0 {
                return;
            }
            self.heap.swap(parent, at);
            at = parent;
        }
    }

    fn sift_down(&mut self) {
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child + 1 < self.heap.len() && self.heap[child + 1].0 > self.heap[child].0 {
                child += 1;
            }
            if child >= self.heap.len() || self.heap[at].0 >= self.heap[child].0 {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn floats_keep_their_order_as_integers() {
        let values = [f32::NEG_INFINITY, -1.5, -f32::MIN_POSITIVE, 0.0, 1e-30, 2.0, f32::INFINITY];
        assert!(values.windows(2).all(|pair| to_ordered(pair[0]) < to_ordered(pair[1])));
        assert!(values.iter().all(|&value| from_ordered(to_ordered(value)) == value));
        assert!(from_ordered(to_ordered(f32::NAN)).is_nan());
    }

    proptest! {
        #[test]
        fn keeps_the_nearest_in_any_order(
            scores in prop::collection::vec(prop_oneof![
                (-4_i8..4).prop_map(f32::from),
                Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(-0.0_f32),
            ], 0..60),
            k in 0_usize..20,
            larger in any::<bool>(),
        ) {
            let metric = if larger { Metric::DotProduct } else { Metric::Euclidean };
            let mut top = TopK::new(metric, k);
            for (row, &score) in scores.iter().enumerate().rev() {
                top.push(row as u32, score);
            }
            let worst = top.worst();
            let kept: Vec<u32> = top.into_sorted().iter().map(|s| s.row).collect();
            let mut expected: Vec<u32> = (0..scores.len() as u32).collect();
            let distance = |row: u32| {
                let score = scores[row as usize];
                (score.is_nan(), if score.is_nan() { 0.0 } else if larger { -score } else { score })
            };
            expected.sort_by(|&a, &b| distance(a).partial_cmp(&distance(b)).unwrap());
            expected.truncate(k);
            prop_assert_eq!(worst.is_some(), k > 0 && scores.len() >= k);
            prop_assert_eq!(kept, expected);
        }
    }
}
