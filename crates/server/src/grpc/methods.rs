//! The methods of `VectorService`, one function each: reads the message, has
//! `verbs` do it and writes the answer.

use std::collections::BTreeMap;

use crossbill_core::{Error, Filter, Metadata, SparseVector};
use crossbill_db::{Match, StoredRecord};
use crossbill_wire::NamespaceModel;
use crossbill_wire::grpc::{
    CreateNamespaceRequest, DeleteNamespaceRequest, DeleteRequest, DeleteResponse,
    DescribeIndexStatsRequest, DescribeIndexStatsResponse, DescribeNamespaceRequest,
    FetchByMetadataRequest, FetchByMetadataResponse, FetchRequest, FetchResponse, ListItem,
    ListNamespacesRequest, ListNamespacesResponse, ListRequest, ListResponse, NamespaceDescription,
    NamespaceSummary, QueryRequest, QueryResponse, ScoredVector, UpdateRequest, UpdateResponse,
    UpsertMessage, UpsertResponse, Usage, Vector, struct_of_json,
};
use prost::Message as _;
use prost_types::Struct;

use super::message::malformed;
use crate::call::{Answer, Call, Reply, namespace};
use crate::error::ApiError;
use crate::pages::AskedPage;
use crate::verbs::query::{check_answer, checked, finite};
use crate::verbs::records::{ByMetadata, Change, Deletion};
use crate::verbs::{namespaces, records};

pub(crate) fn upsert(call: &Call) -> Answer {
    let index = call.vectors()?;
    let request = UpsertMessage::new(&call.body)
        .read(call.limits().upsert_records)
        .map_err(|error| malformed(&error))??;
    let namespace = namespace(Some(&request.namespace))?;
    let upserted_count = count(request.vectors.len() as u64);
    let records = request.into_records(index.shape(), call.limits())?;
    call.check_wanted()?;
    let lsn = index.upsert(&namespace, records)?;
    Ok(Reply::message(call, &UpsertResponse { upserted_count })?.wrote(lsn))
}

pub(crate) fn query(call: &Call) -> Answer {
    let index = call.vectors()?;
    let request: QueryRequest = call.message()?;
    let filter = filter(call, request.filter)?;
    let mut twin = crossbill_wire::QueryRequest {
        top_k: request.top_k.into(),
        vector: request.vector,
        id: Some(request.id),
        sparse_vector: request.sparse_vector.map(Into::into),
        include_values: Some(request.include_values),
        include_metadata: Some(request.include_metadata),
        scan_factor: request.scan_factor,
        max_candidates: request.max_candidates.map(Into::into),
        ..Default::default()
    };
    let query = checked(&mut twin, filter, index.shape(), call.limits())?;
    let answer = index.query(&namespace(Some(&request.namespace))?, &query)?;
    let message = QueryResponse {
        matches: answer.matches.into_iter().map(scored).collect::<Result<_, _>>()?,
        namespace: request.namespace,
        usage: Some(Usage::ONE),
    };
    check_answer(message.encoded_len(), call.limits())?;
    Ok(Reply::message(call, &message)?.saw(answer.lsn))
}

pub(crate) fn fetch(call: &Call) -> Answer {
    let request: FetchRequest = call.message()?;
    let (records, lsn) =
        records::fetch(&call.shared, &*call.vectors()?, &request.namespace, &request.ids)?;
    let message = FetchResponse {
        vectors: vectors(records)?,
        namespace: request.namespace,
        usage: Some(Usage::ONE),
    };
    Ok(Reply::message(call, &message)?.saw(lsn))
}

pub(crate) fn fetch_by_metadata(call: &Call) -> Answer {
    let request: FetchByMetadataRequest = call.message()?;
    let asked = ByMetadata {
        namespace: &request.namespace,
        filter: filter(call, request.filter)?,
        limit: request.limit.map(|limit| limit as usize),
        token: request.pagination_token.as_deref(),
    };
    let (records, next, lsn) = records::fetch_by_metadata(&call.shared, &*call.vectors()?, asked)?;
    let message = FetchByMetadataResponse {
        vectors: vectors(records)?,
        namespace: request.namespace,
        usage: Some(Usage::ONE),
        pagination: next.map(Into::into),
    };
    Ok(Reply::message(call, &message)?.saw(lsn))
}

pub(crate) fn update(call: &Call) -> Answer {
    let request: UpdateRequest = call.message()?;
    let asked = Change {
        namespace: request.namespace,
        id: Some(request.id),
        values: request.values,
        sparse: request.sparse_values.map(Into::into),
        set_metadata: metadata(call, request.set_metadata)?,
        filter: filter(call, request.filter)?,
        dry_run: request.dry_run.unwrap_or(false),
    };
    let (matched_records, lsn) = records::update(&call.shared, &*call.vectors()?, asked)?;
    Ok(Reply::message(call, &UpdateResponse { matched_records })?.wrote(lsn))
}

pub(crate) fn delete(call: &Call) -> Answer {
    let request: DeleteRequest = call.message()?;
    let asked = Deletion {
        // A list that is absent and one that is empty read the same.
        ids: Some(request.ids).filter(|ids| !ids.is_empty()),
        all: request.delete_all,
        filter: filter(call, request.filter)?,
    };
    let (_, lsn) = records::delete(&call.shared, &*call.vectors()?, &request.namespace, asked)?;
    Ok(Reply::message(call, &DeleteResponse {})?.wrote(lsn))
}

pub(crate) fn list(call: &Call) -> Answer {
    let request: ListRequest = call.message()?;
    let page = page(&request.pagination_token, request.limit, &request.prefix);
    let shared = &call.shared;
    let (ids, next, lsn) = records::list(shared, &*call.vectors()?, &request.namespace, page)?;
    let message = ListResponse {
        vectors: ids.into_iter().map(|id| ListItem { id }).collect(),
        pagination: next.map(Into::into),
        namespace: request.namespace,
        usage: Some(Usage::ONE),
    };
    Ok(Reply::message(call, &message)?.saw(lsn))
}

pub(crate) fn stats(call: &Call) -> Answer {
    let index = call.index()?;
    let request: DescribeIndexStatsRequest = call.message()?;
    let stats = records::stats(&index, filter(call, request.filter)?)?;
    let shape = index.shape();
    let summary = |(name, found)| (name, NamespaceSummary { vector_count: count(found) });
    let message = DescribeIndexStatsResponse {
        namespaces: stats.namespaces.into_iter().map(summary).collect(),
        dimension: (shape.dimension > 0).then_some(shape.dimension),
        total_vector_count: count(stats.total),
        metric: Some(shape.metric.as_str().to_owned()),
        vector_type: Some(shape.vector_type.as_str().to_owned()),
        ..Default::default()
    };
    Ok(Reply::message(call, &message)?.saw(stats.lsn))
}

pub(crate) fn list_namespaces(call: &Call) -> Answer {
    let request: ListNamespacesRequest = call.message()?;
    let page = page(&request.pagination_token, request.limit, &request.prefix);
    let (found, lsn) = namespaces::list(&call.shared, &*call.index()?, page)?;
    let message = ListNamespacesResponse {
        namespaces: found.namespaces.into_iter().map(Into::into).collect(),
        pagination: found.pagination.map(Into::into),
        total_count: i32::try_from(found.total_count).unwrap_or(i32::MAX),
    };
    Ok(Reply::message(call, &message)?.saw(lsn))
}

pub(crate) fn describe_namespace(call: &Call) -> Answer {
    let request: DescribeNamespaceRequest = call.message()?;
    let (model, lsn) = namespaces::describe(&*call.index()?, &request.namespace)?;
    Ok(described(call, model)?.saw(lsn))
}

pub(crate) fn create_namespace(call: &Call) -> Answer {
    let request: CreateNamespaceRequest = call.message()?;
    let schema = request.schema.map(Into::into);
    let (model, lsn) = namespaces::create(&*call.index()?, &request.name, schema)?;
    Ok(described(call, model)?.wrote(lsn))
}

pub(crate) fn delete_namespace(call: &Call) -> Answer {
    let request: DeleteNamespaceRequest = call.message()?;
    let lsn = namespaces::delete(&*call.index()?, &request.namespace)?;
    Ok(Reply::message(call, &DeleteResponse {})?.wrote(lsn))
}

fn described(call: &Call, model: NamespaceModel) -> Answer {
    Reply::message(call, &NamespaceDescription::from(model))
}

/// A page of ids or of namespaces. The empty text is how absence reads to
/// older clients.
fn page<'a>(
    token: &'a Option<String>,
    limit: Option<u32>,
    prefix: &'a Option<String>,
) -> AskedPage<'a> {
    let given = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
    AskedPage {
        token: given(token),
        limit: limit.map(|limit| limit as usize),
        prefix: given(prefix),
    }
}

fn filter(call: &Call, fields: Option<Struct>) -> Result<Option<Filter>, ApiError> {
    let limits = call.limits();
    let filter = fields.map(|fields| crossbill_wire::grpc::filter(fields, limits)).transpose();
    filter.map_err(|error| Error::from(error).into())
}

fn metadata(call: &Call, fields: Option<Struct>) -> Result<Option<Metadata>, ApiError> {
    let most = call.limits().metadata_bytes;
    let metadata = fields.map(|fields| crossbill_wire::grpc::metadata(fields, most)).transpose();
    metadata.map_err(|error| Error::from(error).into())
}

/// A number as the message can carry it.
fn count(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn vectors(records: Vec<StoredRecord>) -> Result<BTreeMap<String, Vector>, ApiError> {
    records.into_iter().map(vector).collect()
}

fn vector(record: StoredRecord) -> Result<(String, Vector), ApiError> {
    let vector = Vector {
        id: record.id,
        values: record.values,
        sparse_values: record.sparse.map(Into::into),
        metadata: stored(record.metadata_json)?,
    };
    Ok((vector.id.clone(), vector))
}

fn scored(found: Match) -> Result<ScoredVector, ApiError> {
    Ok(ScoredVector {
        id: found.id,
        score: finite(found.score),
        values: found.values.unwrap_or_default(),
        sparse_values: found.sparse.map(SparseVector::into),
        metadata: stored(found.metadata_json)?,
    })
}

/// Stored metadata as it goes out.
fn stored(json: Option<String>) -> Result<Option<Struct>, ApiError> {
    let fields = json.map(|json| struct_of_json(&json)).transpose();
    fields.map_err(|error| ApiError::internal(format!("stored metadata is not JSON: {error}")))
}
