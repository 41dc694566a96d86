//! From messages to records and JSON twins, and from answers to messages.
//! Vectors are moved, never copied.

use crossbill_core::{IndexShape, Record, RequestLimits, Result, SparseVector};
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};
use prost::{DecodeError, Message};

use super::messages::{
    IndexedFields, MetadataFieldProperties, MetadataSchema, NamespaceDescription, Pagination,
    SparseValues, UpsertRequest, Usage, Vector,
};
use super::structs;
use crate::vectors::{check_count, record, records};

impl From<SparseValues> for crate::SparseValues {
    fn from(sparse: SparseValues) -> Self {
        Self { indices: sparse.indices, values: sparse.values }
    }
}

impl From<SparseVector> for SparseValues {
    fn from(sparse: SparseVector) -> Self {
        let (indices, values) = sparse.into_parts();
        Self { indices, values }
    }
}

impl Vector {
    fn into_record(self, shape: &IndexShape, limits: &RequestLimits) -> Result<Record> {
        let sparse = self.sparse_values.map(Into::into);
        let read = |fields| structs::metadata(fields, limits.metadata_bytes);
        let metadata = || self.metadata.map(read).transpose();
        record((shape, limits), self.id, self.values, sparse, metadata)
    }
}

/// An upsert as it arrived: read only once it is known that it does not hold
/// too many records, for an empty one takes two bytes of a message and a
/// hundred of memory.
pub struct UpsertMessage<'a>(&'a [u8]);

impl<'a> UpsertMessage<'a> {
    /// The number of the field that holds the records.
    const VECTORS: u32 = 1;

    /// The message in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Records in the message, so far as it can be read.
    fn count(&self) -> usize {
        let (mut bytes, mut count) = (self.0, 0);
        while bytes.has_remaining() {
            let Ok((field, wire)) = decode_key(&mut bytes) else { break };
            count += usize::from(field == Self::VECTORS && wire == WireType::LengthDelimited);
            if skip_field(wire, field, &mut bytes, DecodeContext::default()).is_err() {
                break;
            }
        }
        count
    }

    /// Reads it. The inner error is that of a message with too many records.
    pub fn read(
        &self,
        records_max: usize,
    ) -> std::result::Result<Result<UpsertRequest>, DecodeError> {
        let count = self.count();
        if count > records_max {
            return Ok(check_count(count, records_max).map(|()| UpsertRequest::default()));
        }
        UpsertRequest::decode(self.0).map(Ok)
    }
}

impl UpsertRequest {
    /// The records in the order sent, checked.
    pub fn into_records(self, shape: &IndexShape, limits: &RequestLimits) -> Result<Vec<Record>> {
        check_count(self.vectors.len(), limits.upsert_records)?;
        records(self.vectors, |vector| &vector.id, |vector| vector.into_record(shape, limits))
    }
}

impl Usage {
    /// The cost of every read.
    pub const ONE: Usage = Usage { read_units: Some(1) };
}

impl From<crate::Pagination> for Pagination {
    fn from(page: crate::Pagination) -> Self {
        Self { next: page.next }
    }
}

impl From<MetadataSchema> for crate::MetadataSchema {
    fn from(schema: MetadataSchema) -> Self {
        let field = |(name, field): (_, MetadataFieldProperties)| {
            (name, crate::schema::Filterable { filterable: field.filterable })
        };
        Self { fields: schema.fields.into_iter().map(field).collect() }
    }
}

impl From<crate::NamespaceModel> for NamespaceDescription {
    fn from(model: crate::NamespaceModel) -> Self {
        let field = |(name, field): (_, crate::schema::Filterable)| {
            (name, MetadataFieldProperties { filterable: field.filterable })
        };
        let schema = |schema: crate::MetadataSchema| MetadataSchema {
            fields: schema.fields.into_iter().map(field).collect(),
        };
        Self {
            name: model.name,
            record_count: model.record_count,
            schema: model.schema.map(schema),
            indexed_fields: model
                .indexed_fields
                .map(|named| IndexedFields { fields: named.fields }),
            size_bytes: model.size_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbill_core::Metric;
    use proptest::prelude::*;

    use super::*;

    fn vector(id: &str, values: &[f32]) -> Vector {
        Vector { id: id.to_owned(), values: values.to_vec(), ..Vector::default() }
    }

    fn read(request: &UpsertRequest) -> std::result::Result<UpsertRequest, String> {
        let bytes = request.encode_to_vec();
        let read = UpsertMessage::new(&bytes).read(1000).map_err(|error| error.to_string())?;
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn too_many_records_are_counted_before_they_are_read() {
        let many = |count| UpsertRequest {
            vectors: vec![Vector::default(); count],
            namespace: "n".to_owned(),
        };
        assert_eq!(read(&many(1000)).unwrap().vectors.len(), 1000);
        let error = read(&many(1001)).unwrap_err();
        assert_eq!(error, "the request has 1001 vectors, expected 1 to 1000");
    }

    #[test]
    fn a_record_that_is_refused_is_named() {
        let shape = IndexShape::dense(2, Metric::Cosine);
        let refused = |vectors: Vec<Vector>| {
            let request = UpsertRequest { vectors, ..UpsertRequest::default() };
            request.into_records(&shape, &RequestLimits::default()).unwrap_err().to_string()
        };
        assert!(refused(vec![]).contains("0 vectors"));
        let error = refused(vec![vector("a", &[1.0, 2.0]), vector("b", &[1.0])]);
        assert!(error.starts_with("vectors[1] (id \"b\"): "), "{error}");
        assert!(refused(vec![vector("a", &[1.0, f32::NAN])]).contains("component 1 is NaN"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(Ok(request)) = UpsertMessage::new(&bytes).read(1000) {
                prop_assert_eq!(UpsertRequest::decode(&bytes[..]).unwrap(), request);
            }
        }
    }
}
