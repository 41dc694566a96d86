//! Bodies of `POST /query`.

use crossbill_core::limits::{CANDIDATES_MAX, SCAN_FACTOR, TOP_K_MAX};
use crossbill_core::{
    Error, IndexShape, RequestLimits, Result, SparseVector, VectorType, check_dense_query,
    check_record_id,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::describe;
use crate::vectors::check_sparse_allowed;
use crate::{SparseValues, Usage, floats};

/// `POST /query`. The deprecated field `queries` is accepted and changes
/// nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryRequest {
    /// 1 to 10,000.
    #[schemars(range(min = 1, max = TOP_K_MAX))]
    pub top_k: u64,
    /// The dense query; empty or absent where there is none.
    #[serde(
        default,
        deserialize_with = "floats::deserialize",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<describe::Components>")]
    pub vector: Vec<f32>,
    /// A stored record whose vectors are the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::RecordIdOrEmpty>")]
    pub id: Option<String>,
    /// The sparse query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_vector: Option<SparseValues>,
    /// Which records count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// Whether matches carry their vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_values: Option<bool>,
    /// Whether matches carry their metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_metadata: Option<bool>,
    /// Absent, `""` and `__default__` name the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Namespace>")]
    pub namespace: Option<String>,
    /// So many times the usual part of the index is looked through: above 1
    /// for recall, below 1 for speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = SCAN_FACTOR.0, max = SCAN_FACTOR.1))]
    pub scan_factor: Option<f32>,
    /// Checked and otherwise without effect: every match is scored exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = CANDIDATES_MAX))]
    pub max_candidates: Option<u64>,
    /// Whether the answer says what work it took (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<bool>,
}

/// What a query searches by, checked.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryBy {
    /// Vectors given in the request; at least one.
    Vector {
        /// The dense one.
        dense: Option<Vec<f32>>,
        /// The sparse one.
        sparse: Option<SparseVector>,
    },
    /// A stored record's.
    Id(String),
}

impl QueryRequest {
    /// `topK`, checked.
    pub fn top_k(&self, most: usize) -> Result<usize> {
        usize::try_from(self.top_k)
            .ok()
            .filter(|count| (1..=most).contains(count))
            .ok_or_else(|| Error::invalid(format!("topK is {}, expected 1 to {most}", self.top_k)))
    }

    /// `scanFactor`, checked, as `maxCandidates` is.
    pub fn scan_factor(&self, candidates_max: usize) -> Result<Option<f32>> {
        let wanted = self.top_k..=candidates_max as u64;
        if let Some(candidates) = self.max_candidates
            && !wanted.contains(&candidates)
        {
            return Err(Error::invalid(format!(
                "maxCandidates is {candidates}, expected topK ({}) to {candidates_max}",
                self.top_k
            )));
        }
        let (least, most) = SCAN_FACTOR;
        match self.scan_factor {
            Some(factor) if !(least..=most).contains(&factor) => {
                Err(Error::invalid(format!("scanFactor is {factor}, expected {least} to {most}")))
            }
            factor => Ok(factor),
        }
    }

    /// Takes out what to search by and checks it against the index.
    pub fn take_by(&mut self, shape: &IndexShape, limits: &RequestLimits) -> Result<QueryBy> {
        let dense = Some(std::mem::take(&mut self.vector)).filter(|values| !values.is_empty());
        let sparse = self.sparse_vector.take();
        // The empty id is how absence reads in the gRPC twin of this body.
        match self.id.take().filter(|id| !id.is_empty()) {
            Some(_) if dense.is_some() || sparse.is_some() => {
                Err(Error::invalid("both id and a vector were given, expected one of them"))
            }
            Some(id) => {
                check_record_id(&id)?;
                Ok(QueryBy::Id(id))
            }
            None => {
                let checked = |sparse: SparseValues| sparse.into_vector(limits.sparse_entries);
                let sparse = sparse.map(checked).transpose()?;
                check_query(shape, dense.as_deref(), sparse.as_ref())?;
                Ok(QueryBy::Vector { dense, sparse })
            }
        }
    }
}

fn check_query(
    shape: &IndexShape,
    dense: Option<&[f32]>,
    sparse: Option<&SparseVector>,
) -> Result<()> {
    check_sparse_allowed(shape, sparse)?;
    match (shape.vector_type, dense, sparse) {
        (_, None, None) => {
            Err(Error::invalid("neither vector, sparseVector nor id was given, expected one"))
        }
        (VectorType::Dense, Some(values), _) => Ok(check_dense_query(shape, values)?),
        (VectorType::Dense, None, Some(_)) => Err(Error::invalid(
            "only sparseVector was given, expected vector beside it: the index is dense",
        )),
        (VectorType::Sparse, Some(_), _) => {
            Err(Error::invalid("vector was given, expected sparseVector only: the index is sparse"))
        }
        (VectorType::Sparse, None, Some(_)) => Ok(()),
    }
}

/// One match.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoredVector {
    /// The record's id.
    pub id: String,
    /// Cosine similarity, dot product, or squared Euclidean distance.
    pub score: f32,
    /// Where asked for.
    #[serde(
        default,
        deserialize_with = "floats::deserialize",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<describe::Components>")]
    pub values: Vec<f32>,
    /// Where asked for and there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<SparseValues>,
    /// Where asked for and there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Metadata>")]
    pub metadata: Option<Box<RawValue>>,
}

/// Answer of a query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueryResponse {
    /// Nearest first.
    pub matches: Vec<ScoredVector>,
    /// As the request wrote it.
    #[serde(default)]
    pub namespace: String,
    /// What it cost.
    pub usage: Usage,
    /// What work it took, where asked for (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<QueryExplain>,
}

/// What work a query took (ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryExplain {
    /// Segments searched.
    pub segments: u64,
    /// Lists of the vector index read; 0 where rows are few and all are scored.
    pub lists: u64,
    /// Rows compared by their codes, or by the bounds of their sparse terms.
    pub rows_scanned: u64,
    /// Rows scored exactly.
    pub rows_scored: u64,
    /// Rows in memory, not yet in a segment, that were scored beside those.
    pub rows_in_memory: u64,
    /// Where the time went.
    pub micros: QueryMicros,
}

/// Microseconds of the parts of a query (ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryMicros {
    /// Reading and checking the request.
    pub request: u64,
    /// Finding the nearest, the filter included.
    pub search: u64,
    /// Reading the values and metadata that are answered.
    pub read: u64,
}

#[cfg(test)]
mod tests {
    use crossbill_core::Metric;

    use super::*;

    fn by(shape: &IndexShape, json: &str) -> std::result::Result<QueryBy, String> {
        let mut request: QueryRequest = serde_json::from_str(json).map_err(|e| e.to_string())?;
        request.take_by(shape, &RequestLimits::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn scan_factor_and_candidates_have_bounds() {
        let asked = |json: &str| {
            let request: QueryRequest = serde_json::from_str(json).unwrap();
            request.scan_factor(CANDIDATES_MAX).map_err(|error| error.to_string())
        };
        assert_eq!(asked(r#"{"topK":5}"#), Ok(None));
        assert_eq!(asked(r#"{"topK":5,"scanFactor":4,"maxCandidates":5}"#), Ok(Some(4.0)));
        for (json, expected) in [
            (r#"{"topK":5,"scanFactor":0.4}"#, "scanFactor is 0.4, expected 0.5 to 4"),
            (r#"{"topK":5,"scanFactor":4.5}"#, "scanFactor is 4.5"),
            (r#"{"topK":5,"maxCandidates":4}"#, "maxCandidates is 4, expected topK (5) to 100000"),
            (r#"{"topK":5,"maxCandidates":100001}"#, "maxCandidates is 100001"),
        ] {
            let error = asked(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn exactly_one_way_to_search() {
        let dense = IndexShape::dense(2, Metric::DotProduct);
        assert_eq!(by(&dense, r#"{"topK":1,"id":"a"}"#), Ok(QueryBy::Id("a".into())));
        assert!(by(&dense, r#"{"topK":1,"vector":[1,2],"id":""}"#).is_ok());
        assert!(
            by(&dense, r#"{"topK":1,"vector":[1,2],"sparseVector":{"indices":[1],"values":[1]}}"#)
                .is_ok()
        );
        for (json, expected) in [
            (r#"{"topK":1}"#, "neither vector"),
            (r#"{"topK":1,"vector":[]}"#, "neither vector"),
            (r#"{"topK":1,"vector":[1,2],"id":"a"}"#, "both id and a vector"),
            (r#"{"topK":1,"vector":[1]}"#, "dimension 1 does not match"),
            (r#"{"topK":1,"sparseVector":{"indices":[1],"values":[1]}}"#, "the index is dense"),
            (r#"{"vector":[1,2]}"#, "missing field `topK`"),
        ] {
            let error = by(&dense, json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
        let cosine = IndexShape::dense(1, Metric::Cosine);
        let hybrid = r#"{"topK":1,"vector":[1],"sparseVector":{"indices":[1],"values":[1]}}"#;
        assert!(by(&cosine, hybrid).unwrap_err().contains("expected dotproduct"));
        assert!(by(&IndexShape::sparse(), r#"{"topK":1,"vector":[1]}"#).is_err());
    }

    #[test]
    fn top_k_has_bounds() {
        for (count, good) in [(0, false), (1, true), (10_000, true), (10_001, false)] {
            let request = QueryRequest { top_k: count, ..QueryRequest::default() };
            assert_eq!(request.top_k(10_000).is_ok(), good, "{count}");
        }
    }
}
