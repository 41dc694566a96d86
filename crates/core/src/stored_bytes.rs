//! Port for the bytes of a stored part: they are looked at where they lie, a
//! memory map or a buffer, or copied out.

use std::io;
use std::sync::Arc;

/// Bytes at rest. They stay the same for as long as anyone holds them.
pub trait StoredBytes: AsRef<[u8]> + Send + Sync {
    /// Fills `buffer` with the bytes from `offset` on. Where they are mapped
    /// into memory this reads around the map, so that it does not make them
    /// part of the process's own memory.
    ///
    /// # Panics
    /// May panic where there are not as many bytes.
    fn read_at(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        buffer.copy_from_slice(&self.as_ref()[offset..offset + buffer.len()]);
        Ok(())
    }
}

impl StoredBytes for Vec<u8> {}

/// The bytes of a part, however they are held.
pub type PartBytes = Arc<dyn StoredBytes>;
