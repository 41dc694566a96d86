//! Writes documents as JSON lines under the field names that imports read:
//! what exports of an index of documents are made of. Packed with zstd; the
//! bytes depend on the documents and their order alone. Knows no namespaces and
//! no destination.

use std::io::Write as _;

use crossbill_core::{DocumentFields, Error, MetadataValue, Record, Result, ScratchSpace as _};
use crossbill_store::{LocalScratch, LocalScratchFile};
use serde::ser::{Serialize, SerializeMap, Serializer};
use zstd::stream::write::Encoder;

use crate::mapping::DOCUMENT_ID;
use crate::rejects::ScratchWrite;

/// How hard lines are packed: zstd's own default.
const LEVEL: i32 = 3;

/// A file of documents while it is written. Memory is bounded by one line and
/// what is added at once.
pub struct DocumentLines {
    out: Encoder<'static, ScratchWrite>,
    fields: DocumentFields,
    line: Vec<u8>,
    rows: u64,
    bytes: u64,
}

impl DocumentLines {
    /// An empty file for documents whose vectors are in `fields`, in scratch
    /// space.
    pub fn create(scratch: &LocalScratch, fields: DocumentFields) -> Result<Self> {
        let file = scratch.create("documents").map_err(|error| failed(&error))?;
        let out = Encoder::new(ScratchWrite(file), LEVEL).map_err(|error| failed(&error))?;
        Ok(Self { out, fields, line: Vec::new(), rows: 0, bytes: 0 })
    }

    /// Adds documents in their order.
    pub fn add(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            self.line.clear();
            let document = Document { record, fields: &self.fields };
            serde_json::to_writer(&mut self.line, &document).map_err(|error| failed(&error))?;
            self.line.push(b'\n');
            self.out.write_all(&self.line).map_err(|error| failed(&error))?;
            self.bytes += self.line.len() as u64;
            self.rows += 1;
        }
        Ok(())
    }

    /// Documents so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes so far, before they are packed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The finished file.
    pub fn finish(self) -> Result<LocalScratchFile> {
        Ok(self.out.finish().map_err(|error| failed(&error))?.0)
    }
}

fn failed(error: &dyn std::error::Error) -> Error {
    Error::internal(format!("writing a file of documents: {error}"))
}

/// A record as the document that it is: its id, its vectors, then texts and
/// metadata by name.
struct Document<'a> {
    record: &'a Record,
    fields: &'a DocumentFields,
}

impl Document<'_> {
    /// Texts and metadata, without names that mean something else (an import
    /// with a mapping of its own may have brought one).
    fn others(&self) -> impl Iterator<Item = (&String, &MetadataValue)> {
        let others = self.record.metadata.iter().flat_map(|metadata| &metadata.0);
        others.filter(|(name, _)| {
            *name != DOCUMENT_ID && !self.fields.vectors().any(|own| own == name.as_str())
        })
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        map.serialize_entry(DOCUMENT_ID, &self.record.id)?;
        if let Some(name) = &self.fields.dense {
            map.serialize_entry(name, &self.record.values)?;
        }
        if let (Some(name), Some(sparse)) = (&self.fields.sparse, &self.record.sparse) {
            let sparse = Sparse { indices: sparse.indices(), values: sparse.values() };
            map.serialize_entry(name, &sparse)?;
        }
        self.others().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Sparse<'a> {
    indices: &'a [u32],
    values: &'a [f32],
}

#[cfg(test)]
mod tests {
    use crossbill_core::{Metadata, SparseVector};

    use super::*;

    #[test]
    fn a_line_is_the_document() {
        let fields =
            DocumentFields { dense: Some("at".to_owned()), sparse: Some("terms".to_owned()) };
        let json = r#"{"_id":"other","body":"a \"b\"\n","tags":["x"],"terms":1,"year":2000}"#;
        let mut record = Record {
            id: "a".to_owned(),
            values: vec![0.1, -2.0],
            sparse: SparseVector::new(vec![3, 7], vec![0.5, 1.0]).ok(),
            metadata: Metadata::from_json(json).ok(),
        };
        let line =
            |record: &Record| serde_json::to_string(&Document { record, fields: &fields }).unwrap();
        let expected = r#"{"_id":"a","at":[0.1,-2.0],"terms":{"indices":[3,7],"values":[0.5,1.0]},"body":"a \"b\"\n","tags":["x"],"year":2000}"#;
        assert_eq!(line(&record), expected);
        (record.sparse, record.metadata) = (None, None);
        assert_eq!(line(&record), r#"{"_id":"a","at":[0.1,-2.0]}"#);
    }
}
