//! The bytes of a log file: a header, then batches. A batch is what one sync
//! made durable together, so it is whole or it was never acknowledged.
//!
//! Layout, little endian (docs/format.md holds the normative tables).
//! File header: magic `XBILLWAL` (8), version (4), CRC-32C of bytes 16-31
//! (4), first lsn (8), salt (8). Batch: marker (4), CRC-32C of the salt and
//! of everything from the batch's byte 8 to its end (4), first lsn (8), frames
//! (4), zero (4), bytes of the body (8), body. Body: for each frame its
//! length (4) and payload.

use bytes::Bytes;

pub(super) const FILE_HEADER_BYTES: usize = 32;
pub(super) const BATCH_HEADER_BYTES: usize = 32;
const MAGIC: &[u8; 8] = b"XBILLWAL";
const VERSION: u32 = 1;
const MARKER: [u8; 4] = *b"xbLG";

/// What identifies a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub first_lsn: u64,
    /// Makes the checksums of this file's batches its own.
    pub salt: u64,
}

impl FileHeader {
    pub(super) fn encode(self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_lsn.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < FILE_HEADER_BYTES || &bytes[..8] != MAGIC {
            return Err("its first bytes are not those of a log".to_owned());
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(format!(
                "found log version {version}, expected {VERSION}; \
                 it may come from a newer release"
            ));
        }
        if crc32c::crc32c(&bytes[16..FILE_HEADER_BYTES]) != u32_at(bytes, 12) {
            return Err("the checksum of its header is wrong".to_owned());
        }
        Ok(Self { first_lsn: u64_at(bytes, 16), salt: u64_at(bytes, 24) })
    }
}

/// A batch that is being gathered.
#[derive(Debug)]
pub(super) struct BatchBuffer {
    bytes: Vec<u8>,
    frames: u32,
}

impl BatchBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BATCH_HEADER_BYTES], frames: 0 }
    }

    pub(super) fn push(&mut self, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("the caller checked the frame's limit");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(payload);
        self.frames += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn frames(&self) -> u32 {
        self.frames
    }

    /// The finished bytes, to be written to the file with `salt`.
    pub(super) fn seal(mut self, first_lsn: u64, salt: u64) -> Vec<u8> {
        let body = (self.bytes.len() - BATCH_HEADER_BYTES) as u64;
        self.bytes[..4].copy_from_slice(&MARKER);
        self.bytes[8..16].copy_from_slice(&first_lsn.to_le_bytes());
        self.bytes[16..20].copy_from_slice(&self.frames.to_le_bytes());
        self.bytes[24..32].copy_from_slice(&body.to_le_bytes());
        let checksum = checksum(salt, &self.bytes[8..]);
        self.bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// A whole, undamaged batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub first_lsn: u64,
    pub frames: Vec<Bytes>,
    /// Where the next batch begins.
    pub end: usize,
}

/// The batch that begins at `at`, if a whole and undamaged one does.
pub(super) fn read_batch(bytes: &Bytes, at: usize, salt: u64) -> Option<Batch> {
    let header = bytes.get(at..at.checked_add(BATCH_HEADER_BYTES)?)?;
    if header[..4] != MARKER {
        return None;
    }
    let body_start = at + BATCH_HEADER_BYTES;
    let end = body_start.checked_add(usize::try_from(u64_at(header, 24)).ok()?)?;
    if checksum(salt, bytes.get(at + 8..end)?) != u32_at(header, 4) {
        return None;
    }
    let mut frames = Vec::new();
    let mut next = body_start;
    while next < end {
        let start = next.checked_add(4)?;
        let length = u32_at(bytes.get(next..start)?, 0) as usize;
        next = start.checked_add(length).filter(|next| *next <= end)?;
        frames.push(bytes.slice(start..next));
    }
    (frames.len() == u32_at(header, 16) as usize).then(|| Batch {
        first_lsn: u64_at(header, 8),
        frames,
        end,
    })
}

/// Where after `at` another whole batch begins that is not older than
/// `first_lsn`: what precedes it must have been whole once.
pub(super) fn find_batch(bytes: &Bytes, at: usize, salt: u64, first_lsn: u64) -> Option<usize> {
    let tail = bytes.get(at + 1..)?;
    tail.windows(MARKER.len()).enumerate().filter(|(_, window)| *window == MARKER).find_map(
        |(offset, _)| {
            let place = at + 1 + offset;
            let batch = read_batch(bytes, place, salt)?;
            (batch.first_lsn >= first_lsn).then_some(place)
        },
    )
}

fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were asked for"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were asked for"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_come_back_and_damage_is_seen(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..9),
            (salt, first_lsn, place, bit) in (any::<u64>(), any::<u64>(), any::<usize>(), 0..8),
        ) {
            let mut buffer = BatchBuffer::new();
            payloads.iter().for_each(|payload| buffer.push(payload));
            let bytes: Bytes = buffer.seal(first_lsn, salt).into();
            let batch = read_batch(&bytes, 0, salt).unwrap();
            prop_assert_eq!((batch.first_lsn, batch.end), (first_lsn, bytes.len()));
            prop_assert_eq!(batch.frames, payloads);
            prop_assert_eq!(read_batch(&bytes, 0, salt ^ 1), None);
            let at = place % bytes.len();
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1_u8 << bit;
            prop_assert_eq!(read_batch(&flipped.into(), 0, salt), None);
            prop_assert_eq!(read_batch(&bytes.slice(..at), 0, salt), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at: usize) {
            let mut bytes = bytes;
            if bytes.len() > 4 {
                bytes[..4].copy_from_slice(&MARKER);
            }
            let _ = FileHeader::decode(&bytes);
            let bytes = bytes.into();
            let _ = (read_batch(&bytes, 0, 0), read_batch(&bytes, at, 0));
            let _ = find_batch(&bytes, 0, 0, 0);
        }
    }

    #[test]
    fn headers_come_back_and_a_later_batch_is_found() {
        let header = FileHeader { first_lsn: 9, salt: 77 };
        assert_eq!(FileHeader::decode(&header.encode()), Ok(header));
        for at in 0..FILE_HEADER_BYTES {
            let mut bytes = header.encode();
            bytes[at] ^= 16;
            assert!(FileHeader::decode(&bytes).is_err(), "{at}");
        }
        let mut file = vec![1; 50];
        file.extend(BatchBuffer::new().seal(5, 77));
        let file = file.into();
        assert_eq!(find_batch(&file, 0, 77, 5), Some(50));
        assert_eq!(find_batch(&file, 0, 77, 6), None);
        assert_eq!(find_batch(&file, 50, 77, 5), None);
    }
}
