//! Goal: arrays and lines of any size stream through bounded memory. The files
//! are made as they are read.

use crossbill_core::{IndexShape, Metric};

use super::*;
use crate::testing::{Memory, decode_as};

const BUDGET: DecodeBudget = DecodeBudget { batch_bytes: 1 << 20, block_bytes: 4 << 20 };
/// Bytes of a file that may be held at once.
const HELD_BYTES_MAX: usize = 12 << 20;

/// Rows of the file, each with a vector of `shape`.
fn rows(path: &str, file: &Memory, shape: &IndexShape) -> u64 {
    let mut rows = 0;
    let dimension = shape.dimension as usize;
    let decoded = decode_as(file, path, shape, &ColumnMapping::default(), BUDGET, &mut |batch| {
        assert_eq!(batch.first_row, rows);
        let column = batch.values.as_ref().unwrap();
        assert_eq!(column.values.len(), batch.rows * dimension);
        assert!(column.values.len() * 4 <= BUDGET.batch_bytes, "{} values", column.values.len());
        rows += batch.rows as u64;
    });
    if let Err(failed) = decoded {
        panic!("{path}: {}", failed.failure);
    }
    assert!(file.peak() <= HELD_BYTES_MAX, "{path}: {} bytes were held at once", file.peak());
    rows
}

#[test]
fn an_array_of_two_gigabytes_streams() {
    const ROWS: u64 = 1 << 19;
    let shape = IndexShape::dense(1024, Metric::Euclidean);
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, 1024), }}");
    let head = format!("{head:<117}\n");
    let head = [b"\x93NUMPY\x01\x00\x76\x00", head.as_bytes()].concat();
    let file = Memory::repeated(head, vec![0; 4096], ROWS);
    assert_eq!(rows("f.npy", &file, &shape), ROWS);
}

#[test]
fn half_a_gigabyte_of_lines_streams() {
    const TIMES: u64 = 4_000;
    let shape = IndexShape::dense(256, Metric::Euclidean);
    let values = vec!["0.0625"; 256].join(",");
    let line = |row: usize| format!("{{\"id\":\"row-{row}\",\"values\":[{values}]}}\n");
    let body: String = (0..75).map(line).collect();
    let file = Memory::repeated(Vec::new(), body.into_bytes(), TIMES);
    assert!(file.size() > 512 << 20, "{} bytes", file.size());
    assert_eq!(rows("f.jsonl", &file, &shape), 75 * TIMES);
}
