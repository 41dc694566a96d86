//! Segments against a plain model: the records in a list, every question
//! answered by walking over it. Here is what the tests share: random records
//! and filters, the model.

mod answers;
mod damage;
mod filtered;
mod hybrid;
mod layout;
mod storage;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crossbill_core::{
    Comparison, Filter, FilterValue, IndexShape, MemoryScratch, Metadata, MetadataValue, Metric,
    Record, RecordBatch, Rng, ScratchFile, Seed, SparseVector, StoredBytes, VectorStorage,
    VectorType,
};
use roaring::RoaringBitmap;

use super::{AlignedBytes, Matching, Segment, SegmentBuilder, SegmentOptions, SegmentQuery};
use crate::{BuildWatch, Scored, SearchStats, TextFields};

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// The file of a segment of these records, pushed in batches of `batch`.
fn build(
    shape: IndexShape,
    exact_rows_max: u32,
    records: &[Record],
    batch: usize,
    threads: usize,
) -> Vec<u8> {
    build_with(shape, &TextFields::default(), exact_rows_max, records, batch, threads)
}

/// The same of records with text fields.
fn build_with(
    shape: IndexShape,
    text: &TextFields,
    exact_rows_max: u32,
    records: &[Record],
    batch: usize,
    threads: usize,
) -> Vec<u8> {
    let options = SegmentOptions { seed: Seed(5), exact_rows_max };
    let builder = SegmentBuilder::new(shape, options, &MemoryScratch).unwrap();
    let mut builder = builder.with_text(text);
    for records in records.chunks(batch) {
        let mut batch = RecordBatch::default();
        records.iter().for_each(|record| batch.push(record.clone()));
        builder.push(&batch).unwrap();
    }
    assert_eq!(builder.rows() as usize, records.len());
    // With one thread the vectors are read piece by piece, with more where they
    // lie: neither shows in the bytes.
    let mapped_max = if threads > 1 { u64::MAX } else { 0 };
    let built = builder.finish(&pool(threads), mapped_max, &|| false).unwrap();
    assert_eq!(built.rows as usize, records.len());
    assert_eq!(built.bytes, built.file.len());
    let segment = open(built.file.bytes()).unwrap();
    assert_eq!(built.live_rows as u64, u64::from(built.rows) - segment.superseded().len());
    assert_eq!(built.checksum, segment.checksum());
    built.file.into_bytes()
}

fn open(bytes: &[u8]) -> Result<Segment, crate::FormatError> {
    Segment::open(Arc::new(AlignedBytes::copy_of(bytes)))
}

/// The shapes an index can have, small.
fn shapes() -> [IndexShape; 4] {
    [
        IndexShape::dense(3, Metric::Cosine),
        IndexShape::dense(5, Metric::Euclidean),
        IndexShape::dense(4, Metric::DotProduct),
        IndexShape::sparse(),
    ]
}

fn pick<'a, T>(rng: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.below(choices.len() as u64) as usize]
}

fn random_sparse(rng: &mut Rng) -> SparseVector {
    let entries: BTreeMap<u32, f32> = (0..1 + rng.below(5))
        .map(|_| (*pick(rng, &[0, 1, 2, 3, 7, 1000, u32::MAX]), rng.unit_f32() - 0.4))
        .collect();
    SparseVector::new(entries.keys().copied().collect(), entries.values().copied().collect())
        .unwrap()
}

fn random_dense(rng: &mut Rng, dimension: u32) -> Vec<f32> {
    (0..dimension).map(|_| rng.normal_f32()).collect()
}

const TEXTS: [&str; 5] = ["", "a", "b", "ab", "größe"];
const NUMBERS: [f64; 8] = [0.0, -0.0, 1.0, -1.5, 2.0, 1e300, -1e300, 0.1];
const FIELDS: [&str; 6] = ["f", "g", "h", "né", "zz", "a long name of a field"];

fn random_metadata(rng: &mut Rng) -> Metadata {
    let fields = (0..rng.below(4)).map(|_| {
        let text = |rng: &mut Rng| (*pick(rng, &TEXTS)).to_owned();
        let value = match rng.below(4) {
            0 => MetadataValue::String(text(rng)),
            1 => MetadataValue::Number(*pick(rng, &NUMBERS)),
            2 => MetadataValue::Bool(rng.below(2) == 1),
            _ => MetadataValue::Strings((0..rng.below(4)).map(|_| text(rng)).collect()),
        };
        ((*pick(rng, &FIELDS)).to_owned(), value)
    });
    Metadata(fields.collect())
}

fn random_filter(rng: &mut Rng, depth: u32) -> Filter {
    let field = (*pick(rng, &FIELDS)).to_owned();
    let value = |rng: &mut Rng| match rng.below(3) {
        0 => FilterValue::String((*pick(rng, &TEXTS)).to_owned()),
        1 => FilterValue::Number(*pick(rng, &NUMBERS)),
        _ => FilterValue::Bool(rng.below(2) == 1),
    };
    let parts = |rng: &mut Rng| (0..rng.below(4)).map(|_| random_filter(rng, depth - 1)).collect();
    match rng.below(if depth == 0 { 3 } else { 6 }) {
        0 => Filter::In(field, (0..rng.below(4)).map(|_| value(rng)).collect()),
        1 => {
            let comparisons = [
                Comparison::Greater,
                Comparison::GreaterOrEqual,
                Comparison::Less,
                Comparison::LessOrEqual,
            ];
            Filter::Compare(field, *pick(rng, &comparisons), *pick(rng, &NUMBERS))
        }
        2 => Filter::Exists(field),
        3 => Filter::And(parts(rng)),
        4 => Filter::Or(parts(rng)),
        _ => Filter::Not(Box::new(random_filter(rng, depth - 1))),
    }
}

/// `rows` records whose ids repeat now and then.
fn random_records(rng: &mut Rng, shape: &IndexShape, rows: usize) -> Vec<Record> {
    let dense = shape.vector_type == VectorType::Dense;
    (0..rows)
        .map(|_| Record {
            id: format!("{}{}", pick(rng, &["", "p", "pre-"]), rng.below(rows as u64 * 2)),
            values: random_dense(rng, shape.dimension),
            sparse: (!dense || shape.takes_sparse() && rng.below(2) == 1)
                .then(|| random_sparse(rng)),
            metadata: (rng.below(3) > 0).then(|| random_metadata(rng)),
        })
        .collect()
}

fn random_rows(rng: &mut Rng, rows: usize) -> RoaringBitmap {
    (0..rows as u32).filter(|_| rng.below(3) == 0).collect()
}

/// Rows that are the newest of their id.
fn live_rows(records: &[Record]) -> HashMap<&str, u32> {
    records.iter().zip(0..).map(|(record, row)| (record.id.as_str(), row)).collect()
}

/// Searches among the rows of a bitmap.
fn search(
    segment: &Segment,
    query: &SegmentQuery<'_>,
    skip: &RoaringBitmap,
    only: Option<&RoaringBitmap>,
) -> (Vec<Scored>, SearchStats) {
    let only = only.map(|rows| Matching::of_rows(segment.rows(), rows));
    segment.search(query, skip, only.as_ref())
}

fn three_thousand(shape: &IndexShape) -> SegmentBuilder<MemoryScratch> {
    let mut rng = Seed(8).rng();
    let options = SegmentOptions { seed: Seed(5), exact_rows_max: 100 };
    let mut builder = SegmentBuilder::new(*shape, options, &MemoryScratch).unwrap();
    let mut batch = RecordBatch::default();
    for row in 0..3000 {
        batch.push(Record {
            id: format!("{row}"),
            values: random_dense(&mut rng, 4),
            sparse: None,
            metadata: None,
        });
    }
    builder.push(&batch).unwrap();
    builder
}

/// A build that is told to stop ends with an error wherever it is: at its
/// first question and at each later one.
#[test]
fn a_build_can_be_stopped() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let made = |stop_at: u32| {
        let builder = three_thousand(&IndexShape::dense(4, Metric::Euclidean));
        let asked = AtomicU32::new(0);
        let stop = || asked.fetch_add(1, Ordering::SeqCst) >= stop_at;
        let built = builder.finish(&pool(2), 0, &stop).map(drop);
        (built, asked.into_inner())
    };
    let (built, questions) = made(u32::MAX);
    built.unwrap();
    assert!(questions > 20, "{questions}");
    for stop_at in [0, 1, questions / 3, questions / 2] {
        let (built, _) = made(stop_at);
        assert!(built.unwrap_err().to_string().contains("was stopped"), "{stop_at}");
    }
}

/// What a build says of its progress comes in small steps and makes a whole.
#[test]
fn a_build_tells_how_far_it_is() {
    struct Steps(std::sync::Mutex<Vec<f64>>);
    impl BuildWatch for Steps {
        fn is_stopped(&self) -> bool {
            false
        }
        fn done(&self, part: f64) {
            self.0.lock().unwrap().push(part);
        }
    }
    for (metric, threads) in [(Metric::Euclidean, 1), (Metric::DotProduct, 3)] {
        let steps = Steps(Default::default());
        let builder = three_thousand(&IndexShape::dense(4, metric));
        builder.finish(&pool(threads), 0, &steps).unwrap();
        let steps = steps.0.into_inner().unwrap();
        let (sum, largest) = (steps.iter().sum::<f64>(), steps.iter().copied().fold(0.0, f64::max));
        assert!((sum - 1.0).abs() < 1e-6 && largest < 0.2, "{metric:?}: {sum}, {largest}");
    }
}
