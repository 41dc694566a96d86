//! Parquet files whose structure is damaged, lies, or is another than the
//! schema's.

use std::sync::Arc;

use arrow_array::builder::{Float32Builder, Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, Int32Array, StringArray, StructArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Fields};
use crossbill_import::codes;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};

use crate::make::{Columns, good, good_vectors, ids, packed, parquet, parquet_as, writer};
use crate::{Case, file};

/// Where the footer of `bytes` begins.
fn footer_at(bytes: &[u8]) -> usize {
    let end = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap());
    end - length as usize
}

/// `bytes` with another footer.
fn with_footer(bytes: &[u8], footer: &[u8]) -> Vec<u8> {
    let length = (footer.len() as u32).to_le_bytes();
    [&bytes[..footer_at(bytes)], footer, &length, b"PAR1"].concat()
}

/// `bytes` whose footer says something else.
fn lying(bytes: &[u8], change: impl Fn(Vec<RowGroupMetaData>) -> Vec<RowGroupMetaData>) -> Vec<u8> {
    let start = footer_at(bytes);
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes[start..bytes.len() - 8]).unwrap();
    let groups = change(metadata.row_groups().to_vec());
    let changed = ParquetMetaData::new(metadata.file_metadata().clone(), groups);
    let mut out = bytes[..start].to_vec();
    ParquetMetaDataWriter::new(&mut out, &changed).finish().unwrap();
    out
}

fn rows(group: &RowGroupMetaData, rows: i64, values: Option<i64>) -> RowGroupMetaData {
    let columns = group.columns().iter().map(|column| match values {
        Some(values) => column.clone().into_builder().set_num_values(values).build().unwrap(),
        None => column.clone(),
    });
    let columns = columns.collect();
    group.clone().into_builder().set_num_rows(rows).set_column_metadata(columns).build().unwrap()
}

fn offset(group: &RowGroupMetaData, at: i64) -> RowGroupMetaData {
    let column = |column: &parquet::file::metadata::ColumnChunkMetaData| {
        column.clone().into_builder().set_data_page_offset(at).build().unwrap()
    };
    let columns = group.columns().iter().map(column).collect();
    group.clone().into_builder().set_column_metadata(columns).build().unwrap()
}

fn size(group: &RowGroupMetaData, bytes: i64) -> RowGroupMetaData {
    let column = |column: &parquet::file::metadata::ColumnChunkMetaData| {
        column.clone().into_builder().set_total_compressed_size(bytes).build().unwrap()
    };
    let columns = group.columns().iter().map(column).collect();
    group.clone().into_builder().set_column_metadata(columns).build().unwrap()
}

fn footers(whole: &[u8]) -> Vec<Case> {
    let end = whole.len();
    let start = footer_at(whole);
    let length = |length: u32| {
        let mut bytes = whole.to_vec();
        bytes[end - 8..end - 4].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    let mut ends = whole.to_vec();
    ends[end - 4..].copy_from_slice(b"PARE");
    let mut half = whole.to_vec();
    half[start + (end - start) / 2..end - 8].fill(0xff);
    // A list, a map and a text that claim more than there is, and structs
    // within structs.
    let list = [0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
    let map = [0x1b, 0xff, 0xff, 0xff, 0xff, 0x07, 0x55, 0x00];
    let text = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x00];
    vec![
        file("empty.parquet", vec![], codes::FILE_NOT_PARQUET, "it has 0 bytes"),
        file(
            "text.parquet",
            b"id,values\nfoo,1\n".to_vec(),
            codes::FILE_NOT_PARQUET,
            "expected \"PAR1\"",
        ),
        file("only-magic.parquet", b"PAR1PAR1".to_vec(), codes::FILE_NOT_PARQUET, "it has 8 bytes"),
        file(
            "cut-in-magic.parquet",
            whole[..3].to_vec(),
            codes::FILE_NOT_PARQUET,
            "it has 3 bytes",
        ),
        file("cut-in-page.parquet", whole[..200].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        file(
            "cut-before-footer.parquet",
            whole[..start].to_vec(),
            codes::FILE_TRUNCATED,
            "cut off",
        ),
        file("cut-in-footer.parquet", whole[..end - 20].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        file("cut-in-length.parquet", whole[..end - 6].to_vec(), codes::FILE_TRUNCATED, "cut off"),
        file(
            "cut-in-last-magic.parquet",
            whole[..end - 1].to_vec(),
            codes::FILE_TRUNCATED,
            "cut off",
        ),
        file(
            "no-head.parquet",
            whole[start..].to_vec(),
            codes::FILE_TRUNCATED,
            "expected a file of at least",
        ),
        file("encrypted.parquet", ends, codes::FILE_ENCRYPTED, "encrypted"),
        file("footer-none.parquet", length(0), codes::FILE_DECODE, "footer is damaged"),
        file(
            "footer-short.parquet",
            length((end - start) as u32 - 18),
            codes::FILE_DECODE,
            "footer is damaged",
        ),
        file(
            "footer-long.parquet",
            length(end as u32 - 11),
            codes::FILE_TRUNCATED,
            "its footer claims",
        ),
        file(
            "footer-huge.parquet",
            length(u32::MAX),
            codes::FILE_TRUNCATED,
            "claims 4294967295 bytes",
        ),
        file("footer-half.parquet", half, codes::FILE_DECODE, "footer is damaged"),
        file(
            "footer-ones.parquet",
            with_footer(whole, &[0xff; 300]),
            codes::FILE_DECODE,
            "footer is damaged",
        ),
        file(
            "footer-zeros.parquet",
            with_footer(whole, &[0; 300]),
            codes::FILE_DECODE,
            "footer is damaged",
        ),
        file(
            "footer-list.parquet",
            with_footer(whole, &list),
            codes::FILE_DECODE,
            "footer is damaged",
        ),
        file(
            "footer-map.parquet",
            with_footer(whole, &map),
            codes::FILE_DECODE,
            "footer is damaged",
        ),
        file(
            "footer-text.parquet",
            with_footer(whole, &text),
            codes::FILE_DECODE,
            "footer is damaged",
        ),
        // Groups within groups, and a column that says that it holds two
        // billion: field 2, a list of structs whose field 5 is an i32.
        file(
            "schema-deep.parquet",
            with_footer(
                whole,
                &[&[0x29, 0xfc, 0xd0, 0x0f][..], &[0x55, 0x02, 0x00].repeat(2000), &[0]].concat(),
            ),
            codes::FILE_DECODE,
            "its schema is nested too deep",
        ),
        file(
            "schema-children.parquet",
            with_footer(whole, &[0x29, 0x1c, 0x55, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x00]),
            codes::FILE_DECODE,
            "its schema claims more columns than it has",
        ),
        file(
            "schema-wide.parquet",
            with_footer(
                whole,
                &[&[0x29, 0xfc, 0xa0, 0x8d, 0x06][..], &[0x00].repeat(100_000), &[0]].concat(),
            ),
            codes::FILE_LIMIT,
            "a list of 100000 entries, expected at most 65536",
        ),
        // Seven booleans, in whose bytes the decoder would see two billion.
        file(
            "footer-booleans.parquet",
            with_footer(whole, &[0xb9, 0x71, 0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07].repeat(100)),
            codes::FILE_DECODE,
            "a list of booleans",
        ),
        file(
            "footer-deep.parquet",
            with_footer(whole, &[0xbc; 100_000]),
            codes::FILE_DECODE,
            "nested too deep",
        ),
    ]
}

fn claims(whole: &[u8]) -> Vec<Case> {
    let lie = |change: fn(&RowGroupMetaData) -> RowGroupMetaData| {
        lying(whole, |groups| groups.iter().map(change).collect())
    };
    vec![
        file(
            "rows-negative.parquet",
            lie(|group| rows(group, -5, None)),
            codes::FILE_DECODE,
            "claims -5 rows",
        ),
        file(
            "rows-more-than-values.parquet",
            lie(|group| rows(group, 400, None)),
            codes::FILE_DECODE,
            "claims 400 rows, but 300 values",
        ),
        file(
            "rows-fewer.parquet",
            lie(|group| rows(group, 200, None)),
            codes::FILE_DECODE,
            "damaged",
        ),
        file(
            "values-negative.parquet",
            lie(|group| rows(group, 300, Some(-1))),
            codes::FILE_DECODE,
            "damaged",
        ),
        file(
            "values-huge.parquet",
            lie(|group| rows(group, 1 << 40, Some(1 << 42))),
            codes::FILE_DECODE,
            "damaged",
        ),
        file(
            "values-few.parquet",
            lie(|group| rows(group, 300, Some(300))),
            codes::FILE_DECODE,
            "more than its column has",
        ),
        file(
            "rows-overflow.parquet",
            lying(whole, |groups| {
                let group = rows(&groups[0], i64::MAX, Some(i64::MAX));
                vec![size(&group, 1), size(&group, 1)]
            }),
            codes::FILE_DECODE,
            "more rows than can be counted",
        ),
        file(
            "offset-beyond.parquet",
            lie(|group| offset(group, 1 << 40)),
            codes::FILE_DECODE,
            "but the data ends at",
        ),
        file(
            "offset-negative.parquet",
            lie(|group| offset(group, -1)),
            codes::FILE_DECODE,
            "damaged",
        ),
        file(
            "size-beyond.parquet",
            lie(|group| size(group, 1 << 40)),
            codes::FILE_DECODE,
            "but the data ends at",
        ),
        file("size-negative.parquet", lie(|group| size(group, -1)), codes::FILE_DECODE, "damaged"),
        file("size-none.parquet", lie(|group| size(group, 0)), codes::FILE_DECODE, "damaged"),
        file(
            "groups-on-top.parquet",
            lying(whole, |groups| vec![groups[0].clone(); 1000]),
            codes::FILE_DECODE,
            "on top of each other",
        ),
    ]
}

fn pages() -> Vec<Case> {
    let codecs = [
        ("page-none.parquet", Compression::UNCOMPRESSED),
        ("page-snappy.parquet", Compression::SNAPPY),
        ("page-gzip.parquet", Compression::GZIP(GzipLevel::default())),
        ("page-brotli.parquet", Compression::BROTLI(BrotliLevel::default())),
        ("page-zstd.parquet", Compression::ZSTD(ZstdLevel::default())),
        ("page-lz4.parquet", Compression::LZ4_RAW),
    ];
    let spoiled = codecs.map(|(name, codec)| {
        let mut bytes = packed(300, codec);
        // Behind the header of the first page.
        let end = footer_at(&bytes).min(1000);
        bytes[60..end].fill(0xa5);
        file(name, bytes, codes::FILE_DECODE, "damaged")
    });
    let mut headless = packed(300, Compression::SNAPPY);
    headless[4..30].fill(0xff);
    let mut cases = Vec::from(spoiled);
    cases.push(file("page-head.parquet", headless, codes::FILE_DECODE, "page header at byte 4"));
    let lzo = lying(&packed(300, Compression::UNCOMPRESSED), |groups| {
        let columns = groups[0].columns().iter().map(|column| {
            column.clone().into_builder().set_compression(Compression::LZO).build().unwrap()
        });
        let columns = columns.collect();
        vec![groups[0].clone().into_builder().set_column_metadata(columns).build().unwrap()]
    });
    cases.push(file("page-lzo.parquet", lzo, codes::FILE_DECODE, "LZO"));
    cases.push(file("page-lz4-frame.parquet", lz4_frame(), codes::FILE_DECODE, "not as frames"));
    cases
}

/// A sound file but that the page of vectors is packed as an LZ4 frame, under
/// the name of the codec for which Hadoop has another framing.
fn lz4_frame() -> Vec<u8> {
    let plain = packed(300, Compression::UNCOMPRESSED);
    let metadata =
        ParquetMetaDataReader::decode_metadata(&plain[footer_at(&plain)..plain.len() - 8]).unwrap();
    let group = &metadata.row_groups()[0];
    let (start, length) = group.column(1).byte_range();
    let chunk = &plain[start as usize..(start + length) as usize];
    // Fields 1 (type), 2 (unpacked bytes), 3 (packed bytes): here the same,
    // zigzag varints of two bytes.
    assert_eq!((chunk[0], chunk[2], chunk[5]), (0x15, 0x15, 0x15));
    assert_eq!(chunk[3..5], chunk[6..8]);
    let number = (u64::from(chunk[3]) & 0x7f) | (u64::from(chunk[4]) << 7);
    let (head, page) = chunk.split_at(chunk.len() - (number / 2) as usize);
    // One block that is stored as it is, and the mark of the end.
    let block = 0x8000_0000_u32 | page.len() as u32;
    let frame =
        [&[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82][..], &block.to_le_bytes(), page, &[0; 4]]
            .concat();
    let mut head = head.to_vec();
    let number = 2 * frame.len() as u64;
    head[6..8].copy_from_slice(&[(number & 0x7f) as u8 | 0x80, (number >> 7) as u8]);
    let chunk = [head, frame].concat();
    let column = group.column(1).clone().into_builder();
    let column = column
        .set_compression(Compression::LZ4)
        .set_total_compressed_size(chunk.len() as i64)
        .build()
        .unwrap();
    let columns = vec![group.column(0).clone(), column];
    let group = group.clone().into_builder().set_column_metadata(columns).build().unwrap();
    let changed = ParquetMetaData::new(metadata.file_metadata().clone(), vec![group]);
    let mut out = [&plain[..start as usize], &chunk].concat();
    ParquetMetaDataWriter::new(&mut out, &changed).finish().unwrap();
    out
}

fn schemas() -> Vec<Case> {
    let integers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3]));
    let mut whole_numbers = ListBuilder::new(Int32Builder::new());
    let mut nested = ListBuilder::new(ListBuilder::new(Float32Builder::new()));
    for _ in 0..3 {
        whole_numbers.append_value([Some(1); 4]);
        nested.values().append_value([Some(1.0)]);
        nested.append(true);
    }
    let pair: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("indices", DataType::Int32, true)),
        Arc::clone(&integers),
    )]));
    let deep: ArrayRef = Arc::new(
        StructArray::try_new(
            Fields::from(vec![Field::new("a", pair.data_type().clone(), true)]),
            vec![Arc::clone(&pair)],
            None,
        )
        .unwrap(),
    );
    let of = |columns: Columns<'_>| parquet(&columns);
    let with = |name: &'static str, array: &ArrayRef| {
        let mut columns = good(3);
        match columns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = Arc::clone(array),
            None => columns.push((name, Arc::clone(array))),
        }
        parquet(&columns)
    };
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1,2", "3,4", "5,6"]));
    let schema = codes::FILE_SCHEMA;
    vec![
        file(
            "no-id.parquet",
            of(vec![("values", good_vectors(3))]),
            schema,
            "lacks the column \"id\"",
        ),
        file("no-values.parquet", of(vec![("id", ids(3))]), schema, "lacks the column \"values\""),
        file(
            "other-names.parquet",
            of(vec![("_id", ids(3)), ("emb", good_vectors(3))]),
            schema,
            "--columns id=_id,values=emb",
        ),
        file(
            "id-twice.parquet",
            of(vec![("id", ids(3)), ("id", ids(3)), ("values", good_vectors(3))]),
            schema,
            "the column \"id\" twice",
        ),
        file(
            "id-list.parquet",
            with("id", &good_vectors(3)),
            schema,
            "column \"id\" is a list of float",
        ),
        file("id-time.parquet", with("id", &times), schema, "column \"id\" is timestamp"),
        file("values-text.parquet", with("values", &texts), schema, "column \"values\" is string"),
        file(
            "values-integers.parquet",
            with("values", &(Arc::new(whole_numbers.finish()) as ArrayRef)),
            schema,
            "a list of int32",
        ),
        file(
            "values-nested.parquet",
            with("values", &(Arc::new(nested.finish()) as ArrayRef)),
            schema,
            "a list of a list of float",
        ),
        file(
            "metadata-integer.parquet",
            with("metadata", &integers),
            schema,
            "column \"metadata\" is int32",
        ),
        file(
            "metadata-nested.parquet",
            with("metadata", &deep),
            schema,
            "column \"metadata\" is a struct",
        ),
        file(
            "sparse-shape.parquet",
            with("sparse_values", &pair),
            schema,
            "column \"sparse_values\" is a struct",
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let whole = parquet(&good(300));
    [footers(&whole), claims(&whole), pages(), schemas()].into_iter().flatten().collect()
}

/// Pages that say honestly that they unpack to too much.
pub(crate) fn bombs() -> Vec<Case> {
    let text = "x".repeat(257 << 20);
    let codecs = [
        ("bomb-snappy.parquet", Compression::SNAPPY),
        ("bomb-gzip.parquet", Compression::GZIP(GzipLevel::try_new(1).unwrap())),
        ("bomb-brotli.parquet", Compression::BROTLI(BrotliLevel::try_new(1).unwrap())),
        ("bomb-zstd.parquet", Compression::ZSTD(ZstdLevel::try_new(1).unwrap())),
        ("bomb-lz4.parquet", Compression::LZ4_RAW),
    ];
    let bomb = |(name, codec)| {
        let metadata: ArrayRef = Arc::new(StringArray::from(vec![text.as_str()]));
        let columns = vec![("id", ids(1)), ("values", good_vectors(1)), ("metadata", metadata)];
        let bytes = parquet_as(&columns, writer().set_compression(codec));
        file(name, bytes, codes::FILE_LIMIT, "bytes unpacked, expected at most 268435456")
    };
    codecs.map(bomb).into_iter().collect()
}
