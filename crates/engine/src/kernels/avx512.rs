//! Kernels for x86-64 with AVX-512 (F, BW, DQ, VL, VBMI and VNNI). Each
//! computes what its twin in `scalar` says; the element-wise ones are those of
//! `avx2`, which nothing here would make faster. The functions are safe to
//! call from one another; from elsewhere the caller vouches for the processor.
//!
//! VBMI and VNNI carry the scan over one-bit codes; VNNI also makes the lookup
//! table and the products of small integers. VPOPCNTDQ has no use here: a
//! query is quantised to seven bits, so the scan looks sums up where it would
//! otherwise count the bits of a conjunction.

use std::arch::x86_64::*;

use super::scalar;
use super::{BLOCK_ROWS, BoundTerms, FACTOR_BYTES, SignSums};

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
fn load(values: &[f32; 16]) -> __m512 {
    // SAFETY: sixteen floats are readable behind the reference; no alignment is needed.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
fn store(values: &mut [f32; 16], vector: __m512) {
    // SAFETY: sixteen floats are writable behind the reference; no alignment is needed.
    unsafe { _mm512_storeu_ps(values.as_mut_ptr(), vector) }
}

/// Fewer than sixteen values, and zeros after them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
fn load_rest(values: &[f32]) -> __m512 {
    let mask = (1_u32 << values.len().min(16)) - 1;
    // SAFETY: the mask has a bit for each float of the slice, up to sixteen;
    // what has none is not read. No alignment is needed.
    unsafe { _mm512_maskz_loadu_ps(mask as __mmask16, values.as_ptr()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
fn load_bytes(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes are readable behind the reference; no alignment is needed.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// At most 64 bytes, and zeros after them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
fn load_rest_bytes(bytes: &[u8]) -> __m512i {
    let mask = ((1_u128 << bytes.len().min(64)) - 1) as __mmask64;
    // SAFETY: the mask has a bit for each byte of the slice, up to 64; what
    // has none is not read. No alignment is needed.
    unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) }
}

/// The sum of four vectors' lanes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
fn sum(v: [__m512; 4]) -> f32 {
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(v[0], v[1]), _mm512_add_ps(v[2], v[3])))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    let (a64, a16) = a16.as_chunks::<4>();
    let (b64, b16) = b16.as_chunks::<4>();
    let mut sums = [_mm512_setzero_ps(); 4];
    for (a, b) in a64.iter().zip(b64) {
        for lane in 0..4 {
            sums[lane] = _mm512_fmadd_ps(load(&a[lane]), load(&b[lane]), sums[lane]);
        }
    }
    for (a, b) in a16.iter().zip(b16) {
        sums[0] = _mm512_fmadd_ps(load(a), load(b), sums[0]);
    }
    sums[1] = _mm512_fmadd_ps(load_rest(a_rest), load_rest(b_rest), sums[1]);
    sum(sums)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    let (a64, a16) = a16.as_chunks::<4>();
    let (b64, b16) = b16.as_chunks::<4>();
    let mut sums = [_mm512_setzero_ps(); 4];
    for (a, b) in a64.iter().zip(b64) {
        for lane in 0..4 {
            let difference = _mm512_sub_ps(load(&a[lane]), load(&b[lane]));
            sums[lane] = _mm512_fmadd_ps(difference, difference, sums[lane]);
        }
    }
    for (a, b) in a16.iter().zip(b16) {
        let difference = _mm512_sub_ps(load(a), load(b));
        sums[0] = _mm512_fmadd_ps(difference, difference, sums[0]);
    }
    let difference = _mm512_sub_ps(load_rest(a_rest), load_rest(b_rest));
    sums[1] = _mm512_fmadd_ps(difference, difference, sums[1]);
    sum(sums)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn dot_and_square(a: &[f32], b: &[f32]) -> (f32, f32) {
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    let (a64, a16) = a16.as_chunks::<4>();
    let (b64, b16) = b16.as_chunks::<4>();
    let mut dots = [_mm512_setzero_ps(); 4];
    let mut squares = [_mm512_setzero_ps(); 4];
    for (a, b) in a64.iter().zip(b64) {
        for lane in 0..4 {
            let value = load(&b[lane]);
            dots[lane] = _mm512_fmadd_ps(load(&a[lane]), value, dots[lane]);
            squares[lane] = _mm512_fmadd_ps(value, value, squares[lane]);
        }
    }
    for (a, b) in a16.iter().zip(b16) {
        let value = load(b);
        dots[0] = _mm512_fmadd_ps(load(a), value, dots[0]);
        squares[0] = _mm512_fmadd_ps(value, value, squares[0]);
    }
    let value = load_rest(b_rest);
    dots[1] = _mm512_fmadd_ps(load_rest(a_rest), value, dots[1]);
    squares[1] = _mm512_fmadd_ps(value, value, squares[1]);
    (sum(dots), sum(squares))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn hadamard(values: &mut [f32]) {
    let (vectors, rest) = values.as_chunks_mut::<16>();
    if !rest.is_empty() {
        return scalar::hadamard(rest); // fewer than sixteen values
    }
    for chunk in vectors.iter_mut() {
        let vector = hadamard_sixteen(load(chunk));
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
                let (sum_low, difference_low) = (_mm512_add_ps(p, q), _mm512_sub_ps(p, q));
                let (sum_high, difference_high) = (_mm512_add_ps(r, s), _mm512_sub_ps(r, s));
                store(a, _mm512_add_ps(sum_low, sum_high));
                store(b, _mm512_add_ps(difference_low, difference_high));
                store(c, _mm512_sub_ps(sum_low, sum_high));
                store(d, _mm512_sub_ps(difference_low, difference_high));
            }
        }
        half *= 4;
    }
    if half * 2 <= vectors.len() {
        let (low, high) = vectors.split_at_mut(half);
        for (a, b) in low.iter_mut().zip(high) {
            let (p, q) = (load(a), load(b));
            store(a, _mm512_add_ps(p, q));
            store(b, _mm512_sub_ps(p, q));
        }
    }
}

/// The transform of sixteen values.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
fn hadamard_sixteen(v: __m512) -> __m512 {
    // The sum in the lower lane of each pair, the difference in the upper one.
    let level =
        |v, partner, upper| _mm512_mask_sub_ps(_mm512_add_ps(v, partner), upper, partner, v);
    let v = level(v, _mm512_permute_ps::<0b10_11_00_01>(v), 0xAAAA);
    let v = level(v, _mm512_permute_ps::<0b01_00_11_10>(v), 0xCCCC);
    let v = level(v, _mm512_shuffle_f32x4::<0b10_11_00_01>(v, v), 0xF0F0);
    level(v, _mm512_shuffle_f32x4::<0b01_00_11_10>(v, v), 0xFF00)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn encode_signs(residual: &[f32], centre: &[f32], signs: &mut [u8]) -> SignSums {
    let (residual16, residual_rest) = residual.as_chunks::<16>();
    let (centre16, centre_rest) = centre.as_chunks::<16>();
    let (signs, signs_rest) = signs.as_chunks_mut::<2>();
    let sign_bit = _mm512_set1_ps(-0.0);
    let mut magnitude = _mm512_setzero_ps();
    let mut square = _mm512_setzero_ps();
    let mut product = _mm512_setzero_ps();
    let mut step = |value: __m512, centre: __m512| {
        magnitude = _mm512_add_ps(magnitude, _mm512_abs_ps(value));
        square = _mm512_fmadd_ps(value, value, square);
        let flipped = _mm512_xor_ps(centre, _mm512_and_ps(sign_bit, value));
        product = _mm512_add_ps(product, flipped);
        !_mm512_movepi32_mask(_mm512_castps_si512(value))
    };
    for ((residual, centre), signs) in residual16.iter().zip(centre16).zip(signs) {
        *signs = step(load(residual), load(centre)).to_le_bytes();
    }
    if let [signs] = signs_rest {
        *signs = step(load_rest(residual_rest), load_rest(centre_rest)) as u8;
    }
    SignSums {
        magnitude: _mm512_reduce_add_ps(magnitude),
        square: _mm512_reduce_add_ps(square),
        centre: _mm512_reduce_add_ps(product),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn quantize(values: &[f32], quanta: &mut [i8]) -> (f32, u32) {
    let (values, _) = values.as_chunks::<16>();
    let (quanta, _) = quanta.as_chunks_mut::<16>();
    let mut largest = _mm512_setzero_ps();
    let mut poison = 0;
    for value in values {
        let magnitude = _mm512_abs_ps(load(value));
        largest = _mm512_max_ps(largest, magnitude);
        poison |= _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(magnitude, magnitude);
    }
    let largest = if poison == 0 { _mm512_reduce_max_ps(largest) } else { f32::NAN };
    let (step, inverse) = scalar::step_of(largest);
    if step == 0.0 {
        quanta.as_flattened_mut().fill(0);
        return (0.0, 0);
    }
    let inverse = _mm512_set1_ps(inverse);
    let mut total = _mm512_setzero_si512();
    for (value, quanta) in values.iter().zip(quanta) {
        let rounded = _mm512_cvtps_epi32(_mm512_mul_ps(load(value), inverse));
        total = _mm512_add_epi32(total, _mm512_abs_epi32(rounded));
        let bytes = _mm512_cvtsepi32_epi8(rounded);
        // SAFETY: sixteen bytes are writable behind the reference; no alignment is needed.
        unsafe { _mm_storeu_si128(quanta.as_mut_ptr().cast(), bytes) };
    }
    (step, _mm512_reduce_add_epi32(total) as u32)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn lookup_table(quanta: &[i8], table: &mut [u8]) {
    let (quanta, _) = quanta.as_chunks::<16>();
    let (tables, _) = table.as_chunks_mut::<64>();
    // The place of each group's first quantum, for all entries of the group.
    let first = _mm512_set4_epi32(0x0C0C_0C0C, 0x0808_0808, 0x0404_0404, 0);
    let first = _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
        first,
    );
    // The entries whose index has a bit set: those that the quantum adds to.
    let added: [__mmask64; 4] = [
        0xAAAA_AAAA_AAAA_AAAA,
        0xCCCC_CCCC_CCCC_CCCC,
        0xF0F0_F0F0_F0F0_F0F0,
        0xFF00_FF00_FF00_FF00,
    ];
    for (quanta, table) in quanta.iter().zip(tables) {
        // SAFETY: sixteen bytes are readable behind the reference; no alignment is needed.
        let four_groups = unsafe { _mm_loadu_si128(quanta.as_ptr().cast()) };
        let all = _mm512_broadcast_i32x4(four_groups);
        let zero = _mm512_setzero_si512();
        let negative = _mm512_max_epi8(_mm512_sub_epi8(zero, all), zero);
        // For each group, what agrees when no sign is set; it fits a byte.
        let bases = _mm512_dpbusd_epi32(zero, negative, _mm512_set1_epi8(1));
        let mut sums = _mm512_shuffle_epi8(bases, first);
        for (bit, &added) in added.iter().enumerate() {
            let place = _mm512_add_epi8(first, _mm512_set1_epi8(bit as i8));
            sums = _mm512_mask_add_epi8(sums, added, sums, _mm512_shuffle_epi8(all, place));
        }
        // SAFETY: 64 bytes are writable behind the reference; no alignment is needed.
        unsafe { _mm512_storeu_si512(table.as_mut_ptr().cast(), sums) };
    }
}

/// How many bytes ahead of a scan memory is asked for: the processor itself
/// looks ahead within a page only.
const AHEAD: usize = 4096;

/// The sums of the table's entries for the codes of 32 rows, four groups at a
/// time: the four codes of each row side by side, looked up in the four
/// groups' entries at once, and added to the row's sum.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")]
#[inline]
fn block_sums(codes: &[u8], table: &[u8]) -> [__m512i; 2] {
    let places: [u8; 64] = std::array::from_fn(|at| (at / 4 + at % 4 * 16) as u8);
    let by_row = load_bytes(&places);
    let group = _mm512_set1_epi32(0x3020_1000);
    let half = _mm512_set1_epi8(15);
    let one = _mm512_set1_epi8(1);
    let mut sums = [_mm512_setzero_si512(); 2];
    let add = |sums: &mut [__m512i; 2], codes: __m512i, table: __m512i| {
        let codes = _mm512_permutexvar_epi8(by_row, codes);
        // A lookup reads six bits: four of the code, two that choose the group.
        let place = |codes| _mm512_or_si512(_mm512_and_si512(codes, half), group);
        let low = _mm512_permutexvar_epi8(place(codes), table);
        let high = _mm512_permutexvar_epi8(place(_mm512_srli_epi16::<4>(codes)), table);
        sums[0] = _mm512_dpbusd_epi32(sums[0], low, one);
        sums[1] = _mm512_dpbusd_epi32(sums[1], high, one);
    };
    let (codes, codes_rest) = codes.as_chunks::<64>();
    let (table, table_rest) = table.as_chunks::<64>();
    for (codes, table) in codes.iter().zip(table) {
        _mm_prefetch::<_MM_HINT_T0>(codes.as_ptr().wrapping_byte_add(AHEAD).cast());
        add(&mut sums, load_bytes(codes), load_bytes(table));
    }
    // Groups that are not there have zeros for entries.
    if !table_rest.is_empty() {
        add(&mut sums, load_rest_bytes(codes_rest), load_rest_bytes(table_rest));
    }
    sums
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")]
pub(super) fn block_bounds(
    codes: &[u8],
    table: &[u8],
    factors: &[u8; FACTOR_BYTES],
    terms: &BoundTerms,
    lower: &mut [f32; BLOCK_ROWS],
) -> u32 {
    let sums = block_sums(codes, table);
    let (factors, _) = factors.as_chunks::<64>();
    let (lower, _) = lower.as_chunks_mut::<16>();
    let base = _mm512_set1_ps(terms.base);
    let bias = _mm512_set1_ps(terms.bias);
    let step = _mm512_set1_ps(terms.step);
    let width = _mm512_set1_ps(terms.width);
    let threshold = _mm512_set1_ps(terms.threshold);
    let mut wanted = 0;
    for part in 0..2 {
        let factor = |kind: usize| _mm512_castsi512_ps(load_bytes(&factors[2 * kind + part]));
        let sum = _mm512_cvtepi32_ps(sums[part]);
        let product = _mm512_sub_ps(bias, _mm512_mul_ps(step, sum));
        let estimate =
            _mm512_add_ps(_mm512_add_ps(base, factor(0)), _mm512_mul_ps(factor(1), product));
        let low = _mm512_sub_ps(estimate, _mm512_mul_ps(factor(2), width));
        store(&mut lower[part], low);
        let below = _mm512_cmp_ps_mask::<_CMP_NGE_UQ>(low, threshold);
        wanted |= u32::from(below) << (16 * part);
    }
    wanted
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn products_i8(query: &[i8], rows: &[i8], out: &mut [i32]) {
    // VNNI multiplies unsigned bytes with signed ones, so 128 is added to each
    // of the row's; what that adds to the product is the same for every row.
    let offset = _mm512_set1_epi8(-128);
    let excess: i32 = 128 * query.iter().map(|&q| i32::from(q)).sum::<i32>();
    let query: &[u8] = bytemuck::cast_slice(query);
    let rows: &[u8] = bytemuck::cast_slice(rows);
    let (chunks, rest) = query.as_chunks::<64>();
    let rest = load_rest_bytes(rest);
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        let (row, row_rest) = row.as_chunks::<64>();
        let row_rest = _mm512_xor_si512(load_rest_bytes(row_rest), offset);
        let mut total = _mm512_dpbusd_epi32(_mm512_setzero_si512(), row_rest, rest);
        for (query, row) in chunks.iter().zip(row) {
            let row = _mm512_xor_si512(load_bytes(row), offset);
            total = _mm512_dpbusd_epi32(total, row, load_bytes(query));
        }
        *out = _mm512_reduce_add_epi32(total) - excess;
    }
}
