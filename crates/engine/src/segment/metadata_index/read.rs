//! Reads the index's bytes: a field's arrays, and the rows in them that have
//! a value. Nothing is parsed ahead but what the check at open walks over.

use std::ops::Range;

use crossbill_core::Comparison;
use roaring::RoaringBitmap;

use super::{ENTRY_WORDS, SECTION, TRAILER_BYTES, ValueHash, hash_string};
use crate::FormatError;
use crate::segment::bytes_view::{array, check_starts};

/// The index of an open segment.
#[derive(Clone, Copy)]
pub(in crate::segment) struct MetadataIndex<'a> {
    bytes: &'a [u8],
    directory: &'a [[u64; ENTRY_WORDS]],
    rows: u32,
}

/// The arrays of one field.
pub(super) struct Field<'a> {
    hashes: &'a [ValueHash],
    starts: &'a [u64],
    string_rows: &'a [u32],
    numbers: &'a [f64],
    pub(super) number_rows: &'a [u32],
    /// Rows that have the field, that have true, that have false.
    pub(super) bitmaps: [&'a [u8]; 3],
}

impl<'a> MetadataIndex<'a> {
    /// Checks that everything in the section stands inside it. No bytes at
    /// all is the index of records without metadata.
    pub(in crate::segment) fn check(bytes: &'a [u8]) -> Result<(), FormatError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let index = Self::directory(bytes)?;
        let mut before: Option<&str> = None;
        for entry in index {
            let name = std::str::from_utf8(array::<u8>(SECTION, bytes, entry[0], entry[1])?)
                .map_err(|error| damaged(format!("a field name with {error}"), "UTF-8"))?;
            if before.is_some_and(|before| before >= name) {
                return Err(damaged(format!("field {name:?} after {before:?}"), "names in order"));
            }
            before = Some(name);
            let field = Field::at(bytes, entry)?;
            check_starts(SECTION, field.starts, field.string_rows.len() as u64)?;
        }
        Ok(())
    }

    /// The section, which was checked.
    pub(in crate::segment) fn new(bytes: &'a [u8], rows: u32) -> Self {
        let directory = if bytes.is_empty() {
            &[][..]
        } else {
            Self::directory(bytes).expect("the directory was found sound at open")
        };
        Self { bytes, directory, rows }
    }

    /// Reads every array and bitmap: an error where one is out of order or
    /// names a row there is not.
    pub(in crate::segment) fn verify(&self) -> Result<(), FormatError> {
        for entry in self.directory {
            let field = Field::at(self.bytes, entry)?;
            let values_rise = field.hashes.is_sorted_by(|a, b| a < b);
            let rows_rise = field.starts.windows(2).all(|pair| {
                field.string_rows[pair[0] as usize..pair[1] as usize].is_sorted_by(|a, b| a < b)
            });
            let rows = field.string_rows.iter().chain(field.number_rows);
            let mut rows_inside = rows.max().is_none_or(|&row| row < self.rows);
            for bitmap in field.bitmaps.into_iter().filter(|bytes| !bytes.is_empty()) {
                let bitmap = RoaringBitmap::deserialize_from(bitmap)
                    .map_err(|error| damaged(format!("a bitmap with {error}"), "a sound one"))?;
                rows_inside &= bitmap.max().is_none_or(|row| row < self.rows);
            }
            if !(values_rise && rows_rise && rows_inside && field.numbers.is_sorted()) {
                return Err(damaged("values or rows out of order".to_owned(), "ascending"));
            }
        }
        Ok(())
    }

    /// Rows of the segment.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    pub(super) fn field(&self, name: &str) -> Option<Field<'a>> {
        let at = self
            .directory
            .binary_search_by(|entry| {
                self.bytes[entry[0] as usize..][..entry[1] as usize].cmp(name.as_bytes())
            })
            .ok()?;
        Some(
            Field::at(self.bytes, &self.directory[at])
                .expect("the arrays were found inside the section at open"),
        )
    }

    fn directory(bytes: &'a [u8]) -> Result<&'a [[u64; ENTRY_WORDS]], FormatError> {
        let trailer_at = bytes
            .len()
            .checked_sub(TRAILER_BYTES)
            .ok_or_else(|| damaged(format!("{} bytes", bytes.len()), "room for a trailer"))?;
        let trailer: &[u64] = array(SECTION, bytes, trailer_at as u64, 2)?;
        array(SECTION, &bytes[..trailer_at], trailer[0], trailer[1])
    }
}

impl<'a> Field<'a> {
    fn at(bytes: &'a [u8], entry: &[u64; ENTRY_WORDS]) -> Result<Self, FormatError> {
        let [_, _, strings, values, string_rows, numbers_at, numbers, bitmaps, rest @ ..] = *entry;
        // The counts are only added up once the arrays before were found to
        // lie inside the section.
        let hashes: &[ValueHash] = array(SECTION, bytes, strings, values)?;
        let starts_at = strings + size_of_val(hashes) as u64;
        let starts: &[u64] = array(SECTION, bytes, starts_at, values + 1)?;
        let rows_at = starts_at + size_of_val(starts) as u64;
        let number_values: &[f64] = array(SECTION, bytes, numbers_at, numbers)?;
        let number_rows_at = numbers_at + size_of_val(number_values) as u64;
        let mut bitmap_at = bitmaps;
        let mut bitmap = |length: u64| {
            let part = array::<u8>(SECTION, bytes, bitmap_at, length)?;
            bitmap_at += length;
            Ok::<_, FormatError>(part)
        };
        Ok(Self {
            hashes,
            starts,
            string_rows: array(SECTION, bytes, rows_at, string_rows)?,
            numbers: number_values,
            number_rows: array(SECTION, bytes, number_rows_at, numbers)?,
            bitmaps: [bitmap(rest[0])?, bitmap(rest[1])?, bitmap(rest[2])?],
        })
    }

    pub(super) fn with_string(&self, text: &str) -> &'a [u32] {
        match self.hashes.binary_search(&hash_string(text)) {
            Ok(at) => &self.string_rows[self.starts[at] as usize..self.starts[at + 1] as usize],
            Err(_) => &[],
        }
    }

    pub(super) fn with_number(&self, number: f64) -> &'a [u32] {
        let first = self.numbers.partition_point(|&value| value < number);
        let count = self.numbers[first..].partition_point(|&value| value == number);
        &self.number_rows[first..first + count]
    }

    /// Where in `number_rows` the rows stand whose number stands so to `right`.
    pub(super) fn compared(&self, comparison: Comparison, right: f64) -> Range<usize> {
        if right.is_nan() {
            return 0..0;
        }
        let below = self.numbers.partition_point(|&value| value < right);
        let up_to = self.numbers.partition_point(|&value| value <= right);
        match comparison {
            Comparison::Greater => up_to..self.numbers.len(),
            Comparison::GreaterOrEqual => below..self.numbers.len(),
            Comparison::Less => 0..below,
            Comparison::LessOrEqual => 0..up_to,
        }
    }

    /// One of the bitmaps. `verify` finds one that does not read, which only
    /// a faulty writer makes; here it is empty.
    pub(super) fn bitmap(&self, which: usize) -> RoaringBitmap {
        RoaringBitmap::deserialize_from(self.bitmaps[which]).unwrap_or_default()
    }
}

fn damaged(found: String, expected: &str) -> FormatError {
    FormatError::damaged(SECTION, found, expected)
}
