//! Goal: however full vectors are kept, a segment gives back what was pushed
//! and finds what is nearest to it. Method: records rounded as they are when
//! they are accepted, against the plain model over the same records; scores
//! may differ in the last bits, since the sums are made in another order.

use super::answers::{clustered, nearest};
use super::*;
use crate::segment::SegmentQuery;
use crate::segment::facts::Facts;
use crate::{Effort, Scored};

const ENCODED: [VectorStorage; 3] = [VectorStorage::F16, VectorStorage::Bf16, VectorStorage::Int8];

fn rounded(mut records: Vec<Record>, storage: VectorStorage) -> Vec<Record> {
    records.iter_mut().for_each(|record| storage.round(&mut record.values));
    records
}

#[test]
fn accepted_records_read_back_to_the_bit() {
    let mut rng = Seed(3).rng();
    for shape in shapes() {
        for storage in ENCODED {
            if shape.vector_type == VectorType::Sparse {
                continue;
            }
            let shape = shape.stored_as(storage);
            let records = rounded(random_records(&mut rng, &shape, 90), storage);
            let segment = open(&build(shape, 20, &records, 13, 2)).unwrap();
            segment.verify().unwrap();
            assert_eq!(segment.shape(), &shape);
            for (record, row) in records.iter().zip(0..) {
                assert_eq!(&segment.record(row), record, "{storage:?}");
            }
        }
    }
}

#[test]
fn vectors_take_the_bytes_of_their_encoding() {
    let mut rng = Seed(3).rng();
    let plain = IndexShape::dense(768, Metric::Cosine);
    let records = random_records(&mut rng, &plain, 40);
    let length = |storage| build(plain.stored_as(storage), 100, &records, 40, 1).len();
    let saved = |storage| length(VectorStorage::F32) - length(storage);
    assert_eq!(saved(VectorStorage::F16), 40 * 768 * 2);
    assert_eq!(saved(VectorStorage::Bf16), 40 * 768 * 2);
    assert_eq!(saved(VectorStorage::Int8), 40 * (768 * 3 - 4) / 64 * 64);
}

/// The part of the 10 nearest of the rounded records that is found.
fn recall(shape: IndexShape, exact_rows_max: u32, hybrid: bool) -> f64 {
    let mut rng = Seed(31).rng();
    let records = rounded(clustered(&mut rng, &shape, 3000), shape.storage);
    let segment = open(&build(shape, exact_rows_max, &records, 999, 2)).unwrap();
    let mut found_count = 0;
    for _ in 0..30 {
        let mut dense = records[rng.below(3000) as usize].values.clone();
        dense.iter_mut().for_each(|value| *value += 0.3 * rng.normal_f32());
        let sparse = random_sparse(&mut rng);
        let query = SegmentQuery {
            dense: Some(&dense),
            sparse: hybrid.then_some(&sparse),
            top_k: 10,
            effort: Effort::Recall(0.95),
        };
        let none = RoaringBitmap::new();
        let (found, _) = segment.search(&query, &none, None);
        let all = SegmentQuery { top_k: 3000, ..query };
        let expected = nearest(&shape, &records, &all, &none, None);
        for Scored { row, score } in &found {
            let model = expected.iter().find(|scored| scored.row == *row).unwrap();
            assert!((model.score - score).abs() <= 1e-4 * (1.0 + score.abs()), "{shape:?}");
        }
        let is_near = |scored: &&Scored| expected[..10].iter().any(|near| near.row == scored.row);
        found_count += found.iter().filter(is_near).count();
    }
    found_count as f64 / 300.0
}

#[test]
fn searches_find_what_is_nearest_among_encoded_vectors() {
    for storage in ENCODED {
        for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
            let shape = IndexShape::dense(20, metric).stored_as(storage);
            let scanned = recall(shape, u32::MAX, false);
            assert!(scanned > 0.995, "{shape:?}: {scanned}");
            let indexed = recall(shape, 500, false);
            assert!(indexed >= 0.93, "{shape:?}: {indexed}");
        }
        let shape = IndexShape::dense(20, Metric::DotProduct).stored_as(storage);
        let hybrid = recall(shape, 500, true);
        assert!(hybrid >= 0.93, "{shape:?}: {hybrid}");
    }
}

/// Whatever part of the vectors is read in the map, answers are the same.
#[test]
fn vectors_answer_alike_wherever_they_are_read() {
    let mut rng = Seed(5).rng();
    let only: RoaringBitmap = (0..900).filter(|row| row % 10 < 7).collect();
    for storage in VectorStorage::ALL {
        for (exact_rows_max, sparse) in [(u32::MAX, false), (100, false), (100, true)] {
            let shape = IndexShape::dense(12, Metric::DotProduct).stored_as(storage);
            let records = rounded(clustered(&mut rng, &shape, 900), storage);
            let mut segment = open(&build(shape, exact_rows_max, &records, 99, 2)).unwrap();
            let (dense, terms) = (random_dense(&mut rng, 12), random_sparse(&mut rng));
            let query = SegmentQuery {
                dense: Some(&dense),
                sparse: sparse.then_some(&terms),
                top_k: 10,
                effort: Effort::Recall(0.99),
            };
            let answers = |segment: &Segment| {
                let none = RoaringBitmap::new();
                let found = segment.search(&query, &none, None);
                (found, search(segment, &query, &none, Some(&only)), segment.record(899))
            };
            let expected = answers(&segment);
            for rows in [0, 450, 899, 900] {
                segment.set_resident_vectors(rows * shape.row_bytes() as u64);
                assert_eq!(answers(&segment), expected, "{storage:?} {rows}");
            }
        }
    }
}

#[test]
fn an_unknown_encoding_is_refused() {
    let shape = IndexShape::dense(4, Metric::Euclidean).stored_as(VectorStorage::Int8);
    let facts = Facts {
        shape,
        rows: 1,
        live_rows: 1,
        options: SegmentOptions { seed: Seed(1), exact_rows_max: 1 },
    };
    let mut bytes = facts.to_bytes();
    assert_eq!(Facts::from_bytes(&bytes).unwrap(), facts);
    bytes[2] = 4;
    let message = Facts::from_bytes(&bytes).unwrap_err().to_string();
    assert!(message.contains("vector storage 4") && message.contains("0 to 3"), "{message}");
}
