//! What each kernel computes, in plain Rust: the reference for the others and
//! the way out on processors they do not know. The element-wise ones are
//! inlined into the faster modules, where the compiler widens them.

use super::{BLOCK_ROWS, BoundTerms, FACTOR_BYTES, QUANTUM_MAX, SignSums};

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for lane in 0..8 {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| (x - y) * (x - y)).sum();
    sums.iter().sum::<f32>() + rest
}

pub(super) fn dot_and_square(a: &[f32], b: &[f32]) -> (f32, f32) {
    (dot(a, b), dot(b, b))
}

#[inline(always)]
pub(super) fn multiply(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

#[inline(always)]
pub(super) fn add(values: &mut [f32], terms: &[f32]) {
    for (value, term) in values.iter_mut().zip(terms) {
        *value += term;
    }
}

#[inline(always)]
pub(super) fn add_scaled_bytes(values: &mut [f32], bytes: &[u8], factor: f32) {
    for (value, byte) in values.iter_mut().zip(bytes) {
        *value += factor * f32::from(*byte);
    }
}

#[inline(always)]
pub(super) fn subtract(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((a, b), out) in a.iter().zip(b).zip(out) {
        *out = a - b;
    }
}

#[inline(always)]
pub(super) fn butterfly(a: &mut [f32], b: &mut [f32]) {
    for (a, b) in a.iter_mut().zip(b) {
        let (sum, difference) = (*a + *b, *a - *b);
        *a = sum * std::f32::consts::FRAC_1_SQRT_2;
        *b = difference * std::f32::consts::FRAC_1_SQRT_2;
    }
}

pub(super) fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

pub(super) fn encode_signs(residual: &[f32], centre: &[f32], signs: &mut [u8]) -> SignSums {
    let mut sums = SignSums { magnitude: 0.0, square: 0.0, centre: 0.0 };
    let (residual, _) = residual.as_chunks::<8>();
    let (centre, _) = centre.as_chunks::<8>();
    for ((residual, centre), signs) in residual.iter().zip(centre).zip(signs) {
        *signs = 0;
        for lane in 0..8 {
            let value = residual[lane];
            let negative = value.is_sign_negative();
            *signs |= u8::from(!negative) << lane;
            sums.magnitude += value.abs();
            sums.square += value * value;
            sums.centre += if negative { -centre[lane] } else { centre[lane] };
        }
    }
    sums
}

/// The step and its inverse for values of at most `magnitude`; zeros where
/// there is none.
pub(super) fn step_of(magnitude: f32) -> (f32, f32) {
    let inverse = f32::from(QUANTUM_MAX) / magnitude;
    if magnitude.is_finite() && inverse.is_finite() {
        (magnitude / f32::from(QUANTUM_MAX), inverse)
    } else {
        (0.0, 0.0)
    }
}

pub(super) fn quantize(values: &[f32], quanta: &mut [i8]) -> (f32, u32) {
    // `max` leaves NaN out, so it is looked for by itself.
    let (mut magnitude, mut total) = (0.0_f32, 0);
    for value in values {
        magnitude = if value.is_nan() { f32::NAN } else { value.abs().max(magnitude) };
        if magnitude.is_nan() {
            break;
        }
    }
    let (step, inverse) = step_of(magnitude);
    for (value, quantum) in values.iter().zip(quanta) {
        *quantum = if step == 0.0 { 0 } else { (value * inverse).round_ties_even() as i8 };
        total += u32::from(quantum.unsigned_abs());
    }
    (step, total)
}

pub(super) fn lookup_table(quanta: &[i8], table: &mut [u8]) {
    let (groups, _) = quanta.as_chunks::<4>();
    let (tables, _) = table.as_chunks_mut::<16>();
    for (group, table) in groups.iter().zip(tables) {
        for (signs, entry) in table.iter_mut().enumerate() {
            *entry = (0..4)
                .filter(|bit| (signs >> bit & 1 == 1) == (group[*bit] > 0))
                .map(|bit| group[bit].unsigned_abs())
                .sum();
        }
    }
}

fn block_sums(codes: &[u8], table: &[u8]) -> [u32; BLOCK_ROWS] {
    let mut sums = [0; BLOCK_ROWS];
    let (codes, _) = codes.as_chunks::<16>();
    let (tables, _) = table.as_chunks::<16>();
    for (codes, table) in codes.iter().zip(tables) {
        for (row, &code) in codes.iter().enumerate() {
            sums[row] += u32::from(table[usize::from(code & 15)]);
            sums[row + 16] += u32::from(table[usize::from(code >> 4)]);
        }
    }
    sums
}

pub(super) fn block_bounds(
    codes: &[u8],
    table: &[u8],
    factors: &[u8; FACTOR_BYTES],
    terms: &BoundTerms,
    lower: &mut [f32; BLOCK_ROWS],
) -> u32 {
    let sums = block_sums(codes, table);
    let (factors, _) = factors.as_chunks::<4>();
    let mut wanted = 0;
    for row in 0..BLOCK_ROWS {
        let add = f32::from_le_bytes(factors[row]);
        let scale = f32::from_le_bytes(factors[BLOCK_ROWS + row]);
        let error = f32::from_le_bytes(factors[2 * BLOCK_ROWS + row]);
        // Products and sums are rounded one by one, as the wide twins do.
        let product = terms.bias - terms.step * sums[row] as f32;
        let estimate = (terms.base + add) + scale * product;
        lower[row] = estimate - error * terms.width;
        let reached = lower[row] >= terms.threshold;
        wanted |= u32::from(!reached) << row;
    }
    wanted
}

pub(super) fn products_i8(query: &[i8], rows: &[i8], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = row.iter().zip(query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
    }
}
