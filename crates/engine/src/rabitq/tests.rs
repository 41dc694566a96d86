//! The estimator against exact distances, and blocks against single rows.

use crossbill_core::Seed;
use proptest::prelude::*;

use super::*;
use crate::rotation::Rotation;

struct Set {
    rotation: Rotation,
    origin: Vec<f32>,
    centre: Vec<f32>,
    rows: Vec<Vec<f32>>,
    query: Vec<f32>,
}

/// Rows around a centre, all rotated; centre, rows and query are relative to
/// the origin.
fn set(dimension: usize, seed: u64, count: usize) -> Set {
    let mut rng = Seed(seed).rng();
    let rotation = Rotation::new(dimension, Seed(seed));
    let mut draw = |spread: f32, around: Option<&[f32]>| {
        let mut values = vec![0.0; rotation.padded()];
        values[..dimension].iter_mut().for_each(|v| *v = rng.normal_f32() * spread);
        rotation.apply(&mut values);
        for (value, around) in values.iter_mut().zip(around.unwrap_or(&[])) {
            *value += around;
        }
        values
    };
    let (origin, centre) = (draw(3.0, None), draw(1.0, None));
    let rows = (0..count).map(|_| draw(0.7, Some(&centre))).collect();
    let query = draw(0.9, Some(&centre));
    Set { rotation, origin, centre, rows, query }
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The exact distance and the query's part of it.
fn exact(form: Form, set: &Set, row: &[f32]) -> (f32, f32) {
    let (o, q) = (sum(row, &set.origin), sum(&set.query, &set.origin));
    match form {
        Form::SquaredL2 => {
            (kernels::squared_l2(&o, &q), kernels::squared_l2(&set.query, &set.centre))
        }
        Form::NegativeDot => {
            (-kernels::dot(&o, &q), -kernels::dot(&sum(&set.centre, &set.origin), &q))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn estimates_are_unbiased_and_mostly_within_their_bound(
        dimension in 40_usize..400, seed in any::<u64>(), dot in any::<bool>(),
    ) {
        let form = if dot { Form::NegativeDot } else { Form::SquaredL2 };
        let set = set(dimension, seed, 200);
        let bits = set.rotation.padded();
        let mut code = QueryCode::new(bits);
        code.set(&set.query);
        let square = kernels::squared_l2(&set.query, &set.centre);
        let (mut outside, mut bias) = (0, 0.0);
        for row in &set.rows {
            let mut signs = vec![0; bits / 8];
            let residual = difference(row, &set.centre);
            let factors = encode(form, &residual, &set.centre, &set.origin, &mut signs).unwrap();
            let (distance, base) = exact(form, &set, row);
            let terms = code.terms(base, square, 1.9);
            let product = terms.bias - terms.step * code.sum(&signs) as f32;
            let estimate = base + factors.add + factors.scale * product;
            let error = (estimate - distance) / (factors.error * terms.width / 1.9);
            outside += u32::from(error.abs() > 1.9);
            bias += error / set.rows.len() as f32;
        }
        // One standard deviation is about 1: 5.7 % lie beyond 1.9 of them.
        prop_assert!(outside < 30, "{outside} of 200 outside the bound");
        prop_assert!(bias.abs() < 0.4, "bias {bias}");
    }

    #[test]
    fn blocks_give_what_single_rows_give(
        dimension in 1_usize..300, seed in any::<u64>(), count in 1_usize..=32,
    ) {
        let set = set(dimension, seed, count);
        let bits = set.rotation.padded();
        let mut code = QueryCode::new(bits);
        code.set(&set.query);
        let encoded: Vec<(Vec<u8>, Factors)> = set.rows.iter().map(|row| {
            let mut signs = vec![0; bits / 8];
            let residual = difference(row, &set.centre);
            let form = Form::SquaredL2;
            let factors = encode(form, &residual, &set.centre, &set.origin, &mut signs).unwrap();
            (signs, factors)
        }).collect();
        let mut bytes = vec![0; block_bytes(bits)];
        let rows = encoded.iter().enumerate();
        write_block(bits, rows.map(|(i, (s, f))| (7 * i as u32, s.as_slice(), *f)), &mut bytes);
        let block = Block::new(bits, &bytes);
        let mut lower = [0.0; BLOCK_ROWS];
        let terms = code.terms(1.5, 2.0, 1.0);
        let wanted = block.bounds(&code, &terms, &mut lower);
        prop_assert_eq!(wanted, ((1_u64 << count) - 1) as u32);
        for (place, (signs, factors)) in encoded.iter().enumerate() {
            let product = terms.bias - terms.step * code.sum(signs) as f32;
            let estimate = (1.5 + factors.add) + factors.scale * product;
            prop_assert_eq!(lower[place], estimate - factors.error * terms.width);
            prop_assert_eq!(block.row(place), 7 * place as u32);
        }
        prop_assert!((count..BLOCK_ROWS).all(|place| block.row(place) == NO_ROW));
    }
}

#[test]
fn a_row_on_its_centre_is_exact() {
    let set = set(64, 3, 0);
    let mut signs = vec![0; 8];
    let factors =
        encode(Form::SquaredL2, &[0.0; 64], &set.centre, &set.origin, &mut signs).unwrap();
    assert_eq!(factors, Factors { add: 0.0, scale: 0.0, error: 0.0 });
}

#[test]
fn rows_beyond_the_range_have_no_factors() {
    let mut residual = [0.0; 64];
    residual[5] = 1e30;
    assert_eq!(encode(Form::SquaredL2, &residual, &[0.0; 64], &[0.0; 64], &mut [0; 8]), None);
    residual[5] = f32::NAN;
    assert_eq!(encode(Form::NegativeDot, &residual, &[0.0; 64], &[0.0; 64], &mut [0; 8]), None);
}
