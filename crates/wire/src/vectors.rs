//! Bodies of upsert, fetch, update, delete, list and stats, camelCase as on
//! the wire, and the way from a wire vector to a checked record.

use std::collections::BTreeMap;

use crossbill_core::limits::{FETCH_BY_METADATA_PAGE_MAX, UPSERT_RECORDS_MAX};
use crossbill_core::{
    Error, IndexShape, Metadata, MetadataError, Record, RequestLimits, Result, SparseVector,
    VectorType, check_dense, check_new_id, check_record_id,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Pagination;
use crate::describe;
use crate::floats;

/// A sparse vector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SparseValues {
    /// The dimensions that are not 0.
    #[schemars(inner(range(max = u32::MAX)))]
    pub indices: Vec<u32>,
    /// Their values, in the same order.
    #[serde(deserialize_with = "floats::deserialize")]
    #[schemars(with = "describe::ComponentsOrNull")]
    pub values: Vec<f32>,
}

impl SparseValues {
    /// The checked vector, of so many entries at most.
    pub fn into_vector(self, entries_max: usize) -> Result<SparseVector> {
        Ok(SparseVector::within(self.indices, self.values, entries_max)?)
    }
}

impl From<&SparseVector> for SparseValues {
    fn from(vector: &SparseVector) -> Self {
        Self { indices: vector.indices().to_vec(), values: vector.values().to_vec() }
    }
}

/// A record, in requests and answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vector {
    /// 1 to 512 ASCII characters.
    #[schemars(with = "describe::RecordId")]
    pub id: String,
    /// The dense vector; empty or absent in a sparse index.
    #[serde(
        default,
        deserialize_with = "floats::deserialize",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<describe::Components>")]
    pub values: Vec<f32>,
    /// The sparse vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<SparseValues>,
    /// The metadata, as text: it is read once, by `core`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Metadata>")]
    pub metadata: Option<Box<RawValue>>,
}

impl Vector {
    /// The record, checked against what the index fixes about its records and
    /// within the limits.
    pub fn into_record(self, shape: &IndexShape, limits: &RequestLimits) -> Result<Record> {
        let read =
            |raw: Box<RawValue>| Metadata::from_json_within(raw.get(), limits.metadata_bytes);
        let metadata = || self.metadata.map(read).transpose();
        record((shape, limits), self.id, self.values, self.sparse_values, metadata)
    }
}

/// A record of its parts, checked against what the index fixes about its
/// records and within the limits.
pub(crate) fn record(
    (shape, limits): (&IndexShape, &RequestLimits),
    id: String,
    values: Vec<f32>,
    sparse: Option<SparseValues>,
    metadata: impl FnOnce() -> std::result::Result<Option<Metadata>, MetadataError>,
) -> Result<Record> {
    check_new_id(&id, limits.id_chars)?;
    let sparse = sparse.map(|sparse| sparse.into_vector(limits.sparse_entries)).transpose()?;
    check_parts(shape, &values, sparse.as_ref())?;
    Ok(Record { id, values, sparse, metadata: metadata()? })
}

/// The records of an upsert in the order sent, read one by one; an error says
/// of which it is.
pub(crate) fn records<V>(
    vectors: Vec<V>,
    id: impl Fn(&V) -> &str,
    read: impl Fn(V) -> Result<Record>,
) -> Result<Vec<Record>> {
    let mut records = Vec::with_capacity(vectors.len());
    for (position, vector) in vectors.into_iter().enumerate() {
        let id = shortened(id(&vector));
        let record = read(vector).map_err(|error| {
            Error::new(error.kind(), format!("vectors[{position}] (id {id:?}): {error}"))
        })?;
        records.push(record);
    }
    Ok(records)
}

/// Checks how many records an upsert has.
pub(crate) fn check_count(count: usize, records_max: usize) -> Result<()> {
    match (1..=records_max).contains(&count) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "the request has {count} vectors, expected 1 to {records_max}"
        ))),
    }
}

/// Checks that both parts of a stored vector are what the index takes.
fn check_parts(shape: &IndexShape, values: &[f32], sparse: Option<&SparseVector>) -> Result<()> {
    match shape.vector_type {
        VectorType::Dense => {
            check_dense(shape, values)?;
            check_sparse_allowed(shape, sparse)
        }
        VectorType::Sparse if !values.is_empty() => Err(Error::invalid(
            "values were given, expected sparseValues only: the index is sparse",
        )),
        VectorType::Sparse if sparse.is_none() => {
            Err(Error::invalid("sparseValues are missing, expected them: the index is sparse"))
        }
        VectorType::Sparse => Ok(()),
    }
}

/// Checks that a sparse part may stand here at all.
pub(crate) fn check_sparse_allowed(
    shape: &IndexShape,
    sparse: Option<&SparseVector>,
) -> Result<()> {
    if sparse.is_some() && !shape.takes_sparse() {
        return Err(Error::invalid(format!(
            "a sparse vector was given and the metric of the index is {}, expected dotproduct",
            shape.metric.as_str()
        )));
    }
    Ok(())
}

/// `POST /vectors/upsert`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UpsertRequest {
    /// 1 to 1000 records.
    #[schemars(length(min = 1, max = UPSERT_RECORDS_MAX))]
    pub vectors: Vec<Vector>,
    /// Absent, `""` and `__default__` name the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Namespace>")]
    pub namespace: Option<String>,
}

impl UpsertRequest {
    /// The records in the order sent; of two with the same id the later wins
    /// when they are stored in this order.
    pub fn into_records(self, shape: &IndexShape, limits: &RequestLimits) -> Result<Vec<Record>> {
        check_count(self.vectors.len(), limits.upsert_records)?;
        records(self.vectors, |vector| &vector.id, |vector| vector.into_record(shape, limits))
    }
}

/// As much of a text as a message quotes.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(crossbill_core::limits::QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Answer of an upsert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpsertResponse {
    /// Vectors in the request.
    pub upserted_count: u64,
}

/// What a read cost: always 1 here, the clients expect the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// At least 1.
    #[serde(default)]
    pub read_units: u64,
}

impl Usage {
    /// The cost of every read.
    pub const ONE: Usage = Usage { read_units: 1 };
}

/// Answer of fetch and fetch_by_metadata.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FetchResponse {
    /// Found records by id.
    pub vectors: BTreeMap<String, Vector>,
    /// As the request wrote it.
    #[serde(default)]
    pub namespace: String,
    /// What it cost.
    pub usage: Usage,
    /// Where another page follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

/// `POST /vectors/fetch_by_metadata`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FetchByMetadataRequest {
    /// Which records; not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// As in [`UpsertRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Namespace>")]
    pub namespace: Option<String>,
    /// Records of the page, 1 to 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = FETCH_BY_METADATA_PAGE_MAX))]
    pub limit: Option<usize>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination_token: Option<String>,
}

/// `POST /vectors/update`: by `id`, or metadata by `filter`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRequest {
    /// The record to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::RecordIdOrEmpty>")]
    pub id: Option<String>,
    /// New dense values; empty leaves them.
    #[serde(
        default,
        deserialize_with = "floats::deserialize",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<describe::Components>")]
    pub values: Vec<f32>,
    /// New sparse values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<SparseValues>,
    /// Fields put over the record's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Metadata>")]
    pub set_metadata: Option<Box<RawValue>>,
    /// As in [`UpsertRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Namespace>")]
    pub namespace: Option<String>,
    /// Which records' metadata to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// With a filter: only count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// Checks the new parts of a record: each is optional, but what is given must
/// be what the index takes. Gives the sparse part back, checked.
pub fn check_new_parts(
    shape: &IndexShape,
    values: &[f32],
    sparse: Option<SparseValues>,
    limits: &RequestLimits,
) -> Result<Option<SparseVector>> {
    let sparse = sparse.map(|sparse| sparse.into_vector(limits.sparse_entries)).transpose()?;
    if !values.is_empty() {
        if shape.vector_type == VectorType::Sparse {
            check_parts(shape, values, sparse.as_ref())?;
        }
        check_dense(shape, values)?;
    }
    check_sparse_allowed(shape, sparse.as_ref())?;
    Ok(sparse)
}

/// Answer of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateResponse {
    /// Records the filter matched; only for updates by filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_records: Option<i32>,
}

/// `POST /vectors/delete`: exactly one of ids, all, filter.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRequest {
    /// 1 to 1000 ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::RecordIds>")]
    pub ids: Option<Vec<String>>,
    /// Every record of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_all: Option<bool>,
    /// Every record that matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// As in [`UpsertRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Namespace>")]
    pub namespace: Option<String>,
}

/// Checks the ids of a fetch or delete request.
pub(crate) fn check_ids(ids: &[String], ids_max: usize) -> Result<()> {
    if ids.is_empty() || ids.len() > ids_max {
        return Err(Error::invalid(format!(
            "the request has {} ids, expected 1 to {ids_max}",
            ids.len()
        )));
    }
    for (position, id) in ids.iter().enumerate() {
        check_record_id(id).map_err(|error| Error::invalid(format!("ids[{position}]: {error}")))?;
    }
    Ok(())
}

impl FetchResponse {
    /// Checks the ids that a fetch asks for.
    pub fn check_ids(ids: &[String], ids_max: usize) -> Result<()> {
        check_ids(ids, ids_max)
    }
}

impl DeleteRequest {
    /// Checks the ids that a delete names.
    pub fn check_ids(ids: &[String], ids_max: usize) -> Result<()> {
        check_ids(ids, ids_max)
    }
}

/// One id of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListItem {
    /// The record's id.
    pub id: String,
}

/// Answer of `GET /vectors/list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListResponse {
    /// Ids in order.
    pub vectors: Vec<ListItem>,
    /// Where another page follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// As the request wrote it.
    pub namespace: String,
    /// What it cost.
    pub usage: Usage,
}

/// `POST /describe_index_stats`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StatsRequest {
    /// Refused, as the service does on serverless indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
}

/// One namespace's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSummary {
    /// Records in it.
    pub vector_count: u64,
}

/// Answer of `POST /describe_index_stats`. The default namespace's key is
/// `__default__`, the name that `GET /namespaces` gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatsResponse {
    /// Counts by namespace.
    pub namespaces: BTreeMap<String, NamespaceSummary>,
    /// Absent in a sparse index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<u32>,
    /// Always 0: the disk is the limit.
    pub index_fullness: f32,
    /// Records in all namespaces.
    pub total_vector_count: u64,
    /// Such as `cosine`.
    pub metric: String,
    /// `dense` or `sparse`.
    pub vector_type: String,
}
