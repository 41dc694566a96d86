//! Records with text: they need what this server does not have (an embedding
//! model) and say so. A search by vector or by id needs nothing, and is a
//! query.

use crossbill_db::Match;
use crossbill_wire::{
    QueryRequest, SearchHit, SearchHits, SearchRequest, SearchResponse, SearchUsage,
};

use crate::call::{Answer, Call, Reply, filter, namespace};
use crate::error::ApiError;
use crate::verbs::query::{checked, finite};

/// Fields that one search may name.
const FIELDS_MAX: usize = 100;

/// `POST /records/namespaces/{namespace}/upsert`.
pub(crate) fn upsert(call: &Call) -> Answer {
    call.vectors()?;
    Err(ApiError::invalid(
        "records with text need an index with integrated embedding, which this server does not \
         have: use /vectors/upsert with values",
    ))
}

/// `POST /records/namespaces/{namespace}/search`.
pub(crate) fn search(call: &Call) -> Answer {
    let index = call.vectors()?;
    let namespace = namespace(Some(call.param("namespace")))?;
    let request: SearchRequest = call.json()?;
    check(&request)?;
    let (vector, sparse_vector) = request.query.vector.unwrap_or_default().into_parts();
    let mut as_query = QueryRequest {
        top_k: request.query.top_k,
        vector,
        sparse_vector,
        id: request.query.id,
        include_metadata: Some(true),
        ..QueryRequest::default()
    };
    let filter = filter(request.query.filter.as_deref())?;
    let query = checked(&mut as_query, filter, &index.info().shape)?;
    let answer = index.query(&namespace, &query)?;
    let fields = request.fields.as_deref();
    let hits = answer
        .matches
        .into_iter()
        .map(|found| hit(found, fields))
        .collect::<Result<_, ApiError>>()?;
    let body = SearchResponse { result: SearchHits { hits }, usage: SearchUsage { read_units: 1 } };
    Ok(Reply::json(200, &body)?.saw(answer.lsn))
}

fn check(request: &SearchRequest) -> Result<(), ApiError> {
    let asked = [
        ("query.inputs", request.query.inputs.is_some()),
        ("query.match_terms", request.query.match_terms.is_some()),
        ("rerank", request.rerank.is_some()),
    ];
    if let Some((field, _)) = asked.into_iter().find(|(_, given)| *given) {
        return Err(ApiError::invalid(format!(
            "{field} needs a model, which this server does not have: search by query.vector or \
             query.id"
        )));
    }
    match request.fields.as_ref().map_or(0, Vec::len) {
        count if count > FIELDS_MAX => {
            Err(ApiError::invalid(format!("fields has {count}, expected at most {FIELDS_MAX}")))
        }
        _ => Ok(()),
    }
}

/// A match with its metadata as fields: those that were named, or all.
fn hit(found: Match, named: Option<&[String]>) -> Result<SearchHit, ApiError> {
    let mut fields: std::collections::BTreeMap<String, serde_json::Value> = found
        .metadata_json
        .map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(|error| ApiError::internal(format!("stored metadata is not JSON: {error}")))?
        .unwrap_or_default();
    // Python 7 and 8 always name "*", which is all of them.
    if let Some(named) = named.filter(|named| !named.iter().any(|field| field == "*")) {
        fields.retain(|field, _| named.contains(field));
    }
    Ok(SearchHit { id: found.id, score: finite(found.score), fields })
}
