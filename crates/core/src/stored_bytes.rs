//! Port for the bytes of a stored part: they are looked at where they lie, a
//! memory map or a buffer, and those that are not needed for now can be let
//! go.

use std::ops::Range;
use std::sync::Arc;

/// Bytes at rest. They stay the same for as long as anyone holds them.
pub trait StoredBytes: AsRef<[u8]> + Send + Sync {
    /// Says that these bytes are not needed for now, so that they need not
    /// take memory. They can be read as before, only slower the first time.
    fn release(&self, range: Range<usize>) {
        let _ = range;
    }
}

impl StoredBytes for Vec<u8> {}

/// The bytes of a part, however they are held.
pub type PartBytes = Arc<dyn StoredBytes>;
