//! Draws a sample of the rows and trains the cells on it.

use std::io;

use crossbill_core::{IndexShape, Metric, Seed};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::RowSource;
use super::assign::{AssignScratch, Assigner};
use super::cells::Placed;
use super::space::{self, Space};
use crate::build_watch::Share;
use crate::kmeans::{self, Clusters};
use crate::{BuildWatch, rotation};

/// Sampled rows a cell is trained on; more hardly better the centroids.
const SAMPLE_ROWS_PER_CELL: usize = 50;
/// With fewer than this a cell's centroid follows single rows.
const SAMPLE_ROWS_PER_CELL_MIN: usize = 20;
/// Bytes the sample may take.
const SAMPLE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Cells of a segment.
const CELLS_MAX: usize = 16_384;
/// Rows held out of the training as queries of the tuning.
const QUERIES_MAX: usize = 200;
/// Rounds of moving every centroid to the mean of all sampled rows nearest to
/// it, after the two levels were trained apart from each other.
const REFINEMENTS: usize = 1;
/// What reading and placing the sample, and k-means, take of the training's
/// time; the rest are the refinements.
const SAMPLE_SHARE: f64 = 0.4;
const KMEANS_SHARE: f64 = 0.4;
/// Sampled rows one task takes at a time.
const CHUNK_ROWS: usize = 256;

/// Cells for `live` rows. Reading a query's nearest lists costs rows × lists
/// / cells, and ranking the cells by their codes as much as reading as many
/// rows: with 2·√n cells of √n/2 rows the two are of one size, and lists are
/// long enough to fill their blocks of 32.
fn cell_count(live: usize, sample_rows: usize) -> usize {
    let wanted = (2.0 * (live as f64).sqrt()).round() as usize;
    wanted.min(CELLS_MAX).min(sample_rows / SAMPLE_ROWS_PER_CELL_MIN).max(1)
}

/// Rows that are sampled of `live`, at most.
pub(super) fn sample_rows(shape: &IndexShape, live: usize) -> usize {
    let affordable = SAMPLE_BYTES_MAX / (4 * rotation::padded(shape.dimension as usize));
    (cell_count(live, usize::MAX) * SAMPLE_ROWS_PER_CELL).min(affordable).min(live)
}

/// What training yields.
pub(super) struct Trained {
    pub(super) space: Space,
    pub(super) assigner: Assigner,
    /// Rows held out of the training.
    pub(super) query_rows: Vec<u32>,
}

/// Sampled rows, placed one after another.
struct Sample {
    rows: Vec<u32>,
    values: Vec<f32>,
}

/// Trains on the current rayon pool; `live` rows, at least one, are not in
/// `skip`.
pub(super) fn train(
    shape: &IndexShape,
    seed: Seed,
    source: &dyn RowSource,
    skip: &RoaringBitmap,
    live: usize,
    watch: &dyn BuildWatch,
) -> io::Result<Trained> {
    let sample_rows = sample_rows(shape, live);
    let query_count = QUERIES_MAX.min(live.div_ceil(8));
    let cells = cell_count(live, sample_rows);

    let rows = draw(source.rows(), skip, live, sample_rows + query_count, seed);
    let mut sample = read(shape, source, rows, &Share::of(watch, SAMPLE_SHARE))?;
    let space = place(shape, seed.derive("rotation"), &mut sample);
    let padded = space.padded();
    let query_rows = hold_out(&mut sample, padded, query_count);
    let share = Share::of(watch, KMEANS_SHARE);
    let mut clusters = kmeans::train(&sample.values, padded, cells, seed.derive("cells"), &share);
    if clusters.centroids.is_empty() {
        // All rows are out of range or were held out: one cell at the mean is
        // as good as any.
        clusters = Clusters { centroids: vec![0.0; padded], groups: vec![1] };
    }
    for _ in 0..REFINEMENTS {
        if watch.is_stopped() {
            return Err(super::stopped());
        }
        let cell_of = assign(&Assigner::new(&clusters, padded), &sample.values, padded);
        kmeans::move_to_means(&sample.values, padded, &cell_of, &mut clusters.centroids);
        watch.done((1.0 - SAMPLE_SHARE - KMEANS_SHARE) / REFINEMENTS as f64);
    }
    Ok(Trained { space, assigner: Assigner::new(&clusters, padded), query_rows })
}

/// About `count` of the live rows, ascending: one at random from each of as
/// many equal stretches.
fn draw(rows: u32, skip: &RoaringBitmap, live: usize, count: usize, seed: Seed) -> Vec<u32> {
    let count = count.min(live);
    let mut rng = seed.derive("sample").rng();
    let mut chosen = (0..count).map(|stretch| {
        let (first, end) = (stretch * live / count, (stretch + 1) * live / count);
        first + rng.below((end - first) as u64) as usize
    });
    let mut next = chosen.next();
    let mut skipped = skip.iter().peekable();
    let mut live_before = 0;
    let mut drawn = Vec::with_capacity(count);
    for row in 0..rows {
        if skipped.next_if_eq(&row).is_some() {
            continue;
        }
        if next == Some(live_before) {
            drawn.push(row);
            next = chosen.next();
        }
        live_before += 1;
    }
    drawn
}

/// Reads the rows, normalised under cosine, each padded; drops those whose
/// square is not finite.
fn read(
    shape: &IndexShape,
    source: &dyn RowSource,
    rows: Vec<u32>,
    watch: &dyn BuildWatch,
) -> io::Result<Sample> {
    let dimension = shape.dimension as usize;
    let padded = rotation::padded(dimension);
    let mut values = vec![0.0; rows.len() * padded];
    values.par_chunks_mut(CHUNK_ROWS * padded).zip(rows.par_chunks(CHUNK_ROWS)).try_for_each(
        |(values, part)| {
            let mut raw = vec![0.0; dimension];
            for (values, &row) in values.chunks_exact_mut(padded).zip(part) {
                source.read(row, &mut raw)?;
                let values = &mut values[..dimension];
                if shape.metric == Metric::Cosine {
                    space::normalise(&raw, values);
                } else {
                    values.copy_from_slice(&raw);
                }
            }
            watch.done(part.len() as f64 / rows.len() as f64);
            io::Result::Ok(())
        },
    )?;
    let mut sample = Sample { rows: Vec::with_capacity(rows.len()), values };
    let mut kept = 0;
    for (place, row) in rows.into_iter().enumerate() {
        let values = &sample.values[place * padded..][..padded];
        if crate::kernels::dot(values, values).is_finite() {
            sample.values.copy_within(place * padded..(place + 1) * padded, kept * padded);
            sample.rows.push(row);
            kept += 1;
        }
    }
    sample.values.truncate(kept * padded);
    Ok(sample)
}

/// Makes the space around the sample's mean and places the sample in it.
fn place(shape: &IndexShape, seed: Seed, sample: &mut Sample) -> Space {
    let dimension = shape.dimension as usize;
    let padded = rotation::padded(dimension);
    let sums: Vec<Vec<f64>> = sample
        .values
        .par_chunks(CHUNK_ROWS * padded)
        .map(|chunk| {
            let mut sums = vec![0.0; dimension];
            for row in chunk.chunks_exact(padded) {
                sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            sums
        })
        .collect();
    let scale = 1.0 / sample.rows.len().max(1) as f64;
    let mean = (0..dimension)
        .map(|place| (sums.iter().map(|sums| sums[place]).sum::<f64>() * scale) as f32)
        .collect();
    let space = Space::new(shape, seed, mean);
    sample.values.par_chunks_mut(CHUNK_ROWS * padded).for_each(|chunk| {
        for row in chunk.chunks_exact_mut(padded) {
            space.place_normalised(row);
        }
    });
    space
}

/// Takes `count` rows out of the sample, evenly spread, and answers their
/// numbers.
fn hold_out(sample: &mut Sample, padded: usize, count: usize) -> Vec<u32> {
    let total = sample.rows.len();
    let count = count.min(total);
    let mut rows = Vec::with_capacity(count);
    let mut kept = 0;
    for place in 0..total {
        if rows.len() < count && place >= rows.len() * total / count {
            rows.push(sample.rows[place]);
        } else {
            let range = place * padded..(place + 1) * padded;
            sample.values.copy_within(range, kept * padded);
            sample.rows[kept] = sample.rows[place];
            kept += 1;
        }
    }
    sample.values.truncate(kept * padded);
    sample.rows.truncate(kept);
    rows
}

/// The cell of each sampled row.
fn assign(assigner: &Assigner, values: &[f32], padded: usize) -> Vec<u32> {
    let assigned = |chunk: &[f32]| {
        let (mut vector, mut scratch) = (Placed::new(padded), AssignScratch::default());
        let mut cells = Vec::with_capacity(chunk.len() / padded);
        assigner.assign(chunk, &mut vector, &mut scratch, |_, _, cell| {
            cells.push(cell.unwrap_or(0));
        });
        cells
    };
    values.par_chunks(CHUNK_ROWS * padded).flat_map_iter(assigned).collect()
}
