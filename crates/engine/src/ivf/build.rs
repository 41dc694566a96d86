//! Builds the three sections: trains the cells, then streams all rows once
//! through placing, assigning and encoding, and lays the codes out by cell.
//!
//! Full vectors are held only a few hundred a thread at a time (and the
//! training's sample); codes, factors and cells of all rows are held.

use std::io;

use crossbill_core::{IndexShape, Seed};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::assign::{AssignScratch, Assigner};
use super::cells::{Cells, Placed};
use super::search::Ivf;
use super::space::Space;
use super::train::{Trained, sample_rows, train};
use super::tuning::{self, Encoded, Tuning};
use super::{IvfSections, RowSource, bytes, form_of, truth};
use crate::build_watch::Share;
use crate::kernels::{self, BLOCK_ROWS};
use crate::rabitq::{self, Factors, Form, block_bytes, blocks_of};
use crate::{BuildWatch, rotation};

/// Values of full vectors that one task reads at a time.
const CHUNK_VALUES: usize = 400_000;
/// Rows of one task, whatever their dimension.
const CHUNK_ROWS: (usize, usize) = (16, 512);
/// What a sampled row takes in training, and finding the held-out rows'
/// neighbours takes for each row, of the time that encoding a row takes;
/// measured with 100 and 768 components.
const TRAINING_WORK: f64 = 4.5;
const TRUTH_WORK: f64 = 0.45;
/// The cell of a row that is not indexed.
const SKIPPED: u32 = u32::MAX;

/// Memory that building takes for each row, beside the training.
pub fn index_bytes_per_row(shape: &IndexShape) -> usize {
    let padded = rotation::padded(shape.dimension as usize);
    // The code before it is laid out, and after.
    let encoded = size_of::<u32>() + padded / 8 + size_of::<Factors>();
    encoded + block_bytes(padded) / BLOCK_ROWS
}

/// Builds the index over the rows of `source` that are not in `skip`, on the
/// threads of `pool`. The same rows, seed and skipped rows give the same bytes
/// whatever the number of threads. The shape is dense.
pub fn build_ivf(
    shape: &IndexShape,
    seed: Seed,
    source: &dyn RowSource,
    skip: &RoaringBitmap,
    pool: &rayon::ThreadPool,
) -> io::Result<IvfSections> {
    let skipped = skip.range_cardinality(..source.rows());
    let live = (u64::from(source.rows()) - skipped) as usize;
    if live == 0 {
        let mean = vec![0.0; shape.dimension as usize];
        let space = Space::new(shape, seed.derive("rotation"), mean);
        let cells = Cells::new(Form::SquaredL2, Vec::new(), space.origin());
        let encoded = Encoded { cell_of: Vec::new(), signs: Vec::new(), factors: Vec::new() };
        return Ok(IvfSections {
            centroids: centroid_section(&space, &cells),
            postings: posting_section(space.padded(), 0, &encoded),
            tuning: Tuning::empty().to_bytes(),
        });
    }
    pool.install(|| {
        let [training, encoding, finding] = shares_of_work(shape, live);
        let share = |part| Share::of(source.watch(), part);
        let Trained { space, assigner, query_rows } =
            train(shape, seed, source, skip, live, &share(training))?;
        let encoded = encode_rows(shape, &space, &assigner, source, skip, &share(encoding))?;
        let postings = posting_section(space.padded(), assigner.len(), &encoded);
        let cells = Cells::new(Form::SquaredL2, assigner.into_centroids(), space.origin());
        let untuned = Tuning::untuned(cells.len() as u32);
        let ivf = Ivf::over(shape, source.rows(), space, cells, untuned, &postings)
            .map_err(|error| io::Error::other(format!("the index just built: {error}")))?;
        let neighbours = truth::find(&ivf, &postings, source, &query_rows, &share(finding))?;
        let Ivf { form, space, mut cells, .. } = ivf;
        let mut tuning = tuning::measure(form, &cells, &neighbours, &encoded);
        if form == Form::NegativeDot {
            // Vectors of about one length are found sooner by distance,
            // others by product; the held-out queries tell.
            let by_product = Cells::new(form, cells.centroids().to_vec(), space.origin());
            let other = tuning::measure(form, &by_product, &neighbours, &encoded);
            if other.cost() < tuning.cost() {
                (cells, tuning) = (by_product, other);
            }
        }
        let centroids = centroid_section(&space, &cells);
        Ok(IvfSections { centroids, postings, tuning: tuning.to_bytes() })
    })
}

/// The parts of the work that training, encoding, and finding neighbours to
/// tune by are.
fn shares_of_work(shape: &IndexShape, live: usize) -> [f64; 3] {
    let rows = live as f64;
    let work = [TRAINING_WORK * sample_rows(shape, live) as f64, rows, TRUTH_WORK * rows];
    let whole: f64 = work.iter().sum();
    work.map(|work| work / whole)
}

/// What a thread keeps from task to task.
struct Scratch {
    raw: Vec<f32>,
    placed: Vec<f32>,
    /// Places of the placed rows in their task.
    places: Vec<usize>,
    residual: Vec<f32>,
    vector: Placed,
    assign: AssignScratch,
}

impl Scratch {
    fn new(padded: usize) -> Self {
        Self {
            raw: Vec::new(),
            placed: Vec::new(),
            places: Vec::new(),
            residual: vec![0.0; padded],
            vector: Placed::new(padded),
            assign: AssignScratch::default(),
        }
    }
}

/// Everything a task needs to know.
struct Encoder<'a> {
    form: Form,
    dimension: usize,
    space: &'a Space,
    assigner: &'a Assigner,
    source: &'a dyn RowSource,
    skip: &'a RoaringBitmap,
}

/// Streams all rows through placing, assigning and encoding.
fn encode_rows(
    shape: &IndexShape,
    space: &Space,
    assigner: &Assigner,
    source: &dyn RowSource,
    skip: &RoaringBitmap,
    watch: &dyn BuildWatch,
) -> io::Result<Encoded> {
    let (rows, dimension) = (source.rows() as usize, shape.dimension as usize);
    let code_bytes = space.padded() / 8;
    let mut encoded = Encoded {
        cell_of: vec![SKIPPED; rows],
        signs: vec![0; rows * code_bytes],
        factors: vec![Factors::UNKNOWN; rows],
    };
    let encoder = Encoder { form: form_of(shape), dimension, space, assigner, source, skip };
    let chunk = (CHUNK_VALUES / dimension).clamp(CHUNK_ROWS.0, CHUNK_ROWS.1);
    let chunks = encoded
        .cell_of
        .par_chunks_mut(chunk)
        .zip(encoded.signs.par_chunks_mut(chunk * code_bytes))
        .zip(encoded.factors.par_chunks_mut(chunk))
        .enumerate();
    chunks.try_for_each_init(
        || Scratch::new(space.padded()),
        |scratch, (at, ((cell_of, signs), factors))| {
            encoder.encode(at * chunk, cell_of, signs, factors, scratch)?;
            watch.done(cell_of.len() as f64 / rows as f64);
            io::Result::Ok(())
        },
    )?;
    Ok(encoded)
}

impl Encoder<'_> {
    /// Encodes the rows from `first` on, as many as `cell_of` is long.
    fn encode(
        &self,
        first: usize,
        cell_of: &mut [u32],
        signs: &mut [u8],
        factors: &mut [Factors],
        scratch: &mut Scratch,
    ) -> io::Result<()> {
        let (padded, dimension) = (self.space.padded(), self.dimension);
        let Scratch { raw, placed, places, residual, vector, assign } = scratch;
        raw.resize(cell_of.len() * dimension, 0.0);
        self.source.read(first as u32, raw)?;
        places.clear();
        places.extend((0..cell_of.len()).filter(|at| !self.skip.contains((first + at) as u32)));
        placed.resize(places.len() * padded, 0.0);
        for (&at, placed) in places.iter().zip(placed.chunks_exact_mut(padded)) {
            self.space.place(&raw[at * dimension..][..dimension], placed);
        }
        let (assigner, origin) = (self.assigner, self.space.origin());
        assigner.assign(placed, vector, assign, |place, vector, cell| {
            let at = places[place];
            let signs = &mut signs[at * padded / 8..][..padded / 8];
            let encoded = cell.and_then(|cell| {
                let centroid = assigner.centroid(cell);
                kernels::subtract(&vector.values, centroid, residual);
                let factors = rabitq::encode(self.form, residual, centroid, origin, signs)?;
                Some((cell, factors))
            });
            let out_of_range = (assigner.len() as u32, Factors::UNKNOWN);
            (cell_of[at], factors[at]) = encoded.unwrap_or(out_of_range);
        });
        Ok(())
    }
}

fn centroid_section(space: &Space, cells: &Cells) -> Vec<u8> {
    let order = match cells.order() {
        Form::SquaredL2 => 0,
        Form::NegativeDot => 1,
    };
    let mut out = Vec::new();
    bytes::put_u32s(&mut out, &[cells.len() as u32, space.mean().len() as u32, order, 0]);
    out.extend_from_slice(&space.seed().0.to_le_bytes());
    bytes::pad(&mut out);
    bytes::put_f32s(&mut out, space.mean());
    bytes::pad(&mut out);
    bytes::put_f32s(&mut out, cells.centroids());
    out
}

/// Lays the codes out list by list.
fn posting_section(padded: usize, cells: usize, encoded: &Encoded) -> Vec<u8> {
    let mut ends = vec![0_u32; cells + 2];
    for &cell in encoded.cell_of.iter().filter(|&&cell| cell != SKIPPED) {
        ends[cell as usize + 1] += 1;
    }
    for list in 0..=cells {
        ends[list + 1] += ends[list];
    }
    // Rows by list, ascending within one.
    let mut next = ends.clone();
    let mut rows = vec![0_u32; ends[cells + 1] as usize];
    for (row, &cell) in encoded.cell_of.iter().enumerate().filter(|(_, cell)| **cell != SKIPPED) {
        rows[next[cell as usize] as usize] = row as u32;
        next[cell as usize] += 1;
    }
    let lists: Vec<&[u32]> =
        ends.windows(2).map(|ends| &rows[ends[0] as usize..ends[1] as usize]).collect();
    let block_count: usize = lists.iter().map(|list| blocks_of(list.len())).sum();

    let mut out = Vec::new();
    bytes::put_u32s(&mut out, &ends);
    bytes::pad(&mut out);
    let head = out.len();
    out.resize(head + block_count * block_bytes(padded), 0);
    let blocks = lists.iter().flat_map(|list| list.chunks(BLOCK_ROWS));
    let blocks: Vec<(&[u32], &mut [u8])> =
        blocks.zip(out[head..].chunks_exact_mut(block_bytes(padded))).collect();
    blocks.into_par_iter().for_each(|(rows, block)| {
        let code = |&row: &u32| {
            let signs = &encoded.signs[row as usize * padded / 8..][..padded / 8];
            (row, signs, encoded.factors[row as usize])
        };
        rabitq::write_block(padded, rows.iter().map(code), block);
    });
    out
}
