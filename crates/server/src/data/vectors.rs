//! Records by id, by filter and by listing: upsert, fetch, update, delete,
//! list, stats.

use crossbill_core::limits::{
    FETCH_BY_METADATA_PAGE_DEFAULT, FETCH_BY_METADATA_PAGE_MAX, LIST_PAGE_MAX, NAMESPACE_CHARS_MAX,
};
use crossbill_core::{Filter, Metadata};
use crossbill_db::{Selector, StoredRecord, Update};
use crossbill_wire::{
    DeleteRequest, FetchByMetadataRequest, FetchResponse, ListItem, ListResponse, NamespaceSummary,
    PageToken, SparseValues, StatsRequest, StatsResponse, UpdateRequest, UpdateResponse,
    UpsertRequest, UpsertResponse, Usage, Vector,
};
use serde_json::value::RawValue;

use super::raw_metadata;
use crate::call::{Answer, Call, Reply, check_limit, filter, metadata, namespace};
use crate::error::ApiError;

/// `POST /vectors/upsert`.
pub(crate) fn upsert(call: &Call) -> Answer {
    let index = call.index()?;
    let request = call.json_by(UpsertRequest::from_json)?;
    let namespace = namespace(request.namespace.as_deref())?;
    let upserted_count = request.vectors.len() as u64;
    let records = request.into_records(&index.info().shape)?;
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
    let index = call.index()?;
    let written = call.query("namespace").unwrap_or("");
    let namespace = namespace(Some(written))?;
    let ids = call.query_all("ids");
    FetchResponse::check_ids(&ids)?;
    let lsn = index.lsn();
    let records = index.fetch(&namespace, &ids)?;
    let answer = FetchResponse {
        vectors: records.into_iter().map(vector).collect::<Result<_, _>>()?,
        namespace: written.to_owned(),
        usage: Usage::ONE,
        pagination: None,
    };
    Ok(Reply::json(200, &answer)?.saw(lsn))
}

/// A filter that must be there and say something.
fn required_filter(raw: Option<&RawValue>, empty: &str) -> Result<Filter, ApiError> {
    match filter(raw)? {
        Some(filter) if !filter.is_empty() => Ok(filter),
        _ => Err(ApiError::invalid(empty)),
    }
}

/// `POST /vectors/fetch_by_metadata`, in id order.
pub(crate) fn fetch_by_metadata(call: &Call) -> Answer {
    let index = call.index()?;
    let request: FetchByMetadataRequest = call.json()?;
    let written = request.namespace.as_deref().unwrap_or("");
    let namespace = namespace(Some(written))?;
    let filter = required_filter(
        request.filter.as_deref(),
        "Empty filter provided for fetch by metadata request",
    )?;
    let token = request.pagination_token.as_deref().filter(|token| !token.is_empty());
    let token = token.map(PageToken::decode).transpose()?;
    let remembered = token.as_ref().map(|token| token.limit);
    let limit = request.limit.or(remembered).unwrap_or(FETCH_BY_METADATA_PAGE_DEFAULT);
    check_limit(limit, FETCH_BY_METADATA_PAGE_MAX)?;
    let after = token.as_ref().map(|token| token.after.as_str());
    let lsn = index.lsn();
    let (records, next) = index.fetch_by_metadata(&namespace, &filter, limit, after)?;
    let answer = FetchResponse {
        vectors: records.into_iter().map(vector).collect::<Result<_, _>>()?,
        namespace: written.to_owned(),
        usage: Usage::ONE,
        pagination: next
            .map(|after| PageToken { prefix: String::new(), limit, after }.pagination()),
    };
    Ok(Reply::json(200, &answer)?.saw(lsn))
}

/// `POST /vectors/update`: one record by id, or the metadata of all that
/// match a filter.
pub(crate) fn update(call: &Call) -> Answer {
    let request: UpdateRequest = call.json()?;
    // The empty id is how absence reads in the gRPC twin of this body.
    let id = request.id.clone().filter(|id| !id.is_empty());
    match (id, request.filter.is_some()) {
        (Some(id), false) => update_one(call, request, id),
        (None, true) => update_matching(call, &request),
        (Some(_), true) => {
            Err(ApiError::invalid("both id and filter were given, expected one of them"))
        }
        (None, false) => {
            Err(ApiError::invalid("neither id nor filter was given, expected one of them"))
        }
    }
}

fn update_one(call: &Call, request: UpdateRequest, id: String) -> Answer {
    let index = call.index()?;
    let namespace = namespace(request.namespace.as_deref())?;
    crossbill_core::check_record_id(&id).map_err(|error| ApiError::invalid(error.to_string()))?;
    let sparse = request.check_parts(&index.info().shape)?;
    let set_metadata = metadata(request.set_metadata.as_deref())?;
    let values = Some(request.values).filter(|values| !values.is_empty());
    if values.is_none() && sparse.is_none() && set_metadata.is_none() {
        return Err(ApiError::invalid(
            "there is nothing to update, expected values, sparseValues or setMetadata",
        ));
    }
    let lsn = index.update(&namespace, Update { id, values, sparse, set_metadata })?;
    Ok(Reply::empty_object()?.wrote(lsn))
}

fn update_matching(call: &Call, request: &UpdateRequest) -> Answer {
    let index = call.index()?;
    if !request.values.is_empty() || request.sparse_values.is_some() {
        return Err(ApiError::invalid(
            "Update by metadata request does not support updating vector values.",
        ));
    }
    let namespace = namespace(request.namespace.as_deref())?;
    let filter = required_filter(
        request.filter.as_deref(),
        "Update with empty metadata filter is not allowed",
    )?;
    let dry_run = request.dry_run.unwrap_or(false);
    let set_metadata = match metadata(request.set_metadata.as_deref())? {
        Some(fields) => fields,
        None if dry_run => Metadata::default(),
        None => return Err(ApiError::invalid("setMetadata is missing, expected an object")),
    };
    let matched = index.update_by_filter(&namespace, &filter, set_metadata, dry_run)?;
    let matched_records = Some(i32::try_from(matched).unwrap_or(i32::MAX));
    Ok(Reply::json(200, &UpdateResponse { matched_records })?.wrote(index.lsn()))
}

/// `POST /vectors/delete`.
pub(crate) fn delete(call: &Call) -> Answer {
    let index = call.index()?;
    let request: DeleteRequest = call.json()?;
    let namespace = namespace(request.namespace.as_deref())?;
    let lsn = index.delete(&namespace, selector(request)?)?;
    Ok(Reply::empty_object()?.wrote(lsn))
}

/// Exactly one of the three ways to say which records. An empty list of ids
/// beside another way counts as none.
fn selector(request: DeleteRequest) -> Result<Selector, ApiError> {
    let has_ids = request.ids.as_ref().is_some_and(|ids| !ids.is_empty());
    let has_filter = request.filter.is_some();
    if request.delete_all == Some(true) {
        return match (has_ids, has_filter) {
            (true, _) => Err(ApiError::invalid("No explicit IDs allowed when delete_all=true")),
            (false, true) => Err(ApiError::invalid("No filter allowed when delete_all=true")),
            (false, false) => Ok(Selector::All),
        };
    }
    match (request.ids, has_filter) {
        (Some(_), true) if has_ids => {
            Err(ApiError::invalid("both ids and filter were given, expected one of them"))
        }
        (_, true) => Ok(Selector::Filter(required_filter(
            request.filter.as_deref(),
            "Delete with empty metadata filter is not allowed",
        )?)),
        (Some(ids), false) => {
            DeleteRequest::check_ids(&ids)?;
            Ok(Selector::Ids(ids))
        }
        (None, false) => Err(ApiError::invalid(
            "neither ids, deleteAll nor filter was given, expected one of them",
        )),
    }
}

/// `GET /vectors/list`, in id order.
pub(crate) fn list(call: &Call) -> Answer {
    let index = call.index()?;
    let written = call.query("namespace").unwrap_or("");
    let namespace = namespace(Some(written))?;
    let page = call.page(LIST_PAGE_MAX, LIST_PAGE_MAX)?;
    if page.prefix.chars().count() > NAMESPACE_CHARS_MAX {
        return Err(ApiError::invalid(format!(
            "prefix has {} characters, expected at most {NAMESPACE_CHARS_MAX}",
            page.prefix.chars().count()
        )));
    }
    let lsn = index.lsn();
    let (ids, more) =
        index.list_ids(&namespace, &page.prefix, page.after.as_deref(), page.limit)?;
    let last = ids.last().filter(|_| more).cloned();
    let answer = ListResponse {
        vectors: ids.into_iter().map(|id| ListItem { id }).collect(),
        pagination: last
            .map(|after| PageToken { prefix: page.prefix, limit: page.limit, after }.pagination()),
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
    if filter(request.filter.as_deref())?.is_some_and(|filter| !filter.is_empty()) {
        return Err(ApiError::invalid(
            "describe_index_stats does not take a filter on a serverless index",
        ));
    }
    let info = index.info();
    let stats = index.stats()?;
    let summary = |(name, vector_count)| (name, NamespaceSummary { vector_count });
    let answer = StatsResponse {
        namespaces: stats.namespaces.into_iter().map(summary).collect(),
        dimension: (info.shape.dimension > 0).then_some(info.shape.dimension),
        index_fullness: 0.0,
        total_vector_count: stats.total,
        metric: info.shape.metric.as_str().to_owned(),
        vector_type: info.shape.vector_type.as_str().to_owned(),
    };
    Ok(Reply::json(200, &answer)?.saw(stats.lsn))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(json: &str) -> Result<Selector, String> {
        selector(serde_json::from_str(json).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn a_delete_names_its_records_in_exactly_one_way() {
        assert!(matches!(chosen(r#"{"ids":["a"]}"#), Ok(Selector::Ids(_))));
        assert!(matches!(chosen(r#"{"deleteAll":true,"ids":[]}"#), Ok(Selector::All)));
        assert!(matches!(
            chosen(r#"{"filter":{"a":1},"deleteAll":false}"#),
            Ok(Selector::Filter(_))
        ));
        for (json, expected) in [
            ("{}", "neither ids"),
            (r#"{"deleteAll":false}"#, "neither ids"),
            (r#"{"ids":[]}"#, "0 ids, expected 1 to 1000"),
            (r#"{"ids":["a",""]}"#, "ids[1]: id is empty"),
            (r#"{"ids":["a"],"deleteAll":true}"#, "No explicit IDs allowed"),
            (r#"{"filter":{"a":1},"deleteAll":true}"#, "No filter allowed"),
            (r#"{"ids":["a"],"filter":{"a":1}}"#, "both ids and filter"),
            (r#"{"filter":{}}"#, "Delete with empty metadata filter is not allowed"),
        ] {
            let error = chosen(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
