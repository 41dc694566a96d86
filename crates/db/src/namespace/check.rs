//! What a record must be before it is written.

use crossbill_core::limits::DOCUMENT_JSON_BYTES_MAX;
use crossbill_core::{
    Error, IndexShape, Metadata, MetadataError, Record, Result, SparseVector, VectorType,
    check_record_id, check_stored,
};

/// Checks a record against the rules of its index, and rounds its vector to
/// what the index keeps of it.
pub(super) fn accept_record(
    shape: &IndexShape,
    record: &mut Record,
    metadata_bytes_max: usize,
) -> Result<()> {
    check_record_id(&record.id)?;
    check_vectors(shape, Some(&record.values), record.sparse.as_ref())
        .and_then(|()| check_metadata(shape, record.metadata.as_ref(), metadata_bytes_max))
        .map_err(|error| named(&record.id, &error))?;
    shape.storage.round(&mut record.values);
    Ok(())
}

/// Checks the vectors of a record, or those of an update where `values` may
/// be absent.
pub(super) fn check_vectors(
    shape: &IndexShape,
    values: Option<&[f32]>,
    sparse: Option<&SparseVector>,
) -> Result<()> {
    match shape.vector_type {
        VectorType::Dense => {
            if let Some(values) = values {
                check_stored(shape, values)?;
            }
            if sparse.is_some() && !shape.takes_sparse() {
                return Err(Error::invalid(format!(
                    "found sparse values in an index with metric {}, expected none (only \
                     dotproduct indexes take them)",
                    shape.metric.as_str()
                )));
            }
        }
        VectorType::Sparse => {
            if let Some(values) = values.filter(|values| !values.is_empty()) {
                return Err(Error::invalid(format!(
                    "found {} dense values in a sparse index, expected none",
                    values.len()
                )));
            }
            if values.is_some() && sparse.is_none() && !shape.documents {
                return Err(Error::invalid(
                    "found no sparse values, expected some (the index is sparse)",
                ));
            }
        }
    }
    Ok(())
}

/// How much longer than the text that was let in the stored text may be
/// (`1e15` becomes `1000000000000000`).
const STORED_FACTOR: usize = 4;

/// Checks the size of metadata in the form it is kept in. The exact limit is
/// on the user's own text, where that is read.
pub(super) fn check_metadata(
    shape: &IndexShape,
    metadata: Option<&Metadata>,
    bytes_max: usize,
) -> Result<()> {
    let expected = if shape.documents { DOCUMENT_JSON_BYTES_MAX } else { bytes_max };
    let found = metadata.map_or(0, |metadata| metadata.to_json().len());
    if found > STORED_FACTOR * expected {
        return Err(MetadataError::TooLarge { found, expected }.into());
    }
    Ok(())
}

fn named(id: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("record {id:?}: {}", error.message()))
}

#[cfg(test)]
mod tests {
    use crossbill_core::Metric;
    use crossbill_core::limits::METADATA_BYTES_MAX;

    use super::*;

    fn accept(shape: &IndexShape, mut record: Record) -> Result<()> {
        accept_record(shape, &mut record, METADATA_BYTES_MAX)
    }

    fn record(values: Vec<f32>, sparse: bool) -> Record {
        let sparse = sparse.then(|| SparseVector::new(vec![1], vec![0.5]).unwrap());
        Record { id: "a".into(), values, sparse, metadata: None }
    }

    #[test]
    fn each_index_takes_its_own_vectors() {
        let cosine = IndexShape::dense(2, Metric::Cosine);
        let hybrid = IndexShape::dense(2, Metric::DotProduct);
        let sparse = IndexShape::sparse();
        assert!(accept(&cosine, record(vec![1.0, 2.0], false)).is_ok());
        assert!(accept(&hybrid, record(vec![1.0, 2.0], true)).is_ok());
        assert!(accept(&sparse, record(vec![], true)).is_ok());
        for (shape, wrong, message) in [
            (&cosine, record(vec![1.0], false), "record \"a\": vector dimension 1 does not match"),
            (&cosine, record(vec![1.0, 2.0], true), "found sparse values"),
            (&cosine, record(vec![0.0, 0.0], false), "all components are 0"),
            (&sparse, record(vec![1.0], true), "found 1 dense values in a sparse index"),
            (&sparse, record(vec![], false), "found no sparse values"),
        ] {
            let error = accept(shape, wrong).unwrap_err();
            assert!(error.message().contains(message), "{error}");
        }
    }
}
