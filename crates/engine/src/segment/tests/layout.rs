//! The file as such: the same bytes whatever the threads and batches, kinds
//! of section from later versions, sections where they are promised, and
//! what the builder refuses and counts.

use super::*;
use crate::segment::layout::{Entry, Kind, footer, read_footer};

#[test]
fn threads_and_batches_do_not_show_in_the_bytes() {
    let mut rng = Seed(23).rng();
    for shape in shapes() {
        let records = random_records(&mut rng, &shape, 3000);
        for exact_rows_max in [u32::MAX, 1000] {
            let one = build(shape, exact_rows_max, &records, 3000, 1);
            assert!(one == build(shape, exact_rows_max, &records, 171, 4));
        }
    }
}

#[test]
fn vectors_stand_right_after_the_header() {
    let shape = IndexShape::dense(2, Metric::Euclidean);
    let records = random_records(&mut Seed(2).rng(), &shape, 3);
    let bytes = build(shape, u32::MAX, &records, 2, 1);
    let values: Vec<u8> =
        records.iter().flat_map(|r| r.values.iter().flat_map(|v| v.to_le_bytes())).collect();
    assert_eq!(&bytes[..12], b"XBILSEG\0\x01\0\0\0");
    assert_eq!(&bytes[64..64 + values.len()], values);
    let (entries, _) = read_footer(&bytes).unwrap();
    assert!(entries.iter().all(|entry| entry.offset % 64 == 0));
}

#[test]
fn blocks_of_vectors_are_hashed_apart() {
    // 3 MiB and a bit, in batches that do not end where blocks do.
    let shape = IndexShape::dense(1000, Metric::Euclidean);
    let records = random_records(&mut Seed(4).rng(), &shape, 790);
    let bytes = build(shape, u32::MAX, &records, 101, 1);
    let segment = open(&bytes).unwrap();
    segment.verify().unwrap();
    let (entries, _) = read_footer(&bytes).unwrap();
    let vectors = entries.iter().find(|entry| entry.kind == Kind::Vectors as u32).unwrap();
    let section = &bytes[vectors.offset as usize..][..vectors.length as usize];
    assert_eq!(vectors.crc, crc32c::crc32c(section));
    for at in [0, 1 << 20, (3 << 20) + 5] {
        let mut bytes = bytes.clone();
        bytes[64 + at] ^= 4;
        assert!(open(&bytes).unwrap().verify().is_err());
    }
}

#[test]
fn kinds_of_later_versions_are_passed_over() {
    let shape = IndexShape::dense(2, Metric::Euclidean);
    let records = random_records(&mut Seed(2).rng(), &shape, 9);
    let mut bytes = build(shape, u32::MAX, &records, 4, 1);
    let (mut entries, _) = read_footer(&bytes).unwrap();
    let table_at = u64::from_le_bytes(bytes[bytes.len() - 32..][..8].try_into().unwrap());
    bytes.truncate(table_at as usize);
    entries.push(Entry {
        kind: 999,
        version: 7,
        offset: table_at,
        length: 64,
        crc: crc32c::crc32c(&[9; 64]),
    });
    bytes.extend([9; 64]);
    bytes.extend(footer(&entries, table_at + 64).0);
    let segment = open(&bytes).unwrap();
    segment.verify().unwrap();
    assert_eq!(segment.record(3), records[3]);
    bytes[table_at as usize] = 8;
    assert!(open(&bytes).unwrap().verify().is_err());
}

#[test]
fn later_versions_of_a_known_section_are_refused() {
    let shape = IndexShape::dense(2, Metric::Euclidean);
    let mut bytes = build(shape, u32::MAX, &[], 4, 1);
    let (mut entries, _) = read_footer(&bytes).unwrap();
    let table_at = u64::from_le_bytes(bytes[bytes.len() - 32..][..8].try_into().unwrap());
    bytes.truncate(table_at as usize);
    entries.iter_mut().find(|entry| entry.kind == Kind::Ids as u32).unwrap().version = 3;
    bytes.extend(footer(&entries, table_at).0);
    assert_eq!(open(&bytes).unwrap_err().to_string(), "ids has format version 3, expected 1");
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let shape = IndexShape::dense(2, Metric::Cosine);
    let options = SegmentOptions { seed: Seed(1), exact_rows_max: 10 };
    let refused = |record: Record| {
        let mut batch = RecordBatch::default();
        batch.push(record);
        let mut builder = SegmentBuilder::new(shape, options, &MemoryScratch).unwrap();
        builder.push(&batch).unwrap_err().to_string()
    };
    let record = |id: &str, values: Vec<f32>, sparse: Option<SparseVector>| Record {
        id: id.to_owned(),
        values,
        sparse,
        metadata: None,
    };
    assert_eq!(refused(record("a", vec![1.0], None)), "batch has 1 values, expected 2");
    let sparse = SparseVector::new(vec![1], vec![1.0]).ok();
    assert!(refused(record("a", vec![1.0, 2.0], sparse)).contains("the metric takes none"));
    assert!(refused(record("ä", vec![1.0, 2.0], None)).contains("ASCII"));
    let infinite = MetadataValue::Number(f64::INFINITY);
    let metadata = Some(Metadata(BTreeMap::from([("n".to_owned(), infinite)])));
    let odd = Record { metadata, ..record("a", vec![1.0, 2.0], None) };
    assert!(refused(odd).contains("finite"));
}

#[test]
fn memory_held_is_counted() {
    let shape = IndexShape::dense(4, Metric::DotProduct);
    let options = SegmentOptions { seed: Seed(1), exact_rows_max: u32::MAX };
    let mut builder = SegmentBuilder::new(shape, options, &MemoryScratch).unwrap();
    let records = random_records(&mut Seed(2).rng(), &shape, 1000);
    let mut batch = RecordBatch::default();
    records.iter().for_each(|record| batch.push(record.clone()));
    let mut before = builder.memory_bytes();
    for _ in 0..20 {
        builder.push(&batch).unwrap();
        assert!(builder.memory_bytes() > before);
        before = builder.memory_bytes();
    }
    // 20 bytes a row for the order of ids alone, and the ids.
    assert!(before > 20_000 * 26 && before < 20_000 * 2000, "{before}");
}
