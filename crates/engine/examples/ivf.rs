//! Times the vector index by itself: builds it over the rows of a NumPy file
//! and searches it at a ladder of efforts, on one thread. For profiling; the
//! figures that are reported come from `bench/`.
//!
//! `ivf METRIC base.npy queries.npy truth.npy [K [THREADS [STORAGE [RECALL…]]]]`
//!
//! The truth is that of the vectors as they came, however they are stored.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod shared;

use std::collections::HashSet;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;

use crossbill_core::{IndexShape, Metric, Seed, VectorStorage};
use crossbill_engine::exact::{FullVector, VectorScores};
use crossbill_engine::kernels::StoredScorer;
use crossbill_engine::{Effort, Ivf, RowSource, SearchStats, TopK, build_ivf};
use roaring::RoaringBitmap;
use shared::{floats, metric, npy_shape};

/// Two-dimensional values of 4 or 8 bytes, row after row.
struct Array {
    columns: usize,
    bytes: Vec<u8>,
}

impl Array {
    fn read(path: &str) -> Array {
        let mut file = File::open(path).unwrap();
        let (_, columns) = npy_shape(&mut file);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        Array { columns, bytes }
    }

    fn floats(&self) -> Vec<f32> {
        floats(&self.bytes)
    }

    fn numbers(&self) -> Vec<i64> {
        self.bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
    }
}

struct Rows<'a>(&'a [f32], usize);

impl Rows<'_> {
    fn row(&self, row: u32) -> &[f32] {
        &self.0[row as usize * self.1..][..self.1]
    }
}

impl RowSource for Rows<'_> {
    fn rows(&self) -> u32 {
        (self.0.len() / self.1) as u32
    }

    fn read(&self, first: u32, out: &mut [f32]) -> std::io::Result<()> {
        out.copy_from_slice(&self.0[first as usize * self.1..][..out.len()]);
        Ok(())
    }
}

/// Searches and what they are told.
struct Bench<'a> {
    ivf: &'a Ivf,
    postings: &'a [u8],
    queries: Vec<(&'a [f32], &'a [i64])>,
    k: usize,
    metric: Metric,
}

impl Bench<'_> {
    /// Searches at one effort and prints what came out.
    fn run<V: FullVector>(&self, recall: f32, row: impl Fn(u32) -> V) {
        let mut stats = SearchStats::default();
        let (mut right, mut best) = (0, f64::INFINITY);
        for round in 0..5 {
            let began = cpu_seconds();
            for (query, nearest) in &self.queries {
                let mut top = TopK::new(self.metric, self.k);
                let scores = VectorScores::new(self.metric, query, &row);
                let effort = Effort::Recall(recall);
                let own = self.ivf.search(self.postings, query, effort, None, &scores, &mut top);
                let found = black_box(top.into_sorted());
                if round == 0 {
                    stats += own;
                    let nearest: HashSet<i64> = nearest[..self.k].iter().copied().collect();
                    right += found.iter().filter(|s| nearest.contains(&i64::from(s.row))).count();
                }
            }
            best = best.min(cpu_seconds() - began);
        }
        let count = self.queries.len();
        println!(
            "aim {recall:5.3}: recall {:.4} {:7.1} us; {} cells {} codes {} reranked",
            right as f64 / (count * self.k) as f64,
            best / count as f64 * 1e6,
            stats.cells_probed as usize / count,
            stats.codes_scanned as usize / count,
            stats.reranked as usize / count,
        );
    }
}

/// What all threads spent computing, which other work on the machine changes
/// less than the time on the wall.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let spent = |task: std::io::Result<std::fs::DirEntry>| -> f64 {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    tasks.map(spent).sum::<f64>() / 1e9
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let metric = metric(&arguments[0]);
    let (base, queries) = (Array::read(&arguments[1]), Array::read(&arguments[2]));
    let truth = Array::read(&arguments[3]);
    let number = |at: usize, or: usize| arguments.get(at).map_or(or, |a| a.parse().unwrap());
    let (k, threads) = (number(4, 10), number(5, 1));
    let dimension = base.columns;
    let (mut values, asked, nearest) = (base.floats(), queries.floats(), truth.numbers());
    let shape = IndexShape::dense(dimension as u32, metric);
    let storage = arguments.get(6).map_or(VectorStorage::F32, |a| VectorStorage::parse(a).unwrap());
    values.chunks_exact_mut(dimension).for_each(|row| storage.round(row));
    let row_bytes = storage.row_bytes(dimension);
    let mut encoded = vec![0; values.len() / dimension * row_bytes];
    for (row, values) in encoded.chunks_exact_mut(row_bytes).zip(values.chunks_exact(dimension)) {
        storage.encode(values, row);
    }
    println!("vectors {} bytes as {}", encoded.len(), storage.as_str());
    let source = Rows(&values, dimension);

    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let began = cpu_seconds();
    let sections = build_ivf(&shape, Seed(7), &source, &RoaringBitmap::new(), &pool).unwrap();
    let seconds = cpu_seconds() - began;
    println!("kernels for {}", crossbill_engine::kernels::instructions());
    println!("{} rows of {dimension}: {seconds:.2} CPU seconds", source.rows());
    let (centroids, postings) = (&sections.centroids, &sections.postings);
    println!("centroids {} postings {} bytes", centroids.len(), postings.len());
    let ivf = Ivf::open(&shape, source.rows(), centroids, postings, &sections.tuning).unwrap();

    let scorer = StoredScorer::new(storage);
    let queries = asked.chunks_exact(dimension).zip(nearest.chunks_exact(truth.columns)).collect();
    let bench = Bench { ivf: &ivf, postings, queries, k, metric };
    let chosen: Vec<f32> = arguments.iter().skip(7).map(|a| a.parse().unwrap()).collect();
    let ladder = [0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999];
    for &recall in if chosen.is_empty() { &ladder[..] } else { &chosen } {
        match storage {
            VectorStorage::F32 => bench.run(recall, |row| source.row(row)),
            _ => bench
                .run(recall, |row| scorer.row(&encoded[row as usize * row_bytes..][..row_bytes])),
        }
    }
}
