//! Unique names for things we make (indexes, parts): a port, so that the
//! simulator can make them repeatable.

use std::fmt;
use std::sync::Mutex;

use crate::{Rng, Seed};

/// 128 random bits, written as 32 lowercase hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UniqueId(pub u128);

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Where unique ids come from.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// An id never given before.
    fn next_id(&self) -> UniqueId;
}

/// Ids from the operating system's entropy.
#[derive(Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn next_id(&self) -> UniqueId {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system always has entropy after boot");
        UniqueId(u128::from_le_bytes(bytes))
    }
}

/// Repeatable ids for tests.
#[derive(Debug)]
pub struct SeededIds(Mutex<Rng>);

impl SeededIds {
    /// The sequence of ids that belongs to `seed`.
    pub fn new(seed: Seed) -> Self {
        Self(Mutex::new(seed.derive("ids").rng()))
    }
}

impl IdSource for SeededIds {
    fn next_id(&self) -> UniqueId {
        let mut rng = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        UniqueId(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
    }
}
