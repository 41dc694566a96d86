//! Queries.

use std::time::Duration;

use crossbill_db::{Match, QueryAnswer};
use crossbill_wire::{
    QueryExplain, QueryMicros, QueryRequest, QueryResponse, ScoredVector, SparseValues, Usage,
};

use super::raw_metadata;
use crate::call::{Answer, Call, Reply, namespace};
use crate::verbs::query::{check_answer, checked, finite};

/// `POST /query`.
pub(crate) fn query(call: &Call) -> Answer {
    let index = call.vectors()?;
    let began = call.shared.config.clock.monotonic();
    let mut request: QueryRequest = call.json()?;
    let namespace = namespace(request.namespace.as_deref())?;
    let filter = call.filter(request.filter.as_deref())?;
    let query = checked(&mut request, filter, index.shape(), call.limits())?;
    let read = call.shared.config.clock.monotonic().saturating_sub(began);
    let answer = index.query(&namespace, &query)?;
    let explain = (request.explain == Some(true)).then(|| explained(&answer, read));
    let matches =
        answer.matches.into_iter().map(scored_vector).collect::<crossbill_core::Result<_>>()?;
    let namespace = request.namespace.unwrap_or_default();
    let body = QueryResponse { matches, namespace, usage: Usage::ONE, explain };
    let reply = Reply::json(200, &body)?;
    check_answer(reply.body.len(), call.limits())?;
    Ok(reply.saw(answer.lsn))
}

/// The work that an answer took, where reading the request took `request`.
fn explained(answer: &QueryAnswer, request: Duration) -> QueryExplain {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    QueryExplain {
        segments: answer.stats.segments.into(),
        lists: answer.stats.cells_probed.into(),
        rows_scanned: answer.stats.codes_scanned.into(),
        rows_scored: answer.stats.reranked.into(),
        rows_in_memory: answer.memory_rows,
        micros: QueryMicros {
            request: micros(request),
            search: micros(answer.took.search),
            read: micros(answer.took.read),
        },
    }
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
