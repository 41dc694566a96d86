//! Goal: row groups of any size and files of several GB import in the memory
//! that an import is given.
//!
//! Method: files are written here from code and imported by the real planner
//! and runner; the peak of the process's memory is read after each. Few ids
//! are distinct, so that little is stored of much that is read.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Int64Array, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use crossbill_core::{IndexShape, Metric};
use crossbill_import::ImportSettings;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter,
};

use crate::make::{Columns, batch, parquet_as, writer};
use crate::run::{Done, MEMORY_BYTES, Peak, Place};
use crate::{GROWTH_MIB_MAX, alone};

const DISTINCT_IDS: i64 = 1000;
/// Bytes of a hole in a sparse file.
const BLOCK_BYTES: usize = 4096;

/// Integer ids that repeat.
fn few_ids(rows: std::ops::Range<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.map(|row| row % DISTINCT_IDS)))
}

/// `count` vectors of `dimension` components that are all `value`.
fn same_vectors(count: usize, dimension: usize, value: f32) -> ArrayRef {
    let values: ArrayRef = Arc::new(Float32Array::from(vec![value; count * dimension]));
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(dimension, count));
    Arc::new(ListArray::new(item, offsets, values, None))
}

/// Imports what `place` holds within the bound of memory.
fn import(place: &Place, dimension: u32, segment_rows: u32) -> Done {
    let shape = IndexShape::dense(dimension, Metric::Euclidean);
    let settings = ImportSettings { segment_rows, ..ImportSettings::new(1, MEMORY_BYTES) };
    let peak = Peak::begin();
    let done = place.import(shape, settings);
    let growth = peak.growth_mib();
    assert!(growth <= GROWTH_MIB_MAX, "memory grew by {growth} MiB");
    assert_eq!(done.first, None);
    done
}

/// Rows that were read, and that each is accounted for.
fn rows_of(done: &Done) -> u64 {
    let counts = done.outcomes.iter().map(|outcome| &outcome.counts);
    counts
        .inspect(|one| assert_eq!(one.read, one.imported + one.superseded))
        .map(|one| one.read)
        .sum()
}

#[test]
fn a_row_group_of_five_million_rows_is_one_task_of_bounded_memory() {
    const ROWS: i64 = 5_000_000;
    let _alone = alone();
    let place = Place::new();
    let part = |first: i64| -> Columns<'static> {
        let rows = first..first + ROWS / 50;
        let count = (ROWS / 50) as usize;
        vec![("id", few_ids(rows)), ("values", same_vectors(count, 2, 0.5))]
    };
    let properties = writer().set_max_row_group_row_count(Some(ROWS as usize)).build();
    let file = File::create(place.path("f.parquet")).unwrap();
    let mut out = ArrowWriter::try_new(file, batch(&part(0)).schema(), Some(properties)).unwrap();
    for number in 0..50 {
        out.write(&batch(&part(number * ROWS / 50))).unwrap();
    }
    let written = out.close().unwrap();
    assert_eq!(written.num_row_groups(), 1);
    let done = import(&place, 2, 1 << 20);
    assert_eq!((done.outcomes.len(), rows_of(&done)), (1, ROWS as u64));
}

#[test]
fn row_groups_of_ten_rows_are_gathered_into_tasks() {
    const GROUPS: i64 = 20_000;
    let _alone = alone();
    let place = Place::new();
    let rows = GROUPS as usize * 10;
    let columns = vec![("id", few_ids(0..GROUPS * 10)), ("values", same_vectors(rows, 2, 0.5))];
    let properties = writer().set_max_row_group_row_count(Some(10));
    place.write("f.parquet", &parquet_as(&columns, properties));
    let done = import(&place, 2, 1 << 20);
    assert_eq!((done.outcomes.len(), rows_of(&done)), (1, rows as u64));
}

/// Writes `bytes` at `at` and leaves holes where they are zeros.
fn write_sparse(file: &mut File, at: u64, bytes: &[u8]) {
    for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(at + (number * BLOCK_BYTES) as u64)).unwrap();
            file.write_all(block).unwrap();
        }
    }
}

/// A file of one row group whose columns have the pages of `bytes` so many
/// times over: as large as a disk's file may look, and hardly there.
fn write_repeated(file: &mut File, bytes: &[u8], times: u64) -> u64 {
    let end = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes[end - length..end]).unwrap();
    let group = &metadata.row_groups()[0];
    let mut at = 4;
    file.write_all(b"PAR1").unwrap();
    let mut columns: Vec<ColumnChunkMetaData> = Vec::new();
    for column in group.columns() {
        let (start, length) = column.byte_range();
        let pages = &bytes[start as usize..(start + length) as usize];
        for number in 0..times {
            write_sparse(file, at + number * length, pages);
        }
        let times = times as i64;
        let repeated = column
            .clone()
            .into_builder()
            .set_data_page_offset(at as i64)
            .set_total_compressed_size(column.compressed_size() * times)
            .set_total_uncompressed_size(column.uncompressed_size() * times)
            .set_num_values(column.num_values() * times);
        columns.push(repeated.build().unwrap());
        at += length * times as u64;
    }
    let rows = group.num_rows() * times as i64;
    let group = group.clone().into_builder().set_num_rows(rows).set_column_metadata(columns);
    let footer =
        ParquetMetaData::new(metadata.file_metadata().clone(), vec![group.build().unwrap()]);
    file.seek(SeekFrom::Start(at)).unwrap();
    ParquetMetaDataWriter::new(&mut *file, &footer).finish().unwrap();
    at
}

#[test]
fn a_file_of_several_gigabytes_in_one_row_group_needs_no_more_memory() {
    const ROWS: usize = 8192;
    const DIMENSION: usize = 1024;
    const TIMES: u64 = 130;
    let _alone = alone();
    let place = Place::new();
    let columns =
        vec![("id", few_ids(0..ROWS as i64)), ("values", same_vectors(ROWS, DIMENSION, 0.0))];
    let bytes = parquet_as(&columns, writer());
    let mut file = File::create(place.path("f.parquet")).unwrap();
    let size = write_repeated(&mut file, &bytes, TIMES);
    assert!(size > 4 << 30, "{size} bytes");
    let done = import(&place, DIMENSION as u32, 20_000);
    assert_eq!((done.outcomes.len(), rows_of(&done)), (1, ROWS as u64 * TIMES));
}
