//! Records by id, by filter and by listing: upsert, fetch, update, delete,
//! list, stats.

use crossbill_db::StoredRecord;
use crossbill_wire::{
    DeleteRequest, FetchByMetadataRequest, FetchResponse, ListItem, ListResponse, NamespaceSummary,
    SparseValues, StatsRequest, StatsResponse, UpdateRequest, UpdateResponse, UpsertRequest,
    UpsertResponse, Usage, Vector,
};

use super::raw_metadata;
use crate::call::{Answer, Call, Reply, namespace};
use crate::error::ApiError;
use crate::verbs::records::{self, ByMetadata, Change, Deletion};

/// `POST /vectors/upsert`.
pub(crate) fn upsert(call: &Call) -> Answer {
    let index = call.vectors()?;
    let request = call.json_by(UpsertRequest::from_json)?;
    let namespace = namespace(request.namespace.as_deref())?;
    let upserted_count = request.vectors.len() as u64;
    let records = request.into_records(index.shape(), call.limits())?;
    call.check_wanted()?;
    let lsn = index.upsert(&namespace, records)?;
    Ok(Reply::json(200, &UpsertResponse { upserted_count })?.wrote(lsn))
}

/// A record as it is answered.
fn vector(record: StoredRecord) -> Result<(String, Vector), ApiError> {
    let vector = Vector {
        id: record.id,
        values: record.values,
        sparse_values: record.sparse.as_ref().map(SparseValues::from),
        metadata: raw_metadata(record.metadata_json)?,
    };
    Ok((vector.id.clone(), vector))
}

/// `GET /vectors/fetch`. Unknown ids are left out.
pub(crate) fn fetch(call: &Call) -> Answer {
    let index = call.vectors()?;
    let written = call.query("namespace").unwrap_or("");
    let (records, lsn) = records::fetch(&call.shared, &index, written, &call.query_all("ids"))?;
    let answer = FetchResponse {
        vectors: records.into_iter().map(vector).collect::<Result<_, _>>()?,
        namespace: written.to_owned(),
        usage: Usage::ONE,
        pagination: None,
    };
    Ok(Reply::json(200, &answer)?.saw(lsn))
}

/// `POST /vectors/fetch_by_metadata`, in id order.
pub(crate) fn fetch_by_metadata(call: &Call) -> Answer {
    let index = call.vectors()?;
    let request: FetchByMetadataRequest = call.json()?;
    let asked = ByMetadata {
        namespace: request.namespace.as_deref().unwrap_or(""),
        filter: call.filter(request.filter.as_deref())?,
        limit: request.limit,
        token: request.pagination_token.as_deref(),
    };
    let (records, next, lsn) = records::fetch_by_metadata(&call.shared, &index, asked)?;
    let answer = FetchResponse {
        vectors: records.into_iter().map(vector).collect::<Result<_, _>>()?,
        namespace: request.namespace.unwrap_or_default(),
        usage: Usage::ONE,
        pagination: next,
    };
    Ok(Reply::json(200, &answer)?.saw(lsn))
}

/// `POST /vectors/update`: one record by id, or the metadata of all that
/// match a filter.
pub(crate) fn update(call: &Call) -> Answer {
    let index = call.vectors()?;
    let request: UpdateRequest = call.json()?;
    let asked = Change {
        filter: call.filter(request.filter.as_deref())?,
        set_metadata: call.metadata(request.set_metadata.as_deref())?,
        namespace: request.namespace.unwrap_or_default(),
        id: request.id,
        values: request.values,
        sparse: request.sparse_values,
        dry_run: request.dry_run.unwrap_or(false),
    };
    let (matched_records, lsn) = records::update(&call.shared, &index, asked)?;
    Ok(Reply::json(200, &UpdateResponse { matched_records })?.wrote(lsn))
}

/// `POST /vectors/delete`.
pub(crate) fn delete(call: &Call) -> Answer {
    let index = call.vectors()?;
    let request: DeleteRequest = call.json()?;
    let asked = Deletion {
        filter: call.filter(request.filter.as_deref())?,
        ids: request.ids,
        all: request.delete_all == Some(true),
    };
    let written = request.namespace.as_deref().unwrap_or("");
    let (_, lsn) = records::delete(&call.shared, &index, written, asked)?;
    Ok(Reply::empty_object()?.wrote(lsn))
}

/// `GET /vectors/list`, in id order.
pub(crate) fn list(call: &Call) -> Answer {
    let index = call.vectors()?;
    let written = call.query("namespace").unwrap_or("");
    let (ids, next, lsn) = records::list(&call.shared, &index, written, call.asked_page()?)?;
    let answer = ListResponse {
        vectors: ids.into_iter().map(|id| ListItem { id }).collect(),
        pagination: next,
        namespace: written.to_owned(),
        usage: Usage::ONE,
    };
    Ok(Reply::json(200, &answer)?.saw(lsn))
}

/// `POST /describe_index_stats`. The default namespace's key is
/// `__default__`, as `GET /namespaces` names it.
pub(crate) fn stats(call: &Call) -> Answer {
    let index = call.index()?;
    let request = match call.body.is_empty() {
        true => StatsRequest::default(),
        false => call.json()?,
    };
    let stats = records::stats(&index, call.filter(request.filter.as_deref())?)?;
    let shape = index.shape();
    let summary = |(name, vector_count)| (name, NamespaceSummary { vector_count });
    let answer = StatsResponse {
        namespaces: stats.namespaces.into_iter().map(summary).collect(),
        dimension: (shape.dimension > 0).then_some(shape.dimension),
        index_fullness: 0.0,
        total_vector_count: stats.total,
        metric: shape.metric.as_str().to_owned(),
        vector_type: shape.vector_type.as_str().to_owned(),
    };
    Ok(Reply::json(200, &answer)?.saw(stats.lsn))
}
