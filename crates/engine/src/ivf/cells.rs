//! The cells of a search: which are nearest to a placed vector.
//!
//! Ranking all centroids in full precision would read more memory than the
//! posting lists that follow. So all are compared by one-bit codes, the
//! nearest of them rounded to 7 bits, and the nearest of those in full.

use crate::kernels::{self, BLOCK_ROWS};
use crate::rabitq::{self, Block, Factors, Form, QueryCode, block_bytes};
use crate::topk::to_ordered;

/// Cells compared rounded, for each one asked for, and some. Codes hardly
/// ever move a cell further, and the tuning sees it where they do.
const ROUNDED_FACTOR: usize = 3;
const ROUNDED_SPARE: usize = 16;
/// Cells compared in full beyond those asked for: one in so many, and some.
const SPARE_SHARE: usize = 16;
const SPARE: usize = 4;

/// Centroids, in full and rounded.
#[derive(Debug)]
pub(super) struct Cells {
    padded: usize,
    order: Form,
    centroids: Vec<f32>,
    squares: Vec<f32>,
    /// Dot product of each centroid and the origin.
    with_origin: Vec<f32>,
    /// The centroids in steps, row after row, and the step of each.
    quanta: Vec<i8>,
    steps: Vec<f32>,
    /// Their codes around the origin.
    codes: Vec<u8>,
}

/// A cell and how near it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked {
    pub(super) cell: u32,
    /// The distance by which cells are ordered.
    pub(super) key: f32,
    /// Squared distance from vector to centroid.
    pub(super) square_distance: f32,
    /// Dot product of the centroid with the vector, both relative to the
    /// mean, plus that of the centroid with the mean.
    pub(super) product: f32,
}

/// A placed vector, ready to be compared with codes.
pub(super) struct Placed {
    pub(super) values: Vec<f32>,
    pub(super) square: f32,
    pub(super) code: QueryCode,
}

impl Placed {
    /// Room for a vector of `padded` components.
    pub(super) fn new(padded: usize) -> Self {
        Self { values: vec![0.0; padded], square: 0.0, code: QueryCode::new(padded) }
    }

    /// Computes what depends on `values`.
    pub(super) fn refresh(&mut self) {
        self.square = kernels::dot(&self.values, &self.values);
        self.code.set(&self.values);
    }
}

impl Cells {
    /// Cells around `centroids`, compared by `order`.
    pub(super) fn new(order: Form, centroids: Vec<f32>, origin: &[f32]) -> Self {
        let padded = origin.len();
        let rows = || centroids.chunks_exact(padded);
        let squares = rows().map(|centroid| kernels::dot(centroid, centroid)).collect();
        let with_origin = rows().map(|centroid| kernels::dot(centroid, origin)).collect();
        let mut quanta = vec![0; centroids.len()];
        let steps = rows()
            .zip(quanta.chunks_exact_mut(padded))
            .map(|(centroid, quanta)| kernels::quantize(centroid, quanta).0)
            .collect();
        let codes = encode(order, &centroids, origin);
        Self { padded, order, centroids, squares, with_origin, quanta, steps, codes }
    }

    /// Cells there are.
    pub(super) fn len(&self) -> usize {
        self.squares.len()
    }

    /// What cells are ordered by.
    pub(super) fn order(&self) -> Form {
        self.order
    }

    /// All centroids, row after row.
    pub(super) fn centroids(&self) -> &[f32] {
        &self.centroids
    }

    fn compare(&self, vector: &Placed, cell: u32) -> Ranked {
        let at = cell as usize;
        let centroid = &self.centroids[at * self.padded..][..self.padded];
        let product = kernels::dot(centroid, &vector.values);
        let square_distance = (vector.square + self.squares[at] - 2.0 * product).max(0.0);
        let product = product + self.with_origin[at];
        let key = match self.order {
            Form::SquaredL2 => square_distance,
            Form::NegativeDot => -product,
        };
        Ranked { cell, key, square_distance, product }
    }

    /// Compares all cells in full.
    pub(super) fn compare_all(&self, vector: &Placed) -> Vec<Ranked> {
        (0..self.len() as u32).map(|cell| self.compare(vector, cell)).collect()
    }

    /// The nearest `count` cells, nearest first; a few more may follow, of
    /// which some may be missing.
    pub(super) fn rank(&self, vector: &Placed, count: usize) -> Vec<Ranked> {
        let compared = count + count / SPARE_SHARE + SPARE;
        let rounded = count * ROUNDED_FACTOR + ROUNDED_SPARE;
        let mut ranked: Vec<Ranked> = if rounded >= self.len() {
            self.compare_all(vector)
        } else {
            let mut nearest = self.keys_by_code(vector);
            nearest.select_nth_unstable(rounded - 1);
            nearest.truncate(rounded);
            nearest.iter_mut().for_each(|key| *key = self.rounded_key(vector, *key as u32));
            nearest.select_nth_unstable(compared - 1);
            nearest[..compared].iter().map(|&key| self.compare(vector, key as u32)).collect()
        };
        ranked.sort_unstable_by(|a, b| a.key.total_cmp(&b.key).then(a.cell.cmp(&b.cell)));
        ranked
    }

    /// For each cell what its code says of its distance, in the high half,
    /// and its number in the low one.
    fn keys_by_code(&self, vector: &Placed) -> Vec<u64> {
        let mut keys = Vec::with_capacity(self.len());
        let terms = vector.code.terms(0.0, 0.0, 0.0);
        let mut estimates = [0.0; BLOCK_ROWS];
        for bytes in self.codes.chunks_exact(block_bytes(self.padded)) {
            Block::new(self.padded, bytes).bounds(&vector.code, &terms, &mut estimates);
            let first = keys.len();
            let here = estimates.iter().take(self.len() - first).enumerate();
            keys.extend(here.map(|(place, &estimate)| key(estimate, (first + place) as u32)));
        }
        keys
    }

    /// The same by the rounded centroid.
    fn rounded_key(&self, vector: &Placed, cell: u32) -> u64 {
        let at = cell as usize;
        let quanta = &self.quanta[at * self.padded..][..self.padded];
        let mut product = [0];
        kernels::products_i8(vector.code.quanta(), quanta, &mut product);
        let product = product[0] as f32 * (vector.code.step() * self.steps[at]);
        let distance = match self.order {
            Form::SquaredL2 => self.squares[at] - 2.0 * product,
            Form::NegativeDot => -(product + self.with_origin[at]),
        };
        key(distance, cell)
    }
}

fn key(distance: f32, cell: u32) -> u64 {
    u64::from(to_ordered(distance)) << 32 | u64::from(cell)
}

/// Codes of the centroids around the origin.
fn encode(order: Form, centroids: &[f32], origin: &[f32]) -> Vec<u8> {
    let zero = vec![0.0; origin.len()];
    let encode = |centroid: &[f32]| {
        let mut signs = vec![0; origin.len() / 8];
        let factors = rabitq::encode(order, centroid, &zero, origin, &mut signs);
        (signs, factors.unwrap_or(Factors::UNKNOWN))
    };
    rabitq::write_list(origin.len(), centroids.chunks_exact(origin.len()).map(encode))
}
