//! The wrapping of every stored document: it says what kind of document this
//! is and proves that the bytes are the ones that were written.
//!
//! Layout, little endian (docs/format.md holds the normative table):
//!
//! | at | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | magic `XBILLDOC` |
//! | 8 | 4 | version of this layout, 1 |
//! | 12 | 4 | CRC-32C of everything from byte 16 to the end |
//! | 16 | 16 | kind in ASCII, filled with zeros |
//! | 32 | 16 | writer's nonce |
//! | 48 | 8 | version of the document |
//! | 56 | 8 | bytes of the payload |
//! | 64 | … | payload |

use bytes::Bytes;

pub(crate) const HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"XBILLDOC";
const LAYOUT_VERSION: u32 = 1;
const KIND_CHARS_MAX: usize = 16;

/// What an envelope says beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Which write this is; no two writes share one.
    pub nonce: u128,
    /// The document's version.
    pub version: u64,
}

/// Wraps `payload` as a document of `kind`.
///
/// # Panics
/// Where `kind` is empty, longer than 16 characters, or not ASCII.
pub(crate) fn encode(kind: &str, stamp: Stamp, payload: &[u8]) -> Bytes {
    assert!(
        (1..=KIND_CHARS_MAX).contains(&kind.len()) && kind.is_ascii(),
        "document kinds are 1-16 ASCII characters, not {kind:?}"
    );
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&LAYOUT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(kind.as_bytes());
    bytes.resize(32, 0);
    bytes.extend_from_slice(&stamp.nonce.to_le_bytes());
    bytes.extend_from_slice(&stamp.version.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    let checksum = crc32c::crc32c(&bytes[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes.into()
}

/// The stamp and the payload of a document of `kind`; the error says what was
/// found instead of one that is whole and unchanged.
pub(crate) fn decode(kind: &str, bytes: &Bytes) -> Result<(Stamp, Bytes), String> {
    let (stored, stamp, payload) = inspect(bytes)?;
    if stored != kind {
        return Err(format!("found a document of kind {stored:?}, expected {kind:?}"));
    }
    Ok((stamp, payload))
}

/// The kind, the stamp and the payload of a whole and unchanged document.
pub(crate) fn inspect(bytes: &Bytes) -> Result<(String, Stamp, Bytes), String> {
    if bytes.len() < HEADER_BYTES {
        return Err(format!("found {} bytes, expected at least {HEADER_BYTES}", bytes.len()));
    }
    if &bytes[..8] != MAGIC {
        return Err("its first bytes are not those of a document".to_owned());
    }
    let layout = u32::from_le_bytes(array(bytes, 8));
    if layout != LAYOUT_VERSION {
        return Err(format!(
            "found layout version {layout}, expected {LAYOUT_VERSION}; \
             it may come from a newer release"
        ));
    }
    let payload = bytes.slice(HEADER_BYTES..);
    let claimed = u64::from_le_bytes(array(bytes, 56));
    if payload.len() as u64 != claimed {
        return Err(format!("found {} bytes of payload, expected {claimed}", payload.len()));
    }
    let (found, expected) = (crc32c::crc32c(&bytes[16..]), u32::from_le_bytes(array(bytes, 12)));
    if found != expected {
        return Err(format!("found checksum {found:08x}, expected {expected:08x}"));
    }
    let stored = bytes[16..32].split(|byte| *byte == 0).next().unwrap_or_default();
    let stored = String::from_utf8_lossy(stored).into_owned();
    let nonce = u128::from_le_bytes(array(bytes, 32));
    let version = u64::from_le_bytes(array(bytes, 48));
    Ok((stored, Stamp { nonce, version }, payload))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the caller checked the length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_payload_comes_back(payload: Vec<u8>, nonce: u128, version: u64) {
            let stamp = Stamp { nonce, version };
            let bytes = encode("manifest", stamp, &payload);
            prop_assert_eq!(decode("manifest", &bytes), Ok((stamp, payload.into())));
        }

        #[test]
        fn any_flipped_bit_and_any_cut_is_seen(payload: Vec<u8>, place: usize, bit in 0..8) {
            let bytes = encode("manifest", Stamp { nonce: 7, version: 9 }, &payload);
            let at = place % bytes.len();
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1_u8 << bit;
            prop_assert!(decode("manifest", &flipped.into()).is_err());
            prop_assert!(decode("manifest", &bytes.slice(..at)).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = decode("manifest", &bytes.into());
        }
    }

    #[test]
    fn messages_say_found_and_expected() {
        let bytes = encode("plan", Stamp { nonce: 1, version: 1 }, b"{}");
        assert_eq!(
            decode("manifest", &bytes).unwrap_err(),
            "found a document of kind \"plan\", expected \"manifest\""
        );
        let mut newer = bytes.to_vec();
        newer[8] = 2;
        let message = decode("plan", &newer.into()).unwrap_err();
        assert!(message.contains("found layout version 2, expected 1"), "{message}");
    }
}
