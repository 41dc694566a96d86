//! Measures filtered search by itself: recall against the exact answers under
//! each filter, and processor time beside the same queries without a filter,
//! on one thread. For profiling; the figures that are reported come from
//! `bench/`.
//!
//! `filtered METRIC base.npy queries.npy SEGMENT [RECALL]` builds the segment where the
//! file is not there yet. Records have a random number `n` below 1000 and in
//! `near` the one of 64 records that is nearest to them.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod shared;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crossbill_core::{
    Comparison, Filter, FilterValue, IndexShape, MemoryScratch, Metadata, MetadataValue, Metric,
    Record, RecordBatch, Seed,
};
use crossbill_engine::{
    AlignedBytes, Effort, Segment, SegmentBuilder, SegmentOptions, SegmentQuery, TopK, exact,
    kernels,
};
use roaring::RoaringBitmap;
use shared::{floats, metric, npy_shape};

const PIVOTS: usize = 64;
const QUERIES: usize = 200;
const K: usize = 10;
const ROUNDS: usize = 3;

/// A NumPy file of f32, read row by row.
struct Rows {
    file: File,
    rows: usize,
    dimension: usize,
}

impl Rows {
    fn open(path: &str) -> Rows {
        let mut file = File::open(path).unwrap();
        let (rows, dimension) = npy_shape(&mut file);
        Rows { file, rows, dimension }
    }

    fn next(&mut self) -> Vec<f32> {
        let mut bytes = vec![0; self.dimension * 4];
        self.file.read_exact(&mut bytes).unwrap();
        floats(&bytes)
    }
}

/// What a number says about nearness: more is farther.
fn distance(metric: Metric, query: &[f32], vector: &[f32]) -> f32 {
    let score = exact::score(metric, query, kernels::norm(query), vector);
    if metric.larger_is_nearer() { -score } else { score }
}

fn nearest_pivot(metric: Metric, pivots: &[Vec<f32>], vector: &[f32]) -> usize {
    let distances = pivots.iter().map(|pivot| distance(metric, pivot, vector));
    let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    nearest.unwrap().0
}

fn build(metric: Metric, rows: &mut Rows, pivots: &[Vec<f32>]) -> Vec<u8> {
    let shape = IndexShape::dense(rows.dimension as u32, metric);
    let options = SegmentOptions { seed: Seed(7), exact_rows_max: 20_000 };
    let mut builder = SegmentBuilder::new(shape, options, &MemoryScratch).unwrap();
    let mut rng = Seed(3).rng();
    let mut batch = RecordBatch::default();
    for row in 0..rows.rows {
        let values = rows.next();
        let near = nearest_pivot(metric, pivots, &values) as f64;
        let fields = [("n", rng.below(1000) as f64), ("near", near)];
        let fields = fields.map(|(name, value)| (name.to_owned(), MetadataValue::Number(value)));
        let metadata = Some(Metadata(BTreeMap::from(fields)));
        batch.push(Record { id: row.to_string(), values, sparse: None, metadata });
        if batch.len() == 4096 || row + 1 == rows.rows {
            builder.push(&std::mem::take(&mut batch)).unwrap();
        }
    }
    let pool = rayon::ThreadPoolBuilder::new().build().unwrap();
    builder.finish(&pool, 0, &|| false).unwrap().file.into_bytes()
}

/// The filters of a query near pivot `near`; `round` changes how they are
/// written, not what they mean.
fn filters(near: usize, round: usize) -> Vec<(&'static str, Filter)> {
    let below = |n: f64| Filter::Compare("n".to_owned(), Comparison::Less, n - round as f64 / 1e6);
    let near_to = |pivots: Vec<usize>| {
        let mut values: Vec<FilterValue> =
            pivots.into_iter().map(|pivot| FilterValue::Number(pivot as f64)).collect();
        values.push(FilterValue::Number(1000.0 + round as f64));
        Filter::In("near".to_owned(), values)
    };
    let others = |count: usize| (1..=count).map(|step| (near + step * 5) % PIVOTS).collect();
    let not_own = Filter::Not(Box::new(near_to(vec![near])));
    vec![
        ("all", below(2000.0)),
        ("n 50 %", below(500.0)),
        ("n 10 %", below(100.0)),
        ("n 5 %", below(50.0)),
        ("n 2 %", below(20.0)),
        ("n 1 %", below(10.0)),
        ("n 0.1 %", below(1.0)),
        ("own region", near_to(vec![near])),
        ("not own region", not_own.clone()),
        ("six other regions", near_to(others(6))),
        ("one other region", near_to(others(1))),
        ("not own, n 10 %", Filter::And(vec![not_own.clone(), below(100.0)])),
        ("not own, n 1 %", Filter::And(vec![not_own, below(10.0)])),
    ]
}

/// What this thread has taken of a processor so far (Linux).
fn cpu_microseconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e3
}

/// The rows nearest to each query under each of its filters.
fn truth(
    metric: Metric,
    segment: &Segment,
    queries: &[Vec<f32>],
    near: &[usize],
) -> Vec<Vec<HashSet<u32>>> {
    let sets: Vec<Vec<_>> = near
        .iter()
        .map(|&near| filters(near, 0).iter().map(|(_, f)| segment.matching(f)).collect())
        .collect();
    let new = |sets: &Vec<_>| -> Vec<TopK> { sets.iter().map(|_| TopK::new(metric, K)).collect() };
    let mut tops: Vec<Vec<TopK>> = sets.iter().map(new).collect();
    for row in 0..segment.rows() {
        let vector = segment.vector(row);
        for ((query, sets), tops) in queries.iter().zip(&sets).zip(&mut tops) {
            let score = exact::score(metric, query, kernels::norm(query), &vector[..]);
            for (set, top) in sets.iter().zip(tops) {
                let farther = |worst: f32| {
                    if metric.larger_is_nearer() { score < worst } else { score > worst }
                };
                if !top.worst().is_some_and(farther) && set.contains(row) {
                    top.push(row, score);
                }
            }
        }
    }
    let rows = |top: TopK| top.into_sorted().iter().map(|scored| scored.row).collect();
    tops.into_iter().map(|tops| tops.into_iter().map(rows).collect()).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let metric = metric(&arguments[0]);
    let mut base = Rows::open(&arguments[1]);
    let mut asked = Rows::open(&arguments[2]);
    let queries: Vec<Vec<f32>> = (0..asked.rows.min(QUERIES)).map(|_| asked.next()).collect();
    let start = base.file.stream_position().unwrap();
    let pivots: Vec<Vec<f32>> = (0..PIVOTS).map(|_| base.next()).collect();
    base.file.seek(SeekFrom::Start(start)).unwrap();
    let path = Path::new(&arguments[3]);
    if !path.exists() {
        std::fs::write(path, build(metric, &mut base, &pivots)).unwrap();
    }
    let bytes = AlignedBytes::copy_of(&std::fs::read(path).unwrap());
    let segment = Segment::open(Arc::new(bytes)).unwrap();
    let near: Vec<usize> =
        queries.iter().map(|query| nearest_pivot(metric, &pivots, query)).collect();
    let effort = Effort::Recall(arguments.get(4).map_or(0.95, |recall| recall.parse().unwrap()));
    let asked = Asked { metric, queries, near, effort };
    measure(&segment, &asked);
}

/// The queries, the pivot that is nearest to each, and how hard to look.
struct Asked {
    metric: Metric,
    queries: Vec<Vec<f32>>,
    near: Vec<usize>,
    effort: Effort,
}

/// Prints a line for each kind of filter.
fn measure(segment: &Segment, asked: &Asked) {
    let Asked { metric, queries, near, effort } = asked;
    let (metric, effort) = (*metric, *effort);
    let expected = truth(metric, segment, queries, near);
    let wanted = |query| SegmentQuery { dense: Some(query), sparse: None, top_k: K, effort };
    let none = RoaringBitmap::new();
    let time = |work: &mut dyn FnMut(usize)| {
        let began = cpu_microseconds();
        (0..queries.len()).for_each(|number| {
            work(number);
        });
        (cpu_microseconds() - began) / queries.len() as f64
    };
    let plain = |number: usize| black_box(segment.search(&wanted(&queries[number]), &none, None));
    let mut unfiltered = f64::INFINITY;
    for _ in 0..ROUNDS {
        unfiltered = unfiltered.min(time(&mut |number| drop(plain(number))));
    }
    println!("{} rows; without a filter {unfiltered:.1} us", segment.rows());
    for (number, (label, _)) in filters(0, 0).iter().enumerate() {
        let (mut right, mut all, mut rows) = (0, 0, 0);
        let mut stats = crossbill_engine::SearchStats::default();
        let (mut warm, mut cold) = (f64::INFINITY, f64::INFINITY);
        for round in 0..ROUNDS {
            let plain = time(&mut |number| drop(plain(number)));
            let mut ask = |at: usize, filter: &Filter| {
                let only = segment.matching(filter);
                let (found, own) = segment.search(&wanted(&queries[at]), &none, Some(&*only));
                if round == 0 {
                    stats += own;
                    rows += only.len();
                    let expected = &expected[at][number];
                    all += expected.len();
                    right += found.iter().filter(|hit| expected.contains(&hit.row)).count();
                }
            };
            let known: Vec<Filter> =
                near.iter().map(|&near| filters(near, round).remove(number).1).collect();
            let new: Vec<Filter> = (0..queries.len())
                .map(|at| filters(near[at], 1 + round * queries.len() + at).remove(number).1)
                .collect();
            let mut usual = |at: usize| ask(at, &known[at]);
            usual(0);
            warm = warm.min(time(&mut usual) / plain);
            cold = cold.min(time(&mut |at| ask(at, &new[at])) / plain);
        }
        let count = 2 * queries.len();
        println!(
            "{label:18} {:9} rows: recall {:.4}, known {warm:5.2}, new {cold:5.2} x unfiltered; \
             {} cells {} codes {} reranked",
            rows as usize / count,
            right as f64 / all as f64,
            stats.cells_probed as usize / count,
            stats.codes_scanned as usize / count,
            stats.reranked as usize / count,
        );
    }
}
