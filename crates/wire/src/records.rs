//! Bodies of `/records/namespaces/{ns}/upsert`, one JSON object a line, and
//! `…/search`, snake_case as on the wire. Nothing is embedded here.

use std::collections::BTreeMap;

use crossbill_core::limits::{SEARCH_FIELDS_MAX, TOP_K_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crossbill_core::{Error, Metadata, RequestLimits, Result, check_new_id};

use crate::describe;
use crate::inference::{checked_top_n, rank_text};
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
    /// How a model puts the hits in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<SearchRerank>,
}

/// `rerank` of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchRerank {
    /// The model.
    pub model: String,
    /// The fields that count.
    pub rank_fields: Vec<String>,
    /// How many of the best; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<u64>,
    /// Of the model; none counts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// What is asked; the text that was searched by where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

impl SearchRerank {
    /// What the model ranks a record by.
    pub fn text(&self, fields: &BTreeMap<String, Value>) -> Result<String> {
        rank_text(&self.rank_fields, |field| fields.get(field)?.as_str())
    }

    /// How many of `found` hits are asked for.
    pub fn top_n(&self, found: usize) -> Result<usize> {
        checked_top_n(self.top_n, found)
    }
}

/// `inputs` of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchInputs {
    /// The text to search by.
    pub text: String,
}

/// `query` of a search.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SearchQuery {
    /// 1 to 10,000.
    #[schemars(range(min = 1, max = TOP_K_MAX))]
    pub top_k: u64,
    /// The text to search by, in an index that embeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<SearchInputs>,
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
    /// Of sparse models, which this server does not have: refused.
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
    /// Tokens of the text, where one was embedded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed_total_tokens: Option<u64>,
    /// 1 where the hits were ranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank_units: Option<u64>,
}

/// Answer of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchResponse {
    /// The hits.
    pub result: SearchHits,
    /// What it cost.
    pub usage: SearchUsage,
}

/// One record with text, checked but for its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRecord {
    /// Its id.
    pub id: String,
    /// What is embedded.
    pub text: String,
    /// All its fields, the text among them.
    pub metadata: Metadata,
}

/// The records of an upsert.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordsUpsert {
    /// In the order sent; of two with the same id the later wins.
    pub records: Vec<TextRecord>,
}

impl RecordsUpsert {
    /// Reads a body of one JSON object a line; `field` holds the text.
    pub fn read(body: &[u8], field: &str, limits: &RequestLimits) -> Result<Self> {
        let most = limits.text_records;
        let body = std::str::from_utf8(body)
            .map_err(|_| Error::invalid("request body is not UTF-8, expected JSON lines"))?;
        let lines = body.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let lines: Vec<(usize, &str)> = lines.take(most.saturating_add(1)).collect();
        if lines.is_empty() {
            return Err(Error::invalid("there are 0 records, expected one JSON object a line"));
        }
        if lines.len() > most {
            return Err(Error::invalid(format!(
                "there are more than {most} records, expected at most \
                 {most}"
            )));
        }
        let records = lines.into_iter().map(|(number, line)| {
            text_record(line, field, limits).map_err(|error| {
                Error::invalid(format!("line {}: {}", number + 1, error.message()))
            })
        });
        Ok(Self { records: records.collect::<Result<_>>()? })
    }
}

fn text_record(line: &str, field: &str, limits: &RequestLimits) -> Result<TextRecord> {
    let mut fields: serde_json::Map<String, Value> = serde_json::from_str(line)
        .map_err(|error| Error::invalid(format!("is no JSON object: {error}")))?;
    let id = match fields.remove("_id").or_else(|| fields.remove("id")) {
        Some(Value::String(id)) => id,
        Some(_) => return Err(Error::invalid("_id is not a text, expected one")),
        None => return Err(Error::invalid("_id is missing, expected a text")),
    };
    check_new_id(&id, limits.id_chars).map_err(|error| Error::invalid(error.to_string()))?;
    let text = match fields.get(field) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        found => {
            let found = match found {
                None => "missing",
                Some(Value::String(_)) => "an empty text",
                Some(_) => "not a text",
            };
            return Err(Error::invalid(format!(
                "field {field:?} of record {id:?} is {found}, expected the text to embed"
            )));
        }
    };
    let json = Value::Object(fields).to_string();
    let metadata = Metadata::from_json_within(&json, limits.metadata_bytes)
        .map_err(|error| Error::invalid(format!("record {id:?}: {error}")))?;
    Ok(TextRecord { id, text, metadata })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_a_line_each() {
        let body = "{\"_id\":\"a\",\"t\":\"x\",\"n\":1}\n\n{\"id\":\"b\",\"t\":\"y\"}\n";
        let read =
            RecordsUpsert::read(body.as_bytes(), "t", &RequestLimits::default()).unwrap().records;
        let seen: Vec<_> = read.iter().map(|r| (r.id.as_str(), r.text.as_str())).collect();
        assert_eq!(seen, [("a", "x"), ("b", "y")]);
        let metadata: Value = serde_json::from_str(&read[0].metadata.to_json()).unwrap();
        assert_eq!(metadata, serde_json::json!({"t": "x", "n": 1}));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let many = "{\"_id\":\"a\",\"t\":\"x\"}\n".repeat(97);
        for (body, expected) in [
            ("", "0 records"),
            ("\n \n", "0 records"),
            ("[1]", "line 1: is no JSON object"),
            ("{\"_id\":\"a\",\"t\":\"x\"}\n{", "line 2: is no JSON object"),
            ("{\"t\":\"x\"}", "_id is missing"),
            ("{\"_id\":7,\"t\":\"x\"}", "_id is not a text"),
            ("{\"_id\":\"\",\"t\":\"x\"}", "id is empty"),
            ("{\"_id\":\"a\"}", "field \"t\" of record \"a\" is missing"),
            ("{\"_id\":\"a\",\"t\":\"\"}", "is an empty text"),
            ("{\"_id\":\"a\",\"t\":1}", "is not a text"),
            ("{\"_id\":\"a\",\"t\":\"x\",\"m\":{}}", "line 1: record \"a\""),
            (many.as_str(), "more than 96 records"),
        ] {
            let error =
                RecordsUpsert::read(body.as_bytes(), "t", &RequestLimits::default()).unwrap_err();
            assert!(error.message().contains(expected), "{expected}: {error}");
        }
    }
}
