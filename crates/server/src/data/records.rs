//! Records with text, in an index that has an embedding model. A search by
//! vector or by id needs no model, and is a query.

use crossbill_core::{Record, RequestLimits};
use crossbill_db::Match;
use crossbill_inference::RankDocuments;
use crossbill_wire::QueryRequest;
use crossbill_wire::records::{
    RecordsUpsert, SearchHit, SearchHits, SearchRequest, SearchRerank, SearchResponse, SearchUsage,
};

use crate::call::{Answer, Call, Reply, namespace};
use crate::error::ApiError;
use crate::models::{embed_for, embed_of, rank};
use crate::verbs::query::{check_answer, checked, finite};

/// `POST /records/namespaces/{namespace}/upsert`: all or none are written,
/// once all have their vectors.
pub(crate) fn upsert(call: &Call) -> Answer {
    let index = call.vectors()?;
    let info = index.info();
    let embed = embed_of(&info).ok_or_else(|| no_embedding("use /vectors/upsert with values"))?;
    let namespace = namespace(Some(call.param("namespace")))?;
    let upsert = RecordsUpsert::read(&call.body, &embed.field, call.limits())?;
    let texts: Vec<&str> = upsert.records.iter().map(|record| record.text.as_str()).collect();
    let vectors = embed_for(call, &info, &embed, &texts)?.vectors;
    let records = upsert.records.into_iter().zip(vectors);
    let records = records.map(|(record, values)| Record {
        id: record.id,
        values,
        sparse: None,
        metadata: Some(record.metadata),
    });
    let records = records.collect();
    call.check_wanted()?;
    let lsn = index.upsert(&namespace, records)?;
    Ok(Reply::bare(201)?.wrote(lsn))
}

fn no_embedding(instead: &str) -> ApiError {
    ApiError::invalid(format!(
        "records with text need an index with an embedding model, made with create-for-model, and \
         this one has none: {instead}"
    ))
}

/// `POST /records/namespaces/{namespace}/search`: a query by vector, id or the
/// vector of a text, whose hits a model may put in another order.
pub(crate) fn search(call: &Call) -> Answer {
    let index = call.vectors()?;
    let namespace = namespace(Some(call.param("namespace")))?;
    let request: SearchRequest = call.json()?;
    check(&request, call.limits())?;
    let filter = call.filter(request.query.filter.as_deref())?;
    let SearchRequest { query: asked, fields, rerank } = request;
    let (mut vector, sparse_vector) = asked.vector.unwrap_or_default().into_parts();
    let info = index.info();
    let mut embed_total_tokens = None;
    let text = asked.inputs.map(|inputs| inputs.text);
    if let Some(text) = &text {
        let embed = embed_of(&info);
        let embed = embed.ok_or_else(|| no_embedding("search by query.vector or query.id"))?;
        let found = embed_for(call, &info, &embed, &[text])?;
        embed_total_tokens = Some(found.tokens);
        vector = found.vectors.into_iter().next().unwrap_or_default();
    }
    let mut as_query = QueryRequest {
        top_k: asked.top_k,
        vector,
        sparse_vector,
        id: asked.id,
        include_metadata: Some(true),
        ..QueryRequest::default()
    };
    let query = checked(&mut as_query, filter, &info.shape, call.limits())?;
    call.check_wanted()?;
    let answer = index.query(&namespace, &query)?;
    let mut hits = answer.matches.into_iter().map(hit).collect::<Result<Vec<_>, ApiError>>()?;
    let rerank_units = rerank.as_ref().map(|_| 1);
    if let Some(rerank) = rerank {
        hits = reranked(call, &rerank, text.as_deref(), hits)?;
    }
    // Python 7 and 8 always name "*", which is all of them.
    if let Some(named) = fields.filter(|named| !named.iter().any(|field| field == "*")) {
        hits.iter_mut().for_each(|hit| hit.fields.retain(|field, _| named.contains(field)));
    }
    let usage = SearchUsage { read_units: 1, embed_total_tokens, rerank_units };
    let body = SearchResponse { result: SearchHits { hits }, usage };
    let reply = Reply::json(200, &body)?;
    check_answer(reply.body.len(), call.limits())?;
    Ok(reply.saw(answer.lsn))
}

fn check(request: &SearchRequest, limits: &RequestLimits) -> Result<(), ApiError> {
    let query = &request.query;
    if query.match_terms.is_some() {
        return Err(ApiError::invalid(
            "query.match_terms needs a sparse embedding model, which this server does not have: \
             leave it out",
        ));
    }
    let text = query.inputs.as_ref().map(|inputs| inputs.text.as_str());
    if text == Some("") {
        return Err(ApiError::invalid("query.inputs.text is empty, expected a text"));
    }
    if text.is_some() && (query.vector.is_some() || query.id.is_some()) {
        return Err(ApiError::invalid(
            "query.inputs was given beside query.vector or query.id, expected one of them",
        ));
    }
    if let Some(rerank) = &request.rerank {
        if query.top_k > limits.rerank_documents as u64 {
            return Err(ApiError::invalid(format!(
                "top_k is {}, expected at most {} with rerank",
                query.top_k, limits.rerank_documents
            )));
        }
        if rerank.query.is_none() && text.is_none() {
            return Err(ApiError::invalid(
                "rerank.query is missing, expected one where no text is searched by",
            ));
        }
        rerank.top_n(0)?;
    }
    match request.fields.as_ref().map_or(0, Vec::len) {
        count if count > limits.search_fields => Err(ApiError::invalid(format!(
            "fields has {count}, expected at most {}",
            limits.search_fields
        ))),
        _ => Ok(()),
    }
}

/// The hits in the order that a model gives them, with its scores.
fn reranked(
    call: &Call,
    asked: &SearchRerank,
    text: Option<&str>,
    hits: Vec<SearchHit>,
) -> Result<Vec<SearchHit>, ApiError> {
    let texts = hits.iter().map(|hit| {
        asked.text(&hit.fields).map_err(|error| {
            ApiError::invalid(format!("rerank of record {:?}: {}", hit.id, error.message()))
        })
    });
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let documents: Vec<&str> = texts.iter().map(String::as_str).collect();
    let query = asked.query.as_deref().or(text).unwrap_or_default();
    let top_n = asked.top_n(hits.len())?;
    let ranked =
        rank(call, &RankDocuments { model: &asked.model, query, documents: &documents, top_n })?;
    let mut hits: Vec<Option<SearchHit>> = hits.into_iter().map(Some).collect();
    let ranked = ranked.into_iter().filter_map(|ranked| {
        let hit = hits.get_mut(ranked.index)?.take()?;
        Some(SearchHit { score: ranked.score, ..hit })
    });
    Ok(ranked.collect())
}

/// A match with its metadata as fields.
fn hit(found: Match) -> Result<SearchHit, ApiError> {
    let fields = found
        .metadata_json
        .map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(|error| ApiError::internal(format!("stored metadata is not JSON: {error}")))?
        .unwrap_or_default();
    Ok(SearchHit { id: found.id, score: finite(found.score), fields })
}
