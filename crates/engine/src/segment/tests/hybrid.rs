//! Goal: a query with both parts finds nearly all of what scoring every row
//! finds, with the same scores, however dense and sparse parts go together.
//! Method: topics with a centre and terms of their own; records and queries
//! lean on them with both parts, or with the sparse part of another topic.

use super::*;
use crate::{Effort, TopK, kernels};

const ROWS: usize = 12_000;
const DIMENSION: u32 = 16;
const TOPICS: u64 = 60;

/// How the parts of a test's records go together.
#[derive(Debug, Clone, Copy)]
struct Make {
    /// Whether the sparse part is of the topic of the dense part.
    together: bool,
    /// What the sparse weights are multiplied with.
    sparse_scale: f32,
    /// Whether a query's sparse weights are negative.
    against: bool,
}

fn sparse(rng: &mut Rng, topic: u64, scale: f32) -> SparseVector {
    let mut entries = BTreeMap::new();
    for _ in 0..4 + rng.below(8) {
        let of_topic = rng.below(3) > 0;
        let term = if of_topic { 1000 + topic * 20 + rng.below(20) } else { rng.below(500) };
        entries.insert(term as u32, scale * (0.1 + rng.unit_f32()));
    }
    SparseVector::new(entries.keys().copied().collect(), entries.values().copied().collect())
        .unwrap()
}

fn record(rng: &mut Rng, centres: &[Vec<f32>], make: Make, row: usize) -> Record {
    let topic = rng.below(TOPICS);
    let other = if make.together { topic } else { rng.below(TOPICS) };
    let noise = random_dense(rng, DIMENSION);
    let values = centres[topic as usize].iter().zip(noise).map(|(c, n)| c + 0.6 * n).collect();
    let sparse = (rng.below(10) > 0).then(|| sparse(rng, other, make.sparse_scale));
    Record { id: row.to_string(), values, sparse, metadata: None }
}

/// The answer by scoring every row.
fn oracle(
    records: &[Record],
    query: &SegmentQuery<'_>,
    skip: &RoaringBitmap,
    only: Option<&RoaringBitmap>,
) -> Vec<Scored> {
    let mut top = TopK::new(Metric::DotProduct, query.top_k);
    for (record, row) in records.iter().zip(0_u32..) {
        if !skip.contains(row) && only.is_none_or(|only| only.contains(row)) {
            let dense = kernels::dot(query.dense.unwrap(), &record.values);
            let sparse = record.sparse.as_ref().map(|vector| query.sparse.unwrap().dot(vector));
            top.push(row, dense + sparse.unwrap_or(0.0));
        }
    }
    top.into_sorted()
}

/// The part of the nearest that is found over 30 queries, and what it took.
fn recall(make: Make, filtered: bool) -> (f64, SearchStats) {
    let mut rng = Seed(41).rng();
    let centres: Vec<Vec<f32>> = (0..TOPICS).map(|_| random_dense(&mut rng, DIMENSION)).collect();
    let records: Vec<Record> = (0..ROWS).map(|row| record(&mut rng, &centres, make, row)).collect();
    let shape = IndexShape::dense(DIMENSION, Metric::DotProduct);
    let segment = open(&build(shape, 500, &records, 4096, 2)).unwrap();
    segment.verify().unwrap();
    let skip: RoaringBitmap = (0..ROWS as u32).filter(|row| row % 11 == 0).collect();
    let only: RoaringBitmap = (0..ROWS as u32).filter(|row| row % 2 == 0).collect();
    let only = filtered.then_some(&only);
    let (mut found_count, mut all_stats) = (0, SearchStats::default());
    for _ in 0..30 {
        let mut asked = record(&mut rng, &centres, make, 0);
        let topic = rng.below(TOPICS);
        let scale = if make.against { -make.sparse_scale } else { make.sparse_scale };
        asked.sparse.get_or_insert_with(|| sparse(&mut rng, topic, 1.0));
        let terms = asked.sparse.unwrap();
        let values = terms.values().iter().map(|value| value * scale.signum()).collect();
        let sparse = SparseVector::new(terms.indices().to_vec(), values).unwrap();
        let query = SegmentQuery {
            dense: Some(&asked.values),
            sparse: Some(&sparse),
            top_k: 10,
            effort: Effort::Recall(0.95),
        };
        let (found, stats) = search(&segment, &query, &skip, only);
        all_stats += stats;
        let all = oracle(&records, &SegmentQuery { top_k: ROWS, ..query }, &skip, only);
        assert_eq!(found.len(), 10);
        assert!(found.iter().all(|scored| all.contains(scored)), "a score that is not exact");
        found_count += found.iter().filter(|scored| all[..10].contains(scored)).count();
    }
    (found_count as f64 / 300.0, all_stats)
}

#[test]
fn both_parts_together_find_what_scoring_all_finds() {
    for together in [true, false] {
        for sparse_scale in [0.1, 1.0, 3.0, 10.0] {
            let make = Make { together, sparse_scale, against: false };
            let (recall, stats) = recall(make, false);
            assert!(recall >= 0.95, "{make:?}: {recall}");
            assert!(stats.cells_probed > 0, "{make:?} made no use of the vector index");
        }
    }
}

#[test]
fn filters_and_negative_weights_lose_nothing() {
    for (against, filtered) in [(true, false), (false, true), (true, true)] {
        let make = Make { together: true, sparse_scale: 2.0, against };
        let (recall, _) = recall(make, filtered);
        assert!(recall >= 0.95, "{make:?}, filtered: {filtered}: {recall}");
    }
}
