//! The kernels of every table this processor runs against their scalar twins,
//! at every length up to 600 and at unaligned places.

use std::cell::Cell;

use crossbill_core::Seed;
use proptest::prelude::*;

use super::*;

thread_local! {
    /// The table that this thread's kernels are taken from, instead of the best.
    pub(super) static TABLE: Cell<Option<&'static Kernels>> = const { Cell::new(None) };
}

/// Runs `test` with each table, and says which (seen where it fails).
fn on_every_table(test: impl Fn()) {
    for table in tables::runnable() {
        println!("{}", table.name);
        TABLE.set(Some(table));
        test();
    }
    TABLE.set(None);
}

/// `count` numbers around 0, some of them 0 or -0.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = Seed(seed).rng();
    (0..count)
        .map(|_| match rng.below(20) {
            0 => 0.0,
            1 => -0.0,
            _ => rng.normal_f32() * 3.0,
        })
        .collect()
}

fn near(a: f32, b: f32, scale: f32) -> bool {
    (a - b).abs() <= 1e-5 * scale + 1e-6
}

/// Who runs the tests under an emulator says which table that has to bring in.
#[test]
fn the_best_table_of_this_processor_is_chosen() {
    if let Ok(expected) = std::env::var("EXPECTED_KERNELS") {
        assert_eq!(instructions(), expected);
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        assert_ne!(instructions(), "scalar");
    }
    #[cfg(target_arch = "aarch64")]
    assert_ne!(instructions(), "scalar");
}

#[test]
fn distances_agree_at_every_length_and_offset() {
    on_every_table(|| {
        for length in 1..=600 {
            for offset in 0..3 {
                let a = &numbers(length as u64, length + offset)[offset..];
                let b = &numbers(1000 + length as u64, length + offset)[offset..];
                let scale: f32 =
                    a.iter().zip(b).map(|(x, y)| x.abs() * y.abs() + x * x + y * y).sum();
                assert!(near(dot(a, b), scalar::dot(a, b), scale), "dot {length}");
                assert!(near(squared_l2(a, b), scalar::squared_l2(a, b), scale), "l2 {length}");
                let (fast, slow) = (dot_and_square(a, b), scalar::dot_and_square(a, b));
                assert!(
                    near(fast.0, slow.0, scale) && near(fast.1, slow.1, scale),
                    "both {length}"
                );
            }
        }
    });
}

#[test]
fn element_wise_kernels_agree_to_the_bit() {
    on_every_table(|| {
        for length in 1..=600 {
            let (a, b) = (numbers(length as u64, length), numbers(7, length + 1)[1..].to_vec());
            let (mut fast, mut slow) = (a.clone(), a.clone());
            multiply(&mut fast, &b);
            scalar::multiply(&mut slow, &b);
            assert_eq!(fast, slow);
            add(&mut fast, &b);
            scalar::add(&mut slow, &b);
            assert_eq!(fast, slow);
            let bytes: Vec<u8> = (0..length).map(|at| (at * 37) as u8).collect();
            add_scaled_bytes(&mut fast, &bytes, 0.37);
            scalar::add_scaled_bytes(&mut slow, &bytes, 0.37);
            assert_eq!(fast, slow);
            subtract(&a, &b, &mut fast);
            scalar::subtract(&a, &b, &mut slow);
            assert_eq!(fast, slow);
            let (mut fast_b, mut slow_b) = (b.clone(), b.clone());
            butterfly(&mut fast, &mut fast_b);
            scalar::butterfly(&mut slow, &mut slow_b);
            assert_eq!((fast, fast_b), (slow, slow_b));
        }
    });
}

#[test]
fn hadamard_agrees_to_the_bit_and_is_its_own_inverse() {
    on_every_table(|| {
        for power in 0..=12 {
            let count = 1 << power;
            let values = numbers(power, count + 1);
            let (mut fast, mut slow) = (values[1..].to_vec(), values[1..].to_vec());
            hadamard(&mut fast);
            scalar::hadamard(&mut slow);
            assert_eq!(fast, slow, "{count}");
            hadamard(&mut fast);
            let back = fast.iter().map(|v| v / count as f32);
            assert!(back.zip(&values[1..]).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    });
}

#[test]
fn signs_agree_at_every_length_and_offset() {
    on_every_table(|| {
        for length in (8..=640).step_by(8) {
            for offset in 0..3 {
                let residual = &numbers(length as u64, length + offset)[offset..];
                let centre = &numbers(3, length + offset)[offset..];
                let (mut fast, mut slow) = (vec![0; length / 8], vec![0; length / 8]);
                let a = encode_signs(residual, centre, &mut fast);
                let b = scalar::encode_signs(residual, centre, &mut slow);
                assert_eq!(fast, slow);
                let scale = 9.0 * length as f32;
                assert!(near(a.magnitude, b.magnitude, scale) && near(a.square, b.square, scale));
                assert!(near(a.centre, b.centre, scale));
            }
        }
    });
}

#[test]
fn quanta_and_tables_agree_at_every_length() {
    on_every_table(|| {
        for length in (32..=640).step_by(32) {
            let residual = &numbers(length as u64, length + 1)[1..];
            let (mut fast, mut slow) = (vec![0; length], vec![0; length]);
            assert_eq!(quantize(residual, &mut fast), scalar::quantize(residual, &mut slow));
            assert_eq!(fast, slow);
            assert!(fast.iter().any(|q| q.abs() == QUANTUM_MAX));
            let (mut fast_table, mut slow_table) = (vec![0; 4 * length], vec![0; 4 * length]);
            lookup_table(&fast, &mut fast_table);
            scalar::lookup_table(&slow, &mut slow_table);
            assert_eq!(fast_table, slow_table);
        }
    });
}

#[test]
fn quanta_of_numbers_that_are_none() {
    on_every_table(|| {
        for bad in [0.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE / 1024.0] {
            for place in [0, 31] {
                let mut values = vec![0.0; 32];
                values[place] = bad;
                let mut quanta = vec![1; 32];
                let expected = scalar::quantize(&values, &mut quanta.clone());
                assert_eq!(quantize(&values, &mut quanta), expected);
                assert_eq!((expected, quanta), ((0.0, 0), vec![0; 32]), "{bad}");
            }
        }
    });
}

/// A block of random bytes and a table with the largest sums there can be.
fn block(seed: u64, groups: usize) -> (Vec<u8>, Vec<u8>) {
    let mut rng = Seed(seed).rng();
    let codes = (0..16 * groups).map(|_| rng.next_u64() as u8).collect();
    let table = (0..16 * groups).map(|_| 252 - rng.below(2) as u8 * rng.below(253) as u8).collect();
    (codes, table)
}

/// Factors of a block, a few of them NaN.
fn block_factors(rng: &mut crossbill_core::Rng) -> [u8; FACTOR_BYTES] {
    let mut factors = [0; FACTOR_BYTES];
    for factor in factors.as_chunks_mut::<4>().0 {
        let value = if rng.below(30) == 0 { f32::NAN } else { rng.normal_f32() };
        *factor = value.to_le_bytes();
    }
    factors
}

/// The bounds of both twins agree to the bit.
fn assert_bounds_agree(codes: &[u8], table: &[u8], factors: &[u8; FACTOR_BYTES], t: &BoundTerms) {
    let (mut fast, mut slow) = ([1.0; BLOCK_ROWS], [2.0; BLOCK_ROWS]);
    let shifted = [&[9], codes].concat();
    let wanted = block_bounds(&shifted[1..], table, factors, t, &mut fast);
    assert_eq!(wanted, scalar::block_bounds(codes, table, factors, t, &mut slow));
    let bits = |v: [f32; BLOCK_ROWS]| v.map(|v| if v.is_nan() { 0 } else { v.to_bits() });
    assert_eq!(bits(fast), bits(slow));
}

#[test]
fn block_bounds_agree_at_every_number_of_groups() {
    on_every_table(|| {
        let terms = BoundTerms { base: 1.0, bias: 0.0, step: 1.0, width: 0.0, threshold: 0.0 };
        let mut factors = [0; FACTOR_BYTES];
        // The estimate becomes 1 minus the sum of the table's entries.
        for scale in factors.as_chunks_mut::<4>().0[BLOCK_ROWS..2 * BLOCK_ROWS].iter_mut() {
            *scale = 1.0_f32.to_le_bytes();
        }
        let long = [1000, 1024, 2048, 5008];
        for groups in (2..=600).step_by(2).chain(long) {
            let (codes, table) = block(groups as u64, groups);
            assert_bounds_agree(&codes, &table, &factors, &terms);
            let mut largest = [0.0; BLOCK_ROWS];
            block_bounds(&codes, &vec![252; table.len()], &factors, &terms, &mut largest);
            assert_eq!(largest, [1.0 - 252.0 * groups as f32; BLOCK_ROWS]);
        }
    });
}

#[test]
fn products_of_small_integers_agree_at_every_length() {
    on_every_table(|| {
        let mut rng = Seed(3).rng();
        for length in (32..=800).step_by(32) {
            let mut draw = |max: u64| (rng.below(2 * max + 1) as i64 - max as i64) as i8;
            let query: Vec<i8> = (0..length).map(|_| draw(QUANTUM_MAX as u64)).collect();
            let mut rows: Vec<i8> = (0..5 * length).map(|_| draw(127)).collect();
            rows[..length].fill(127);
            let (mut fast, mut slow) = ([1; 5], [2; 5]);
            products_i8(&query, &rows, &mut fast);
            scalar::products_i8(&query, &rows, &mut slow);
            assert_eq!(fast, slow, "{length}");
            products_i8(&vec![-QUANTUM_MAX; length], &rows[..length], &mut fast[..1]);
            assert_eq!(fast[0], -127 * i32::from(QUANTUM_MAX) * length as i32);
        }
    });
}

proptest! {
    #[test]
    fn block_bounds_agree_to_the_bit(
        seed in any::<u64>(),
        base in prop_oneof![4 => -10.0_f32..10.0, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY)],
        threshold in prop_oneof![3 => -9.0_f32..9.0, 1 => Just(f32::INFINITY)],
    ) {
        let factors = block_factors(&mut Seed(seed).rng());
        let (codes, table) = block(seed, 128);
        let terms = BoundTerms { base, bias: 3.0, step: 1e-4, width: 0.5, threshold };
        on_every_table(|| assert_bounds_agree(&codes, &table, &factors, &terms));
    }

    #[test]
    fn products_are_dot_products(
        rows in 0_usize..9,
        columns in 0_usize..40,
        dimension in 1_usize..70,
    ) {
        let (a, b) = (numbers(1, rows * dimension), numbers(2, columns * dimension));
        let mut out = vec![f32::NAN; rows * columns];
        products(&a, &b, dimension, &mut out);
        for (i, row) in a.chunks_exact(dimension).enumerate() {
            for (j, column) in b.chunks_exact(dimension).enumerate() {
                let expected = scalar::dot(row, column);
                prop_assert!((out[i * columns + j] - expected).abs() < 1e-3);
            }
        }
    }
}
