//! Tombstones as a manifest keeps them: which rows of a segment no longer
//! count, and up to which log frame that was known, as `<lsn>:<base64>`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roaring::RoaringBitmap;

/// The text for `rows`, known up to frame `lsn`.
pub(super) fn encode(lsn: u64, rows: &RoaringBitmap) -> String {
    let mut bytes = Vec::with_capacity(rows.serialized_size());
    if !rows.is_empty() {
        rows.serialize_into(&mut bytes).expect("writing to memory does not fail");
    }
    format!("{lsn}:{}", STANDARD.encode(bytes))
}

/// The frame and rows that `text` says.
pub(super) fn decode(text: &str) -> Result<(u64, RoaringBitmap), String> {
    let (lsn, encoded) =
        text.split_once(':').ok_or("tombstones without a ':', expected <lsn>:<base64>")?;
    let lsn = lsn.parse().map_err(|_| format!("tombstones of frame {lsn:?}, expected a number"))?;
    let bytes = STANDARD.decode(encoded).map_err(|error| format!("tombstones: {error}"))?;
    if bytes.is_empty() {
        return Ok((lsn, RoaringBitmap::new()));
    }
    let rows = RoaringBitmap::deserialize_from(bytes.as_slice())
        .map_err(|error| format!("tombstones: {error}"))?;
    Ok((lsn, rows))
}

/// Whether a text reads as tombstones.
pub(crate) fn check(text: &str) -> Result<(), String> {
    decode(text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_read_back_the_same(lsn: u64, rows in prop::collection::vec(any::<u32>(), 0..50)) {
            let rows: RoaringBitmap = rows.into_iter().collect();
            prop_assert_eq!(decode(&encode(lsn, &rows)), Ok((lsn, rows)));
        }

        #[test]
        fn no_text_panics(text in "[0-9]{0,3}:?[A-Za-z0-9+/=]{0,40}") {
            let _ = decode(&text);
        }
    }
}
