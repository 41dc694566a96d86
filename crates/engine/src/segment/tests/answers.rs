//! Goal: a segment answers as the plain model does. Method: random records
//! from a seed (ids repeat, some without metadata or sparse vectors), and for
//! each question the answer is worked out from the list of records.

use proptest::prelude::*;

use super::*;
use crate::{Effort, Scored, TopK, exact, kernels};

const EXACT: u32 = u32::MAX;

proptest! {
    #[test]
    fn records_and_ids_read_back(seed in any::<u64>(), rows in 0_usize..80, batch in 1_usize..30) {
        let mut rng = Seed(seed).rng();
        for shape in shapes() {
            let records = random_records(&mut rng, &shape, rows);
            let segment = open(&build(shape, EXACT, &records, batch, 2)).unwrap();
            segment.verify().unwrap();
            prop_assert_eq!((segment.shape(), segment.rows() as usize), (&shape, rows));
            let live = live_rows(&records);
            for (record, row) in records.iter().zip(0..) {
                prop_assert_eq!(&segment.record(row), record);
                prop_assert_eq!(segment.id(row), &record.id);
                prop_assert_eq!(&segment.vector(row), &record.values);
                prop_assert_eq!(segment.find(&record.id), Some(live[record.id.as_str()]));
                let superseded = live[record.id.as_str()] != row;
                prop_assert_eq!(segment.superseded().contains(row), superseded);
            }
            prop_assert_eq!(segment.find("absent"), None);
            prop_assert_eq!(segment.find(""), None);
            check_listing(&segment, &live);
        }
    }

    #[test]
    fn shared_ids_are_found(seed in any::<u64>(), rows in 0_usize..60, others in 0_usize..60) {
        let mut rng = Seed(seed).rng();
        let shape = IndexShape::dense(1, Metric::Euclidean);
        // The second round makes one side so long that ids are looked up.
        for factor in [1, 40] {
            let left = random_records(&mut rng, &shape, rows * factor);
            let right = random_records(&mut rng, &shape, others);
            let (a, b) = (live_rows(&left), live_rows(&right));
            let mut expected: Vec<(&str, (u32, u32))> = a
                .iter()
                .filter_map(|(id, row)| Some((*id, (*row, *b.get(id)?))))
                .collect();
            expected.sort_unstable();
            let expected: Vec<(u32, u32)> = expected.into_iter().map(|(_, rows)| rows).collect();
            let a = open(&build(shape, EXACT, &left, 50, 1)).unwrap();
            let b = open(&build(shape, EXACT, &right, 50, 1)).unwrap();
            prop_assert_eq!(a.common_ids(&b), expected.clone());
            let turned: Vec<_> = expected.iter().map(|&(own, other)| (other, own)).collect();
            prop_assert_eq!(b.common_ids(&a), turned);
        }
    }

    #[test]
    fn filters_mean_what_they_mean_to_one_record(seed in any::<u64>(), rows in 0_usize..120) {
        let mut rng = Seed(seed).rng();
        let shape = IndexShape::dense(1, Metric::Euclidean);
        let records = random_records(&mut rng, &shape, rows);
        let segment = open(&build(shape, EXACT, &records, 16, 2)).unwrap();
        for _ in 0..40 {
            let filter = random_filter(&mut rng, 3);
            let expected: RoaringBitmap = (0..rows as u32)
                .filter(|&row| {
                    let metadata = records[row as usize].metadata.clone().unwrap_or_default();
                    filter.matches(&metadata)
                })
                .collect();
            prop_assert_eq!(segment.matching(&filter).to_bitmap(), expected, "{:?}", filter);
        }
    }

    #[test]
    fn exact_search_finds_the_nearest(seed in any::<u64>(), rows in 0_usize..80, k in 0_usize..12) {
        let mut rng = Seed(seed).rng();
        for shape in shapes() {
            let records = random_records(&mut rng, &shape, rows);
            let segment = open(&build(shape, EXACT, &records, 7, 2)).unwrap();
            let dense = random_dense(&mut rng, shape.dimension);
            let sparse = random_sparse(&mut rng);
            let (skip, only) = (random_rows(&mut rng, rows), random_rows(&mut rng, rows + 9));
            for only in [None, Some(&only)] {
                for parts in [(true, false), (false, true), (true, true), (false, false)] {
                    let query = SegmentQuery {
                        dense: parts.0.then_some(&dense[..]),
                        sparse: parts.1.then_some(&sparse),
                        top_k: k,
                        effort: Effort::Recall(0.95),
                    };
                    let (found, stats) = search(&segment, &query, &skip, only);
                    let expected = nearest(&shape, &records, &query, &skip, only);
                    prop_assert_eq!(found, expected, "{:?} {:?}", shape, query);
                    prop_assert_eq!((stats.segments, stats.cells_probed), (1, 0));
                }
            }
        }
    }
}

fn check_listing(segment: &Segment, live: &HashMap<&str, u32>) {
    let mut sorted: Vec<(&str, u32)> = live.iter().map(|(id, row)| (*id, *row)).collect();
    sorted.sort_unstable();
    for prefix in ["", "p", "pre-", "pre-1", "x"] {
        let all = sorted.iter().map(|(id, _)| Some(*id));
        for after in [None, Some(""), Some("p"), Some("pre-10"), Some("zz")].into_iter().chain(all)
        {
            let expected: Vec<(&str, u32)> = sorted
                .iter()
                .copied()
                .filter(|(id, _)| id.starts_with(prefix) && after.is_none_or(|after| *id > after))
                .collect();
            assert_eq!(segment.ids_after(prefix, after).collect::<Vec<_>>(), expected);
        }
    }
}

/// The answer of the model.
pub(super) fn nearest(
    shape: &IndexShape,
    records: &[Record],
    query: &SegmentQuery<'_>,
    skip: &RoaringBitmap,
    only: Option<&RoaringBitmap>,
) -> Vec<Scored> {
    let live = live_rows(records);
    let mut top = TopK::new(shape.metric, query.top_k);
    let query_dense = query.dense.filter(|_| shape.vector_type == VectorType::Dense);
    for (record, row) in records.iter().zip(0_u32..) {
        let allowed = live[record.id.as_str()] == row
            && !skip.contains(row)
            && only.is_none_or(|only| only.contains(row));
        let dense = query_dense.map(|dense| {
            exact::score(shape.metric, dense, kernels::norm(dense), &record.values[..])
        });
        let sparse = query.sparse.zip(record.sparse.as_ref()).and_then(|(query, vector)| {
            let shares = vector.indices().iter().any(|term| query.indices().contains(term));
            shares.then(|| query.dot(vector))
        });
        let score = match (dense, sparse) {
            (Some(dense), sparse) => Some(dense + sparse.unwrap_or(0.0)),
            (None, sparse) => sparse,
        };
        if let Some(score) = score.filter(|_| allowed) {
            top.push(row, score);
        }
    }
    top.into_sorted()
}

/// `rows` records around a few centres, so that cells have something to find.
pub(super) fn clustered(
    rng: &mut crossbill_core::Rng,
    shape: &IndexShape,
    rows: usize,
) -> Vec<Record> {
    let centres: Vec<Vec<f32>> = (0..30).map(|_| random_dense(rng, shape.dimension)).collect();
    let mut records = random_records(rng, shape, rows);
    for record in &mut records {
        let centre = &centres[rng.below(30) as usize];
        let near = centre.iter().zip(&record.values).map(|(c, v)| 2.0 * c + 0.5 * v);
        record.values = near.collect();
    }
    records
}

/// The part of the `k` nearest that indexed search finds over 40 queries.
/// Whatever it finds must be allowed and have its exact score.
fn recall(metric: Metric, hybrid: bool, filtered: bool) -> f64 {
    let shape = IndexShape::dense(16, metric);
    let mut rng = Seed(31).rng();
    let records = clustered(&mut rng, &shape, 9000);
    let segment = open(&build(shape, 500, &records, 999, 2)).unwrap();
    segment.verify().unwrap();
    let skip: RoaringBitmap = (0..9000).filter(|row| row % 7 == 0).collect();
    let only: RoaringBitmap = (0..9000).filter(|row| row % 6 != 0).collect();
    let only = filtered.then_some(&only);
    let (mut found_count, mut wanted_count) = (0, 0);
    for _ in 0..40 {
        let mut dense = records[rng.below(9000) as usize].values.clone();
        dense.iter_mut().for_each(|value| *value += 0.3 * rng.normal_f32());
        let sparse = random_sparse(&mut rng);
        let query = SegmentQuery {
            dense: Some(&dense),
            sparse: hybrid.then_some(&sparse),
            top_k: 10,
            effort: Effort::Recall(0.95),
        };
        let (found, stats) = search(&segment, &query, &skip, only);
        assert!(stats.cells_probed > 0 && stats.segments == 1);
        let all = SegmentQuery { top_k: 9000, ..query };
        let expected = nearest(&shape, &records, &all, &skip, only);
        assert!(found.iter().all(|scored| expected.contains(scored)));
        found_count += found.iter().filter(|scored| expected[..10].contains(scored)).count();
        wanted_count += 10;
    }
    f64::from(found_count as u32) / f64::from(wanted_count)
}

#[test]
fn indexed_search_reaches_its_recall() {
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        for filtered in [false, true] {
            let recall = recall(metric, false, filtered);
            assert!(recall >= 0.93, "{metric:?}, filtered: {filtered}: {recall}");
        }
    }
}

#[test]
fn hybrid_search_joins_both_sides() {
    let recall = recall(Metric::DotProduct, true, false);
    assert!(recall >= 0.93, "{recall}");
}

#[test]
fn few_filtered_rows_are_all_scored() {
    let shape = IndexShape::dense(8, Metric::Euclidean);
    let mut rng = Seed(37).rng();
    let records = clustered(&mut rng, &shape, 3000);
    let segment = open(&build(shape, 500, &records, 3000, 2)).unwrap();
    let only: RoaringBitmap = (0..3000).filter(|row| row % 60 == 0).collect();
    let dense = random_dense(&mut rng, 8);
    let query =
        SegmentQuery { dense: Some(&dense), sparse: None, top_k: 10, effort: Effort::Recall(0.9) };
    let (found, stats) = search(&segment, &query, &RoaringBitmap::new(), Some(&only));
    let expected = nearest(&shape, &records, &query, &RoaringBitmap::new(), Some(&only));
    assert_eq!((found, stats.cells_probed), (expected, 0));
}

#[test]
fn many_matching_rows_are_gathered_as_bits() {
    let shape = IndexShape::dense(1, Metric::Euclidean);
    let records: Vec<Record> = (0..10_001)
        .map(|row| Record {
            id: row.to_string(),
            values: vec![1.0],
            sparse: None,
            metadata: Some(Metadata::from_json(&format!(r#"{{"n":{}}}"#, row % 10)).unwrap()),
        })
        .collect();
    let segment = open(&build(shape, EXACT, &records, 5000, 2)).unwrap();
    let filter = Filter::from_json(r#"{"n":{"$gte":3}}"#).unwrap();
    let expected: RoaringBitmap = (0..10_001).filter(|row| row % 10 >= 3).collect();
    assert_eq!(segment.matching(&filter).to_bitmap(), expected);
}

#[test]
fn sparse_search_keeps_to_the_rows_allowed() {
    // Filters that let few rows through and many: both find what is nearest,
    // though ids came again and rows are deleted.
    let shape = IndexShape::sparse();
    let mut rng = Seed(3).rng();
    let mut records = random_records(&mut rng, &shape, 14_000);
    for record in &mut records {
        let terms: BTreeMap<u32, f32> =
            (0..6).map(|_| (rng.below(3000) as u32, rng.unit_f32() + 0.01)).collect();
        let (indices, values) = terms.into_iter().unzip();
        record.sparse = Some(SparseVector::new(indices, values).unwrap());
    }
    let segment = open(&build(shape, EXACT, &records, 5000, 2)).unwrap();
    assert!(segment.superseded().len() > 100);
    let skip = random_rows(&mut rng, 14_000);
    let many: RoaringBitmap = (0..14_000).filter(|row| row % 5 > 0).collect();
    let few: RoaringBitmap = (0..14_000).filter(|row| row % 5 == 0).collect();
    for only in [None, Some(&many), Some(&few)] {
        for _ in 0..10 {
            let sparse = records[rng.below(14_000) as usize].sparse.clone().unwrap();
            let query = SegmentQuery {
                dense: None,
                sparse: Some(&sparse),
                top_k: 30,
                effort: Effort::Recall(0.95),
            };
            let (found, stats) = search(&segment, &query, &skip, only);
            assert_eq!(found, nearest(&shape, &records, &query, &skip, only));
            assert!(stats.reranked < 9000, "{stats:?}");
        }
    }
}

#[test]
fn rows_that_share_many_or_few_terms_score_alike() {
    // A term that is nearly everywhere has a bound for every block, one that
    // is rare a list.
    let shape = IndexShape::sparse();
    let mut rng = Seed(3).rng();
    let records: Vec<Record> = (0..2000_u32)
        .map(|row| {
            let mut vector = random_sparse(&mut rng);
            if row % 100 == 0 {
                vector = SparseVector::new(vec![50_000, row], vec![0.5, 1.5]).unwrap();
            }
            Record { id: row.to_string(), values: vec![], sparse: Some(vector), metadata: None }
        })
        .collect();
    let segment = open(&build(shape, EXACT, &records, 500, 2)).unwrap();
    for indices in [vec![50_000], vec![50_000, 1900], vec![0, 1, 50_000], vec![77_777]] {
        let values = indices.iter().map(|&index| 1.0 / (index as f32 + 3.0)).collect();
        let sparse = SparseVector::new(indices, values).unwrap();
        let query = SegmentQuery {
            dense: None,
            sparse: Some(&sparse),
            top_k: 30,
            effort: Effort::Recall(0.95),
        };
        let (found, _) = segment.search(&query, &RoaringBitmap::new(), None);
        let expected = nearest(&shape, &records, &query, &RoaringBitmap::new(), None);
        assert_eq!(found, expected);
    }
}
