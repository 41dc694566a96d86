//! NumPy arrays that are none, or not of vectors.

use crossbill_import::codes;

use crate::{Case, file, row};

/// An array with a header of this kind and shape.
pub(crate) fn array(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (head.len() + 11) % 64 != 0 {
        head.push(' ');
    }
    head.push('\n');
    let length = (head.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], head.as_bytes(), data].concat()
}

pub(crate) fn cases() -> Vec<Case> {
    let data = [0, 0, 128, 63].repeat(12);
    let good = array("<f4", "(3, 4)", &data);
    let mut version = good.clone();
    version[6] = 9;
    let mut long_head = good.clone();
    long_head[6] = 2;
    long_head[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut nan = good.clone();
    let at = nan.len() - 32;
    nan[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut zero = good.clone();
    zero[at..at + 16].fill(0);
    let no_shape = String::from_utf8_lossy(&good[10..]).replace("'shape'", "'shade'");
    let no_shape = [&good[..10], no_shape.as_bytes()].concat();
    vec![
        file("empty.npy", vec![], codes::FILE_FORMAT, "not a NumPy array"),
        file("zip.npy", b"PK\x03\x04 archive".to_vec(), codes::FILE_FORMAT, "begins with \"PK"),
        file("version.npy", version, codes::FILE_FORMAT, "version 9, expected 1, 2 or 3"),
        file("long-head.npy", long_head, codes::FILE_LIMIT, "its header has 4294967295 bytes"),
        file("cut-head.npy", good[..30].to_vec(), codes::FILE_TRUNCATED, "the file has 30 in all"),
        file(
            "cut-data.npy",
            good[..good.len() - 1].to_vec(),
            codes::FILE_TRUNCATED,
            "claims 3 rows",
        ),
        file(
            "more-rows.npy",
            array("<f4", "(900000000000000, 4)", &data),
            codes::FILE_TRUNCATED,
            "claims 900000000000000 rows",
        ),
        file(
            "fewer-rows.npy",
            array("<f4", "(2, 4)", &data),
            codes::FILE_DECODE,
            "16 bytes behind",
        ),
        file("no-shape.npy", no_shape, codes::FILE_DECODE, "no 'shape'"),
        file("objects.npy", array("|O", "(3, 4)", &data), codes::FILE_SCHEMA, "type '|O'"),
        file("integers.npy", array("<i4", "(3, 4)", &data), codes::FILE_SCHEMA, "type '<i4'"),
        file("flat.npy", array("<f4", "(12,)", &data), codes::FILE_SCHEMA, "1 dimensions"),
        file(
            "wide.npy",
            array("<f4", "(2, 6)", &data),
            codes::FILE_SCHEMA,
            "6 components, expected 4",
        ),
        row(
            "nan.npy",
            nan,
            codes_of::NOT_FINITE,
            "row 1, id \"1\": column \"values\": component 0 is NaN",
        ),
        row("zero.npy", zero, codes_of::ZERO, "all components are 0"),
    ]
}

/// Codes of vectors.
pub(crate) mod codes_of {
    pub(crate) const NOT_FINITE: &str = "E_NOT_FINITE";
    pub(crate) const ZERO: &str = "E_ZERO_VECTOR";
}
