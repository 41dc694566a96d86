//! Which cell does a row belong to? An inverted file over the centroids
//! themselves: they lie in groups, each around a centre; of the groups nearest
//! to a row the centroids' one-bit codes are scanned, and those whose bounds
//! allow it are compared in full.
//!
//! So a row costs about the square root of the cells in full comparisons. A
//! nearest cell that lies in a group further away is missed; what is found
//! instead is hardly farther.

use super::cells::Placed;
use crate::kernels::{self, BLOCK_ROWS};
use crate::kmeans::Clusters;
use crate::rabitq::{self, Block, Factors, Form, block_bytes};

/// Groups whose centroids are looked at: one in so many, and at least this
/// many.
const GROUPS_SHARE: usize = 5;
const GROUPS_MIN: usize = 4;
/// Certainty of the bounds on the distances to centroids: a centroid missed
/// now and then costs a little recall, which the tuning sees.
const CERTAINTY: f32 = 1.6;

/// Centroids by group, and their codes around the group's centre.
pub(super) struct Assigner {
    padded: usize,
    centroids: Vec<f32>,
    squares: Vec<f32>,
    groups: Vec<Group>,
    /// Centres of the groups, row after row, and their squares.
    centres: Vec<f32>,
    centre_squares: Vec<f32>,
}

struct Group {
    /// Its first cell.
    first: usize,
    cells: usize,
    codes: Vec<u8>,
}

/// What a thread keeps from chunk to chunk.
pub(super) struct AssignScratch {
    products: Vec<f32>,
    near: Vec<(f32, usize)>,
    lower: [f32; BLOCK_ROWS],
}

impl Default for AssignScratch {
    fn default() -> Self {
        Self { products: Vec::new(), near: Vec::new(), lower: [0.0; BLOCK_ROWS] }
    }
}

impl Assigner {
    /// Prepares `clusters`, which must not be empty.
    pub(super) fn new(clusters: &Clusters, padded: usize) -> Self {
        let centroids = clusters.centroids.clone();
        let zero = vec![0.0; padded];
        let mut groups = Vec::with_capacity(clusters.groups.len());
        let mut centres = Vec::with_capacity(clusters.groups.len() * padded);
        let mut first = 0;
        for &cells in clusters.groups.iter().filter(|&&cells| cells > 0) {
            let own = &centroids[first * padded..][..cells * padded];
            let mut centre = zero.clone();
            own.chunks_exact(padded).for_each(|centroid| kernels::add(&mut centre, centroid));
            centre.iter_mut().for_each(|value| *value /= cells as f32);
            groups.push(Group { first, cells, codes: encode(own, &centre, &zero) });
            centres.extend_from_slice(&centre);
            first += cells;
        }
        let square = |row: &[f32]| kernels::dot(row, row);
        let squares = centroids.chunks_exact(padded).map(square).collect();
        let centre_squares = centres.chunks_exact(padded).map(square).collect();
        Self { padded, centroids, squares, groups, centres, centre_squares }
    }

    /// Cells there are.
    pub(super) fn len(&self) -> usize {
        self.squares.len()
    }

    /// All centroids, row after row.
    pub(super) fn into_centroids(self) -> Vec<f32> {
        self.centroids
    }

    /// The centroid of a cell.
    pub(super) fn centroid(&self, cell: u32) -> &[f32] {
        &self.centroids[cell as usize * self.padded..][..self.padded]
    }

    /// Hands `each` the nearest cell of each of the placed `rows`, with the
    /// row's place, and the row made ready in `vector`. Rows whose square is
    /// not finite have none.
    pub(super) fn assign(
        &self,
        rows: &[f32],
        vector: &mut Placed,
        scratch: &mut AssignScratch,
        mut each: impl FnMut(usize, &Placed, Option<u32>),
    ) {
        let groups = self.groups.len();
        scratch.products.clear();
        scratch.products.resize(rows.len() / self.padded * groups, 0.0);
        kernels::products(rows, &self.centres, self.padded, &mut scratch.products);
        for (place, row) in rows.chunks_exact(self.padded).enumerate() {
            vector.values.copy_from_slice(row);
            vector.square = kernels::dot(row, row);
            if !vector.square.is_finite() {
                each(place, vector, None);
                continue;
            }
            let products = &scratch.products[place * groups..][..groups];
            scratch.near.clear();
            let distance = |group: usize| self.centre_squares[group] - 2.0 * products[group];
            scratch.near.extend((0..groups).map(|group| (distance(group), group)));
            let wanted = (groups / GROUPS_SHARE).max(GROUPS_MIN).min(groups);
            if wanted < groups {
                scratch.near.select_nth_unstable_by(wanted - 1, |a, b| a.0.total_cmp(&b.0));
                scratch.near.truncate(wanted);
            }
            scratch.near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            vector.code.set(row);
            let cell = self.nearest(vector, &scratch.near, &mut scratch.lower);
            each(place, vector, Some(cell));
        }
    }

    /// The nearest cell among those of the groups `near`, whose distances
    /// leave out the vector's own square.
    fn nearest(
        &self,
        vector: &Placed,
        near: &[(f32, usize)],
        lower: &mut [f32; BLOCK_ROWS],
    ) -> u32 {
        // The distance so far, and the cell.
        let mut best = (f32::INFINITY, 0);
        for &(distance, group) in near {
            let group = &self.groups[group];
            let base = (distance + vector.square).max(0.0);
            let mut terms = vector.code.terms(base, base, CERTAINTY);
            let mut left = group.cells;
            let mut first = group.first;
            for bytes in group.codes.chunks_exact(block_bytes(self.padded)) {
                terms.threshold = best.0;
                let mut wanted = Block::new(self.padded, bytes).bounds(&vector.code, &terms, lower);
                if left < BLOCK_ROWS {
                    wanted &= (1 << left) - 1;
                }
                while wanted != 0 {
                    let place = wanted.trailing_zeros() as usize;
                    wanted &= wanted - 1;
                    if lower[place] >= best.0 {
                        continue;
                    }
                    let cell = first + place;
                    let product = kernels::dot(self.centroid(cell as u32), &vector.values);
                    let found = vector.square + self.squares[cell] - 2.0 * product;
                    if found < best.0 {
                        best = (found, cell);
                    }
                }
                left = left.saturating_sub(BLOCK_ROWS);
                first += BLOCK_ROWS;
            }
        }
        best.1 as u32
    }
}

/// Codes of centroids around `centre`.
fn encode(centroids: &[f32], centre: &[f32], zero: &[f32]) -> Vec<u8> {
    let padded = centre.len();
    let mut residual = vec![0.0; padded];
    let encode = |centroid: &[f32]| {
        let mut signs = vec![0; padded / 8];
        kernels::subtract(centroid, centre, &mut residual);
        let factors = rabitq::encode(Form::SquaredL2, &residual, centre, zero, &mut signs);
        (signs, factors.unwrap_or(Factors::UNKNOWN))
    };
    rabitq::write_list(padded, centroids.chunks_exact(padded).map(encode))
}
