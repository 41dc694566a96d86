//! Vectors and what an index says of them: metric, kind, dimension; and the
//! rules a vector must keep to be stored.

use serde::{Deserialize, Serialize};

use crate::VectorStorage;
use crate::limits::SPARSE_ENTRIES_CEILING;

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Cosine similarity, larger is nearer.
    Cosine,
    /// Squared Euclidean distance, smaller is nearer.
    Euclidean,
    /// Dot product, larger is nearer.
    DotProduct,
}

impl Metric {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::Euclidean => "euclidean",
            Metric::DotProduct => "dotproduct",
        }
    }

    /// Reads the wire's name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        [Metric::Cosine, Metric::Euclidean, Metric::DotProduct]
            .into_iter()
            .find(|metric| metric.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether a larger score is a nearer record.
    pub fn larger_is_nearer(self) -> bool {
        self != Metric::Euclidean
    }
}

/// Which vectors an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VectorType {
    /// A dense vector per record (and a sparse one beside it under dotproduct).
    Dense,
    /// A sparse vector per record.
    Sparse,
}

impl VectorType {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            VectorType::Dense => "dense",
            VectorType::Sparse => "sparse",
        }
    }
}

/// What an index fixes about its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IndexShape {
    /// Dense (with or without sparse parts) or sparse.
    pub vector_type: VectorType,
    /// How vectors are compared. Sparse indexes: dotproduct.
    pub metric: Metric,
    /// Components of a dense vector; 0 in a sparse index.
    pub dimension: u32,
    /// How full vectors are kept; `f32` in a sparse index.
    #[serde(default)]
    pub storage: VectorStorage,
    /// Whether records are documents: they may have a sparse vector under any
    /// metric and do without it, and are searched by one vector at a time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub documents: bool,
}

impl IndexShape {
    /// A dense index that keeps vectors as they come.
    pub const fn dense(dimension: u32, metric: Metric) -> Self {
        let storage = VectorStorage::F32;
        let documents = false;
        Self { vector_type: VectorType::Dense, metric, dimension, storage, documents }
    }

    /// A sparse index.
    pub const fn sparse() -> Self {
        let (metric, storage) = (Metric::DotProduct, VectorStorage::F32);
        let (vector_type, documents) = (VectorType::Sparse, false);
        Self { vector_type, metric, dimension: 0, storage, documents }
    }

    /// The same index, of documents: see [`IndexShape::documents`].
    pub const fn of_documents(self) -> Self {
        Self { documents: true, ..self }
    }

    /// The same index with its full vectors kept so.
    pub const fn stored_as(self, storage: VectorStorage) -> Self {
        Self { storage, ..self }
    }

    /// Bytes of a full vector at rest.
    pub fn row_bytes(&self) -> usize {
        self.storage.row_bytes(self.dimension as usize)
    }

    /// Whether records may carry sparse values.
    pub fn takes_sparse(&self) -> bool {
        self.metric == Metric::DotProduct || self.documents
    }

    /// How scores compare that no dense vector had a part in.
    pub fn metric_of(&self, dense: bool) -> Metric {
        if dense { self.metric } else { Metric::DotProduct }
    }

    /// Whether a dense vector of zeros is refused.
    fn needs_direction(&self) -> bool {
        self.metric == Metric::Cosine || self.documents
    }
}

/// Why a vector was refused. Each has a stable code and reads as found and
/// expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// The length is not the index's dimension.
    #[error("vector dimension {found} does not match the dimension of the index {expected}")]
    Dimension {
        /// Components found.
        found: usize,
        /// The index's dimension.
        expected: u32,
    },
    /// NaN or an infinity.
    #[error("component {position} is {value}, expected a finite number")]
    NotFinite {
        /// Place in the vector, from 0.
        position: usize,
        /// The value found.
        value: f32,
    },
    /// All zero under cosine, or in a document.
    #[error(
        "all components are 0, expected at least one that is not (nothing is near to zeros under \
         cosine, or in an index of documents)"
    )]
    AllZero,
    /// All zero once it is rounded, where zeros are refused.
    #[error(
        "all components are 0 as {}, expected at least one that is not (nothing is near to zeros \
         under cosine, or in an index of documents)",
        storage.as_str()
    )]
    RoundsToZero {
        /// How the index keeps vectors.
        storage: VectorStorage,
    },
    /// Larger than the index can keep.
    #[error(
        "component {position} is {value}, expected a magnitude of at most {} (the index keeps \
         vectors as {})",
        storage.magnitude_max(),
        storage.as_str()
    )]
    TooLarge {
        /// Place in the vector, from 0.
        position: usize,
        /// The value found.
        value: f32,
        /// How the index keeps vectors.
        storage: VectorStorage,
    },
    /// Sparse arrays of different length.
    #[error("sparse vector has {indices} indices and {values} values, expected the same number")]
    SparseLengths {
        /// Indices found.
        indices: usize,
        /// Values found.
        values: usize,
    },
    /// No entries.
    #[error("sparse vector has no entries, expected at least 1")]
    SparseEmpty,
    /// Too many entries.
    #[error("sparse vector has {found} entries, expected at most {expected}")]
    SparseTooLong {
        /// Entries found.
        found: usize,
        /// The limit.
        expected: usize,
    },
    /// An index given twice.
    #[error("sparse vector has index {index} twice, expected each index once")]
    SparseDuplicate {
        /// The index found twice.
        index: u32,
    },
    /// NaN, an infinity or zero.
    #[error("sparse value at index {index} is {value}, expected a finite number that is not 0")]
    SparseValue {
        /// The entry's index.
        index: u32,
        /// The value found.
        value: f32,
    },
}

impl VectorError {
    /// The stable code of this reason in reject tables and docs.
    pub fn code(&self) -> &'static str {
        match self {
            VectorError::Dimension { .. } => "E_DIMENSION",
            VectorError::NotFinite { .. } => "E_NOT_FINITE",
            VectorError::AllZero | VectorError::RoundsToZero { .. } => "E_ZERO_VECTOR",
            VectorError::TooLarge { .. } => "E_VALUE_RANGE",
            VectorError::SparseLengths { .. } => "E_SPARSE_LENGTHS",
            VectorError::SparseEmpty => "E_SPARSE_EMPTY",
            VectorError::SparseTooLong { .. } => "E_SPARSE_TOO_LONG",
            VectorError::SparseDuplicate { .. } => "E_SPARSE_DUPLICATE",
            VectorError::SparseValue { .. } => "E_SPARSE_VALUE",
        }
    }
}

impl From<VectorError> for crate::Error {
    fn from(error: VectorError) -> Self {
        crate::Error::invalid(error.to_string())
    }
}

/// Checks a dense vector that is to be stored: against the index's rules, and
/// that it can be kept as the index keeps vectors. It is not rounded yet.
pub fn check_stored(shape: &IndexShape, values: &[f32]) -> Result<(), VectorError> {
    check_dense(shape, values)?;
    let storage = shape.storage;
    if storage == VectorStorage::F32 {
        return Ok(());
    }
    let largest = values.iter().fold(0, |largest, value| largest.max(value.to_bits() << 1));
    let largest = f32::from_bits(largest >> 1);
    if largest > storage.magnitude_max() {
        let is_too_large = |value: &f32| value.abs() > storage.magnitude_max();
        let position = values.iter().position(is_too_large).unwrap_or_default();
        return Err(VectorError::TooLarge { position, value: values[position], storage });
    }
    if shape.needs_direction() && largest <= storage.zero_max() {
        return Err(VectorError::RoundsToZero { storage });
    }
    Ok(())
}

/// Checks a dense vector, stored or asked for, against the index's rules.
pub fn check_dense(shape: &IndexShape, values: &[f32]) -> Result<(), VectorError> {
    if values.len() != shape.dimension as usize {
        return Err(VectorError::Dimension { found: values.len(), expected: shape.dimension });
    }
    // One pass over the bits, which the compiler vectorises as it may not do
    // with floats; the place is looked for only where there is one.
    let (mut bad, mut any) = (false, 0_u32);
    for value in values {
        let magnitude = value.to_bits() << 1;
        bad |= magnitude >= f32::INFINITY.to_bits() << 1;
        any |= magnitude;
    }
    if bad {
        let position = values.iter().position(|v| !v.is_finite()).unwrap_or_default();
        return Err(VectorError::NotFinite { position, value: values[position] });
    }
    if shape.needs_direction() && any == 0 {
        return Err(VectorError::AllZero);
    }
    Ok(())
}

/// Checks the dense vector of a query: as [`check_dense`], but under cosine all
/// components may be 0. Such a query has no direction and every record scores
/// 0; clients ask so for records by filter alone.
pub fn check_dense_query(shape: &IndexShape, values: &[f32]) -> Result<(), VectorError> {
    match check_dense(shape, values) {
        Err(VectorError::AllZero) => Ok(()),
        checked => checked,
    }
}

/// A sparse vector: indices ascending and unique, values finite and not 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SparseVector {
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl SparseVector {
    /// Checks and sorts the entries, of which there may be as many as can be
    /// set.
    pub fn new(indices: Vec<u32>, values: Vec<f32>) -> Result<Self, VectorError> {
        Self::within(indices, values, SPARSE_ENTRIES_CEILING)
    }

    /// The same with another bound of the entries.
    pub fn within(
        indices: Vec<u32>,
        values: Vec<f32>,
        entries_max: usize,
    ) -> Result<Self, VectorError> {
        if indices.len() != values.len() {
            return Err(VectorError::SparseLengths {
                indices: indices.len(),
                values: values.len(),
            });
        }
        if indices.is_empty() {
            return Err(VectorError::SparseEmpty);
        }
        if indices.len() > entries_max {
            let (found, expected) = (indices.len(), entries_max);
            return Err(VectorError::SparseTooLong { found, expected });
        }
        let mut entries: Vec<(u32, f32)> = indices.into_iter().zip(values).collect();
        entries.sort_unstable_by_key(|entry| entry.0);
        for pair in entries.windows(2) {
            if pair[0].0 == pair[1].0 {
                return Err(VectorError::SparseDuplicate { index: pair[0].0 });
            }
        }
        if let Some(&(index, value)) = entries.iter().find(|(_, v)| !v.is_finite() || *v == 0.0) {
            return Err(VectorError::SparseValue { index, value });
        }
        let (indices, values) = entries.into_iter().unzip();
        Ok(Self { indices, values })
    }

    /// Ascending, unique.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The value of each index.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Indices and values, taken out.
    pub fn into_parts(self) -> (Vec<u32>, Vec<f32>) {
        (self.indices, self.values)
    }

    /// The dot product with `other`.
    pub fn dot(&self, other: &SparseVector) -> f32 {
        let (mut a, mut b, mut sum) = (0, 0, 0.0);
        while a < self.indices.len() && b < other.indices.len() {
            match self.indices[a].cmp(&other.indices[b]) {
                std::cmp::Ordering::Less => a += 1,
                std::cmp::Ordering::Greater => b += 1,
                std::cmp::Ordering::Equal => {
                    sum += self.values[a] * other.values[b];
                    a += 1;
                    b += 1;
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_vectors_are_checked() {
        let shape = IndexShape::dense(3, Metric::Cosine);
        assert_eq!(check_dense(&shape, &[1.0, 0.0, -2.0]), Ok(()));
        assert_eq!(check_dense(&shape, &[0.0, -0.0, 0.0]), Err(VectorError::AllZero));
        assert_eq!(check_dense_query(&shape, &[0.0, -0.0, 0.0]), Ok(()));
        assert!(check_dense_query(&shape, &[0.0]).is_err());
        assert_eq!(
            check_dense(&shape, &[1.0]),
            Err(VectorError::Dimension { found: 1, expected: 3 })
        );
        let error = check_dense(&shape, &[1.0, f32::NEG_INFINITY, 2.0]).unwrap_err();
        assert_eq!(error.to_string(), "component 1 is -inf, expected a finite number");
        let zero_is_fine = IndexShape::dense(1, Metric::Euclidean);
        assert_eq!(check_dense(&zero_is_fine, &[0.0]), Ok(()));
        assert_eq!(check_dense(&zero_is_fine, &[f32::MAX]), Ok(()));
    }

    #[test]
    fn stored_vectors_keep_to_what_the_index_can_keep() {
        let half = IndexShape::dense(2, Metric::Cosine).stored_as(VectorStorage::F16);
        assert_eq!(check_stored(&half, &[65504.0, -1.0]), Ok(()));
        assert_eq!(check_dense(&half, &[65536.0, 1.0]), Ok(()));
        let error = check_stored(&half, &[1.0, -65536.0]).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (
                "E_VALUE_RANGE",
                "component 1 is -65536, expected a magnitude of at most 65504 (the index keeps \
                 vectors as f16)"
            )
        );
        let error = check_stored(&half, &[1e-9, 0.0]).unwrap_err();
        assert_eq!(error.code(), "E_ZERO_VECTOR");
        let plain = IndexShape::dense(2, Metric::Cosine);
        assert_eq!(check_stored(&plain, &[1e-9, f32::MAX]), Ok(()));
        let euclidean = IndexShape::dense(1, Metric::Euclidean).stored_as(VectorStorage::F16);
        assert_eq!(check_stored(&euclidean, &[1e-9]), Ok(()));
    }

    #[test]
    fn sparse_vectors_are_sorted_and_checked() {
        let vector = SparseVector::new(vec![9, 2], vec![0.5, -1.0]).unwrap();
        assert_eq!((vector.indices(), vector.values()), (&[2, 9][..], &[-1.0, 0.5][..]));
        assert_eq!(
            SparseVector::new(vec![1, 1], vec![1.0, 2.0]),
            Err(VectorError::SparseDuplicate { index: 1 })
        );
        let error = SparseVector::within(vec![1, 2], vec![1.0, 2.0], 1).unwrap_err();
        assert_eq!(error, VectorError::SparseTooLong { found: 2, expected: 1 });
        assert!(SparseVector::new(vec![1], vec![0.0]).is_err());
        assert!(SparseVector::new(vec![1], vec![]).is_err());
        assert!(SparseVector::new(vec![], vec![]).is_err());
    }

    #[test]
    fn sparse_dot_meets_on_shared_indices() {
        let a = SparseVector::new(vec![1, 4, 7], vec![1.0, 2.0, 3.0]).unwrap();
        let b = SparseVector::new(vec![4, 5, 7], vec![10.0, 100.0, 0.5]).unwrap();
        assert_eq!(a.dot(&b), 21.5);
    }
}
