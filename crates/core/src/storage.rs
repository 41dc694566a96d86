//! How the full vectors of an index are kept: in full, or in fewer bytes.
//! Rounds, encodes and decodes one row; knows no file and no index.
//!
//! A vector is rounded once, when its record is accepted. Encoding what was
//! rounded loses nothing, so no flush, merge or restart changes an answer.

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use serde::{Deserialize, Serialize};

/// The encoding of an index's full vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VectorStorage {
    /// As they came: 4 bytes a component.
    #[default]
    F32,
    /// IEEE 754 half precision: 2 bytes a component, 11 bits of precision.
    F16,
    /// The upper half of an `f32`: 2 bytes a component, 8 bits of precision.
    Bf16,
    /// A whole number from -127 to 127 a component, and one scale a vector.
    Int8,
}

/// The components that are converted at a time.
const CHUNK: usize = 64;
/// Bytes of the scale that an int8 row begins with.
const SCALE_BYTES: usize = size_of::<f32>();
/// Largest magnitude of an int8 code.
const CODE_MAX: f32 = 127.0;
/// The lowest bits of a scale, which are 0: a scale of 17 bits times a code of
/// 7 is a sum that `f32` holds exactly.
const SCALE_LOW_BITS: u32 = 0x7f;
/// Added to a number of small magnitude it leaves the nearest whole number
/// (of two, the even one) in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

impl VectorStorage {
    /// Every encoding.
    pub const ALL: [VectorStorage; 4] =
        [VectorStorage::F32, VectorStorage::F16, VectorStorage::Bf16, VectorStorage::Int8];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            VectorStorage::F32 => "f32",
            VectorStorage::F16 => "f16",
            VectorStorage::Bf16 => "bf16",
            VectorStorage::Int8 => "int8",
        }
    }

    /// Reads the wire's name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|storage| storage.as_str().eq_ignore_ascii_case(name))
    }

    /// Bytes of an encoded row.
    pub fn row_bytes(self, dimension: usize) -> usize {
        match self {
            VectorStorage::F32 => 4 * dimension,
            VectorStorage::F16 | VectorStorage::Bf16 => 2 * dimension,
            VectorStorage::Int8 => SCALE_BYTES + dimension.next_multiple_of(SCALE_BYTES),
        }
    }

    /// The largest magnitude that a component may have.
    pub fn magnitude_max(self) -> f32 {
        match self {
            VectorStorage::F32 => f32::MAX,
            VectorStorage::F16 => 65_504.0,
            // The largest bf16. Under int8 as well: 127 times a scale that was
            // rounded up must not become infinite.
            VectorStorage::Bf16 | VectorStorage::Int8 => f32::from_bits(0x7f7f_0000),
        }
    }

    /// Up to this magnitude a component may become 0; a vector whose largest
    /// is above it does not become all zero.
    pub fn zero_max(self) -> f32 {
        match self {
            VectorStorage::F32 => 0.0,
            VectorStorage::F16 => f32::from_bits(0x3300_0000), // 2^-25
            VectorStorage::Bf16 => f32::from_bits(0x0000_8000), // 2^-134
            VectorStorage::Int8 => f32::from_bits(0x0040_0000), // 2^-127
        }
    }

    /// Replaces the components of one vector, which lie in the range, by those
    /// that encoding and decoding give. Doing it again changes nothing.
    pub fn round(self, values: &mut [f32]) {
        match self {
            VectorStorage::F32 => {}
            VectorStorage::F16 => {
                for values in values.chunks_mut(CHUNK) {
                    let mut halves = [f16::ZERO; CHUNK];
                    let halves = &mut halves[..values.len()];
                    halves.convert_from_f32_slice(values);
                    halves.convert_to_f32_slice(values);
                }
            }
            VectorStorage::Bf16 => values.iter_mut().for_each(|value| {
                *value = f32::from_bits(u32::from(to_bf16(*value)) << 16);
            }),
            VectorStorage::Int8 => {
                let scale = scale_of(values);
                values.iter_mut().for_each(|value| *value = code(*value, scale) as f32 * scale);
            }
        }
    }

    /// Writes one vector, which lies in the range, to the bytes of its row.
    ///
    /// # Panics
    /// Where `row` is not [`VectorStorage::row_bytes`] long.
    pub fn encode(self, values: &[f32], row: &mut [u8]) {
        assert_eq!(row.len(), self.row_bytes(values.len()), "bytes of a row");
        match self {
            VectorStorage::F32 => put(row, values.iter().map(|value| value.to_le_bytes())),
            VectorStorage::F16 => {
                for (row, values) in row.chunks_mut(2 * CHUNK).zip(values.chunks(CHUNK)) {
                    let mut halves = [f16::ZERO; CHUNK];
                    halves[..values.len()].convert_from_f32_slice(values);
                    put(row, halves.iter().map(|half| half.to_le_bytes()));
                }
            }
            VectorStorage::Bf16 => {
                put(row, values.iter().map(|&value| to_bf16(value).to_le_bytes()));
            }
            VectorStorage::Int8 => {
                let scale = scale_of(values);
                let (head, codes) = row.split_at_mut(SCALE_BYTES);
                head.copy_from_slice(&scale.to_le_bytes());
                codes[values.len()..].fill(0);
                for (byte, &value) in codes.iter_mut().zip(values) {
                    *byte = code(value, scale) as u8;
                }
            }
        }
    }

    /// Reads one vector from the bytes of its row. Bytes that no encoding
    /// gives may make numbers that are not finite, and nothing worse.
    ///
    /// # Panics
    /// Where `row` is not [`VectorStorage::row_bytes`] long.
    pub fn decode(self, row: &[u8], values: &mut [f32]) {
        assert_eq!(row.len(), self.row_bytes(values.len()), "bytes of a row");
        match self {
            VectorStorage::F32 => {
                let words = row.as_chunks::<4>().0.iter();
                values.iter_mut().zip(words).for_each(|(v, word)| *v = f32::from_le_bytes(*word));
            }
            VectorStorage::F16 => {
                for (row, values) in row.chunks(2 * CHUNK).zip(values.chunks_mut(CHUNK)) {
                    let mut halves = [f16::ZERO; CHUNK];
                    for (half, bytes) in halves.iter_mut().zip(row.as_chunks::<2>().0) {
                        *half = f16::from_le_bytes(*bytes);
                    }
                    halves[..values.len()].convert_to_f32_slice(values);
                }
            }
            VectorStorage::Bf16 => {
                let halves = row.as_chunks::<2>().0.iter();
                values.iter_mut().zip(halves).for_each(|(value, half)| {
                    *value = f32::from_bits(u32::from(u16::from_le_bytes(*half)) << 16);
                });
            }
            VectorStorage::Int8 => {
                let (scale, codes) = int8_parts(row);
                values.iter_mut().zip(codes).for_each(|(value, &code)| {
                    *value = f32::from(code as i8) * scale;
                });
            }
        }
    }
}

/// The scale of an int8 row, and its codes with what fills them up.
pub fn int8_parts(row: &[u8]) -> (f32, &[u8]) {
    let (scale, codes) = row.split_first_chunk().expect("a row begins with its scale");
    (f32::from_le_bytes(*scale), codes)
}

fn put<const N: usize>(row: &mut [u8], items: impl Iterator<Item = [u8; N]>) {
    row.as_chunks_mut::<N>().0.iter_mut().zip(items).for_each(|(bytes, item)| *bytes = item);
}

/// The nearest bf16, of two the even one. The value lies in the range.
fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The scale of a vector: its largest magnitude as 127 steps, rounded up to 17
/// bits. Not below the normal numbers, where those bits would be fewer.
fn scale_of(values: &[f32]) -> f32 {
    let largest = values.iter().fold(0, |largest, value| largest.max(value.to_bits() << 1));
    let step = f32::from_bits(largest >> 1) / CODE_MAX;
    let rounded = f32::from_bits((step.to_bits() + SCALE_LOW_BITS) & !SCALE_LOW_BITS);
    rounded.max(f32::MIN_POSITIVE)
}

/// The nearest whole number of steps, at most 127 of them.
fn code(value: f32, scale: f32) -> i32 {
    ((value / scale + ROUNDER).to_bits() as i32) - ROUNDER.to_bits() as i32
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Finite numbers of every size, and crowds of one size.
    fn vectors() -> impl Strategy<Value = Vec<f32>> {
        let any_size = any::<f32>().prop_filter("finite", |value| value.is_finite());
        let small = (0_u32..1 << 24).prop_map(f32::from_bits);
        let edge = prop_oneof![Just(0.0), Just(-0.0), Just(65_504.0), Just(f32::MAX), Just(0.5)];
        prop_oneof![
            vec(-1.0_f32..1.0, 1..200),
            vec(-6e4_f32..6e4, 1..20),
            vec(prop_oneof![any_size, edge], 1..200),
            vec(small, 1..20),
        ]
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn encoded(storage: VectorStorage, values: &[f32]) -> Vec<u8> {
        let mut row = vec![0xff; storage.row_bytes(values.len())];
        storage.encode(values, &mut row);
        row
    }

    fn decoded(storage: VectorStorage, row: &[u8], dimension: usize) -> Vec<f32> {
        let mut values = vec![f32::NAN; dimension];
        storage.decode(row, &mut values);
        values
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_was_rounded_is_kept_to_the_bit(values in vectors()) {
            for storage in VectorStorage::ALL {
                let limit = storage.magnitude_max();
                let values: Vec<f32> = values.iter().map(|v| v.clamp(-limit, limit)).collect();
                let row = encoded(storage, &values);
                let stored = decoded(storage, &row, values.len());
                prop_assert!(stored.iter().all(|value| value.is_finite()));
                let mut rounded = values.clone();
                storage.round(&mut rounded);
                prop_assert_eq!(bits(&rounded), bits(&stored));
                prop_assert_eq!(&encoded(storage, &stored), &row);
                storage.round(&mut rounded);
                prop_assert_eq!(bits(&rounded), bits(&stored));
            }
        }

        #[test]
        fn rounding_moves_a_component_by_half_a_step_at_most(values in vectors()) {
            let largest = |values: &[f32]| values.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
            for storage in VectorStorage::ALL {
                let limit = storage.magnitude_max();
                let values: Vec<f32> = values.iter().map(|v| v.clamp(-limit, limit)).collect();
                let mut rounded = values.clone();
                storage.round(&mut rounded);
                let longest = f64::from(largest(&values));
                for (&value, &stored) in values.iter().zip(&rounded) {
                    let (value, stored) = (f64::from(value), f64::from(stored));
                    let step = match storage {
                        VectorStorage::F32 => 0.0,
                        VectorStorage::F16 => (value.abs() / 2048.0).max(2_f64.powi(-25)),
                        VectorStorage::Bf16 => (value.abs() / 256.0).max(2_f64.powi(-134)),
                        VectorStorage::Int8 => (longest / 253.9).max(2_f64.powi(-127)),
                    };
                    prop_assert!((value - stored).abs() <= step, "{storage:?} {value} {stored}");
                }
                let is_zero = rounded.iter().all(|value| *value == 0.0);
                prop_assert_eq!(is_zero, largest(&values) <= storage.zero_max(), "{:?}", storage);
            }
        }
    }

    #[test]
    fn names_read_back() {
        for storage in VectorStorage::ALL {
            assert_eq!(VectorStorage::parse(storage.as_str()), Some(storage));
            let json = serde_json::to_string(&storage).unwrap();
            assert_eq!(json, format!("{:?}", storage.as_str()));
        }
        assert_eq!(VectorStorage::parse("INT8"), Some(VectorStorage::Int8));
        assert_eq!(VectorStorage::parse("int4"), None);
    }

    #[test]
    fn rows_are_as_documented() {
        assert_eq!(encoded(VectorStorage::F16, &[1.0, -2.0]), [0, 0x3c, 0, 0xc0]);
        assert_eq!(encoded(VectorStorage::Bf16, &[1.0, -2.0]), [0x80, 0x3f, 0, 0xc0]);
        let scale = 1.0_f32.to_le_bytes();
        let row = [&scale[..], &[127, 0x81, 2, 0, 3, 0, 0, 0]].concat();
        assert_eq!(encoded(VectorStorage::Int8, &[127.0, -127.0, 2.5, 0.5, 2.6]), row);
        assert_eq!(VectorStorage::Int8.row_bytes(5), 12);
    }
}
