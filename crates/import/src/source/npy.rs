//! The header of a NumPy array: what its items are and how many. It is a
//! Python literal in 64 KiB at most; only what `numpy.save` writes is read.

use crossbill_core::limits::{DIMENSION_MAX, QUOTED_CHARS_MAX};

use super::RangeRead;
use crate::failure::FileFailure;
use crate::reject::codes;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Magic, version and the length of the header.
const FIXED_BYTES: u64 = 12;
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// An array of vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NpyHeader {
    /// Bytes before the first vector.
    pub(crate) bytes: u64,
    pub(crate) item: NpyItem,
    pub(crate) rows: u64,
    pub(crate) dimension: u32,
}

/// A floating point number as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NpyItem {
    /// 2, 4 or 8.
    pub(crate) bytes: usize,
    pub(crate) big_endian: bool,
}

impl NpyHeader {
    /// Bytes of a vector.
    pub(crate) fn row_bytes(&self) -> u64 {
        u64::from(self.dimension) * self.item.bytes as u64
    }
}

/// Reads the header of `file`, and checks that the file is as long as it
/// says.
pub(crate) fn read_npy_header(file: &dyn RangeRead) -> Result<NpyHeader, FileFailure> {
    let size = file.size();
    let fixed = file.read(0..size.min(FIXED_BYTES))?;
    if !fixed.starts_with(MAGIC) || fixed.len() < 10 {
        let found = fixed[..fixed.len().min(MAGIC.len())].escape_ascii();
        let reason =
            format!("not a NumPy array: it begins with \"{found}\", expected \"\\x93NUMPY\"");
        return Err(FileFailure::bad(codes::FILE_FORMAT, reason));
    }
    let (start, length) = match fixed[6] {
        1 => (10, u64::from(u16::from_le_bytes([fixed[8], fixed[9]]))),
        2 | 3 if fixed.len() == FIXED_BYTES as usize => {
            (12, u64::from(u32::from_le_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])))
        }
        version => {
            let reason = format!("a NumPy array of version {version}, expected 1, 2 or 3");
            return Err(FileFailure::bad(codes::FILE_FORMAT, reason));
        }
    };
    if length > HEADER_BYTES_MAX {
        let reason = format!("its header has {length} bytes, expected at most {HEADER_BYTES_MAX}");
        return Err(FileFailure::bad(codes::FILE_LIMIT, reason));
    }
    if start + length > size {
        let reason = format!("its header has {length} bytes, but the file has {size} in all");
        return Err(FileFailure::bad(codes::FILE_TRUNCATED, reason));
    }
    let text = file.read(start..start + length)?;
    let header = parse(&text, start + length)?;
    check_size(&header, size)?;
    Ok(header)
}

fn check_size(header: &NpyHeader, size: u64) -> Result<(), FileFailure> {
    let expected = header
        .rows
        .checked_mul(header.row_bytes())
        .and_then(|data| data.checked_add(header.bytes))
        .filter(|expected| *expected <= size);
    match expected {
        Some(expected) if expected == size => Ok(()),
        Some(expected) => {
            let more = size - expected;
            let reason = format!("it has {more} bytes behind the {} rows it claims", header.rows);
            Err(FileFailure::bad(codes::FILE_DECODE, reason))
        }
        None => {
            let reason = format!(
                "it claims {} rows of {} components, but has {} bytes of data",
                header.rows,
                header.dimension,
                size - header.bytes
            );
            Err(FileFailure::bad(codes::FILE_TRUNCATED, reason))
        }
    }
}

fn parse(text: &[u8], bytes: u64) -> Result<NpyHeader, FileFailure> {
    let damaged = |what: &str| {
        let reason = format!("its header is damaged: {what}");
        FileFailure::bad(codes::FILE_DECODE, reason)
    };
    let text = std::str::from_utf8(text).map_err(|_| damaged("it is no text"))?;
    let value = |key: &str| {
        let at = text.find(&format!("'{key}'"))? + key.len() + 2;
        Some(text[at..].trim_start().strip_prefix(':')?.trim_start())
    };
    let kind = value("descr").ok_or_else(|| damaged("it has no 'descr'"))?;
    let order = value("fortran_order").ok_or_else(|| damaged("it has no 'fortran_order'"))?;
    let shape = value("shape").ok_or_else(|| damaged("it has no 'shape'"))?;
    let item = item(kind)?;
    if !order.starts_with("False") {
        let reason = "its array is stored column by column (fortran_order), expected row by row: \
                      save numpy.ascontiguousarray(a)";
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    }
    let end = shape.find(')').ok_or_else(|| damaged("its shape has no end"))?;
    let shape = shape[..end].strip_prefix('(').ok_or_else(|| damaged("its shape is no tuple"))?;
    let sides: Result<Vec<u64>, _> =
        shape.split(',').map(str::trim).filter(|side| !side.is_empty()).map(str::parse).collect();
    let sides = sides.map_err(|_| damaged("its shape holds what is no number"))?;
    let [rows, dimension] = sides[..] else {
        let reason =
            format!("its array has {} dimensions, expected 2: rows, components", sides.len());
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    };
    let Some(dimension) = u32::try_from(dimension).ok().filter(|found| *found <= DIMENSION_MAX)
    else {
        let reason =
            format!("its vectors have {dimension} components, expected at most {DIMENSION_MAX}");
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    };
    Ok(NpyHeader { bytes, item, rows, dimension })
}

fn item(kind: &str) -> Result<NpyItem, FileFailure> {
    let name: String = kind.chars().take(QUOTED_CHARS_MAX).take_while(|c| *c != ',').collect();
    let big_endian = name.starts_with("'>");
    let bytes = match name.get(2..) {
        Some("f2'") => 2,
        Some("f4'") => 4,
        Some("f8'") => 8,
        _ => 0,
    };
    if bytes == 0 || !(big_endian || name.starts_with("'<")) {
        let reason =
            format!("its items are of type {name}, expected floating point: '<f2', '<f4' or '<f8'");
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    }
    Ok(NpyItem { bytes, big_endian })
}
