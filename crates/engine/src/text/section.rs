//! The text section of a segment: what tantivy wrote, without the names that
//! it draws at random. Bytes in and out.
//!
//! ```text
//! u32 bytes of the schema, u32 files (6)
//! u64 offset from the section's start, u64 length: of each file
//!     (.term .idx .pos .fieldnorm .fast .store; length 0: not there)
//! schema      the text fields as JSON
//! files       as tantivy 0.27 writes them, each at a multiple of 8
//! ```

use std::io;
use std::ops::Range;

use crossbill_core::{PartBytes, TextSchema};

use super::build::{BuiltText, ENDINGS};
use super::fields::TextFields;
use super::held::held;
use super::{SECTION, TextIndex};
use crate::FormatError;

/// Bytes before the table of files.
const HEAD_BYTES: usize = 8;
/// Bytes of one file's entry.
const ENTRY_BYTES: usize = 16;
/// Bytes before the schema.
const TABLE_END: usize = HEAD_BYTES + ENDINGS.len() * ENTRY_BYTES;

/// Writes the section's bytes, piece by piece.
pub(crate) fn write_section(
    built: BuiltText,
    fields: &TextFields,
    put: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let schema = serde_json::to_vec(fields.schema())?;
    put(&(schema.len() as u32).to_le_bytes())?;
    put(&(ENDINGS.len() as u32).to_le_bytes())?;
    let mut at = TABLE_END + schema.len();
    for file in &built.files {
        at = at.next_multiple_of(8);
        let length = file.as_ref().map_or(0, |bytes| bytes.len());
        put(&(at as u64).to_le_bytes())?;
        put(&(length as u64).to_le_bytes())?;
        at += length;
    }
    put(&schema)?;
    at = TABLE_END + schema.len();
    for file in built.files {
        put(&[0; 8][..at.next_multiple_of(8) - at])?;
        at = at.next_multiple_of(8);
        if let Some(file) = file {
            put(file.as_slice())?;
            at += file.len();
        }
    }
    Ok(())
}

/// Opens the section that stands in `part` at `place`; `rows` are those of the
/// segment.
pub(crate) fn read_section(
    part: &PartBytes,
    place: Range<usize>,
    rows: u32,
) -> Result<TextIndex, FormatError> {
    let bytes = &(**part).as_ref()[place.clone()];
    let cut = |found: String| FormatError::damaged(SECTION, found, "a whole section".to_owned());
    let head = bytes.get(..TABLE_END).ok_or_else(|| cut(format!("{} bytes", bytes.len())))?;
    let (schema_bytes, files) = (u32_at(head, 0) as usize, u32_at(head, 4) as usize);
    if files != ENDINGS.len() {
        return Err(cut(format!("{files} files")));
    }
    let schema = bytes
        .get(TABLE_END..)
        .and_then(|rest| rest.get(..schema_bytes))
        .ok_or_else(|| cut(format!("a schema of {schema_bytes} bytes")))?;
    let schema: TextSchema = serde_json::from_slice(schema)
        .map_err(|error| FormatError::damaged(SECTION, error.to_string(), "a schema of texts"))?;
    // Whoever wrote it had its fields in order.
    let schema = TextSchema::new(schema.fields().iter().cloned());
    let mut found = Vec::with_capacity(ENDINGS.len());
    for (number, ending) in ENDINGS.into_iter().enumerate() {
        let entry = &head[HEAD_BYTES + number * ENTRY_BYTES..][..ENTRY_BYTES];
        let (at, length) = (u64_at(entry, 0), u64_at(entry, 8));
        let end = at.checked_add(length).filter(|&end| end <= bytes.len() as u64);
        let Some(end) = end else {
            return Err(cut(format!("file {ending:?} of {length} bytes at byte {at}")));
        };
        if length > 0 {
            let range = place.start + at as usize..place.start + end as usize;
            found.push((ending, held(part, range)));
        }
    }
    TextIndex::open(&TextFields::new(&schema), rows, found)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}
