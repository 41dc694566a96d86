//! Two of Parquet's integer encodings, read only as far as the guard needs:
//! runs of levels, and packed lengths. Damaged bytes end the
//! reading early; the decoder itself reports them.

/// Hands runs of equal levels (level, count) to `each`, `values` levels in
/// all at most.
pub(super) fn each_run<E>(
    mut bytes: &[u8],
    bits: u32,
    values: u64,
    mut each: impl FnMut(u64, u64) -> Result<(), E>,
) -> Result<(), E> {
    let mut left = values;
    while left > 0 {
        let Some(head) = varint(&mut bytes) else { return Ok(()) };
        if head & 1 == 0 {
            let Some(level) = little_endian(&mut bytes, bits.div_ceil(8) as usize) else {
                return Ok(());
            };
            let count = (head >> 1).min(left);
            left -= count;
            each(level, count)?;
            continue;
        }
        for _ in 0..head >> 1 {
            // Eight levels of `bits` bits are `bits` bytes.
            let Some(packed) = little_endian(&mut bytes, bits as usize) else { return Ok(()) };
            let count = left.min(8);
            left -= count;
            each_packed(packed, bits, count, &mut each)?;
            if left == 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn each_packed<E>(
    packed: u64,
    bits: u32,
    count: u64,
    each: &mut impl FnMut(u64, u64) -> Result<(), E>,
) -> Result<(), E> {
    let mask = (1 << bits) - 1;
    let (mut level, mut run) = (packed & mask, 1);
    for place in 1..count {
        let next = packed >> (place * u64::from(bits)) & mask;
        if next != level {
            each(level, run)?;
            (level, run) = (next, 0);
        }
        run += 1;
    }
    each(level, run)
}

/// Hands the first `values` numbers of a delta-packed sequence to `each`,
/// negative ones as 0.
pub(super) fn each_delta<E>(
    mut bytes: &[u8],
    values: u64,
    mut each: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), E> {
    walk_deltas(&mut bytes, values, &mut each).unwrap_or(Ok(()))
}

/// None where the bytes ended too early.
fn walk_deltas<E>(
    bytes: &mut &[u8],
    values: u64,
    each: &mut impl FnMut(u64) -> Result<(), E>,
) -> Option<Result<(), E>> {
    let block = varint(bytes)?;
    let miniblocks = varint(bytes)?;
    let per_miniblock = block.checked_div(miniblocks)?;
    let mut left = varint(bytes)?.min(values);
    let mut value = zigzag(varint(bytes)?);
    if left == 0 || per_miniblock == 0 {
        return Some(Ok(()));
    }
    let mut say = |value: i64| each(u64::try_from(value).unwrap_or(0));
    if let Err(error) = say(value) {
        return Some(Err(error));
    }
    left -= 1;
    while left > 0 {
        let least = zigzag(varint(bytes)?);
        let (widths, rest) = bytes.split_at_checked(usize::try_from(miniblocks).ok()?)?;
        *bytes = rest;
        for width in widths.iter().map(|width| u64::from(*width)) {
            if left == 0 {
                break;
            }
            let size = usize::try_from(per_miniblock.div_ceil(8).checked_mul(width)?).ok()?;
            let (packed, rest) = bytes.split_at_checked(size)?;
            *bytes = rest;
            for place in 0..per_miniblock.min(left) {
                let delta = bits_at(packed, place * width, width) as i64;
                value = value.wrapping_add(least).wrapping_add(delta);
                if let Err(error) = say(value) {
                    return Some(Err(error));
                }
            }
            left -= per_miniblock.min(left);
        }
    }
    Some(Ok(()))
}

/// The `width` bits from bit `start` on, lowest first.
fn bits_at(packed: &[u8], start: u64, width: u64) -> u64 {
    let first = (start / 8) as usize;
    let mut window = [0; 16];
    let found = packed.get(first..).unwrap_or_default();
    let count = found.len().min(window.len());
    window[..count].copy_from_slice(&found[..count]);
    let bits = u128::from_le_bytes(window) >> (start % 8);
    bits as u64 & u64::MAX.checked_shr(64 - width.min(64) as u32).unwrap_or(0)
}

fn little_endian(bytes: &mut &[u8], count: usize) -> Option<u64> {
    let (head, rest) = bytes.split_at_checked(count.min(8))?;
    *bytes = rest;
    Some(head.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn zigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs(bytes: &[u8], bits: u32, values: u64) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let walked: Result<(), ()> = each_run(bytes, bits, values, |level, count| {
            found.push((level, count));
            Ok(())
        });
        walked.unwrap();
        found
    }

    fn deltas(bytes: &[u8], values: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let walked: Result<(), ()> = each_delta(bytes, values, |value| {
            found.push(value);
            Ok(())
        });
        walked.unwrap();
        found
    }

    #[test]
    fn runs_and_packed_groups_are_read() {
        // One packed group: 0 1 1 1 1 1 1 1, then a run of 760 ones.
        let bytes = [0x03, 0xfe, 0xf0, 0x0b, 0x01];
        assert_eq!(runs(&bytes, 1, 768), [(0, 1), (1, 7), (1, 760)]);
        assert_eq!(runs(&bytes, 1, 3), [(0, 1), (1, 2)]);
        // Two bits each: 0 1 2 3 3 3 3 3.
        assert_eq!(runs(&[0x03, 0xe4, 0xff], 2, 8), [(0, 1), (1, 1), (2, 1), (3, 5)]);
        assert_eq!(runs(&[0xff, 0xff], 1, 8), []);
    }

    #[test]
    fn packed_lengths_are_read() {
        // Block of 128, 4 miniblocks, 5 values from 7, each 3 more.
        let bytes = [0x80, 0x01, 0x04, 0x05, 0x0e, 0x06, 0x00, 0x00, 0x00, 0x00];
        assert_eq!(deltas(&bytes, 5), [7, 10, 13, 16, 19]);
        assert_eq!(deltas(&bytes, 2), [7, 10]);
        // A miniblock of one bit each: deltas 0 1 0 1 over the least, 1.
        let mut packed = vec![0x80, 0x01, 0x04, 0x05, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x0a];
        packed.extend([0; 3]);
        assert_eq!(deltas(&packed, 5), [0, 1, 3, 4, 6]);
        assert_eq!(deltas(&packed[..12], 5), [0]);
    }

    proptest! {
        #[test]
        fn never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            bits in 1_u32..4,
            values in 0_u64..100_000,
        ) {
            let counted: u64 = runs(&bytes, bits, values).iter().map(|run| run.1).sum();
            prop_assert!(counted <= values);
            prop_assert!(deltas(&bytes, values).len() as u64 <= values);
        }
    }
}
