//! How much a batch will take once decoded, known before it is: a few bytes
//! of a file may stand for gigabytes (runs of one value, shared prefixes, one
//! list that holds all values of its row group). The guard counts per window
//! of as many rows as a batch has, and says when a window is too large; the
//! decoder then goes on with smaller batches.

use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::schema::types::ColumnDescriptor;

use super::levels::{each_delta, each_run};

/// What a value takes beside its own bytes: its levels, or its view.
const VALUE_BYTES: u64 = 16;
/// What one row may take at most; beyond it the file is refused.
const ROW_BYTES_MAX: u64 = 256 << 20;

/// What the guard knows of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf {
    /// Bits of a repetition level; 0 where a row has one value.
    repetition_bits: u32,
    /// Whether definition levels are stored.
    has_definitions: bool,
    is_text: bool,
    /// Whether a value of a dictionary is shared by all that refer to it.
    is_shared: bool,
}

impl Leaf {
    /// The facts of `column`. Top-level strings are decoded as views.
    pub(crate) fn of(column: &ColumnDescriptor) -> Self {
        let repetitions = u32::try_from(column.max_rep_level()).unwrap_or(0);
        Self {
            repetition_bits: u32::BITS - repetitions.leading_zeros(),
            has_definitions: column.max_def_level() > 0,
            is_text: column.physical_type() == Type::BYTE_ARRAY,
            is_shared: column.path().parts().len() == 1,
        }
    }
}

/// Counts the rows of one column chunk by windows.
#[derive(Debug)]
pub(crate) struct Window {
    leaf: Leaf,
    /// Rows of a batch.
    rows: u64,
    /// The row the first batch begins with; those before are passed over.
    first_row: u64,
    /// Bytes a window may take.
    bytes_max: u64,
    /// Rows begun so far.
    row: u64,
    /// What the window at hand takes.
    bytes: u64,
    /// The longest value of the dictionary.
    longest: u64,
}

/// A batch of this size would take too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rows} rows of it take more than {bytes_max} bytes of memory")]
pub(crate) struct TooLarge {
    rows: u64,
    bytes_max: u64,
}

impl Window {
    pub(crate) fn new(leaf: Leaf, rows: usize, first_row: u64, bytes_max: u64) -> Self {
        let rows = rows.max(1) as u64;
        Self { leaf, rows, first_row, bytes_max, row: 0, bytes: 0, longest: 0 }
    }

    /// Notes a page that is passed over.
    pub(crate) fn skip(&mut self, rows: u64) {
        self.row += rows;
        self.bytes = 0;
    }

    /// Counts a page that is about to be decoded.
    pub(crate) fn count(&mut self, page: &Page) -> Result<(), TooLarge> {
        match page {
            Page::DictionaryPage { buf, num_values, .. } => {
                if self.leaf.is_text && !self.leaf.is_shared {
                    self.longest = longest(buf, *num_values);
                }
                Ok(())
            }
            Page::DataPage { .. } | Page::DataPageV2 { .. } => {
                let parts = Parts::of(page, &self.leaf);
                if self.leaf.repetition_bits > 0 { self.lists(&parts) } else { self.flat(&parts) }
            }
        }
    }

    fn flat(&mut self, page: &Parts<'_>) -> Result<(), TooLarge> {
        // A page that a window begins with is held anyway; only more of them
        // make a batch large.
        if self.row.saturating_sub(self.first_row).is_multiple_of(self.rows) {
            self.bytes = 0;
        } else {
            self.add(page.bytes)?;
        }
        if self.leaf.is_text && page.encoding == Encoding::DELTA_BYTE_ARRAY {
            // A prefix shared with the text before takes no bytes in the page.
            let mut nulls = page.values;
            each_delta(page.data, page.values, |prefix| {
                nulls -= 1;
                self.starts(1, VALUE_BYTES.saturating_add(prefix))
            })?;
            return self.starts(nulls, VALUE_BYTES);
        }
        let each = VALUE_BYTES + if page.is_dictionary { self.longest } else { 0 };
        self.starts(page.values, each)
    }

    fn lists(&mut self, page: &Parts<'_>) -> Result<(), TooLarge> {
        let average = page.bytes / page.values.max(1);
        let own = if page.is_dictionary { self.longest } else { average };
        let each = VALUE_BYTES + own;
        let Some(levels) = page.repetitions else {
            // An old encoding of levels: no telling where rows begin.
            return self.add(page.values.saturating_mul(each));
        };
        each_run(levels, self.leaf.repetition_bits, page.values, |level, count| {
            if level == 0 { self.starts(count, each) } else { self.add(count.saturating_mul(each)) }
        })
    }

    /// `count` rows begin, with a value of `each` bytes.
    fn starts(&mut self, mut count: u64, each: u64) -> Result<(), TooLarge> {
        let skipped = self.first_row.saturating_sub(self.row).min(count);
        self.row += skipped;
        count -= skipped;
        while count > 0 {
            let within = (self.row - self.first_row) % self.rows;
            if within == 0 {
                self.bytes = 0;
            }
            let rows = count.min(self.rows - within);
            self.row += rows;
            count -= rows;
            self.add(rows.saturating_mul(each))?;
        }
        Ok(())
    }

    fn add(&mut self, bytes: u64) -> Result<(), TooLarge> {
        if self.row < self.first_row {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        // Nothing is smaller than a row: its page's limits bound it, and a
        // list's length is bounded here.
        let bytes_max =
            if self.rows > 1 { self.bytes_max } else { self.bytes_max.max(ROW_BYTES_MAX) };
        if self.bytes > bytes_max {
            return Err(TooLarge { rows: self.rows, bytes_max });
        }
        Ok(())
    }
}

/// The parts of a data page that count.
struct Parts<'a> {
    values: u64,
    bytes: u64,
    is_dictionary: bool,
    encoding: Encoding,
    repetitions: Option<&'a [u8]>,
    /// What follows the levels.
    data: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(page: &'a Page, leaf: &Leaf) -> Self {
        let buffer = page.buffer().as_ref();
        let (repetitions, data) = match page {
            Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
                let repetitions = *rep_levels_byte_len as usize;
                let levels = repetitions.saturating_add(*def_levels_byte_len as usize);
                (buffer.get(..repetitions), buffer.get(levels..).unwrap_or_default())
            }
            Page::DataPage { rep_level_encoding: Encoding::RLE, .. } => {
                let mut rest = buffer;
                let repetitions = if leaf.repetition_bits > 0 { prefixed(&mut rest) } else { None };
                if leaf.has_definitions {
                    prefixed(&mut rest);
                }
                (repetitions, rest)
            }
            _ => (None, buffer),
        };
        let encoding = page.encoding();
        #[allow(deprecated, reason = "files of old writers say so")]
        let is_dictionary =
            matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
        Self {
            values: u64::from(page.num_values()),
            bytes: buffer.len() as u64,
            is_dictionary,
            encoding,
            repetitions,
            data,
        }
    }
}

/// A run of bytes behind its length in four bytes; `rest` goes on after it.
fn prefixed<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (found, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = behind;
    Some(found)
}

/// The longest of `count` texts, each behind its length.
fn longest(mut bytes: &[u8], count: u32) -> u64 {
    (0..count).map_while(|_| prefixed(&mut bytes)).map(|text| text.len() as u64).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(rows: usize, first_row: u64) -> Window {
        let leaf =
            Leaf { repetition_bits: 1, has_definitions: true, is_text: false, is_shared: false };
        Window::new(leaf, rows, first_row, 1000)
    }

    #[test]
    fn a_window_holds_a_batch_and_no_more() {
        let mut even = window(10, 0);
        for _ in 0..20 {
            // Each row takes 96 bytes, ten of them 960.
            even.starts(1, 16).unwrap();
            even.add(80).unwrap();
        }
        let mut crowded = window(10, 0);
        crowded.starts(9, 16).unwrap();
        assert_eq!(crowded.add(900), Err(TooLarge { rows: 10, bytes_max: 1000 }));
        let mut long = window(10, 0);
        assert!(long.starts(1_000_000, 16).is_ok());
    }

    #[test]
    fn rows_passed_over_do_not_count() {
        let mut later = window(10, 5);
        later.starts(1, 16).unwrap();
        later.add(5000).unwrap();
        later.starts(4, 900).unwrap();
        later.starts(1, 16).unwrap();
        assert!(later.add(5000).is_err());
    }
}
