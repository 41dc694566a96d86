//! One-bit codes with an unbiased estimate and an error bound (RaBitQ, Gao
//! and Long, SIGMOD 2024, written from the paper).
//!
//! A vector `o` of a cell with centre `c` is stored as the signs of its
//! rotated residual `r = o - c`: of all the corners `x` of the cube
//! `{±1/√D}^D` the one nearest to `r/|r|`. With `f = <x, r/|r|>` known when
//! encoding, `<x, v>·|r|/f` is an unbiased estimate of `<r, v>` for any `v`,
//! and misses it by more than `e·|v|` times a small factor only rarely, where
//! `e = |r|·sqrt((1/f² - 1)/(D - 1))`.
//!
//! With `v = q - c` for a query `q` both distances follow:
//! `|o - q|² = |r|² + |v|² - 2<r, v>`, and `<o, q> = <c, q> + <r, c> + <r, v>`.
//! What does not depend on the query is folded into three factors a row, so
//! that one table of the query serves all cells:
//! `distance ≈ base + add - scale·<signs, q>`, give or take `error·|v|·ε`.
//! All vectors here are rotated and relative to one origin (the mean of the
//! data), which keeps `q` small where the data lie far from zero.
//!
//! The query is rounded to 7-bit components. Codes lie in blocks of 32 rows:
//!
//! | bytes | content |
//! | --- | --- |
//! | 16 × D/4 | for each four dimensions 16 bytes; byte `j` holds the four signs of row `j` in its low and of row `j + 16` in its high half, the first dimension lowest; 1 = not negative |
//! | 3 × 32 × 4 | `add`, then `scale`, then `error` of the 32 rows, f32 |
//! | 32 × 4 | row numbers, u32; `0xffffffff` where the last block of a list is not full |
//!
//! D is the padded dimension; all numbers are little endian.

use crate::kernels::{self, BLOCK_ROWS, BoundTerms, FACTOR_BYTES};

/// The row number of an unused place in a block.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// What an estimate is an estimate of; smaller is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The squared Euclidean distance.
    SquaredL2,
    /// The dot product, negated.
    NegativeDot,
}

/// What is stored of a row beside its signs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Factors {
    pub(crate) add: f32,
    pub(crate) scale: f32,
    pub(crate) error: f32,
}

impl Factors {
    /// Factors that make every estimate NaN, so that the row is always scored
    /// exactly: for rows whose numbers leave the range of f32.
    pub(crate) const UNKNOWN: Factors = Factors { add: f32::NAN, scale: 0.0, error: 0.0 };
}

/// Writes the signs of `residual` and answers the factors of its row; `None`
/// where they are not finite. `centre` is the cell's centre and `origin` the
/// mean, both rotated; the centre is relative to the mean.
pub(crate) fn encode(
    form: Form,
    residual: &[f32],
    centre: &[f32],
    origin: &[f32],
    signs: &mut [u8],
) -> Option<Factors> {
    let sums = kernels::encode_signs(residual, centre, signs);
    let dimension = residual.len() as f32;
    // |r|/(f·√D), and 0 for a row that lies on its centre.
    let unit = if sums.magnitude > 0.0 { sums.square / sums.magnitude } else { 0.0 };
    let squared_f = sums.magnitude * sums.magnitude / (dimension * sums.square);
    let error = if sums.square > 0.0 {
        // Rounding may take f a little above 1.
        (sums.square * (1.0 / squared_f - 1.0).max(0.0) / (dimension - 1.0)).sqrt()
    } else {
        0.0
    };
    let factors = match form {
        Form::SquaredL2 => Factors {
            add: sums.square + 2.0 * unit * sums.centre,
            scale: 2.0 * unit,
            error: 2.0 * error,
        },
        Form::NegativeDot => {
            let with_centre = kernels::dot(residual, centre) + kernels::dot(residual, origin);
            Factors { add: unit * sums.centre - with_centre, scale: unit, error }
        }
    };
    let finite = factors.add.is_finite() && factors.scale.is_finite() && factors.error.is_finite();
    finite.then_some(factors)
}

/// A query, ready to be compared with codes.
#[derive(Debug)]
pub(crate) struct QueryCode {
    quanta: Vec<i8>,
    table: Vec<u8>,
    step: f32,
    bias: f32,
    /// Variance of the estimate that comes from rounding the query, in the
    /// unit of `|v|²`.
    noise: f32,
}

impl QueryCode {
    /// Room for queries of `dimension` padded components.
    pub(crate) fn new(dimension: usize) -> Self {
        let (quanta, table) = (vec![0; dimension], vec![0; 4 * dimension]);
        Self { quanta, table, step: 0.0, bias: 0.0, noise: 0.0 }
    }

    /// The query in steps.
    pub(crate) fn quanta(&self) -> &[i8] {
        &self.quanta
    }

    /// The step that the query was rounded to.
    pub(crate) fn step(&self) -> f32 {
        self.step / 2.0
    }

    /// Takes a rotated query, relative to the origin.
    pub(crate) fn set(&mut self, query: &[f32]) {
        let (step, total) = kernels::quantize(query, &mut self.quanta);
        kernels::lookup_table(&self.quanta, &mut self.table);
        self.step = 2.0 * step;
        self.bias = step * total as f32;
        // Rounding errs by step/√12 in each component, so <signs, q> by
        // step·√(D/12); against `error` the `scale` is 1/√(1 - f²) ≈ 1/0.6.
        self.noise = step * step * query.len() as f32 / 12.0 / 0.36;
    }

    /// What a list's bounds are computed from: `base` is the query's part of
    /// the distance, `square_distance` that between query and centre,
    /// `certainty` the ε of the bound.
    pub(crate) fn terms(&self, base: f32, square_distance: f32, certainty: f32) -> BoundTerms {
        BoundTerms {
            base,
            bias: self.bias,
            step: self.step,
            width: certainty * (square_distance + self.noise).sqrt(),
            threshold: f32::INFINITY,
        }
    }

    /// The sum of the table's entries for the signs of one row.
    pub(crate) fn sum(&self, signs: &[u8]) -> u32 {
        let (tables, _) = self.table.as_chunks::<32>();
        let both = |(signs, table): (&u8, &[u8; 32])| {
            let (low, high) = (signs & 15, signs >> 4);
            u32::from(table[usize::from(low)]) + u32::from(table[16 + usize::from(high)])
        };
        signs.iter().zip(tables).map(both).sum()
    }
}

/// Bytes of a block of codes of `dimension` padded dimensions.
pub(crate) fn block_bytes(dimension: usize) -> usize {
    BLOCK_ROWS * (dimension / 8 + 16)
}

/// Blocks that hold `rows` rows.
pub(crate) fn blocks_of(rows: usize) -> usize {
    rows.div_ceil(BLOCK_ROWS)
}

/// Writes up to 32 rows into a zeroed block.
pub(crate) fn write_block<'a>(
    dimension: usize,
    rows: impl Iterator<Item = (u32, &'a [u8], Factors)>,
    block: &mut [u8],
) {
    assert_eq!(block.len(), block_bytes(dimension));
    let (codes, tail) = block.split_at_mut(4 * dimension);
    let (numbers, _) = tail.as_chunks_mut::<4>();
    for place in 0..BLOCK_ROWS {
        // Unused places lie beyond every threshold.
        numbers[place] = f32::INFINITY.to_le_bytes();
        numbers[3 * BLOCK_ROWS + place] = NO_ROW.to_le_bytes();
    }
    for (place, (row, signs, factors)) in rows.enumerate() {
        assert!(place < BLOCK_ROWS, "a block has {BLOCK_ROWS} places");
        let (pairs, _) = codes.as_chunks_mut::<32>();
        let (byte, shift) = (place % 16, 4 * (place / 16));
        for (pair, signs) in pairs.iter_mut().zip(signs) {
            pair[byte] |= (signs & 15) << shift;
            pair[16 + byte] |= (signs >> 4) << shift;
        }
        numbers[place] = factors.add.to_le_bytes();
        numbers[BLOCK_ROWS + place] = factors.scale.to_le_bytes();
        numbers[2 * BLOCK_ROWS + place] = factors.error.to_le_bytes();
        numbers[3 * BLOCK_ROWS + place] = row.to_le_bytes();
    }
}

/// Blocks of the rows in their order, each with its signs and factors.
pub(crate) fn write_list(
    dimension: usize,
    rows: impl Iterator<Item = (Vec<u8>, Factors)>,
) -> Vec<u8> {
    let rows: Vec<(Vec<u8>, Factors)> = rows.collect();
    let mut list = vec![0; blocks_of(rows.len()) * block_bytes(dimension)];
    let blocks = list.chunks_exact_mut(block_bytes(dimension));
    for (number, (block, rows)) in blocks.zip(rows.chunks(BLOCK_ROWS)).enumerate() {
        let numbered = rows.iter().zip(number * BLOCK_ROWS..);
        let rows = numbered.map(|((signs, factors), at)| (at as u32, &signs[..], *factors));
        write_block(dimension, rows, block);
    }
    list
}

/// A block seen by a scan.
pub(crate) struct Block<'a> {
    codes: &'a [u8],
    factors: &'a [u8; FACTOR_BYTES],
    rows: &'a [[u8; 4]],
}

impl<'a> Block<'a> {
    /// Reads a block; `bytes` is [`block_bytes`] long.
    pub(crate) fn new(dimension: usize, bytes: &'a [u8]) -> Self {
        let (codes, tail) = bytes.split_at(4 * dimension);
        let (factors, rows) =
            tail.split_first_chunk().expect("a block's tail holds factors and rows");
        Self { codes, factors, rows: rows.as_chunks().0 }
    }

    /// The row at a place of the block.
    pub(crate) fn row(&self, place: usize) -> u32 {
        u32::from_le_bytes(self.rows[place])
    }

    /// What the bound of a place is below its estimate, for a width of 1.
    pub(crate) fn error(&self, place: usize) -> f32 {
        let (numbers, _) = self.factors.as_chunks::<4>();
        f32::from_le_bytes(numbers[2 * BLOCK_ROWS + place])
    }

    /// Computes lower bounds; a bit for each place whose bound does not reach
    /// the threshold.
    pub(crate) fn bounds(
        &self,
        query: &QueryCode,
        terms: &BoundTerms,
        lower: &mut [f32; BLOCK_ROWS],
    ) -> u32 {
        kernels::block_bounds(self.codes, &query.table, self.factors, terms, lower)
    }
}

#[cfg(test)]
mod tests;
