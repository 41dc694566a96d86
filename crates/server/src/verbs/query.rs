//! Queries.

use crossbill_core::{Filter, IndexShape, RequestLimits};
use crossbill_db::{Effort, Query, QueryBy};
use crossbill_wire::QueryRequest;

use crate::error::ApiError;

/// The database's form of a request. Its filter was read before, by the wire
/// that it came over.
pub(crate) fn checked(
    request: &mut QueryRequest,
    filter: Option<Filter>,
    shape: &IndexShape,
    limits: &RequestLimits,
) -> Result<Query, ApiError> {
    let by = match request.take_by(shape, limits)? {
        crossbill_wire::QueryBy::Vector { dense, sparse } => QueryBy::Vector { dense, sparse },
        crossbill_wire::QueryBy::Id(id) => QueryBy::Id(id),
    };
    Ok(Query {
        by,
        top_k: request.top_k(limits.top_k)?,
        filter,
        include_values: request.include_values.unwrap_or(false),
        include_metadata: request.include_metadata.unwrap_or(false),
        effort: request.scan_factor(limits.candidates)?.map(Effort::Scaled),
    })
}

/// Refuses an answer to a query that is larger than it may be.
pub(crate) fn check_answer(bytes: usize, limits: &RequestLimits) -> Result<(), ApiError> {
    match bytes > limits.query_answer_bytes {
        true => Err(ApiError::invalid(format!(
            "the answer has {bytes} bytes, expected at most {}: ask for fewer matches, or without \
             their values, metadata or fields",
            limits.query_answer_bytes
        ))),
        false => Ok(()),
    }
}

/// A score as every wire can carry it: products of finite vectors can be
/// infinite, which JSON has no word for.
pub(crate) fn finite(score: f32) -> f32 {
    if score.is_nan() { 0.0 } else { score.clamp(f32::MIN, f32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_always_numbers() {
        assert_eq!(finite(f32::INFINITY), f32::MAX);
        assert_eq!(finite(f32::NEG_INFINITY), f32::MIN);
        assert_eq!(finite(f32::NAN), 0.0);
        assert_eq!(finite(-0.5), -0.5);
    }
}
