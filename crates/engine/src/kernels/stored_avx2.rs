//! Kernels over encoded vectors for x86-64 with AVX2, FMA and F16C. Each
//! computes what its twin in `stored` says. The functions are safe to call
//! from one another; from elsewhere the caller vouches for the processor.

use std::arch::x86_64::*;

use crossbill_core::int8_parts;

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn load(values: &[f32; 8]) -> __m256 {
    // SAFETY: eight floats are readable behind the reference; no alignment is needed.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn load_f16(bytes: &[u8; 16], (): ()) -> __m256 {
    // SAFETY: 16 bytes are readable behind the reference; no alignment is needed.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn load_bf16(bytes: &[u8; 16], (): ()) -> __m256 {
    // SAFETY: 16 bytes are readable behind the reference; no alignment is needed.
    let halves = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn load_int8(bytes: &[u8; 8], scale: __m256) -> __m256 {
    let codes = _mm_cvtsi64_si128(i64::from_le_bytes(*bytes));
    _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)), scale)
}

/// A row without a scale.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn whole(row: &[u8]) -> ((), &[u8]) {
    ((), row)
}

/// The scale of an int8 row in all lanes, and its codes.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn scaled(row: &[u8]) -> (__m256, &[u8]) {
    let (scale, codes) = int8_parts(row);
    (_mm256_set1_ps(scale), codes)
}

/// The sum of all lanes.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn sum(parts: [__m256; 4]) -> f32 {
    let [a, b, c, d] = parts;
    let eight = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// Calls `step` with the lane, eight components of the query and as many of
/// the row, of `N` bytes; the last of both filled up with zeros.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn each<const N: usize>(
    query: &[f32],
    row: &[u8],
    decode: impl Fn(&[u8; N]) -> __m256,
    mut step: impl FnMut(usize, __m256, __m256),
) {
    let (query8, query_rest) = query.as_chunks::<8>();
    let (row8, row_rest) = row[..query8.len() * N].as_chunks::<N>();
    debug_assert!(row_rest.is_empty());
    let (query32, query8) = query8.as_chunks::<4>();
    let (row32, row8) = row8.as_chunks::<4>();
    for (query, row) in query32.iter().zip(row32) {
        for lane in 0..4 {
            step(lane, load(&query[lane]), decode(&row[lane]));
        }
    }
    for (query, row) in query8.iter().zip(row8) {
        step(0, load(query), decode(row));
    }
    if !query_rest.is_empty() {
        let (mut last_query, mut last_row) = ([0.0; 8], [0; N]);
        last_query[..query_rest.len()].copy_from_slice(query_rest);
        let bytes = query_rest.len() * N / 8;
        let start = (query.len() - query_rest.len()) * N / 8;
        last_row[..bytes].copy_from_slice(&row[start..start + bytes]);
        step(1, load(&last_query), decode(&last_row));
    }
}

macro_rules! encoding {
    ($name:ident, $parts:path, $decode:path) => {
        pub(super) mod $name {
            use super::*;

            #[target_feature(enable = "avx2,fma,f16c")]
            pub(in super::super) fn dot(query: &[f32], row: &[u8]) -> f32 {
                let mut sums = [_mm256_setzero_ps(); 4];
                let (scale, row) = $parts(row);
                each(
                    query,
                    row,
                    |bytes| $decode(bytes, scale),
                    |lane, query, value| {
                        sums[lane] = _mm256_fmadd_ps(query, value, sums[lane]);
                    },
                );
                sum(sums)
            }

            #[target_feature(enable = "avx2,fma,f16c")]
            pub(in super::super) fn squared_l2(query: &[f32], row: &[u8]) -> f32 {
                let mut sums = [_mm256_setzero_ps(); 4];
                let (scale, row) = $parts(row);
                each(
                    query,
                    row,
                    |bytes| $decode(bytes, scale),
                    |lane, query, value| {
                        let difference = _mm256_sub_ps(query, value);
                        sums[lane] = _mm256_fmadd_ps(difference, difference, sums[lane]);
                    },
                );
                sum(sums)
            }

            #[target_feature(enable = "avx2,fma,f16c")]
            pub(in super::super) fn dot_and_square(query: &[f32], row: &[u8]) -> (f32, f32) {
                let mut dots = [_mm256_setzero_ps(); 4];
                let mut squares = [_mm256_setzero_ps(); 4];
                let (scale, row) = $parts(row);
                each(
                    query,
                    row,
                    |bytes| $decode(bytes, scale),
                    |lane, query, value| {
                        dots[lane] = _mm256_fmadd_ps(query, value, dots[lane]);
                        squares[lane] = _mm256_fmadd_ps(value, value, squares[lane]);
                    },
                );
                (sum(dots), sum(squares))
            }
        }
    };
}

encoding!(f16_rows, whole, load_f16);
encoding!(bf16_rows, whole, load_bf16);
encoding!(int8_rows, scaled, load_int8);
