//! Reads a list of numbers in one loop, eight digits at a time. Most numbers
//! are plain: not so long, and not so near the middle of two `f32`, that it
//! takes more than a product to tell which it is. The JSON library reads the
//! others, and says what is wrong with a list that cannot be read here.

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
/// How far the `f64` may be from the number that was written, in units of its
/// last place: one each for the digits and the first of two powers of ten, half
/// for the second.
const LOST_MARGIN: u64 = 3;
/// Reserved at most before an element was seen: what a body claims is not
/// trusted.
const RESERVED_MAX: usize = 4096;

/// The list at the start of `text`, and what follows it; nothing where it is
/// not a list of finite numbers.
pub(crate) fn list(text: &[u8]) -> Option<(Vec<f32>, &[u8])> {
    let mut rest = skip_spaces(text.strip_prefix(b"[")?);
    let mut values = Vec::with_capacity((text.len() / 8).min(RESERVED_MAX));
    if let [b']', after @ ..] = rest {
        return Some((values, after));
    }
    loop {
        let (value, after) = number(rest).or_else(|| rare_number(rest))?;
        values.push(value);
        match skip_spaces(after) {
            [b',', next @ ..] => rest = skip_spaces(next),
            [b']', after @ ..] => return Some((values, after)),
            _ => return None,
        }
    }
}

/// Past what may stand between the parts of JSON.
pub(crate) fn skip_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The number at the start of `text` as the JSON library reads it, and what
/// follows it.
#[cold]
fn rare_number(text: &[u8]) -> Option<(f32, &[u8])> {
    let ends = |byte: &u8| matches!(byte, b',' | b']' | b' ' | b'\n' | b'\r' | b'\t');
    let (number, rest) = text.split_at(text.iter().position(ends)?);
    let value: f32 = serde_json::from_slice(number).ok()?;
    value.is_finite().then_some((value, rest))
}

/// The number at the start of `text`, correctly rounded, and what follows it.
/// Nothing where it takes more than a product to tell.
fn number(text: &[u8]) -> Option<(f32, &[u8])> {
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
    let number = number as f64;
    let value = match exponent {
        0..=22 => number * POWERS[exponent as usize],
        -22..0 => number / POWERS[-exponent as usize],
        // Doubles near zero, all their digits written out.
        -44..-22 => number / 1e22 / POWERS[(-exponent - 22) as usize],
        _ => return None,
    };
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

    use super::*;

    /// A number that is read is read as the standard library reads it.
    fn check(text: &str) {
        if let Some((value, rest)) = number(text.as_bytes()) {
            let expected: f32 = text.parse().unwrap();
            assert_eq!(value.to_bits(), expected.to_bits(), "{text}");
            assert!(rest.is_empty(), "{text}");
        }
    }

    #[test]
    fn the_usual_numbers_are_plain() {
        for text in
            ["0.12345678901234567", "-1.2345678e-05", "0.1", "1", "-0.000123456789", "1E2", "1e+2"]
        {
            assert!(number(text.as_bytes()).is_some(), "{text}");
            check(text);
        }
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in ["", "01", "-", "1.", ".5", "1e", "1e+", "+1", "--1", "NaN", "1e39", "1e-400"] {
            assert!(number(text.as_bytes()).is_none(), "{text}");
        }
        for text in
            ["", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[0x1]", "[1.5.5]", "[null]", "[1e39]"]
        {
            assert!(list(text.as_bytes()).is_none(), "{text}");
        }
        let spaced = b"[ 1 ,\t-0.5\n, 0 , -0 ] x";
        assert_eq!(list(spaced), Some((vec![1.0, -0.5, 0.0, 0.0], &b" x"[..])));
        let rare = b"[1e-400, 123456789012345678901234567890]";
        assert_eq!(list(rare), Some((vec![0.0, 1.2345679e29], &b""[..])));
        assert_eq!(list(b"[ ]"), Some((vec![], &b""[..])));
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
            check(&text);
        }

        /// The hardest to round: the middle of two neighbours, and next to it.
        #[test]
        fn middles_are_left_to_others(bits in 0x0100_0000_u32..0x7e00_0000, off in -1_i64..=1) {
            let (low, high) = (f32::from_bits(bits), f32::from_bits(bits + 1));
            let middle = f64::midpoint(f64::from(low), f64::from(high));
            let middle = f64::from_bits(middle.to_bits().wrapping_add_signed(off));
            check(&format!("{middle:e}"));
        }
    }
}
