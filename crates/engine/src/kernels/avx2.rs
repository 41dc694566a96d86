//! Kernels for x86-64 with AVX2 and FMA. Each computes what its twin in
//! `scalar` says. The functions are safe to call from one another; from
//! elsewhere the caller vouches for the processor.

use std::arch::x86_64::*;

use super::scalar;
use super::{BLOCK_ROWS, BoundTerms, FACTOR_BYTES, SignSums};

#[target_feature(enable = "avx2,fma")]
#[inline]
fn load(values: &[f32; 8]) -> __m256 {
    // SAFETY: eight floats are readable behind the reference; no alignment is needed.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn store(values: &mut [f32; 8], vector: __m256) {
    // SAFETY: eight floats are writable behind the reference; no alignment is needed.
    unsafe { _mm256_storeu_ps(values.as_mut_ptr(), vector) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn load_bytes(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are readable behind the reference; no alignment is needed.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn store_bytes(bytes: &mut [u8; 32], vector: __m256i) {
    // SAFETY: 32 bytes are writable behind the reference; no alignment is needed.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
}

/// The sum of the eight lanes.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn sum(vector: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(vector), _mm256_extractf128_ps::<1>(vector));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let (a32, a8) = a8.as_chunks::<4>();
    let (b32, b8) = b8.as_chunks::<4>();
    let mut sums = [_mm256_setzero_ps(); 4];
    for (a, b) in a32.iter().zip(b32) {
        for lane in 0..4 {
            sums[lane] = _mm256_fmadd_ps(load(&a[lane]), load(&b[lane]), sums[lane]);
        }
    }
    for (a, b) in a8.iter().zip(b8) {
        sums[0] = _mm256_fmadd_ps(load(a), load(b), sums[0]);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sum(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]))) + rest
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let (a32, a8) = a8.as_chunks::<4>();
    let (b32, b8) = b8.as_chunks::<4>();
    let mut sums = [_mm256_setzero_ps(); 4];
    for (a, b) in a32.iter().zip(b32) {
        for lane in 0..4 {
            let difference = _mm256_sub_ps(load(&a[lane]), load(&b[lane]));
            sums[lane] = _mm256_fmadd_ps(difference, difference, sums[lane]);
        }
    }
    for (a, b) in a8.iter().zip(b8) {
        let difference = _mm256_sub_ps(load(a), load(b));
        sums[0] = _mm256_fmadd_ps(difference, difference, sums[0]);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| (x - y) * (x - y)).sum();
    sum(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]))) + rest
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn dot_and_square(a: &[f32], b: &[f32]) -> (f32, f32) {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let (a32, a8) = a8.as_chunks::<4>();
    let (b32, b8) = b8.as_chunks::<4>();
    let mut dots = [_mm256_setzero_ps(); 4];
    let mut squares = [_mm256_setzero_ps(); 4];
    for (a, b) in a32.iter().zip(b32) {
        for lane in 0..4 {
            let value = load(&b[lane]);
            dots[lane] = _mm256_fmadd_ps(load(&a[lane]), value, dots[lane]);
            squares[lane] = _mm256_fmadd_ps(value, value, squares[lane]);
        }
    }
    for (a, b) in a8.iter().zip(b8) {
        let value = load(b);
        dots[0] = _mm256_fmadd_ps(load(a), value, dots[0]);
        squares[0] = _mm256_fmadd_ps(value, value, squares[0]);
    }
    let fold =
        |v: [__m256; 4]| sum(_mm256_add_ps(_mm256_add_ps(v[0], v[1]), _mm256_add_ps(v[2], v[3])));
    let rest_dot: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    let rest_square: f32 = b_rest.iter().map(|y| y * y).sum();
    (fold(dots) + rest_dot, fold(squares) + rest_square)
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn multiply(values: &mut [f32], factors: &[f32]) {
    scalar::multiply(values, factors);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn add(values: &mut [f32], terms: &[f32]) {
    scalar::add(values, terms);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn add_scaled_bytes(values: &mut [f32], bytes: &[u8], factor: f32) {
    scalar::add_scaled_bytes(values, bytes, factor);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn subtract(a: &[f32], b: &[f32], out: &mut [f32]) {
    scalar::subtract(a, b, out);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn butterfly(a: &mut [f32], b: &mut [f32]) {
    scalar::butterfly(a, b);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn hadamard(values: &mut [f32]) {
    let count = values.len();
    let (vectors, rest) = values.as_chunks_mut::<8>();
    if !rest.is_empty() {
        return scalar::hadamard(rest); // fewer than eight values
    }
    for chunk in vectors.iter_mut() {
        let vector = hadamard_eight(load(chunk));
        store(chunk, vector);
    }
    // Two levels at a time, then the last one if it is left over.
    let mut half = 1;
    while half * 4 <= count / 8 {
        for quad in vectors.chunks_exact_mut(4 * half) {
            let (low, high) = quad.split_at_mut(2 * half);
            let ((a, b), (c, d)) = (low.split_at_mut(half), high.split_at_mut(half));
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (p, q, r, s) = (load(a), load(b), load(c), load(d));
                let (sum_low, difference_low) = (_mm256_add_ps(p, q), _mm256_sub_ps(p, q));
                let (sum_high, difference_high) = (_mm256_add_ps(r, s), _mm256_sub_ps(r, s));
                store(a, _mm256_add_ps(sum_low, sum_high));
                store(b, _mm256_add_ps(difference_low, difference_high));
                store(c, _mm256_sub_ps(sum_low, sum_high));
                store(d, _mm256_sub_ps(difference_low, difference_high));
            }
        }
        half *= 4;
    }
    if half * 2 <= count / 8 {
        let (low, high) = vectors.split_at_mut(half);
        for (a, b) in low.iter_mut().zip(high) {
            let (p, q) = (load(a), load(b));
            store(a, _mm256_add_ps(p, q));
            store(b, _mm256_sub_ps(p, q));
        }
    }
}

/// The transform of eight values.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn hadamard_eight(v: __m256) -> __m256 {
    let flip = |v, mask| _mm256_xor_ps(v, mask);
    let ones = _mm256_setr_ps(0.0, -0.0, 0.0, -0.0, 0.0, -0.0, 0.0, -0.0);
    let v = _mm256_add_ps(flip(v, ones), _mm256_permute_ps::<0b10_11_00_01>(v));
    let twos = _mm256_setr_ps(0.0, 0.0, -0.0, -0.0, 0.0, 0.0, -0.0, -0.0);
    let v = _mm256_add_ps(flip(v, twos), _mm256_permute_ps::<0b01_00_11_10>(v));
    let fours = _mm256_setr_ps(0.0, 0.0, 0.0, 0.0, -0.0, -0.0, -0.0, -0.0);
    _mm256_add_ps(flip(v, fours), _mm256_permute2f128_ps::<1>(v, v))
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn encode_signs(residual: &[f32], centre: &[f32], signs: &mut [u8]) -> SignSums {
    let (residual, _) = residual.as_chunks::<8>();
    let (centre, _) = centre.as_chunks::<8>();
    let sign_bit = _mm256_set1_ps(-0.0);
    let mut magnitude = _mm256_setzero_ps();
    let mut square = _mm256_setzero_ps();
    let mut product = _mm256_setzero_ps();
    for ((residual, centre), signs) in residual.iter().zip(centre).zip(signs) {
        let value = load(residual);
        *signs = !(_mm256_movemask_ps(value) as u8);
        magnitude = _mm256_add_ps(magnitude, _mm256_andnot_ps(sign_bit, value));
        square = _mm256_fmadd_ps(value, value, square);
        let flipped = _mm256_xor_ps(load(centre), _mm256_and_ps(sign_bit, value));
        product = _mm256_add_ps(product, flipped);
    }
    SignSums { magnitude: sum(magnitude), square: sum(square), centre: sum(product) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn quantize(values: &[f32], quanta: &mut [i8]) -> (f32, u32) {
    let (values, _) = values.as_chunks::<8>();
    let sign_bit = _mm256_set1_ps(-0.0);
    let mut largest = _mm256_setzero_ps();
    let mut poison = _mm256_setzero_ps();
    for value in values {
        let magnitude = _mm256_andnot_ps(sign_bit, load(value));
        largest = _mm256_max_ps(largest, magnitude);
        poison = _mm256_or_ps(poison, _mm256_cmp_ps::<_CMP_UNORD_Q>(magnitude, magnitude));
    }
    let mut lanes = [0.0; 8];
    store(&mut lanes, largest);
    let nan = _mm256_movemask_ps(poison) != 0;
    let largest = if nan { f32::NAN } else { lanes.iter().fold(0.0_f32, |a, b| a.max(*b)) };
    let (step, inverse) = scalar::step_of(largest);
    if step == 0.0 {
        quanta.fill(0);
        return (0.0, 0);
    }
    let inverse = _mm256_set1_ps(inverse);
    // Packing works within 128-bit lanes; this puts the words back in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let mut total = _mm256_setzero_si256();
    let (values, _) = values.as_chunks::<4>();
    let (quanta, _) = quanta.as_chunks_mut::<32>();
    for (values, quanta) in values.iter().zip(quanta) {
        let round = |v| _mm256_cvtps_epi32(_mm256_mul_ps(load(v), inverse));
        let low = _mm256_packs_epi32(round(&values[0]), round(&values[1]));
        let high = _mm256_packs_epi32(round(&values[2]), round(&values[3]));
        let packed = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
        let magnitudes = _mm256_abs_epi8(packed);
        total = _mm256_add_epi64(total, _mm256_sad_epu8(magnitudes, _mm256_setzero_si256()));
        // SAFETY: 32 bytes are writable behind the reference; no alignment is needed.
        unsafe { _mm256_storeu_si256(quanta.as_mut_ptr().cast(), packed) };
    }
    let mut sums = [0; 32];
    store_bytes(&mut sums, total);
    let (sums, _) = sums.as_chunks::<8>();
    (step, sums.iter().map(|sum| u64::from_le_bytes(*sum) as u32).sum())
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn lookup_table(quanta: &[i8], table: &mut [u8]) {
    let (quanta, _) = quanta.as_chunks::<32>();
    let (tables, _) = table.as_chunks_mut::<128>();
    let zero = _mm256_setzero_si256();
    // The byte of the lane to repeat: the first group's in the low lane, the
    // second group's in the high one.
    let groups = _mm256_inserti128_si256::<1>(zero, _mm_set1_epi8(4));
    let masks: [__m256i; 4] = std::array::from_fn(|bit| sign_mask(bit as i32));
    for (quanta, table) in quanta.iter().zip(tables) {
        // SAFETY: 32 bytes are readable behind the reference; no alignment is needed.
        let all = unsafe { _mm256_loadu_si256(quanta.as_ptr().cast()) };
        let negative = _mm256_max_epi8(_mm256_sub_epi8(zero, all), zero);
        let pairs = _mm256_maddubs_epi16(negative, _mm256_set1_epi8(1));
        // For each group, what agrees when no sign is set.
        let bases = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        let (entries, _) = table.as_chunks_mut::<32>();
        for (pair, entries) in entries.iter_mut().enumerate() {
            let (values, base) = if pair < 2 {
                (_mm256_permute2x128_si256::<0x00>(all, all), {
                    _mm256_permute2x128_si256::<0x00>(bases, bases)
                })
            } else {
                (_mm256_permute2x128_si256::<0x11>(all, all), {
                    _mm256_permute2x128_si256::<0x11>(bases, bases)
                })
            };
            let first = _mm256_add_epi8(groups, _mm256_set1_epi8(8 * (pair as i8 & 1)));
            let mut sums = _mm256_shuffle_epi8(base, first);
            for (bit, mask) in masks.iter().enumerate() {
                let place = _mm256_add_epi8(first, _mm256_set1_epi8(bit as i8));
                let value = _mm256_shuffle_epi8(values, place);
                sums = _mm256_add_epi8(sums, _mm256_and_si256(value, *mask));
            }
            store_bytes(entries, sums);
        }
    }
}

/// All ones in the bytes whose place in their lane has `bit` set.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn sign_mask(bit: i32) -> __m256i {
    let places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let places = _mm256_broadcastsi128_si256(places);
    let bit = _mm256_set1_epi8(1 << bit);
    _mm256_cmpeq_epi8(_mm256_and_si256(places, bit), bit)
}

/// Pairs of groups whose sums fit 16 bits: an entry is at most 4 × 63.
const PAIRS_MAX: usize = 256;

/// The sums of the table's entries for the codes of 32 rows.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn block_sums(codes: &[u8], table: &[u8]) -> [__m256i; 4] {
    let (codes, _) = codes.as_chunks::<32>();
    let (table, _) = table.as_chunks::<32>();
    let mut totals = [_mm256_setzero_si256(); 4];
    for (codes, table) in codes.chunks(PAIRS_MAX).zip(table.chunks(PAIRS_MAX)) {
        add_pairs(codes, table, &mut totals);
    }
    totals
}

/// How many bytes ahead of a scan memory is asked for: the processor itself
/// looks ahead within a page only.
const AHEAD: usize = 4096;

/// Adds the sums of at most [`PAIRS_MAX`] pairs of groups to the 32 totals.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn add_pairs(codes: &[[u8; 32]], table: &[[u8; 32]], totals: &mut [__m256i; 4]) {
    let half = _mm256_set1_epi8(15);
    // For the rows of the low and of the high halves: sums of whole 16-bit
    // words, and of their high bytes alone. What the words' low bytes sum up
    // to follows from both.
    let mut words = [_mm256_setzero_si256(); 2];
    let mut highs = [_mm256_setzero_si256(); 2];
    for (codes, table) in codes.iter().zip(table) {
        _mm_prefetch::<_MM_HINT_T0>(codes.as_ptr().wrapping_byte_add(AHEAD).cast());
        let (codes, table) = (load_bytes(codes), load_bytes(table));
        let low = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, half));
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), half);
        let high = _mm256_shuffle_epi8(table, high);
        words[0] = _mm256_add_epi16(words[0], low);
        words[1] = _mm256_add_epi16(words[1], high);
        highs[0] = _mm256_add_epi16(highs[0], _mm256_srli_epi16::<8>(low));
        highs[1] = _mm256_add_epi16(highs[1], _mm256_srli_epi16::<8>(high));
    }
    for side in 0..2 {
        let odd = highs[side];
        let even = _mm256_sub_epi16(words[side], _mm256_slli_epi16::<8>(odd));
        // Rows 0 to 7 and 8 to 15 of the side; one group of the pair in each
        // 128-bit lane.
        let rows = [_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd)];
        for (total, rows) in totals[2 * side..].iter_mut().zip(rows) {
            let first = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(rows));
            let second = _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(rows));
            *total = _mm256_add_epi32(*total, _mm256_add_epi32(first, second));
        }
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn block_bounds(
    codes: &[u8],
    table: &[u8],
    factors: &[u8; FACTOR_BYTES],
    terms: &BoundTerms,
    lower: &mut [f32; BLOCK_ROWS],
) -> u32 {
    let sums = block_sums(codes, table);
    let (factors, _) = factors.as_chunks::<32>();
    let (lower, _) = lower.as_chunks_mut::<8>();
    let base = _mm256_set1_ps(terms.base);
    let bias = _mm256_set1_ps(terms.bias);
    let step = _mm256_set1_ps(terms.step);
    let width = _mm256_set1_ps(terms.width);
    let threshold = _mm256_set1_ps(terms.threshold);
    let mut wanted = 0;
    for part in 0..4 {
        let factor = |kind: usize| _mm256_castsi256_ps(load_bytes(&factors[4 * kind + part]));
        let sum = _mm256_cvtepi32_ps(sums[part]);
        let product = _mm256_sub_ps(bias, _mm256_mul_ps(step, sum));
        let estimate =
            _mm256_add_ps(_mm256_add_ps(base, factor(0)), _mm256_mul_ps(factor(1), product));
        let low = _mm256_sub_ps(estimate, _mm256_mul_ps(factor(2), width));
        store(&mut lower[part], low);
        let below = _mm256_cmp_ps::<_CMP_NGE_UQ>(low, threshold);
        wanted |= (_mm256_movemask_ps(below) as u32) << (8 * part);
    }
    wanted
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn products_i8(query: &[i8], rows: &[i8], out: &mut [i32]) {
    let (query, _) = query.as_chunks::<32>();
    let (chunks, _) = rows.as_chunks::<32>();
    for (row, out) in chunks.chunks_exact(query.len()).zip(out) {
        let mut total = _mm256_setzero_si256();
        for (query, row) in query.iter().zip(row) {
            // SAFETY: 32 bytes are readable behind each reference; no alignment is needed.
            let (q, r) = unsafe {
                let load = |v: &[i8; 32]| _mm256_loadu_si256(v.as_ptr().cast());
                (load(query), load(row))
            };
            // A pair sums up to at most 2 × 63 × 127, which fits 16 bits.
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(r, q));
            total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
        let four =
            _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        *out = _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)));
    }
}
