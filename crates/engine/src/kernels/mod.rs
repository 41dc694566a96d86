//! The loops everything waits for: distances, products, the Hadamard
//! transform, and the scan over one-bit codes.
//!
//! Each kernel has a scalar twin in `scalar` that says what it computes;
//! a faster one for the processor at hand is chosen once, at the first call.
//! A new instruction set is one more module and one more table in `tables`.
//! The only module of this crate with `unsafe` code; it knows nothing of
//! records, cells or segments.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod products;
mod scalar;
mod stored;
#[cfg(target_arch = "x86_64")]
mod stored_avx2;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub(crate) use products::products;
pub use stored::{StoredRow, StoredScorer};
use tables::Kernels;

/// Codes of one block of the scan.
pub(crate) const BLOCK_ROWS: usize = 32;
/// Bytes of a block's factors: add, scale and error of each row.
pub(crate) const FACTOR_BYTES: usize = 3 * 4 * BLOCK_ROWS;
/// Largest magnitude of a quantised query component: four of them must fit a
/// byte of the lookup table.
pub(crate) const QUANTUM_MAX: i8 = 63;

/// What the bounds of a block are computed from, beside the block itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundTerms {
    /// The query's part of the distance.
    pub(crate) base: f32,
    /// What a row's code adds to the product when none of its signs agree.
    pub(crate) bias: f32,
    /// Twice the query's quantisation step.
    pub(crate) step: f32,
    /// What a row's error factor is multiplied with.
    pub(crate) width: f32,
    /// Rows whose lower bound reaches this are not wanted.
    pub(crate) threshold: f32,
}

/// What encoding a residual yields, beside its signs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SignSums {
    /// Sum of the residual's magnitudes.
    pub(crate) magnitude: f32,
    /// Sum of the residual's squares.
    pub(crate) square: f32,
    /// Product of the residual's signs with the centre.
    pub(crate) centre: f32,
}

/// The best table this processor can run.
fn kernels() -> &'static Kernels {
    #[cfg(test)]
    if let Some(table) = tests::TABLE.get() {
        return table;
    }
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| tables::runnable().next().expect("every processor runs the scalar table"))
}

/// The instructions that the kernels chosen for this processor are made of.
pub fn instructions() -> &'static str {
    kernels().name
}

/// The dot product. Panics where the lengths differ.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one index have one dimension");
    // SAFETY: `kernels` answers a table whose instructions this processor has.
    unsafe { (kernels().dot)(a, b) }
}

/// The squared Euclidean distance. Panics where the lengths differ.
#[inline]
pub fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one index have one dimension");
    // SAFETY: as in `dot`.
    unsafe { (kernels().squared_l2)(a, b) }
}

/// The Euclidean length.
#[inline]
pub fn norm(a: &[f32]) -> f32 {
    dot(a, a).sqrt()
}

/// The dot product of `a` and `b`, and of `b` with itself, in one pass.
/// Panics where the lengths differ.
#[inline]
pub fn dot_and_square(a: &[f32], b: &[f32]) -> (f32, f32) {
    assert_eq!(a.len(), b.len(), "vectors of one index have one dimension");
    // SAFETY: as in `dot`.
    unsafe { (kernels().dot_and_square)(a, b) }
}

/// Multiplies `values` by `factors`, place by place.
pub(crate) fn multiply(values: &mut [f32], factors: &[f32]) {
    assert_eq!(values.len(), factors.len());
    // SAFETY: as in `dot`.
    unsafe { (kernels().multiply)(values, factors) }
}

/// Adds `terms` to `values`, place by place.
pub(crate) fn add(values: &mut [f32], terms: &[f32]) {
    assert_eq!(values.len(), terms.len());
    // SAFETY: as in `dot`.
    unsafe { (kernels().add)(values, terms) }
}

/// Adds `factor` times `bytes` to `values`, place by place.
pub(crate) fn add_scaled_bytes(values: &mut [f32], bytes: &[u8], factor: f32) {
    assert_eq!(values.len(), bytes.len());
    // SAFETY: as in `dot`.
    unsafe { (kernels().add_scaled_bytes)(values, bytes, factor) }
}

/// `a - b` into `out`, place by place.
pub(crate) fn subtract(a: &[f32], b: &[f32], out: &mut [f32]) {
    assert!(a.len() == b.len() && a.len() == out.len());
    // SAFETY: as in `dot`.
    unsafe { (kernels().subtract)(a, b, out) }
}

/// Replaces each pair `(a, b)` by `(a + b, a - b) / sqrt(2)`.
pub(crate) fn butterfly(a: &mut [f32], b: &mut [f32]) {
    assert_eq!(a.len(), b.len());
    // SAFETY: as in `dot`.
    unsafe { (kernels().butterfly)(a, b) }
}

/// The Walsh-Hadamard transform of a power of two of values, not scaled.
pub(crate) fn hadamard(values: &mut [f32]) {
    assert!(values.len().is_power_of_two());
    // SAFETY: as in `dot`.
    unsafe { (kernels().hadamard)(values) }
}

/// Writes the signs of `residual` (bit 1: not negative; the lowest bit of a
/// byte comes first) to `signs`, and sums it up. The length is a multiple
/// of 8.
pub(crate) fn encode_signs(residual: &[f32], centre: &[f32], signs: &mut [u8]) -> SignSums {
    assert!(residual.len() == centre.len() && residual.len() == signs.len() * 8);
    // SAFETY: as in `dot`.
    unsafe { (kernels().encode_signs)(residual, centre, signs) }
}

/// Rounds `values` to multiples of a step, at most [`QUANTUM_MAX`] steps from
/// 0. Answers the step and the sum of the magnitudes in steps. The length is
/// a multiple of 32. Values that are all zero or not finite give 0 steps.
pub(crate) fn quantize(values: &[f32], quanta: &mut [i8]) -> (f32, u32) {
    assert!(values.len() == quanta.len() && values.len().is_multiple_of(32));
    // SAFETY: as in `dot`.
    unsafe { (kernels().quantize)(values, quanta) }
}

/// For each group of four quanta, the 16 sums of the magnitudes whose sign
/// agrees with the four signs of the table's index. The number of quanta is a
/// multiple of 32.
pub(crate) fn lookup_table(quanta: &[i8], table: &mut [u8]) {
    assert!(quanta.len() * 4 == table.len() && quanta.len().is_multiple_of(32));
    // SAFETY: as in `dot`.
    unsafe { (kernels().lookup_table)(quanta, table) }
}

/// Asks the processor to bring a slice near, without waiting; a hint only.
#[inline]
pub(crate) fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks((64 / size_of::<T>()).max(1)) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch reads nothing that the
        // program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Lower bounds of a block's distances, and a bit for each row whose bound
/// does not reach the threshold (NaN never does).
///
/// `codes` has 16 bytes for each group of four signs, byte `j` with row `j` in
/// its low half and row `j + 16` in its high half; `table` has 16 entries for
/// each group. The number of groups is even.
#[inline]
pub(crate) fn block_bounds(
    codes: &[u8],
    table: &[u8],
    factors: &[u8; FACTOR_BYTES],
    terms: &BoundTerms,
    lower: &mut [f32; BLOCK_ROWS],
) -> u32 {
    assert!(codes.len() == table.len() && codes.len().is_multiple_of(32));
    // SAFETY: as in `dot`.
    unsafe { (kernels().block_bounds)(codes, table, factors, terms, lower) }
}

/// The dot products of `query` with each row of `rows`. The length of a row
/// is a multiple of 32 and at most 2^16; the query's values are at most
/// [`QUANTUM_MAX`] in magnitude, those of the rows at most 127.
pub(crate) fn products_i8(query: &[i8], rows: &[i8], out: &mut [i32]) {
    assert!(query.len().is_multiple_of(32) && query.len() <= 1 << 16);
    assert_eq!(query.len() * out.len(), rows.len());
    // SAFETY: as in `dot`.
    unsafe { (kernels().products_i8)(query, rows, out) }
}
