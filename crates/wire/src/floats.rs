//! Reading `[1.5, …]` straight into `Vec<f32>`, without a tree of values on
//! the way, with the position of what is wrong.
//!
//! Most of the bytes of an upsert are such lists. They are read by a loop of
//! their own, eight digits at a time; a list with anything unusual in it (many
//! digits, a number next to the middle of two `f32`, an error) is read again
//! by the JSON library, whose word counts. docs/decisions/0008 has the figures.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Reserved at most before an element was seen: what a body claims is not
/// trusted.
const RESERVED_MAX: usize = 4096;

/// Powers of ten that `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Digits above this leave no room for another one in 64 bits.
const DIGITS_MAX: u64 = (u64::MAX - 9) / 10;
/// Digits above this leave no room for another eight.
const EIGHT_DIGITS_MAX: u64 = u64::MAX / 100_000_000 - 1;
/// The bits of an `f64` that `f32` has no room for, and the middle of them.
const LOST_BITS: u64 = (1 << 29) - 1;
const LOST_MIDDLE: u64 = 1 << 28;
/// How far the `f64` may be from the number that was written, in its last
/// place: half for the digits, half for the power of ten, and as much again.
const LOST_MARGIN: u64 = 2;

struct Floats;

impl<'de> Visitor<'de> for Floats {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<f32>, A::Error> {
        let mut values = Vec::with_capacity(items.size_hint().unwrap_or(0).min(RESERVED_MAX));
        loop {
            let position = values.len();
            match items.next_element::<f32>() {
                Ok(Some(value)) if value.is_finite() => values.push(value),
                Ok(Some(value)) => {
                    return Err(A::Error::custom(format_args!(
                        "component {position} is {value}, expected a finite number"
                    )));
                }
                Ok(None) => return Ok(values),
                Err(error) => {
                    return Err(A::Error::custom(format_args!("component {position}: {error}")));
                }
            }
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<f32>, E> {
        Ok(Vec::new())
    }
}

/// Reads a list of finite numbers. `null` reads as the empty list, which is
/// how an absent vector is written by some clients.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f32>, D::Error> {
    let text = <&RawValue>::deserialize(input)?.get();
    match plain_list(text.as_bytes()) {
        Some(values) => Ok(values),
        None => serde_json::Deserializer::from_str(text)
            .deserialize_any(Floats)
            .map_err(|error| D::Error::custom(without_place(&error))),
    }
}

/// The message without the place in the list: the place in the body follows.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(at) => message[..at].to_owned(),
        None => message,
    }
}

/// The list, where it is one and each number is plain.
fn plain_list(text: &[u8]) -> Option<Vec<f32>> {
    let mut rest = skip_spaces(text.strip_prefix(b"[")?);
    let mut values = Vec::with_capacity((text.len() / 8).min(RESERVED_MAX));
    if rest == b"]" {
        return Some(values);
    }
    loop {
        let (value, after) = plain_number(rest)?;
        values.push(value);
        match skip_spaces(after) {
            [b',', next @ ..] => rest = skip_spaces(next),
            [b']'] => return Some(values),
            _ => return None,
        }
    }
}

fn skip_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The number at the start of `text`, correctly rounded, and what follows it.
/// Nothing where it takes more than a product to tell.
fn plain_number(text: &[u8]) -> Option<(f32, &[u8])> {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (whole, mut rest) = digits(0, text)?;
    // "" and "01" are no numbers.
    if rest.len() == text.len() || (text[0] == b'0' && text.len() - rest.len() > 1) {
        return None;
    }
    let (mut number, mut exponent) = (whole, 0_i64);
    if let [b'.', fraction @ ..] = rest {
        (number, rest) = digits(whole, fraction)?;
        exponent = rest.len() as i64 - fraction.len() as i64;
        if exponent == 0 {
            return None;
        }
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let (is_below_one, after) = match after {
            [b'-', after @ ..] => (true, after),
            [b'+', after @ ..] => (false, after),
            after => (false, after),
        };
        let (power, left) = digits(0, after)?;
        if left.len() == after.len() || power > 400 {
            return None;
        }
        exponent += if is_below_one { -(power as i64) } else { power as i64 };
        rest = left;
    }
    let power = *POWERS.get(exponent.unsigned_abs() as usize)?;
    let number = number as f64;
    let value = if exponent < 0 { number / power } else { number * power };
    let is_sure = (value.to_bits() & LOST_BITS).abs_diff(LOST_MIDDLE) > LOST_MARGIN;
    let in_range =
        value == 0.0 || (f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX)).contains(&value);
    let value = if is_negative { -(value as f32) } else { value as f32 };
    (is_sure && in_range).then_some((value, rest))
}

/// `number` with the digits at the start of `text` behind it, and what follows
/// them. Nothing where it has no room for them.
fn digits(mut number: u64, mut text: &[u8]) -> Option<(u64, &[u8])> {
    while let Some(&eight) = text.first_chunk::<8>()
        && let Some(value) = eight_digits(eight)
    {
        if number > EIGHT_DIGITS_MAX {
            return None;
        }
        number = number * 100_000_000 + value;
        text = &text[8..];
    }
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        if number > DIGITS_MAX {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
        text = rest;
    }
    Some((number, text))
}

/// The number that eight digits are: neighbours are joined to pairs, pairs to
/// fours, fours to the whole, each by one multiplication.
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    const SIX: u64 = 0x0606_0606_0606_0606;
    let text = u64::from_le_bytes(text);
    if text & HIGH != ZEROS || text.wrapping_add(SIX) & HIGH != ZEROS {
        return None;
    }
    let ones = text - ZEROS;
    let pairs = (ones.wrapping_mul(10) + (ones >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Holder {
        #[serde(default, deserialize_with = "super::deserialize")]
        values: Vec<f32>,
    }

    fn read(json: &str) -> Result<Vec<f32>, String> {
        serde_json::from_str::<Holder>(json)
            .map(|holder| holder.values)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_of_all_spellings_are_read() {
        assert_eq!(
            read(r#"{"values":[1,-2.5,3e-2,0,1e-400]}"#),
            Ok(vec![1.0, -2.5, 0.03, 0.0, 0.0])
        );
        assert_eq!(read(r#"{"values":[0.1]}"#), Ok(vec![0.1]));
        assert_eq!(read(r#"{"values":null}"#), Ok(vec![]));
        assert_eq!(read("{}"), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_named_by_position() {
        for (json, expected) in [
            (r#"{"values":[1,1e39]}"#, "component 1"),
            (r#"{"values":[1,2,-1e400]}"#, "component 2"),
            (r#"{"values":[1,"x"]}"#, "component 1: invalid type: string \"x\""),
            (r#"{"values":[null]}"#, "component 0: invalid type: null"),
            (r#"{"values":"x"}"#, "expected a list of numbers"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
            assert!(error.contains("at line 1"), "{json}: {error}");
        }
        assert!(read(r#"{"values":[NaN]}"#).is_err());
        assert!(read(r#"{"values":[Infinity]}"#).is_err());
    }

    #[test]
    fn what_is_no_number_is_refused_and_its_neighbours_are_not() {
        for text in
            ["01", "-", "1.", ".5", "1e", "1e+", "+1", "--1", "1 2", "1,", ",1", "0x1", "1.5.5"]
        {
            assert!(read(&format!(r#"{{"values":[{text}]}}"#)).is_err(), "{text}");
        }
        let spaced = "{\"values\":[ 1 ,\t-0.5\n, 0 , -0 ,1E2,1e+2 ]}";
        assert_eq!(read(spaced), Ok(vec![1.0, -0.5, 0.0, 0.0, 100.0, 100.0]));
        assert_eq!(read("{\"values\":[ ]}"), Ok(vec![]));
    }

    /// The loop of this module says nothing else than the standard library.
    fn check(text: &str) {
        let expected: f32 = text.parse().unwrap();
        let read = read(&format!(r#"{{"values":[{text}]}}"#)).unwrap();
        assert_eq!(read[0].to_bits(), expected.to_bits(), "{text}");
        if let Some((value, rest)) = super::plain_number(text.as_bytes()) {
            assert_eq!(value.to_bits(), expected.to_bits(), "{text}");
            assert!(rest.is_empty(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_f32_is_read_as_it_was_written(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            check(&format!("{value}"));
            check(&format!("{value:e}"));
            // As programs write it that hold it in double precision.
            check(&format!("{:?}", f64::from(value)));
        }

        #[test]
        fn numbers_of_any_length_are_rounded_correctly(
            text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,24})?(e[+-]?[0-9]{1,2})?"
        ) {
            let value: f32 = text.parse().unwrap();
            // By way of double precision, which the JSON library goes: not the
            // same next to the middle between two numbers.
            prop_assume!(value.is_finite());
            if super::plain_number(text.as_bytes()).is_some() {
                check(&text);
            }
        }
    }

    #[test]
    fn the_usual_numbers_are_plain() {
        for text in ["0.12345678901234567", "-1.2345678e-05", "0.1", "1", "-0.000123456789"] {
            assert!(super::plain_number(text.as_bytes()).is_some(), "{text}");
        }
    }
}
