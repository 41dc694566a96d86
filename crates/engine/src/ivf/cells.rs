//! The cells: which are nearest to a placed vector.
//!
//! Ranking all centroids in full precision would read more memory than the
//! posting lists that follow. So centroids have one-bit codes like rows, and
//! only those whose bounds allow it are compared in full.

use super::gather::Gather;
use crate::kernels;
use crate::rabitq::{self, Factors, Form, QueryCode, block_bytes, blocks_of};

/// Up to this many cells all are compared in full.
const COMPARED_MAX: usize = 48;
/// Certainty of the bounds on the distances to centroids: a centroid missed
/// now and then costs a little recall, which the tuning sees.
const CERTAINTY: f32 = 1.6;

/// Centroids and their codes.
#[derive(Debug)]
pub(super) struct Cells {
    padded: usize,
    order: Form,
    centroids: Vec<f32>,
    squares: Vec<f32>,
    /// Dot product of each centroid and the origin.
    with_origin: Vec<f32>,
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
    /// Cells around `centroids`, compared by `order`. Codes are made where
    /// `codes` does not bring them.
    pub(super) fn new(
        order: Form,
        centroids: Vec<f32>,
        origin: &[f32],
        codes: Option<Vec<u8>>,
    ) -> Self {
        let rows = || centroids.chunks_exact(origin.len());
        let squares = rows().map(|centroid| kernels::dot(centroid, centroid)).collect();
        let with_origin = rows().map(|centroid| kernels::dot(centroid, origin)).collect();
        let codes = codes.unwrap_or_else(|| encode(order, &centroids, origin));
        Self { padded: origin.len(), order, centroids, squares, with_origin, codes }
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

    /// The centroid of a cell.
    pub(super) fn centroid(&self, cell: u32) -> &[f32] {
        &self.centroids[cell as usize * self.padded..][..self.padded]
    }

    /// The codes of the centroids.
    pub(super) fn codes(&self) -> &[u8] {
        &self.codes
    }

    fn compare(&self, vector: &Placed, cell: u32) -> Ranked {
        let at = cell as usize;
        let product = kernels::dot(self.centroid(cell), &vector.values);
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
    pub(super) fn rank(&self, vector: &Placed, count: usize, gather: &mut Gather) -> Vec<Ranked> {
        let mut ranked: Vec<Ranked> = if self.len() <= COMPARED_MAX || count * 3 >= self.len() {
            self.compare_all(vector)
        } else {
            self.gather(vector, count, gather);
            gather.unsorted().map(|cell| self.compare(vector, cell)).collect()
        };
        ranked.sort_unstable_by(|a, b| a.key.total_cmp(&b.key).then(a.cell.cmp(&b.cell)));
        ranked
    }

    /// The nearest cell; there is at least one.
    pub(super) fn nearest(&self, vector: &Placed, gather: &mut Gather) -> u32 {
        let nearer = |a: Ranked, b: Ranked| {
            if (b.key, b.cell) < (a.key, a.cell) { b } else { a }
        };
        let nearest = if self.len() <= COMPARED_MAX {
            (0..self.len() as u32).map(|cell| self.compare(vector, cell)).reduce(nearer)
        } else {
            self.gather(vector, 1, gather);
            gather.unsorted().map(|cell| self.compare(vector, cell)).reduce(nearer)
        };
        nearest.map_or(0, |ranked| ranked.cell)
    }

    fn gather(&self, vector: &Placed, count: usize, gather: &mut Gather) {
        gather.reset(count, f32::INFINITY);
        let base = match self.order {
            Form::SquaredL2 => vector.square,
            Form::NegativeDot => 0.0,
        };
        let terms = vector.code.terms(base, vector.square, CERTAINTY);
        gather.scan(&self.codes, self.len(), &vector.code, terms, &mut |_| true);
    }
}

/// Codes of the centroids around the origin.
fn encode(order: Form, centroids: &[f32], origin: &[f32]) -> Vec<u8> {
    let padded = origin.len();
    let zero = vec![0.0; padded];
    let encoded: Vec<(Vec<u8>, Factors)> = centroids
        .chunks_exact(padded)
        .map(|centroid| {
            let mut signs = vec![0; padded / 8];
            let factors = rabitq::encode(order, centroid, &zero, origin, &mut signs);
            (signs, factors.unwrap_or(Factors::UNKNOWN))
        })
        .collect();
    let mut codes = vec![0; blocks_of(encoded.len()) * block_bytes(padded)];
    let mut rows = encoded.iter().enumerate();
    for block in codes.chunks_exact_mut(block_bytes(padded)) {
        let some = rows.by_ref().take(kernels::BLOCK_ROWS);
        let some = some.map(|(cell, (signs, factors))| (cell as u32, signs.as_slice(), *factors));
        rabitq::write_block(padded, some, block);
    }
    codes
}
