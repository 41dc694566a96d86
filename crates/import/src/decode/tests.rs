//! Goal: whatever a writer may have made of the import schema is read alike,
//! within bounded memory, and nothing that is damaged takes the process down.

use std::sync::Arc;

use ::parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, MapBuilder, StringBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, FixedSizeListArray, Float16Array, Float32Array,
    Float64Array, Int32Array, LargeListArray, LargeStringArray, ListArray, StringArray,
    StringViewArray, StructArray, UInt64Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};
use crossbill_core::{IndexShape, Metric};
use proptest::prelude::*;

use super::*;
use crate::testing::{
    Memory, SMALL, decode_all, ids, parquet, plain, some_vectors, sparse, strings, vectors,
};

const SHAPE: IndexShape = IndexShape::dense(4, Metric::DotProduct);

/// Everything a file holds, as plain values.
#[derive(Debug, Default, PartialEq)]
struct Read {
    ids: Vec<Option<String>>,
    values: Vec<Option<Vec<f32>>>,
    sparse: Vec<Option<(Vec<u32>, Vec<f32>)>>,
    metadata: Vec<Option<String>>,
}

fn read(bytes: Vec<u8>) -> Read {
    let mut all = Read::default();
    let mut next_row = 0;
    let file = Memory::new(bytes);
    let decoded = decode_all(&file, &SHAPE, SMALL, &mut |batch| {
        assert_eq!(batch.first_row, next_row, "batches follow one another");
        next_row += batch.rows as u64;
        for row in 0..batch.rows {
            all.ids.push(batch.ids.get(row).map(|id| id.unwrap().into_owned()));
            let dense = batch.values.as_ref().unwrap();
            all.values.push(dense.lists.range(row).map(|at| dense.values[at].to_vec()));
            if let Some(column) = &batch.sparse {
                all.sparse.push(match column.get(row) {
                    SparseRow::Absent => None,
                    SparseRow::Present(at, of) => Some((at, of)),
                    _ => panic!("a bad sparse vector"),
                });
            }
            if let Some(column) = &batch.metadata {
                all.metadata.push(match column.get(row) {
                    MetadataRow::Absent => None,
                    MetadataRow::Json(json) => Some(json.into_owned()),
                    MetadataRow::NotUtf8(_) => panic!("no UTF-8"),
                });
            }
        }
    });
    if let Err(error) = decoded {
        panic!("row group {:?}: {}", error.row_group, error.failure);
    }
    all
}

fn texts(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn every_codec_page_version_and_encoding_reads_alike() {
    let rows = 300;
    let metadata: Vec<String> = (0..rows).map(|row| format!("{{\"n\":{}}}", row % 7)).collect();
    let metadata: Vec<Option<&str>> = metadata.iter().map(|text| Some(text.as_str())).collect();
    let columns = [
        ("id", ids("p-", rows)),
        ("values", some_vectors(rows, 4)),
        ("metadata", strings(&metadata)),
    ];
    let expected = read(plain(&columns));
    assert_eq!(expected.ids.len(), rows);
    assert_eq!(expected.ids[299].as_deref(), Some("p-299"));
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    for codec in codecs {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for dictionary in [true, false] {
                let properties = WriterProperties::builder()
                    .set_compression(codec)
                    .set_writer_version(version)
                    .set_dictionary_enabled(dictionary)
                    .set_data_page_row_count_limit(64)
                    .set_write_batch_size(32)
                    .set_max_row_group_row_count(Some(128))
                    .build();
                let found = read(parquet(&columns, properties));
                assert!(found == expected, "{codec:?} {version:?} dictionary {dictionary}");
            }
        }
    }
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("values.list.item".into(), Encoding::BYTE_STREAM_SPLIT)
        .set_column_encoding("id".into(), Encoding::DELTA_BYTE_ARRAY)
        .set_column_encoding("metadata".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .build();
    assert!(read(parquet(&columns, properties)) == expected, "byte stream split and delta");
}

#[test]
fn ids_of_every_type_become_text() {
    let three = || some_vectors(3, 4);
    let words = || vec!["a", "b", "c"];
    let cases: Vec<(ArrayRef, [&str; 3])> = vec![
        (Arc::new(StringArray::from(words())), ["a", "b", "c"]),
        (Arc::new(LargeStringArray::from(words())), ["a", "b", "c"]),
        (Arc::new(StringViewArray::from(words())), ["a", "b", "c"]),
        (Arc::new(words().into_iter().collect::<DictionaryArray<Int32Type>>()), ["a", "b", "c"]),
        (Arc::new(BinaryArray::from_vec(vec![b"a", b"b", b"c"])), ["a", "b", "c"]),
        (Arc::new(Int32Array::from(vec![-1, 0, 7])), ["-1", "0", "7"]),
        (Arc::new(UInt64Array::from(vec![0, 1, u64::MAX])), ["0", "1", "18446744073709551615"]),
    ];
    for (array, expected) in cases {
        let kind = array.data_type().clone();
        let found = read(plain(&[("id", array), ("values", three())]));
        assert_eq!(found.ids, texts(&expected), "{kind}");
    }
}

#[test]
fn vectors_of_every_list_and_float_type_become_f32() {
    let field = |kind| Arc::new(Field::new("item", kind, true));
    let flat = Float32Array::from((0..8).map(|value| value as f32).collect::<Vec<_>>());
    let wide = Float64Array::from((0..8).map(f64::from).collect::<Vec<_>>());
    let half: Float16Array = (0..8_u8).map(|value| Some(half::f16::from(value))).collect();
    let offsets = || OffsetBuffer::from_lengths([4, 4]);
    let large = || OffsetBuffer::<i64>::from_lengths([4, 4]);
    let cases: Vec<ArrayRef> = vec![
        Arc::new(ListArray::new(field(DataType::Float32), offsets(), Arc::new(flat.clone()), None)),
        Arc::new(ListArray::new(field(DataType::Float64), offsets(), Arc::new(wide), None)),
        Arc::new(ListArray::new(field(DataType::Float16), offsets(), Arc::new(half), None)),
        Arc::new(LargeListArray::new(
            field(DataType::Float32),
            large(),
            Arc::new(flat.clone()),
            None,
        )),
        Arc::new(FixedSizeListArray::new(field(DataType::Float32), 4, Arc::new(flat), None)),
    ];
    for array in cases {
        let kind = array.data_type().clone();
        let found = read(plain(&[("id", ids("", 2)), ("values", array)]));
        let expected = vec![Some(vec![0., 1., 2., 3.]), Some(vec![4., 5., 6., 7.])];
        assert_eq!(found.values, expected, "{kind}");
    }
}

#[test]
fn null_lists_ragged_lists_and_null_components_are_kept_apart() {
    let rows =
        [Some(vec![Some(1.), Some(2.)]), None, Some(vec![]), Some(vec![Some(3.), None, Some(5.)])];
    let bytes = plain(&[("id", ids("", 4)), ("values", vectors(&rows))]);
    let mut ranges = Vec::new();
    let decoded = decode_all(&Memory::new(bytes), &SHAPE, SMALL, &mut |batch| {
        let column = batch.values.unwrap();
        for row in 0..batch.rows {
            let range = column.lists.range(row);
            ranges.push(range.map(|range| (range.len(), column.first_null(&range))));
        }
    });
    assert!(decoded.is_ok());
    assert_eq!(ranges, [Some((2, None)), None, Some((0, None)), Some((3, Some(1)))]);
}

#[test]
fn sparse_indices_and_values_of_every_type_are_read() {
    let list = |kind: &DataType| DataType::List(Arc::new(Field::new("item", kind.clone(), true)));
    let indices: Vec<ArrayRef> = vec![
        Arc::new(arrow_array::UInt32Array::from(vec![5, 9, 1])),
        Arc::new(Int32Array::from(vec![5, 9, 1])),
        Arc::new(arrow_array::Int64Array::from(vec![5, 9, 1])),
    ];
    let values: Vec<ArrayRef> = vec![
        Arc::new(Float32Array::from(vec![0.5, 1.5, 2.5])),
        Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5])),
    ];
    for index in &indices {
        for value in &values {
            let fields = Fields::from(vec![
                Field::new("indices", list(index.data_type()), true),
                Field::new("values", list(value.data_type()), true),
            ]);
            let part = |array: &ArrayRef| {
                let item = Arc::new(Field::new("item", array.data_type().clone(), true));
                let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
                Arc::new(ListArray::new(item, offsets, Arc::clone(array), None)) as ArrayRef
            };
            let nulls = vec![true, false, true].into();
            let array = StructArray::new(fields, vec![part(index), part(value)], Some(nulls));
            let columns = [
                ("id", ids("", 3)),
                ("values", some_vectors(3, 4)),
                ("sparse_values", Arc::new(array) as ArrayRef),
            ];
            let found = read(plain(&columns)).sparse;
            let expected = [Some((vec![5, 9], vec![0.5, 1.5])), None, Some((vec![1], vec![2.5]))];
            assert_eq!(found, expected, "{} {}", index.data_type(), value.data_type());
        }
    }
}

#[test]
fn structs_and_maps_become_json_objects() {
    let names = Fields::from(vec![
        Field::new("title", DataType::Utf8, true),
        Field::new("year", DataType::Int64, true),
        Field::new("price", DataType::Float64, true),
        Field::new("sold", DataType::Boolean, true),
        Field::new(
            "tags",
            DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
            true,
        ),
    ]);
    let mut title = StringBuilder::new();
    let mut year = Int64Builder::new();
    let mut price = Float64Builder::new();
    let mut sold = BooleanBuilder::new();
    let mut tags = ListBuilder::new(StringBuilder::new());
    title.append_value("a \"b\"");
    year.append_value(1999);
    price.append_value(0.1);
    sold.append_value(true);
    tags.append_value([Some("x"), Some("y")]);
    title.append_null();
    year.append_value(2000);
    price.append_null();
    sold.append_value(false);
    tags.append_null();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(title.finish()),
        Arc::new(year.finish()),
        Arc::new(price.finish()),
        Arc::new(sold.finish()),
        Arc::new(tags.finish()),
    ];
    let nested = Arc::new(StructArray::new(names, columns, None)) as ArrayRef;
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k");
    map.values().append_value("v");
    map.append(true).unwrap();
    map.append(false).unwrap();
    let base = || [("id", ids("", 2)), ("values", some_vectors(2, 4))];
    let mut columns = base().to_vec();
    columns.push(("metadata", nested));
    let expected = [
        Some(r#"{"price":0.1,"sold":true,"tags":["x","y"],"title":"a \"b\"","year":1999}"#),
        Some(r#"{"sold":false,"year":2000}"#),
    ];
    let found = read(plain(&columns)).metadata;
    assert_eq!(found.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    let mut columns = base().to_vec();
    columns.push(("metadata", Arc::new(map.finish())));
    let found = read(plain(&columns)).metadata;
    assert_eq!(
        found.iter().map(Option::as_deref).collect::<Vec<_>>(),
        [Some(r#"{"k":"v"}"#), None]
    );
}

#[test]
fn one_huge_row_group_streams_in_bounded_memory() {
    let (rows, dimension) = (60_000, 64);
    let shape = IndexShape::dense(dimension as u32, Metric::Euclidean);
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(64 << 10)
        .set_write_batch_size(128)
        .build();
    let columns = [("id", ids("row-", rows)), ("values", some_vectors(rows, dimension))];
    let bytes = parquet(&columns, properties);
    let (total, file) = (bytes.len(), Memory::new(bytes));
    let budget = DecodeBudget { batch_bytes: 256 << 10, block_bytes: 1 << 20 };
    let (mut seen, mut batches) = (0, 0);
    let decoded = decode_all(&file, &shape, budget, &mut |batch| {
        let held = batch.values.as_ref().map_or(0, |column| column.values.len() * 4);
        assert!(held <= budget.batch_bytes, "a batch of {held} bytes");
        seen += batch.rows;
        batches += 1;
    });
    assert!(decoded.is_ok());
    assert_eq!(seen, rows);
    assert!(batches > 50, "{batches} batches");
    assert!(total > 15 << 20, "the file has {total} bytes");
    assert!(file.peak() < 3 << 20, "{} of {total} bytes were held at once", file.peak());
    let read: u64 = file.reads.lock().unwrap().iter().map(|range| range.end - range.start).sum();
    assert!(read < total as u64 * 5 / 4, "{read} bytes were read of {total}");
}

#[test]
fn a_page_that_unpacks_to_more_than_it_says_is_refused() {
    // Gzip of 8 MiB of the same vector: the page says so, the footer says so;
    // then the page's header is made to claim less.
    let rows = vec![Some(vec![Some(1.0_f32); 4]); 1000];
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .set_dictionary_enabled(false)
        .build();
    let columns = [("id", ids("", 1000)), ("values", vectors(&rows))];
    let mut bytes = parquet(&columns, properties);
    let metadata = crate::source::read_footer(&Memory::new(bytes.clone())).unwrap();
    let (start, _) = metadata.row_group(0).column(1).byte_range();
    let head = &bytes[start as usize..];
    // Fields 1 (type, one byte) and 2 (unpacked bytes, a varint).
    assert_eq!((head[0], head[2]), (0x15, 0x15));
    bytes[start as usize + 3] &= 0xc0;
    let failed = decode_all(&Memory::new(bytes), &SHAPE, SMALL, &mut |_| {}).err().unwrap();
    let message = failed.failure.to_string();
    assert!(message.contains("unpacks to"), "{message}");
    assert_eq!(failed.row_group, Some(0));
}

#[test]
fn files_that_are_no_parquet_say_what_was_found() {
    let good = plain(&[("id", ids("", 3)), ("values", some_vectors(3, 4))]);
    let mut long_footer = good.clone();
    let at = long_footer.len() - 8;
    long_footer[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let mut encrypted = good.clone();
    encrypted[at + 4..].copy_from_slice(b"PARE");
    let mut broken_footer = good.clone();
    broken_footer[at - 20..at].fill(0xff);
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (vec![], codes::FILE_NOT_PARQUET, "0 bytes"),
        (b"{\"a\": 1, \"b\": 2}".to_vec(), codes::FILE_NOT_PARQUET, "expected \"PAR1\""),
        (good[..good.len() - 5].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        (long_footer, codes::FILE_TRUNCATED, "2147483647 bytes"),
        (encrypted, codes::FILE_ENCRYPTED, "encrypted"),
        (broken_footer, codes::FILE_DECODE, "footer is damaged"),
    ];
    for (bytes, code, text) in cases {
        let failed = decode_all(&Memory::new(bytes), &SHAPE, SMALL, &mut |_| {}).err().unwrap();
        let (found, reason) = failed.failure.of_the_file().unwrap();
        assert_eq!(found, code, "{reason}");
        assert!(reason.contains(text), "{reason}");
    }
}

#[test]
fn a_page_that_claims_too_much_is_refused_before_it_is_unpacked() {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false)
        .build();
    let vector = Some(vec![Some(1.0_f32); 4]);
    let columns = [("id", ids("", 70_000)), ("values", vectors(&vec![vector; 70_000]))];
    let mut bytes = parquet(&columns, properties);
    let metadata = crate::source::read_footer(&Memory::new(bytes.clone())).unwrap();
    let (start, _) = metadata.row_group(0).column(1).byte_range();
    let head = &bytes[start as usize..];
    // Field 2 (unpacked bytes) is a varint of three bytes: it and the field
    // behind it make room for one of five, 2^31 - 2 zigzagged.
    assert_eq!((head[0], head[2], head[6]), (0x15, 0x15, 0x15));
    let at = start as usize + 3;
    let end = at + 3;
    let packed_end = end + 1 + bytes[end + 1..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    let packed = bytes[end..=packed_end].to_vec();
    let mut changed = vec![0xfc, 0xff, 0xff, 0xff, 0x0f];
    changed.extend(packed);
    // The page's header grows by two bytes; what is behind it moves over the
    // page's last bytes.
    let page_end = start as usize + 4000;
    bytes.copy_within(packed_end + 1..page_end - 2, packed_end + 3);
    bytes[at..at + changed.len()].copy_from_slice(&changed);
    let failed = decode_all(&Memory::new(bytes), &SHAPE, SMALL, &mut |_| {}).err().unwrap();
    let (code, reason) = failed.failure.of_the_file().unwrap();
    assert_eq!(code, codes::FILE_LIMIT, "{reason}");
    assert!(reason.contains("2147483646 bytes unpacked, expected at most 268435456"), "{reason}");
}

/// A valid file of several row groups and all columns.
fn victim(codec: Compression) -> Vec<u8> {
    let rows = 120;
    let metadata = vec![Some(r#"{"genre":"drama","year":2020}"#); rows];
    let entries =
        vec![Some((Some(vec![Some(1), Some(7)]), Some(vec![Some(0.5), Some(2.0)]))); rows];
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(50))
        .build();
    let columns = [
        ("id", ids("victim-", rows)),
        ("values", some_vectors(rows, 4)),
        ("sparse_values", sparse(&entries)),
        ("metadata", strings(&metadata)),
    ];
    parquet(&columns, properties)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_never_panic(
        codec in prop_oneof![
            Just(Compression::UNCOMPRESSED),
            Just(Compression::SNAPPY),
            Just(Compression::GZIP(GzipLevel::default())),
            Just(Compression::ZSTD(ZstdLevel::default())),
        ],
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in proptest::option::of(any::<prop::sample::Index>()),
        tail in any::<bool>(),
    ) {
        let mut bytes = victim(codec);
        for (place, value) in flips {
            let at = place.index(bytes.len());
            bytes[at] ^= value;
        }
        if let Some(keep) = keep {
            let length = keep.index(bytes.len());
            // With its tail kept, the footer is found and points astray.
            if tail {
                bytes.drain(..length.min(bytes.len() - 12));
            } else {
                bytes.truncate(length);
            }
        }
        let mut rows = 0;
        let decoded = decode_all(&Memory::new(bytes), &SHAPE, SMALL, &mut |batch| {
            for row in 0..batch.rows {
                let _ = (batch.ids.get(row), batch.sparse.as_ref().map(|column| column.get(row)));
                let _ = batch.metadata.as_ref().map(|column| column.get(row));
            }
            rows += batch.rows as u64;
        });
        if let Err(failed) = decoded {
            prop_assert_eq!(failed.rows_done, rows);
        }
    }
}

/// A column chunk whose bytes stand for far more: what a batch may take is
/// held by smaller batches, and by refusing what no batch can hold.
#[test]
fn bombs_stay_within_their_bounds() {
    let rows = 20_000;
    // All values in the first rows, none in the others: the average misleads.
    let crowd = |row: usize| Some(vec![Some(1.0); if row < 40 { 20_000 } else { 0 }]);
    let values = vectors(&(0..rows).map(crowd).collect::<Vec<_>>());
    // One text of a megabyte, a thousand times.
    let big = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    let metadata: Vec<_> = (0..rows).map(|row| (row < 1000).then_some(big.as_str())).collect();
    let metadata = strings(&metadata);
    let columns = || {
        vec![
            ("id", ids("", rows)),
            ("values", Arc::clone(&values)),
            ("metadata", Arc::clone(&metadata)),
        ]
    };
    let zstd = || {
        WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_page_size_limit(8 << 20)
    };
    let budget = DecodeBudget { batch_bytes: 1 << 20, block_bytes: 1 << 20 };
    let delta = zstd()
        .set_column_dictionary_enabled("metadata".into(), false)
        .set_column_encoding("metadata".into(), Encoding::DELTA_BYTE_ARRAY);
    for (properties, version) in [
        (zstd(), WriterVersion::PARQUET_1_0),
        (zstd(), WriterVersion::PARQUET_2_0),
        (delta, WriterVersion::PARQUET_2_0),
    ] {
        let bytes = parquet(&columns(), properties.set_writer_version(version).build());
        assert!(bytes.len() < 4 << 20, "the file has {} bytes", bytes.len());
        let (mut next, mut largest) = (0, 0);
        let decoded = decode_all(&Memory::new(bytes), &SHAPE, budget, &mut |batch| {
            assert_eq!(batch.first_row, next);
            let held = batch.values.as_ref().map_or(0, |column| column.values.len() * 4);
            largest = largest.max(held);
            let text: usize = (0..batch.rows)
                .filter(|row| {
                    let column = batch.metadata.as_ref().unwrap();
                    matches!(column.get(*row), MetadataRow::Json(json) if json.len() > 1 << 20)
                })
                .count();
            assert_eq!(text as u64, 1000_u64.saturating_sub(next).min(batch.rows as u64));
            assert_eq!(batch.ids.get(0).unwrap().unwrap(), next.to_string());
            next += batch.rows as u64;
        });
        if let Err(failed) = decoded {
            panic!("{}", failed.failure);
        }
        assert_eq!(next, rows as u64);
        assert!(largest <= 8 << 20, "a batch of {largest} bytes of values");
    }
}

#[test]
fn a_row_that_no_batch_can_hold_ends_the_file() {
    let mut rows = vec![Some(vec![Some(1.0_f32); 17 << 20])];
    rows.extend(std::iter::repeat_n(Some(vec![Some(2.0); 4]), 9));
    let columns = [("id", ids("", 10)), ("values", vectors(&rows))];
    let failed = decode_all(&Memory::new(plain(&columns)), &SHAPE, SMALL, &mut |_| {});
    let (code, reason) = failed.err().unwrap().failure.of_the_file().unwrap();
    assert_eq!(code, codes::FILE_LIMIT);
    assert!(reason.starts_with("it is damaged: 1 rows of it take more than"), "{reason}");
}
