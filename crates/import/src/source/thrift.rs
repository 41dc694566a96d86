//! A minimal, bounded reader of Thrift's compact protocol: enough to see how
//! large a Parquet page says it is before the decoder allocates for it, and
//! to know that a footer's lists are no longer than its bytes and its fields
//! of the types that the decoder takes them for. Works on untrusted bytes:
//! time is linear in them, nothing is allocated, nothing panics.

use super::thrift_types::{FOOTER, Fields, Kind, PAGE_HEADER};

/// Nesting of structs and lists that is followed.
const DEPTH_MAX: u32 = 32;

/// The page type that readers pass over.
const INDEX_PAGE: i32 = 1;

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ThriftError {
    /// They end too early; more of the file may help.
    #[error("it ends in the middle of a value")]
    End,
    /// They are not what they should be.
    #[error("{0}")]
    Malformed(&'static str),
}

/// What a page's header says, as far as it matters before decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PageHead {
    /// Bytes of the header itself.
    pub(crate) header_bytes: usize,
    /// Whether the page is an index page, which readers pass over.
    pub(crate) is_index: bool,
    /// Bytes that follow it.
    pub(crate) packed_bytes: i32,
    /// Bytes they unpack to.
    pub(crate) unpacked_bytes: i32,
    /// Values of a data page (0 for other pages), nulls included.
    pub(crate) values: i32,
    /// Rows of a data page, where it says (version 2 does).
    pub(crate) rows: Option<i32>,
}

/// Reads a page header at the start of `bytes`.
pub(crate) fn page_head(bytes: &[u8]) -> Result<PageHead, ThriftError> {
    Walker { bytes, at: 0 }.check_fields(PAGE_HEADER, DEPTH_MAX)?;
    let mut walker = Walker { bytes, at: 0 };
    let mut head = PageHead::default();
    let (mut packed, mut unpacked) = (None, None);
    walker.fields(DEPTH_MAX, |walker, id, kind| {
        match (id, kind) {
            (1, I32) => head.is_index = walker.i32()? == INDEX_PAGE,
            (2, I32) => unpacked = Some(walker.i32()?),
            (3, I32) => packed = Some(walker.i32()?),
            // The headers of data pages v1 and v2 begin with the values.
            (5 | 8, STRUCT) => walker.fields(DEPTH_MAX - 1, |walker, inner, kind| {
                match (id, inner, kind) {
                    (_, 1, I32) => head.values = walker.i32()?,
                    (8, 3, I32) => head.rows = Some(walker.i32()?),
                    _ => walker.skip(kind, DEPTH_MAX - 2)?,
                }
                Ok(())
            })?,
            _ => walker.skip(kind, DEPTH_MAX - 1)?,
        }
        Ok(())
    })?;
    let (Some(packed), Some(unpacked)) = (packed, unpacked) else {
        return Err(ThriftError::Malformed("it does not say how long it is"));
    };
    head.header_bytes = walker.at;
    head.packed_bytes = packed;
    head.unpacked_bytes = unpacked;
    Ok(head)
}

/// Checks that `bytes` begin with a well-formed footer whose every list fits
/// them.
pub(crate) fn check_footer(bytes: &[u8]) -> Result<(), ThriftError> {
    Walker { bytes, at: 0 }.check_fields(FOOTER, DEPTH_MAX)
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walker<'_> {
    fn byte(&mut self) -> Result<u8, ThriftError> {
        let byte = *self.bytes.get(self.at).ok_or(ThriftError::End)?;
        self.at += 1;
        Ok(byte)
    }

    fn advance(&mut self, count: u64) -> Result<(), ThriftError> {
        let left = (self.bytes.len() - self.at) as u64;
        if count > left {
            return Err(ThriftError::End);
        }
        self.at += count as usize;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, ThriftError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ThriftError::Malformed("it holds a number of more than 64 bits"))
    }

    fn i32(&mut self) -> Result<i32, ThriftError> {
        let raw = self.varint()?;
        let value = (raw >> 1) as i64 ^ -((raw & 1) as i64);
        i32::try_from(value)
            .map_err(|_| ThriftError::Malformed("it holds a size of more than 32 bits"))
    }

    fn fields(
        &mut self,
        depth: u32,
        mut each: impl FnMut(&mut Self, i64, u8) -> Result<(), ThriftError>,
    ) -> Result<(), ThriftError> {
        if depth == 0 {
            return Err(ThriftError::Malformed("it is nested too deep"));
        }
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            let kind = head & 0x0f;
            if head >> 4 == 0 {
                let raw = self.varint()?;
                id = (raw >> 1) as i64 ^ -((raw & 1) as i64);
            } else {
                id += i64::from(head >> 4);
            }
            // The decoder keeps 16 bits of it.
            if !(0..=i64::from(i16::MAX)).contains(&id) {
                return Err(ThriftError::Malformed("it has a field whose id is out of range"));
            }
            each(self, id, kind)?;
        }
    }

    fn check_fields(&mut self, known: Fields, depth: u32) -> Result<(), ThriftError> {
        self.fields(depth, |walker, id, kind| match known.iter().find(|(known, _)| *known == id) {
            Some((_, expected)) => walker.check(*expected, kind, depth - 1),
            None => walker.skip(kind, depth - 1),
        })
    }

    /// Passes over a value that has to be of the type `expected`.
    fn check(&mut self, expected: Kind, kind: u8, depth: u32) -> Result<(), ThriftError> {
        match (expected, kind) {
            (Kind::Struct(fields), STRUCT) => self.check_fields(fields, depth),
            (Kind::List(item), LIST) => {
                let (kind, count) = self.list()?;
                for _ in 0..count {
                    self.check(*item, kind, depth.saturating_sub(1))?;
                }
                Ok(())
            }
            (Kind::Bool, TRUE | FALSE)
            | (Kind::Byte, BYTE)
            | (Kind::Integer, I16 | I32 | I64)
            | (Kind::Double, DOUBLE)
            | (Kind::Binary, BINARY) => self.skip(kind, depth),
            _ => Err(ThriftError::Malformed("it has a field of another type than the format's")),
        }
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Result<(), ThriftError> {
        if depth == 0 {
            return Err(ThriftError::Malformed("it is nested too deep"));
        }
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.advance(1),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.advance(8),
            UUID => self.advance(16),
            BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            STRUCT => self.fields(depth, |walker, _, kind| walker.skip(kind, depth - 1)),
            LIST | SET => {
                let (kind, count) = self.list()?;
                for _ in 0..count {
                    self.element(kind, depth - 1)?;
                }
                Ok(())
            }
            MAP => {
                let count = self.varint()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                self.check_count(count)?;
                for _ in 0..count {
                    self.element(kinds >> 4, depth - 1)?;
                    self.element(kinds & 0x0f, depth - 1)?;
                }
                Ok(())
            }
            _ => Err(ThriftError::Malformed("it holds a value of an unknown kind")),
        }
    }

    /// The type of a list's elements and how many there are.
    fn list(&mut self) -> Result<(u8, u64), ThriftError> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        self.check_count(count)?;
        Ok((head & 0x0f, count))
    }

    /// Every element takes a byte at least, so a longer list is a lie.
    fn check_count(&self, count: u64) -> Result<(), ThriftError> {
        if count > (self.bytes.len() - self.at) as u64 {
            return Err(ThriftError::End);
        }
        Ok(())
    }

    /// Parquet has no lists of booleans here. The decoder takes them for
    /// elements of no bytes: it would pass over billions of them one by one,
    /// and read something else than this behind them.
    fn element(&mut self, kind: u8, depth: u32) -> Result<(), ThriftError> {
        match kind {
            TRUE | FALSE => {
                Err(ThriftError::Malformed("it holds a list of booleans, expected none"))
            }
            kind => self.skip(kind, depth),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_sizes_of_a_page() {
        // field 1 (type) i32 0, 2 i32 1000, 3 i32 400, 5 struct {1: i32 250, 2: i32 0}.
        let bytes = [
            0x15, 0x00, 0x15, 0xd0, 0x0f, 0x15, 0xa0, 0x06, 0x2c, 0x15, 0xf4, 0x03, 0x15, 0x00,
            0x00, 0x00, 0xff,
        ];
        let head = page_head(&bytes).unwrap();
        let expected = PageHead {
            header_bytes: 16,
            is_index: false,
            packed_bytes: 400,
            unpacked_bytes: 1000,
            values: 250,
            rows: None,
        };
        assert_eq!(head, expected);
        for end in 0..16 {
            assert_eq!(page_head(&bytes[..end]), Err(ThriftError::End));
        }
    }

    #[test]
    fn a_list_longer_than_its_bytes_is_refused_at_once() {
        // field 11: list of bytes with 2^31 - 1 elements.
        let bytes = [0xb9, 0xf3, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
        assert_eq!(check_footer(&bytes), Err(ThriftError::End));
        let deep = [0xbc; 100];
        assert!(matches!(check_footer(&deep), Err(ThriftError::Malformed(_))));
    }

    #[test]
    fn lists_of_booleans_are_refused() {
        // field 11: list of 1 boolean; field 11: map of 1 boolean to a byte.
        for bytes in [&[0xb9, 0x11, 0x01, 0x00][..], &[0xbb, 0x01, 0x13, 0x01, 0x01, 0x00]] {
            assert!(matches!(check_footer(bytes), Err(ThriftError::Malformed(_))));
        }
        assert_eq!(check_footer(&[0xb9, 0x01, 0x00]), Ok(()), "an empty one is none");
    }

    #[test]
    fn fields_of_other_types_than_the_formats_are_refused() {
        // field 1 (version) i32 1 is right, and as a string, or with an id of
        // which 16 bits are 1, is not; within a list: schema of one element
        // whose name is an i32.
        assert_eq!(check_footer(&[0x15, 0x02, 0x00]), Ok(()));
        for bytes in [
            &[0x18, 0x01, 0x61, 0x00][..],
            &[0x05, 0x82, 0x80, 0x08, 0x02, 0x00],
            &[0x29, 0x1c, 0x45, 0x02, 0x00, 0x00],
        ] {
            assert!(matches!(check_footer(bytes), Err(ThriftError::Malformed(_))), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = page_head(&bytes);
            let _ = check_footer(&bytes);
        }
    }
}
