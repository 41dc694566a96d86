//! A random rotation that costs about as much as reading the vector.
//!
//! One-bit codes need vectors whose components look alike: a rotation drawn at
//! random gives every component the same share of the length. A dense random
//! matrix would cost a square of the dimension; this one alternates random
//! signs with Walsh-Hadamard transforms. Where the padded dimension is no
//! power of two the transform works on the first and the last power of two of
//! components in turn, and a butterfly between the two halves carries what one
//! block cannot reach (a step of Kac's walk). Every step keeps lengths and
//! angles, so the whole does.

use crossbill_core::Seed;

use crate::kernels;

/// Dimensions are padded to a multiple of this: one code is whole 64-bit
/// words, and a block of codes whole cache lines.
const PADDING: usize = 64;

/// A rotation of padded vectors.
#[derive(Debug)]
pub(crate) struct Rotation {
    padded: usize,
    /// Components one transform takes: the largest power of two that fits.
    block: usize,
    /// For each round a factor for each component: a random sign, and the
    /// transform's scale for those it takes.
    rounds: Vec<Vec<f32>>,
}

impl Rotation {
    /// The rotation that `seed` draws for vectors of `dimension` components
    /// (at least 1).
    pub(crate) fn new(dimension: usize, seed: Seed) -> Self {
        assert!(dimension > 0, "a dense vector has components");
        let padded = padded(dimension);
        let block = 1 << padded.ilog2();
        let mut rng = seed.rng();
        let scale = 1.0 / (block as f32).sqrt();
        let round_count = if block == padded { 3 } else { 4 };
        let rounds = (0..round_count).map(|round| {
            let taken = block_start(round, padded, block)..;
            let mut bits = 0;
            let factor = |place: usize| {
                if place.is_multiple_of(64) {
                    bits = rng.next_u64();
                }
                let sign = if bits >> (place % 64) & 1 == 1 { -1.0 } else { 1.0 };
                let inside = (taken.start..taken.start + block).contains(&place);
                if inside { sign * scale } else { sign }
            };
            (0..padded).map(factor).collect()
        });
        Self { padded, block, rounds: rounds.collect() }
    }

    /// Components of a rotated vector.
    pub(crate) fn padded(&self) -> usize {
        self.padded
    }

    /// Rotates `values`, which are padded with zeros.
    pub(crate) fn apply(&self, values: &mut [f32]) {
        assert_eq!(values.len(), self.padded);
        for (round, factors) in self.rounds.iter().enumerate() {
            kernels::multiply(values, factors);
            let start = block_start(round, self.padded, self.block);
            kernels::hadamard(&mut values[start..start + self.block]);
            if self.block < self.padded {
                let (low, high) = values.split_at_mut(self.padded / 2);
                kernels::butterfly(low, high);
            }
        }
    }
}

/// Components of a rotated vector of `dimension` components.
pub(crate) fn padded(dimension: usize) -> usize {
    dimension.next_multiple_of(PADDING)
}

/// Where a round's transform begins: at the start and at the end in turn.
fn block_start(round: usize, padded: usize, block: usize) -> usize {
    if round.is_multiple_of(2) { 0 } else { padded - block }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rotated(dimension: usize, seed: u64, values: &[f32]) -> Vec<f32> {
        let rotation = Rotation::new(dimension, Seed(seed));
        let mut out = values.to_vec();
        out.resize(rotation.padded(), 0.0);
        rotation.apply(&mut out);
        out
    }

    proptest! {
        #[test]
        fn lengths_and_angles_are_kept(dimension in 1_usize..1100, seed in any::<u64>()) {
            let mut rng = Seed(seed).rng();
            let a: Vec<f32> = (0..dimension).map(|_| rng.normal_f32()).collect();
            let b: Vec<f32> = (0..dimension).map(|_| rng.normal_f32()).collect();
            let (x, y) = (rotated(dimension, seed, &a), rotated(dimension, seed, &b));
            let scale = kernels::norm(&a) * kernels::norm(&b) + 1.0;
            prop_assert!((kernels::norm(&x) - kernels::norm(&a)).abs() < 1e-4 * scale);
            prop_assert!((kernels::dot(&x, &y) - kernels::dot(&a, &b)).abs() < 1e-4 * scale);
        }
    }

    #[test]
    fn the_seed_decides() {
        let values: Vec<f32> = (0..100).map(|i| i as f32).collect();
        assert_eq!(rotated(100, 1, &values), rotated(100, 1, &values));
        assert_ne!(rotated(100, 1, &values), rotated(100, 2, &values));
    }

    /// The worst vectors for one-bit codes are those with all their length in
    /// one component. Rotated, no component may keep a large share, whatever
    /// the dimension.
    #[test]
    fn a_single_component_is_spread_over_all() {
        for dimension in [64, 96, 100, 192, 384, 768, 960, 1000, 1024, 1536, 3072] {
            for place in [0, dimension / 2, dimension - 1] {
                let mut values = vec![0.0; dimension];
                values[place] = 1.0;
                let out = rotated(dimension, 9, &values);
                let even = 1.0 / (out.len() as f32).sqrt();
                let largest = out.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
                assert!(largest < 5.5 * even, "{dimension} {place}: {}", largest / even);
                let ones: f32 = out.iter().map(|v| v.abs()).sum::<f32>() / out.len() as f32;
                assert!(ones > 0.7 * even, "{dimension} {place}: {}", ones / even);
            }
        }
    }
}
