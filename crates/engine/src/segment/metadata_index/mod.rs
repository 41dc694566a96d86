//! The metadata index: from a field and a value to the rows that have it.
//!
//! A string is kept as its 128-bit hash, numbers are kept sorted, booleans
//! and "the field is there" as bitmaps. The section (version 1, offsets in
//! bytes from its start, arrays aligned to 8):
//!
//! ```text
//! per field, in the order of the names:
//!   strings   16-byte hash × values, ascending as bytes
//!             u64 × (values + 1): where each value's rows start in
//!             u32 × string rows: the rows, ascending within a value
//!   numbers   f64 × n ascending (-0 as 0), u32 × n: the row of each
//!   bitmaps   rows that have the field, rows with true, rows with false
//!             (Roaring's portable format), one after another
//! names       UTF-8, end to end
//! directory   96 bytes a field: name at, name bytes, strings at, values,
//!             string rows, numbers at, numbers, bitmaps at, bytes of each of
//!             the three bitmaps, 0 (all u64)
//! trailer     directory at, fields (u64 each)
//! ```
//!
//! The hash of a string is XXH3 (128 bits, seed 1, the kind "string"), high
//! half first, big-endian.

mod answer;
mod build;
mod read;

pub(super) use build::MetadataIndexBuilder;
pub(super) use read::MetadataIndex;

/// Numbers of one field's entry in the directory.
const ENTRY_WORDS: usize = 12;
/// Bytes of the trailer.
const TRAILER_BYTES: usize = 16;
/// The name of the section in messages.
const SECTION: &str = "metadata index";

/// A string value's hash.
type ValueHash = [u8; 16];

/// What stands in the index for a string.
fn hash_string(text: &str) -> ValueHash {
    const KIND_STRING: u64 = 1;
    xxhash_rust::xxh3::xxh3_128_with_seed(text.as_bytes(), KIND_STRING).to_be_bytes()
}
