//! The sparse side of the engine, to be measured from a script: builds one
//! segment from a file of vectors, then answers a file of queries as often as
//! it is told to on standard input, one after another on one thread.
//!
//! `sparse_queries RECORDS QUERIES TOP_K`; a file is a little-endian u64 count
//! of rows, a u64 start for each row and one for the end, all indices as u32,
//! and all values as f32. Each line out is a JSON object. Lines in: `run` for
//! the nanoseconds of each query and of processor time in all, `answers` for rows and scores.
// A measuring tool reads the clock by itself.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crossbill_core::{IndexShape, MemoryScratch, Record, RecordBatch, Seed, SparseVector};
use crossbill_engine::{
    AlignedBytes, Effort, Scored, Segment, SegmentBuilder, SegmentOptions, SegmentQuery,
};
use roaring::RoaringBitmap;

/// Records handed to the builder at a time.
const BATCH: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, records, queries, top_k] = &arguments[..] else {
        return Err("usage: sparse_queries RECORDS QUERIES TOP_K".into());
    };
    let (records, queries) = (read(Path::new(records))?, read(Path::new(queries))?);
    let top_k = top_k.parse()?;
    let mut out = io::stdout().lock();
    let start = Instant::now();
    let bytes = build(&records)?;
    let built = start.elapsed().as_secs_f64();
    let segment = Segment::open(Arc::new(AlignedBytes::copy_of(&bytes)))?;
    let opened = start.elapsed().as_secs_f64() - built;
    writeln!(
        out,
        r#"{{"version": "{}", "build_s": {built}, "open_s": {opened}, "bytes": {}}}"#,
        env!("CARGO_PKG_VERSION"),
        bytes.len()
    )?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "run" => {
                let cpu = cpu_nanoseconds()?;
                let times = queries.iter().map(|query| {
                    let start = Instant::now();
                    let found = search(&segment, query, top_k);
                    let nanoseconds = start.elapsed().as_nanos();
                    std::hint::black_box(found);
                    nanoseconds.to_string()
                });
                let times: Vec<String> = times.collect();
                let cpu = cpu_nanoseconds()? - cpu;
                writeln!(out, r#"{{"cpu_ns": {cpu}, "ns": [{}]}}"#, times.join(","))?;
            }
            _ => {
                let answers = queries.iter().map(|query| {
                    let found = search(&segment, query, top_k);
                    let pairs = found.iter().map(|hit| format!("[{},{}]", hit.row, hit.score));
                    format!("[{}]", pairs.collect::<Vec<_>>().join(","))
                });
                let answers: Vec<String> = answers.collect();
                writeln!(out, r#"{{"answers": [{}]}}"#, answers.join(","))?;
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// What this thread has taken of a processor so far (Linux).
fn cpu_nanoseconds() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
}

fn search(segment: &Segment, query: &SparseVector, top_k: usize) -> Vec<Scored> {
    let query =
        SegmentQuery { dense: None, sparse: Some(query), top_k, effort: Effort::Recall(1.0) };
    segment.search(&query, &RoaringBitmap::new(), None).0
}

fn build(records: &[SparseVector]) -> Result<Vec<u8>, Box<dyn Error>> {
    let options = SegmentOptions { seed: Seed(1), exact_rows_max: u32::MAX };
    let mut builder = SegmentBuilder::new(IndexShape::sparse(), options, &MemoryScratch)?;
    for (number, vectors) in records.chunks(BATCH).enumerate() {
        let mut batch = RecordBatch::default();
        for (at, vector) in vectors.iter().enumerate() {
            batch.push(Record {
                id: (number * BATCH + at).to_string(),
                values: Vec::new(),
                sparse: Some(vector.clone()),
                metadata: None,
            });
        }
        builder.push(&batch)?;
    }
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    Ok(builder.finish(&pool, 0, &|| false)?.file.into_bytes())
}

/// The vectors of a file.
fn read(path: &Path) -> Result<Vec<SparseVector>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let word = |at: usize| -> [u8; 4] { bytes[at..at + 4].try_into().expect("four bytes") };
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let rows = long(0) as usize;
    let starts: Vec<usize> = (0..=rows).map(|row| long(8 + row * 8) as usize).collect();
    let indices_at = 8 + starts.len() * 8;
    let values_at = indices_at + starts[rows] * 4;
    let vector = |pair: &[usize]| {
        let entries = pair[0]..pair[1];
        let indices = entries.clone().map(|at| u32::from_le_bytes(word(indices_at + at * 4)));
        let values = entries.map(|at| f32::from_le_bytes(word(values_at + at * 4)));
        SparseVector::new(indices.collect(), values.collect())
    };
    Ok(starts.windows(2).map(vector).collect::<Result<_, _>>()?)
}
