//! What one frame of a namespace's log says: the physical operations, and
//! their bytes. Replaying them in order gives the memtable and the tombstones
//! back, so nothing here may depend on the state they are applied to.
//!
//! ```text
//! frame  = version u8 (2), operation*          (all numbers little endian)
//! put    = 1 u8, id, flags u8, n u32, n × f32, [sparse], [metadata]
//! delete = 2 u8, n u32, n × id
//! clear  = 3 u8
//! rows   = 4 u8, part (as an id), n u32, n bytes of Roaring
//! id     = length u16, bytes                   sparse = n u32, n × u32, n × f32
//! metadata = length u32, JSON                  flags: 1 sparse, 2 metadata
//! ```

use crossbill_core::{Error, Metadata, Record, SparseVector};
use roaring::RoaringBitmap;

/// The only version this program writes and reads.
const VERSION: u8 = 2;
const PUT: u8 = 1;
const DELETE: u8 = 2;
const CLEAR: u8 = 3;
const DELETE_ROWS: u8 = 4;
const HAS_SPARSE: u8 = 1;
const HAS_METADATA: u8 = 2;

/// One change to a namespace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    /// The record stands in place of any with its id.
    Put(Record),
    /// No record has one of these ids.
    Delete(Vec<String>),
    /// These rows of this part no longer count.
    DeleteRows(String, RoaringBitmap),
    /// There is no record.
    Clear,
}

/// Why a frame cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpsError {
    #[error("log frame has version {found}, expected {VERSION}")]
    Version { found: u8 },
    #[error("log frame has operation {found} at byte {at}, expected 1 to 4")]
    Operation { found: u8, at: usize },
    #[error("log frame ends at byte {length} within {what}")]
    Short { what: &'static str, length: usize },
    #[error("log frame has a bad {what} before byte {at}: {problem}")]
    Bad { what: &'static str, at: usize, problem: String },
}

impl From<OpsError> for Error {
    fn from(error: OpsError) -> Self {
        Error::corrupt(error.to_string())
    }
}

/// The bytes of `op`, to stand behind others in a frame.
pub(crate) fn encode_op(op: &Op, out: &mut Vec<u8>) {
    match op {
        Op::Put(record) => encode_put(record, out),
        Op::Delete(ids) => {
            out.push(DELETE);
            out.extend_from_slice(&(ids.len() as u32).to_le_bytes());
            for id in ids {
                encode_id(id, out);
            }
        }
        Op::DeleteRows(part, rows) => {
            out.push(DELETE_ROWS);
            encode_id(part, out);
            out.extend_from_slice(&(rows.serialized_size() as u32).to_le_bytes());
            rows.serialize_into(out).expect("writing to memory does not fail");
        }
        Op::Clear => out.push(CLEAR),
    }
}

/// A frame of operations that were encoded before.
pub(crate) fn frame<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = vec![VERSION];
    for body in bodies {
        out.extend_from_slice(body);
    }
    out
}

fn encode_put(record: &Record, out: &mut Vec<u8>) {
    out.push(PUT);
    encode_id(&record.id, out);
    let sparse = if record.sparse.is_some() { HAS_SPARSE } else { 0 };
    let metadata = if record.metadata.is_some() { HAS_METADATA } else { 0 };
    out.push(sparse | metadata);
    out.extend_from_slice(&(record.values.len() as u32).to_le_bytes());
    out.extend(record.values.iter().flat_map(|value| value.to_le_bytes()));
    if let Some(sparse) = &record.sparse {
        out.extend_from_slice(&(sparse.indices().len() as u32).to_le_bytes());
        out.extend(sparse.indices().iter().flat_map(|index| index.to_le_bytes()));
        out.extend(sparse.values().iter().flat_map(|value| value.to_le_bytes()));
    }
    if let Some(metadata) = &record.metadata {
        let json = metadata.to_json();
        out.extend_from_slice(&(json.len() as u32).to_le_bytes());
        out.extend_from_slice(json.as_bytes());
    }
}

fn encode_id(id: &str, out: &mut Vec<u8>) {
    let length = u16::try_from(id.len()).expect("ids were checked: at most 512 characters");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(id.as_bytes());
}

/// The operations of a frame. Never panics, whatever the bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Op>, OpsError> {
    let mut reader = Reader { bytes, at: 0 };
    let version = reader.u8("the version")?;
    if version != VERSION {
        return Err(OpsError::Version { found: version });
    }
    let mut ops = Vec::new();
    while reader.at < bytes.len() {
        let at = reader.at;
        ops.push(match reader.u8("an operation")? {
            PUT => Op::Put(reader.record()?),
            DELETE => {
                let count = reader.u32("an id count")?;
                // The count is not trusted: each id takes two bytes at least.
                let mut ids = Vec::new();
                for _ in 0..count {
                    ids.push(reader.id()?);
                }
                Op::Delete(ids)
            }
            DELETE_ROWS => {
                let part = reader.id()?;
                Op::DeleteRows(part, reader.rows()?)
            }
            CLEAR => Op::Clear,
            found => return Err(OpsError::Operation { found, at }),
        });
    }
    Ok(ops)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], OpsError> {
        let taken = self
            .at
            .checked_add(length)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or(OpsError::Short { what, length: self.bytes.len() })?;
        self.at += length;
        Ok(taken)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, OpsError> {
        Ok(self.take(1, what)?[0])
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, OpsError> {
        let bytes = self.take(2, what)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, OpsError> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// `count` four-byte words.
    fn words<T>(
        &mut self,
        count: u32,
        what: &'static str,
        read: impl Fn([u8; 4]) -> T,
    ) -> Result<Vec<T>, OpsError> {
        let length = (count as usize).saturating_mul(4);
        let bytes = self.take(length, what)?;
        Ok(bytes.chunks_exact(4).map(|word| read([word[0], word[1], word[2], word[3]])).collect())
    }

    fn text(&mut self, length: usize, what: &'static str) -> Result<&'a str, OpsError> {
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map_err(|error| self.bad(what, error))
    }

    fn id(&mut self) -> Result<String, OpsError> {
        let length = self.u16("an id")?;
        self.text(usize::from(length), "an id").map(str::to_owned)
    }

    fn rows(&mut self) -> Result<RoaringBitmap, OpsError> {
        let length = self.u32("rows")?;
        let bytes = self.take(length as usize, "rows")?;
        RoaringBitmap::deserialize_from(bytes).map_err(|error| self.bad("set of rows", error))
    }

    fn record(&mut self) -> Result<Record, OpsError> {
        let id = self.id()?;
        let flags = self.u8("flags")?;
        if flags & !(HAS_SPARSE | HAS_METADATA) != 0 {
            return Err(self.bad("flags", format!("{flags:#04x}, expected 0 to 3")));
        }
        let dimension = self.u32("a dimension")?;
        let values = self.words(dimension, "a vector", f32::from_le_bytes)?;
        let sparse = match flags & HAS_SPARSE {
            0 => None,
            _ => Some(self.sparse()?),
        };
        let metadata = match flags & HAS_METADATA {
            0 => None,
            _ => {
                let length = self.u32("metadata")?;
                let json = self.text(length as usize, "metadata")?;
                let read = Metadata::from_stored_json(json);
                Some(read.map_err(|error| self.bad("metadata", error))?)
            }
        };
        Ok(Record { id, values, sparse, metadata })
    }

    fn sparse(&mut self) -> Result<SparseVector, OpsError> {
        let entries = self.u32("a sparse vector")?;
        let indices = self.words(entries, "sparse indices", u32::from_le_bytes)?;
        let values = self.words(entries, "sparse values", f32::from_le_bytes)?;
        SparseVector::new(indices, values).map_err(|error| self.bad("sparse vector", error))
    }

    fn bad(&self, what: &'static str, problem: impl std::fmt::Display) -> OpsError {
        OpsError::Bad { what, at: self.at, problem: problem.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Record> {
        let sparse = btree_map(any::<u32>(), 0.5_f32..2.0, 1..5).prop_map(|entries| {
            let (indices, values) = entries.into_iter().unzip();
            SparseVector::new(indices, values).unwrap()
        });
        let metadata = btree_map("[a-z]{1,4}", -1e9_f64..1e9, 0..4).prop_map(|fields| {
            Metadata::from_json(&serde_json::to_string(&fields).unwrap()).unwrap()
        });
        ("[ -~]{1,40}", vec(-1e3_f32..1e3, 0..6), option::of(sparse), option::of(metadata))
            .prop_map(|(id, values, sparse, metadata)| Record { id, values, sparse, metadata })
    }

    fn ops() -> impl Strategy<Value = Op> {
        prop_oneof![
            records().prop_map(Op::Put),
            vec("[ -~]{1,20}", 0..4).prop_map(Op::Delete),
            ("[a-z0-9-]{1,9}", vec(any::<u32>(), 0..20))
                .prop_map(|(part, rows)| Op::DeleteRows(part, rows.into_iter().collect())),
            Just(Op::Clear),
        ]
    }

    fn encode(ops: &[Op]) -> Vec<u8> {
        let mut body = Vec::new();
        ops.iter().for_each(|op| encode_op(op, &mut body));
        frame([body.as_slice()])
    }

    proptest! {
        #[test]
        fn frames_read_back_the_same(ops in vec(ops(), 0..6)) {
            prop_assert_eq!(decode(&encode(&ops)).unwrap(), ops);
        }

        #[test]
        fn a_frame_cut_anywhere_reads_as_a_prefix_or_an_error(
            ops in vec(ops(), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = encode(&ops);
            if let Ok(read) = decode(&bytes[..cut.index(bytes.len())]) {
                prop_assert!(ops.starts_with(&read));
            }
        }

        #[test]
        fn no_bytes_panic(mut bytes in vec(any::<u8>(), 0..80), versioned in any::<bool>()) {
            if versioned {
                bytes.insert(0, VERSION);
            }
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn refusals_say_what_was_found() {
        assert_eq!(decode(&[1]), Err(OpsError::Version { found: 1 }));
        assert_eq!(decode(&[VERSION, 9]), Err(OpsError::Operation { found: 9, at: 1 }));
        let message = decode(&[VERSION, PUT, 5, 0, b'a']).unwrap_err().to_string();
        assert_eq!(message, "log frame ends at byte 5 within an id");
    }
}
