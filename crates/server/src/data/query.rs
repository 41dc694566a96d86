//! Queries.

use crossbill_core::IndexShape;
use crossbill_db::{Effort, Match, Query, QueryBy};
use crossbill_wire::{QueryRequest, QueryResponse, ScoredVector, SparseValues, Usage};

use super::{finite, raw_metadata};
use crate::call::{Answer, Call, Reply, filter, namespace};
use crate::error::ApiError;

/// `POST /query`.
pub(crate) fn query(call: &Call) -> Answer {
    let index = call.index()?;
    let mut request: QueryRequest = call.json()?;
    let namespace = namespace(request.namespace.as_deref())?;
    let query = checked(&mut request, &index.info().shape)?;
    let answer = index.query(&namespace, &query)?;
    let matches =
        answer.matches.into_iter().map(scored_vector).collect::<crossbill_core::Result<_>>()?;
    let namespace = request.namespace.unwrap_or_default();
    let body = QueryResponse { matches, namespace, usage: Usage::ONE };
    Ok(Reply::json(200, &body)?.saw(answer.lsn))
}

/// The database's form of a request.
pub(super) fn checked(request: &mut QueryRequest, shape: &IndexShape) -> Result<Query, ApiError> {
    let by = match request.take_by(shape)? {
        crossbill_wire::QueryBy::Vector { dense, sparse } => QueryBy::Vector { dense, sparse },
        crossbill_wire::QueryBy::Id(id) => QueryBy::Id(id),
    };
    Ok(Query {
        by,
        top_k: request.top_k()?,
        filter: filter(request.filter.as_deref())?,
        include_values: request.include_values.unwrap_or(false),
        include_metadata: request.include_metadata.unwrap_or(false),
        effort: request.scan_factor()?.map(Effort::Scaled),
    })
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
