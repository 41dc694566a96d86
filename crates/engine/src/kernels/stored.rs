//! Distances of a query to full vectors that are kept in fewer bytes than
//! `f32` takes: they are decoded in registers as they are read.
//!
//! Tables of their own beside `Kernels`, one for each encoding; chosen once
//! for a search. Each has its scalar twin here.

#[cfg(target_arch = "x86_64")]
use super::stored_avx2 as avx2;
use crossbill_core::{VectorStorage, int8_parts};
use half::f16;

/// One implementation of what is asked of an encoding. The functions are
/// unsafe to call where the processor lacks what they were compiled for; the
/// row is as long as `VectorStorage::row_bytes` says for the query's length.
struct StoredKernels {
    dot: unsafe fn(&[f32], &[u8]) -> f32,
    squared_l2: unsafe fn(&[f32], &[u8]) -> f32,
    dot_and_square: unsafe fn(&[f32], &[u8]) -> (f32, f32),
}

macro_rules! table {
    ($name:ident, $module:ident, $encoding:ident) => {
        static $name: StoredKernels = StoredKernels {
            dot: $module::$encoding::dot,
            squared_l2: $module::$encoding::squared_l2,
            dot_and_square: $module::$encoding::dot_and_square,
        };
    };
}

table!(SCALAR_F32, scalar, f32_rows);
table!(SCALAR_F16, scalar, f16_rows);
table!(SCALAR_BF16, scalar, bf16_rows);
table!(SCALAR_INT8, scalar, int8_rows);
#[cfg(target_arch = "x86_64")]
table!(AVX2_F16, avx2, f16_rows);
#[cfg(target_arch = "x86_64")]
table!(AVX2_BF16, avx2, bf16_rows);
#[cfg(target_arch = "x86_64")]
table!(AVX2_INT8, avx2, int8_rows);

/// The table every processor can run.
fn plain(storage: VectorStorage) -> &'static StoredKernels {
    match storage {
        VectorStorage::F32 => &SCALAR_F32,
        VectorStorage::F16 => &SCALAR_F16,
        VectorStorage::Bf16 => &SCALAR_BF16,
        VectorStorage::Int8 => &SCALAR_INT8,
    }
}

/// The best table this processor can run.
fn detect(storage: VectorStorage) -> &'static StoredKernels {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
    {
        match storage {
            VectorStorage::F32 => {}
            VectorStorage::F16 => return &AVX2_F16,
            VectorStorage::Bf16 => return &AVX2_BF16,
            VectorStorage::Int8 => return &AVX2_INT8,
        }
    }
    plain(storage)
}

/// Scores rows of one encoding and dimension.
#[derive(Clone, Copy)]
pub struct StoredScorer {
    storage: VectorStorage,
    kernels: &'static StoredKernels,
}

impl StoredScorer {
    /// For rows of this encoding.
    pub fn new(storage: VectorStorage) -> Self {
        Self { storage, kernels: detect(storage) }
    }

    /// One row, to be scored.
    #[inline]
    pub fn row(self, bytes: &[u8]) -> StoredRow<'_> {
        StoredRow { scorer: self, bytes }
    }
}

/// One encoded vector. Calls panic where the query has not its dimension.
#[derive(Clone, Copy)]
pub struct StoredRow<'a> {
    scorer: StoredScorer,
    bytes: &'a [u8],
}

impl<'a> StoredRow<'a> {
    /// The row's bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The vector.
    pub fn decoded(self, dimension: usize) -> Vec<f32> {
        let mut values = vec![0.0; dimension];
        self.scorer.storage.decode(self.bytes, &mut values);
        values
    }

    /// The dot product with `query`.
    #[inline]
    pub fn dot(self, query: &[f32]) -> f32 {
        self.check(query);
        // SAFETY: `detect` chose a table whose instructions this processor has.
        unsafe { (self.scorer.kernels.dot)(query, self.bytes) }
    }

    /// The squared Euclidean distance to `query`.
    #[inline]
    pub fn squared_l2(self, query: &[f32]) -> f32 {
        self.check(query);
        // SAFETY: as in `dot`.
        unsafe { (self.scorer.kernels.squared_l2)(query, self.bytes) }
    }

    /// The dot product with `query`, and of the vector with itself.
    #[inline]
    pub fn dot_and_square(self, query: &[f32]) -> (f32, f32) {
        self.check(query);
        // SAFETY: as in `dot`.
        unsafe { (self.scorer.kernels.dot_and_square)(query, self.bytes) }
    }

    fn check(self, query: &[f32]) {
        let expected = self.scorer.storage.row_bytes(query.len());
        assert_eq!(self.bytes.len(), expected, "vectors of one index have one dimension");
    }
}

/// What the kernels compute.
mod scalar {
    use super::{f16, int8_parts};

    fn f32s(row: &[u8]) -> impl Iterator<Item = f32> {
        row.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    fn f16s(row: &[u8]) -> impl Iterator<Item = f32> {
        row.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32())
    }

    fn bf16s(row: &[u8]) -> impl Iterator<Item = f32> {
        let halves = row.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        halves.map(|half| f32::from_bits(u32::from(half) << 16))
    }

    fn int8s(row: &[u8]) -> impl Iterator<Item = f32> {
        let (scale, codes) = int8_parts(row);
        codes.iter().map(move |&code| f32::from(code as i8) * scale)
    }

    macro_rules! encoding {
        ($name:ident, $values:ident) => {
            pub(super) mod $name {
                pub(in super::super) fn dot(query: &[f32], row: &[u8]) -> f32 {
                    query.iter().zip(super::$values(row)).map(|(q, v)| q * v).sum()
                }

                pub(in super::super) fn squared_l2(query: &[f32], row: &[u8]) -> f32 {
                    query.iter().zip(super::$values(row)).map(|(q, v)| (q - v) * (q - v)).sum()
                }

                pub(in super::super) fn dot_and_square(query: &[f32], row: &[u8]) -> (f32, f32) {
                    let values = query.iter().zip(super::$values(row));
                    values.fold((0.0, 0.0), |(dot, square), (q, v)| (dot + q * v, square + v * v))
                }
            }
        };
    }

    encoding!(f32_rows, f32s);
    encoding!(f16_rows, f16s);
    encoding!(bf16_rows, bf16s);
    encoding!(int8_rows, int8s);
}

#[cfg(test)]
mod tests {
    use crossbill_core::Seed;

    use super::*;

    #[test]
    fn this_machine_runs_the_fast_kernels_where_it_can() {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("f16c") && is_x86_feature_detected!("avx2") {
            assert!(std::ptr::eq(detect(VectorStorage::Int8), &AVX2_INT8));
        }
    }

    #[test]
    fn distances_agree_at_every_length_and_offset() {
        for storage in VectorStorage::ALL {
            for length in 1..=600 {
                let mut rng = Seed(length as u64).rng();
                let mut draw = || (0..length).map(|_| rng.normal_f32() * 3.0).collect::<Vec<_>>();
                let (query, values) = (draw(), draw());
                let mut bytes = vec![0xff; storage.row_bytes(length) + 1];
                storage.encode(&values, &mut bytes[1..]);
                let row = StoredScorer::new(storage).row(&bytes[1..]);
                let twin = StoredScorer { storage, kernels: plain(storage) }.row(&bytes[1..]);
                let decoded = row.decoded(length);
                let scale: f32 = query.iter().zip(&decoded).map(|(q, v)| q * q + v * v).sum();
                let near = |a: f32, b: f32| (a - b).abs() <= 1e-5 * scale;
                let dot: f32 = query.iter().zip(&decoded).map(|(q, v)| q * v).sum();
                let square: f32 = decoded.iter().map(|v| v * v).sum();
                for row in [row, twin] {
                    let both = row.dot_and_square(&query);
                    assert!(near(row.dot(&query), dot), "{storage:?} {length}");
                    assert!(near(both.0, dot) && near(both.1, square), "{storage:?} {length}");
                    let far = query.iter().zip(&decoded).map(|(q, v)| (q - v) * (q - v)).sum();
                    assert!(near(row.squared_l2(&query), far), "{storage:?} {length}");
                }
            }
        }
    }

    /// The fast kernels decode as the encoding says, whatever the bits.
    #[test]
    fn every_half_is_read_right() {
        for storage in [VectorStorage::F16, VectorStorage::Bf16] {
            for bits in 0..=u16::MAX {
                let row: Vec<u8> = std::iter::repeat_n(bits.to_le_bytes(), 8).flatten().collect();
                let mut query = [0.0; 8];
                query[usize::from(bits % 8)] = 1.0;
                let found = StoredScorer::new(storage).row(&row);
                let value = found.decoded(8)[0];
                if value.is_finite() {
                    assert_eq!(found.dot(&query), value, "{storage:?} {bits:#x}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "one dimension")]
    fn a_query_of_another_dimension_is_refused() {
        StoredScorer::new(VectorStorage::F16).row(&[0; 8]).dot(&[1.0; 5]);
    }
}
