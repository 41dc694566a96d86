//! Views of section bytes as numbers, without copying. Numbers at rest are
//! little-endian, and so is every machine this is built for.

use bytemuck::Pod;
use crossbill_core::StoredBytes;

use crate::FormatError;

#[cfg(target_endian = "big")]
compile_error!("segments are read in place, which needs a little-endian machine");

/// `bytes` as numbers; an error where they are no whole number of them or
/// stand at an address that is no multiple of their size.
pub(super) fn checked<'a, T: Pod>(
    section: &'static str,
    bytes: &'a [u8],
) -> Result<&'a [T], FormatError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| {
        FormatError::damaged(
            section,
            format!("{} bytes at {:p}", bytes.len(), bytes.as_ptr()),
            format!("whole numbers of {} bytes, aligned", size_of::<T>()),
        )
    })
}

/// The same for bytes that were looked at with [`checked`] at open.
pub(super) fn view<T: Pod>(bytes: &[u8]) -> &[T] {
    bytemuck::cast_slice(bytes)
}

/// The part of `bytes` of `count` numbers of type `T` from byte `at`; an
/// error where that reaches over the end.
pub(super) fn array<'a, T: Pod>(
    section: &'static str,
    bytes: &'a [u8],
    at: u64,
    count: u64,
) -> Result<&'a [T], FormatError> {
    let end = count.checked_mul(size_of::<T>() as u64).and_then(|length| length.checked_add(at));
    match end {
        Some(end) if end <= bytes.len() as u64 => {
            checked(section, &bytes[at as usize..end as usize])
        }
        _ => Err(FormatError::damaged(
            section,
            format!("{count} numbers from byte {at}"),
            format!("an end within {} bytes", bytes.len()),
        )),
    }
}

/// Checks that `starts` begins with 0, never falls, and ends with `end`.
pub(super) fn check_starts<T: Copy + Into<u64> + PartialOrd>(
    section: &'static str,
    starts: &[T],
    end: u64,
) -> Result<(), FormatError> {
    let rises = starts.is_sorted();
    let first = starts.first().map(|&start| start.into());
    let last = starts.last().map(|&start| start.into());
    if rises && first == Some(0) && last == Some(end) {
        return Ok(());
    }
    Err(FormatError::damaged(
        section,
        format!("offsets from {first:?} to {last:?}, rising: {rises}"),
        format!("offsets that rise from 0 to {end}"),
    ))
}

/// A copy of bytes that stands where numbers may be read in place; for bytes
/// that do not come from a memory map.
#[derive(Debug, Clone)]
pub struct AlignedBytes {
    words: Vec<u64>,
    length: usize,
}

impl AlignedBytes {
    /// Copies `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut words = vec![0_u64; bytes.len().div_ceil(size_of::<u64>())];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self { words, length: bytes.len() }
    }
}

impl StoredBytes for AlignedBytes {}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }
}
