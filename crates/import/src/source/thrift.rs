//! A minimal, bounded reader of Thrift's compact protocol: enough to see how
//! large a Parquet page says it is before the decoder allocates for it, and
//! to know that a footer's lists are no longer than its bytes and its fields
//! of the types that the decoder takes them for. Works on untrusted bytes:
//! time is linear in them, nothing is allocated, nothing panics.

use crossbill_core::limits::{PARQUET_LIST_MAX, PARQUET_ROW_GROUPS_MAX, PARQUET_SCHEMA_DEPTH_MAX};

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
    /// A list is longer than it may be.
    #[error("it has a list of {found} entries, expected at most {limit}")]
    TooLong {
        /// How many entries it has.
        found: u64,
        /// How many it may have.
        limit: u64,
    },
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
/// them and whose schema is a tree.
pub(crate) fn check_footer(bytes: &[u8]) -> Result<(), ThriftError> {
    Walker { bytes, at: 0 }.check_fields(FOOTER, DEPTH_MAX)?;
    Walker { bytes, at: 0 }.fields(DEPTH_MAX, |walker, id, kind| match (id, kind) {
        (2, LIST) => walker.check_tree(),
        _ => walker.skip(kind, DEPTH_MAX - 1),
    })
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
            (Kind::List(item) | Kind::LongList(item), LIST) => {
                let (kind, found) = self.list()?;
                let is_long = matches!(expected, Kind::LongList(_));
                let limit = if is_long { PARQUET_ROW_GROUPS_MAX } else { PARQUET_LIST_MAX };
                if found > limit {
                    return Err(ThriftError::TooLong { found, limit });
                }
                let count = found;
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

    /// Passes over the elements of a schema, each of which says how many of
    /// those behind it are within it. The decoder allocates for as many as an
    /// element says, and goes down as deep.
    fn check_tree(&mut self) -> Result<(), ThriftError> {
        let (_, count) = self.list()?;
        // Elements that are still to come within each open group.
        let mut open = [0_u64; PARQUET_SCHEMA_DEPTH_MAX];
        let mut depth = 0;
        let mut unclaimed = count.saturating_sub(1);
        for _ in 0..count {
            let mut children = 0;
            self.fields(DEPTH_MAX, |walker, id, kind| match (id, kind) {
                (5, I16 | I32 | I64) => {
                    children = walker.i32()?;
                    Ok(())
                }
                _ => walker.skip(kind, DEPTH_MAX - 1),
            })?;
            let claimed = u64::try_from(children).ok().filter(|claimed| *claimed <= unclaimed);
            let Some(claimed) = claimed else {
                return Err(ThriftError::Malformed("its schema claims more columns than it has"));
            };
            unclaimed -= claimed;
            while depth > 0 && open[depth - 1] == 0 {
                depth -= 1;
            }
            if let Some(parent) = depth.checked_sub(1) {
                open[parent] -= 1;
            }
            if claimed > 0 {
                let Some(group) = open.get_mut(depth) else {
                    return Err(ThriftError::Malformed("its schema is nested too deep"));
                };
                *group = claimed;
                depth += 1;
            }
        }
        Ok(())
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

    /// A footer of a schema whose elements claim so many within them.
    fn schema(children: &[i32]) -> Vec<u8> {
        // Field 2: a list of structs whose field 5 is an i32.
        let mut bytes = vec![0x29, 0xfc];
        let number = |value: u64, bytes: &mut Vec<u8>| {
            let mut left = value;
            while left >= 0x80 {
                bytes.push(left as u8 | 0x80);
                left >>= 7;
            }
            bytes.push(left as u8);
        };
        number(children.len() as u64, &mut bytes);
        for claimed in children {
            bytes.push(0x55);
            number(((i64::from(*claimed) << 1) ^ (i64::from(*claimed) >> 63)) as u64, &mut bytes);
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_schema_is_a_tree_of_bounded_depth() {
        for good in [&[0][..], &[2, 0, 0], &[2, 1, 0, 1, 0], &[3, 0, 2, 0, 0, 0]] {
            assert_eq!(check_footer(&schema(good)), Ok(()), "{good:?}");
        }
        for bad in [&[1][..], &[3, 0, 0], &[i32::MAX, 0], &[-1, 0], &[1, 1], &[2, 2, 0, 0]] {
            let found = check_footer(&schema(bad));
            let expected = "its schema claims more columns than it has";
            assert_eq!(found, Err(ThriftError::Malformed(expected)), "{bad:?}");
        }
        let nested = |depth: usize| [vec![1; depth], vec![0]].concat();
        assert_eq!(check_footer(&schema(&nested(PARQUET_SCHEMA_DEPTH_MAX))), Ok(()));
        let found = check_footer(&schema(&nested(PARQUET_SCHEMA_DEPTH_MAX + 1)));
        assert_eq!(found, Err(ThriftError::Malformed("its schema is nested too deep")));
        let many = vec![0; 100_000];
        let found = check_footer(&schema(&many));
        assert_eq!(found, Err(ThriftError::TooLong { found: 100_000, limit: PARQUET_LIST_MAX }));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = page_head(&bytes);
            let _ = check_footer(&bytes);
        }
    }
}
