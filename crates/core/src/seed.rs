//! Randomness as a port: a [`Seed`] is passed in, and the same seed gives the
//! same bytes on every machine (xoshiro256++, whose output is fixed).

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// Where a computation's random choices start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed of its own for the part of the work named `label`.
    #[must_use]
    pub fn derive(self, label: &str) -> Seed {
        // FNV-1a over the label, mixed with the seed by SplitMix64's finaliser.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in label.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut mixed = self.0 ^ hash;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Seed(mixed ^ (mixed >> 31))
    }

    /// A generator that starts here.
    pub fn rng(self) -> Rng {
        Rng(Xoshiro256PlusPlus::seed_from_u64(self.0))
    }
}

/// A deterministic generator.
#[derive(Debug, Clone)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, which must not be 0 (bias below 2^-32 for the
    /// bounds used here).
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "an empty range has no random member");
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in [0, 1).
    pub fn unit_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// A standard normal number (Box-Muller).
    pub fn normal_f32(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit_f32()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.unit_f32()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Seed(7).derive("train").rng(), Seed(7).derive("train").rng());
        assert_eq!(
            (0..9).map(|_| a.next_u64()).collect::<Vec<_>>(),
            (0..9).map(|_| b.next_u64()).collect::<Vec<_>>()
        );
        assert_ne!(Seed(7).derive("train"), Seed(7).derive("tune"));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut rng = Seed(1).rng();
        assert!((0..1000).all(|_| rng.below(3) < 3 && rng.unit_f32() < 1.0));
    }
}
