//! Bodies of `POST /records/namespaces/{ns}/search`, snake_case as on the
//! wire. Searching by text needs an embedding model, which this server does
//! not have; by vector or id it is the same as a query.

use std::collections::BTreeMap;

use crossbill_core::limits::{SEARCH_FIELDS_MAX, TOP_K_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::describe;
use crate::{SparseValues, floats};

/// The body.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SearchRequest {
    /// What to search by.
    pub query: SearchQuery,
    /// Which metadata fields to return; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = SEARCH_FIELDS_MAX))]
    pub fields: Option<Vec<String>>,
    /// Needs a model: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<Value>,
}

/// `query` of a search.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SearchQuery {
    /// 1 to 10,000.
    #[schemars(range(min = 1, max = TOP_K_MAX))]
    pub top_k: u64,
    /// Needs a model: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
    /// The vector to search by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<SearchVector>,
    /// The stored record to search by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::RecordIdOrEmpty>")]
    pub id: Option<String>,
    /// Which records count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// Needs a model: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_terms: Option<Value>,
}

/// `vector` of a search.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SearchVector {
    /// The dense part.
    #[serde(
        default,
        deserialize_with = "floats::deserialize",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<describe::Components>")]
    pub values: Vec<f32>,
    /// Values of the sparse part.
    #[serde(
        default,
        deserialize_with = "floats::deserialize",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<describe::Components>")]
    pub sparse_values: Vec<f32>,
    /// Indices of the sparse part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_indices: Option<Vec<u32>>,
}

impl SearchVector {
    /// The dense part and, where there is one, the sparse part.
    pub fn into_parts(self) -> (Vec<f32>, Option<SparseValues>) {
        let indices = self.sparse_indices.unwrap_or_default();
        let sparse = (!indices.is_empty() || !self.sparse_values.is_empty())
            .then_some(SparseValues { indices, values: self.sparse_values });
        (self.values, sparse)
    }
}

/// One hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchHit {
    /// The record's id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The score, as in a query.
    #[serde(rename = "_score")]
    pub score: f32,
    /// Metadata fields; always there, may be empty.
    #[schemars(with = "describe::Metadata")]
    pub fields: BTreeMap<String, Value>,
}

/// `result` of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchHits {
    /// Nearest first.
    pub hits: Vec<SearchHit>,
}

/// `usage` of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchUsage {
    /// At least 1.
    pub read_units: u64,
}

/// Answer of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchResponse {
    /// The hits.
    pub result: SearchHits,
    /// What it cost.
    pub usage: SearchUsage,
}
