//! Kernels for aarch64 with NEON, and one with its dot-product instructions.
//! Each computes what its twin in `scalar` says; the element-wise ones are
//! the scalar ones, which the compiler widens on this kind of processor. The
//! functions are safe to call from one another; from elsewhere the caller
//! vouches for the processor.

use std::arch::aarch64::*;
use std::arch::asm;

use super::scalar;
use super::{BLOCK_ROWS, BoundTerms, FACTOR_BYTES, SignSums};

#[target_feature(enable = "neon")]
#[inline]
fn load(values: &[f32; 4]) -> float32x4_t {
    // SAFETY: four floats are readable behind the reference; no alignment is needed.
    unsafe { vld1q_f32(values.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn store(values: &mut [f32; 4], vector: float32x4_t) {
    // SAFETY: four floats are writable behind the reference; no alignment is needed.
    unsafe { vst1q_f32(values.as_mut_ptr(), vector) }
}

#[target_feature(enable = "neon")]
#[inline]
fn load_bytes(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: sixteen bytes are readable behind the reference; no alignment is needed.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn load_small(bytes: &[i8; 16]) -> int8x16_t {
    // SAFETY: sixteen bytes are readable behind the reference; no alignment is needed.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

/// The sum of four vectors' lanes.
#[target_feature(enable = "neon")]
#[inline]
fn sum(v: [float32x4_t; 4]) -> f32 {
    vaddvq_f32(vaddq_f32(vaddq_f32(v[0], v[1]), vaddq_f32(v[2], v[3])))
}

#[target_feature(enable = "neon")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let (a16, a4) = a4.as_chunks::<4>();
    let (b16, b4) = b4.as_chunks::<4>();
    let mut sums = [vdupq_n_f32(0.0); 4];
    for (a, b) in a16.iter().zip(b16) {
        for lane in 0..4 {
            sums[lane] = vfmaq_f32(sums[lane], load(&a[lane]), load(&b[lane]));
        }
    }
    for (a, b) in a4.iter().zip(b4) {
        sums[0] = vfmaq_f32(sums[0], load(a), load(b));
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sum(sums) + rest
}

#[target_feature(enable = "neon")]
pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let (a16, a4) = a4.as_chunks::<4>();
    let (b16, b4) = b4.as_chunks::<4>();
    let mut sums = [vdupq_n_f32(0.0); 4];
    for (a, b) in a16.iter().zip(b16) {
        for lane in 0..4 {
            let difference = vsubq_f32(load(&a[lane]), load(&b[lane]));
            sums[lane] = vfmaq_f32(sums[lane], difference, difference);
        }
    }
    for (a, b) in a4.iter().zip(b4) {
        let difference = vsubq_f32(load(a), load(b));
        sums[0] = vfmaq_f32(sums[0], difference, difference);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| (x - y) * (x - y)).sum();
    sum(sums) + rest
}

#[target_feature(enable = "neon")]
pub(super) fn dot_and_square(a: &[f32], b: &[f32]) -> (f32, f32) {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let (a16, a4) = a4.as_chunks::<4>();
    let (b16, b4) = b4.as_chunks::<4>();
    let mut dots = [vdupq_n_f32(0.0); 4];
    let mut squares = [vdupq_n_f32(0.0); 4];
    for (a, b) in a16.iter().zip(b16) {
        for lane in 0..4 {
            let value = load(&b[lane]);
            dots[lane] = vfmaq_f32(dots[lane], load(&a[lane]), value);
            squares[lane] = vfmaq_f32(squares[lane], value, value);
        }
    }
    for (a, b) in a4.iter().zip(b4) {
        let value = load(b);
        dots[0] = vfmaq_f32(dots[0], load(a), value);
        squares[0] = vfmaq_f32(squares[0], value, value);
    }
    let rest_dot: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    let rest_square: f32 = b_rest.iter().map(|y| y * y).sum();
    (sum(dots) + rest_dot, sum(squares) + rest_square)
}

#[target_feature(enable = "neon")]
pub(super) fn hadamard(values: &mut [f32]) {
    let (vectors, rest) = values.as_chunks_mut::<4>();
    if !rest.is_empty() {
        return scalar::hadamard(rest); // fewer than four values
    }
    for chunk in vectors.iter_mut() {
        let vector = hadamard_four(load(chunk));
        store(chunk, vector);
    }
    // Two levels at a time, then the last one if it is left over.
    let mut half = 1;
    while half * 4 <= vectors.len() {
        for quad in vectors.chunks_exact_mut(4 * half) {
            let (low, high) = quad.split_at_mut(2 * half);
            let ((a, b), (c, d)) = (low.split_at_mut(half), high.split_at_mut(half));
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (p, q, r, s) = (load(a), load(b), load(c), load(d));
                let (sum_low, difference_low) = (vaddq_f32(p, q), vsubq_f32(p, q));
                let (sum_high, difference_high) = (vaddq_f32(r, s), vsubq_f32(r, s));
                store(a, vaddq_f32(sum_low, sum_high));
                store(b, vaddq_f32(difference_low, difference_high));
                store(c, vsubq_f32(sum_low, sum_high));
                store(d, vsubq_f32(difference_low, difference_high));
            }
        }
        half *= 4;
    }
    if half * 2 <= vectors.len() {
        let (low, high) = vectors.split_at_mut(half);
        for (a, b) in low.iter_mut().zip(high) {
            let (p, q) = (load(a), load(b));
            store(a, vaddq_f32(p, q));
            store(b, vsubq_f32(p, q));
        }
    }
}

/// The transform of four values.
#[target_feature(enable = "neon")]
#[inline]
fn hadamard_four(v: float32x4_t) -> float32x4_t {
    // Pairs of sums, pairs of differences; then sums and differences of those.
    let (even, odd) = (vuzp1q_f32(v, v), vuzp2q_f32(v, v));
    let (sums, differences) = (vaddq_f32(even, odd), vsubq_f32(even, odd));
    let first = vzip1q_f32(sums, differences);
    let (low, high) = (vcombine_f32(vget_low_f32(first), vget_low_f32(first)), {
        vcombine_f32(vget_high_f32(first), vget_high_f32(first))
    });
    vcombine_f32(vget_low_f32(vaddq_f32(low, high)), vget_low_f32(vsubq_f32(low, high)))
}

#[target_feature(enable = "neon")]
pub(super) fn encode_signs(residual: &[f32], centre: &[f32], signs: &mut [u8]) -> SignSums {
    let (residual, _) = residual.as_chunks::<4>();
    let (centre, _) = centre.as_chunks::<4>();
    let (residual, _) = residual.as_chunks::<2>();
    let (centre, _) = centre.as_chunks::<2>();
    let sign_bit = vdupq_n_u32(1 << 31);
    let mut magnitude = vdupq_n_f32(0.0);
    let mut square = vdupq_n_f32(0.0);
    let mut product = vdupq_n_f32(0.0);
    // How far right a lane's sign goes, to become that lane's bit.
    let places: [[i32; 4]; 2] = [[-31, -30, -29, -28], [-27, -26, -25, -24]];
    // SAFETY: four integers are readable behind each pointer.
    let places = unsafe { [vld1q_s32(places[0].as_ptr()), vld1q_s32(places[1].as_ptr())] };
    for ((residual, centre), signs) in residual.iter().zip(centre).zip(signs) {
        let mut negative = vdupq_n_u32(0);
        for half in 0..2 {
            let value = load(&residual[half]);
            let sign = vandq_u32(vreinterpretq_u32_f32(value), sign_bit);
            negative = vorrq_u32(negative, vshlq_u32(sign, places[half]));
            magnitude = vaddq_f32(magnitude, vabsq_f32(value));
            square = vfmaq_f32(square, value, value);
            let flipped = veorq_u32(vreinterpretq_u32_f32(load(&centre[half])), sign);
            product = vaddq_f32(product, vreinterpretq_f32_u32(flipped));
        }
        *signs = !(vaddvq_u32(negative) as u8);
    }
    SignSums {
        magnitude: vaddvq_f32(magnitude),
        square: vaddvq_f32(square),
        centre: vaddvq_f32(product),
    }
}

#[target_feature(enable = "neon")]
pub(super) fn quantize(values: &[f32], quanta: &mut [i8]) -> (f32, u32) {
    let (values, _) = values.as_chunks::<4>();
    let mut largest = vdupq_n_f32(0.0);
    for value in values {
        // Unlike elsewhere, the larger of a number and NaN is NaN.
        largest = vmaxq_f32(largest, vabsq_f32(load(value)));
    }
    let (step, inverse) = scalar::step_of(vmaxvq_f32(largest));
    if step == 0.0 {
        quanta.fill(0);
        return (0.0, 0);
    }
    let mut total = vdupq_n_u32(0);
    let (values, _) = values.as_chunks::<4>();
    let (quanta, _) = quanta.as_chunks_mut::<16>();
    for (values, quanta) in values.iter().zip(quanta) {
        let round = |at: usize| vcvtnq_s32_f32(vmulq_n_f32(load(&values[at]), inverse));
        let low = vcombine_s16(vqmovn_s32(round(0)), vqmovn_s32(round(1)));
        let high = vcombine_s16(vqmovn_s32(round(2)), vqmovn_s32(round(3)));
        let bytes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
        let magnitudes = vreinterpretq_u8_s8(vabsq_s8(bytes));
        total = vpadalq_u16(total, vpaddlq_u8(magnitudes));
        // SAFETY: sixteen bytes are writable behind the reference; no alignment is needed.
        unsafe { vst1q_s8(quanta.as_mut_ptr(), bytes) };
    }
    (step, vaddvq_u32(total))
}

#[target_feature(enable = "neon")]
pub(super) fn lookup_table(quanta: &[i8], table: &mut [u8]) {
    let (groups, _) = quanta.as_chunks::<4>();
    let (tables, _) = table.as_chunks_mut::<16>();
    // All ones in the entries whose index has the bit set: those that the
    // quantum adds to.
    let masks: [uint8x16_t; 4] = std::array::from_fn(|bit| {
        let mask: [u8; 16] = std::array::from_fn(|entry| 0_u8.wrapping_sub(entry as u8 >> bit & 1));
        load_bytes(&mask)
    });
    for (group, table) in groups.iter().zip(tables) {
        // What agrees when no sign is set.
        let base: u8 = group.iter().map(|quantum| 0.max(-quantum) as u8).sum();
        let mut sums = vdupq_n_u8(base);
        for (quantum, mask) in group.iter().zip(masks) {
            sums = vaddq_u8(sums, vandq_u8(vdupq_n_u8(*quantum as u8), mask));
        }
        // SAFETY: sixteen bytes are writable behind the reference; no alignment is needed.
        unsafe { vst1q_u8(table.as_mut_ptr(), sums) };
    }
}

/// Groups whose sums fit 16 bits: an entry is at most 4 × 63.
const GROUPS_MAX: usize = 256;

/// The sums of the table's entries for the codes of 32 rows.
#[target_feature(enable = "neon")]
#[inline]
fn block_sums(codes: &[u8], table: &[u8]) -> [uint32x4_t; 8] {
    let (codes, _) = codes.as_chunks::<16>();
    let (table, _) = table.as_chunks::<16>();
    let half = vdupq_n_u8(15);
    let mut totals = [vdupq_n_u32(0); 8];
    for (codes, table) in codes.chunks(GROUPS_MAX).zip(table.chunks(GROUPS_MAX)) {
        let mut sums = [vdupq_n_u16(0); 4];
        for (codes, table) in codes.iter().zip(table) {
            let (codes, table) = (load_bytes(codes), load_bytes(table));
            let low = vqtbl1q_u8(table, vandq_u8(codes, half));
            let high = vqtbl1q_u8(table, vshrq_n_u8::<4>(codes));
            sums[0] = vaddw_u8(sums[0], vget_low_u8(low));
            sums[1] = vaddw_high_u8(sums[1], low);
            sums[2] = vaddw_u8(sums[2], vget_low_u8(high));
            sums[3] = vaddw_high_u8(sums[3], high);
        }
        for (totals, sums) in totals.as_chunks_mut::<2>().0.iter_mut().zip(sums) {
            totals[0] = vaddw_u16(totals[0], vget_low_u16(sums));
            totals[1] = vaddw_high_u16(totals[1], sums);
        }
    }
    totals
}

#[target_feature(enable = "neon")]
pub(super) fn block_bounds(
    codes: &[u8],
    table: &[u8],
    factors: &[u8; FACTOR_BYTES],
    terms: &BoundTerms,
    lower: &mut [f32; BLOCK_ROWS],
) -> u32 {
    let sums = block_sums(codes, table);
    let (factors, _) = factors.as_chunks::<16>();
    let (lower, _) = lower.as_chunks_mut::<4>();
    let base = vdupq_n_f32(terms.base);
    let bias = vdupq_n_f32(terms.bias);
    let threshold = vdupq_n_f32(terms.threshold);
    let bits: [u32; 4] = [1, 2, 4, 8];
    // SAFETY: four integers are readable behind the pointer.
    let bits = unsafe { vld1q_u32(bits.as_ptr()) };
    let mut wanted = 0;
    for part in 0..8 {
        let factor = |kind: usize| vreinterpretq_f32_u8(load_bytes(&factors[8 * kind + part]));
        let sum = vcvtq_f32_u32(sums[part]);
        let product = vsubq_f32(bias, vmulq_n_f32(sum, terms.step));
        let estimate = vaddq_f32(vaddq_f32(base, factor(0)), vmulq_f32(factor(1), product));
        let low = vsubq_f32(estimate, vmulq_n_f32(factor(2), terms.width));
        store(&mut lower[part], low);
        let below = vbicq_u32(bits, vcgeq_f32(low, threshold));
        wanted |= vaddvq_u32(below) << (4 * part);
    }
    wanted
}

#[target_feature(enable = "neon")]
pub(super) fn products_i8(query: &[i8], rows: &[i8], out: &mut [i32]) {
    let (query, _) = query.as_chunks::<16>();
    let (chunks, _) = rows.as_chunks::<16>();
    for (row, out) in chunks.chunks_exact(query.len()).zip(out) {
        let mut total = vdupq_n_s32(0);
        for (query, row) in query.iter().zip(row) {
            let (q, r) = (load_small(query), load_small(row));
            // Two products sum up to at most 2 × 63 × 127, which fits 16 bits.
            let low = vmull_s8(vget_low_s8(q), vget_low_s8(r));
            let pairs = vmlal_s8(low, vget_high_s8(q), vget_high_s8(r));
            total = vpadalq_s16(total, pairs);
        }
        *out = vaddvq_s32(total);
    }
}

/// Adds the products of sixteen pairs of bytes, four to a lane. The intrinsic
/// of this name is not stable yet.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn vdotq_s32(mut total: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes the registers named here only.
    unsafe {
        asm!(
            "sdot {total:v}.4s, {a:v}.16b, {b:v}.16b",
            total = inout(vreg) total,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    total
}

#[target_feature(enable = "neon,dotprod")]
pub(super) fn products_i8_dotprod(query: &[i8], rows: &[i8], out: &mut [i32]) {
    let (query, _) = query.as_chunks::<16>();
    let (query, _) = query.as_chunks::<2>();
    let (chunks, _) = rows.as_chunks::<16>();
    let (chunks, _) = chunks.as_chunks::<2>();
    for (row, out) in chunks.chunks_exact(query.len()).zip(out) {
        let mut totals = [vdupq_n_s32(0); 2];
        for (query, row) in query.iter().zip(row) {
            for half in 0..2 {
                let (q, r) = (load_small(&query[half]), load_small(&row[half]));
                totals[half] = vdotq_s32(totals[half], q, r);
            }
        }
        *out = vaddvq_s32(vaddq_s32(totals[0], totals[1]));
    }
}
