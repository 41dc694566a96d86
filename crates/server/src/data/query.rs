//! Queries.

use crossbill_db::Match;
use crossbill_wire::{QueryRequest, QueryResponse, ScoredVector, SparseValues, Usage};

use super::raw_metadata;
use crate::call::{Answer, Call, Reply, namespace};
use crate::verbs::query::{check_answer, checked, finite};

/// `POST /query`.
pub(crate) fn query(call: &Call) -> Answer {
    let index = call.vectors()?;
    let mut request: QueryRequest = call.json()?;
    let namespace = namespace(request.namespace.as_deref())?;
    let filter = call.filter(request.filter.as_deref())?;
    let query = checked(&mut request, filter, index.shape(), call.limits())?;
    let answer = index.query(&namespace, &query)?;
    let matches =
        answer.matches.into_iter().map(scored_vector).collect::<crossbill_core::Result<_>>()?;
    let namespace = request.namespace.unwrap_or_default();
    let body = QueryResponse { matches, namespace, usage: Usage::ONE };
    let reply = Reply::json(200, &body)?;
    check_answer(reply.body.len(), call.limits())?;
    Ok(reply.saw(answer.lsn))
}

/// A match as the API shows it. `Internal` where its stored metadata is no
/// JSON.
pub fn scored_vector(found: Match) -> crossbill_core::Result<ScoredVector> {
    Ok(ScoredVector {
        id: found.id,
        score: finite(found.score),
        values: found.values.unwrap_or_default(),
        sparse_values: found.sparse.as_ref().map(SparseValues::from),
        metadata: raw_metadata(found.metadata_json)?,
    })
}
