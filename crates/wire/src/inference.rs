//! Bodies of `/embed`, `/rerank` and `/models`, snake_case as on the wire.

use std::collections::BTreeMap;

use crossbill_core::limits::DIMENSION_MAX;
use crossbill_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The field that a document's text stands in where a request names none.
const RANK_FIELD: &str = "text";

/// `POST /embed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbedRequest {
    /// The model.
    pub model: String,
    /// The texts.
    pub inputs: Vec<EmbedInput>,
    /// `dimension` counts; `input_type` and `truncate` are the model server's
    /// business here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
}

/// One text, as an object or by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EmbedInput {
    /// As clients send it.
    Object {
        /// The text.
        text: String,
    },
    /// The text alone.
    Text(String),
}

impl EmbedInput {
    /// The text.
    pub fn text(&self) -> &str {
        match self {
            EmbedInput::Object { text } | EmbedInput::Text(text) => text,
        }
    }
}

impl EmbedRequest {
    /// The texts, checked.
    pub fn texts(&self, most: usize) -> Result<Vec<&str>> {
        let found = self.inputs.len();
        if !(1..=most).contains(&found) {
            return Err(Error::invalid(format!("there are {found} inputs, expected 1 to {most}")));
        }
        let texts: Vec<&str> = self.inputs.iter().map(EmbedInput::text).collect();
        match texts.iter().position(|text| text.is_empty()) {
            Some(place) => Err(Error::invalid(format!("inputs[{place}] is an empty text"))),
            None => Ok(texts),
        }
    }

    /// The dimension that the parameters ask for.
    pub fn dimension(&self) -> Result<Option<u32>> {
        dimension_of(self.parameters.as_ref())
    }
}

/// `dimension` of parameters.
pub(crate) fn dimension_of(parameters: Option<&Map<String, Value>>) -> Result<Option<u32>> {
    match parameters.and_then(|parameters| parameters.get("dimension")) {
        None => Ok(None),
        Some(value) => {
            crate::schema::checked_dimension(value.as_u64(), DIMENSION_MAX as usize).map(Some)
        }
    }
}

/// Answer of `POST /embed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingsList {
    /// The model.
    pub model: String,
    /// `dense`.
    pub vector_type: String,
    /// A vector for each input, in their order.
    pub data: Vec<DenseEmbedding>,
    /// What it took.
    pub usage: EmbedUsage,
}

/// One vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DenseEmbedding {
    /// Its components.
    pub values: Vec<f32>,
    /// `dense`.
    pub vector_type: String,
}

/// `usage` of [`EmbeddingsList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmbedUsage {
    /// Tokens read, as far as the model server says.
    pub total_tokens: u64,
}

/// `POST /rerank`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RerankRequest {
    /// The model.
    pub model: String,
    /// What is asked.
    pub query: String,
    /// The documents, each an object or its text alone.
    pub documents: Vec<Value>,
    /// How many of the best; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<u64>,
    /// Whether the answer repeats them; it does where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_documents: Option<bool>,
    /// Which fields count; `text` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_fields: Option<Vec<String>>,
    /// Of the model; none counts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
}

impl RerankRequest {
    /// The documents as objects, with the text of each that counts.
    pub fn documents(&self, most: usize) -> Result<Vec<(Map<String, Value>, String)>> {
        let found = self.documents.len();
        if !(1..=most).contains(&found) {
            return Err(Error::invalid(format!(
                "there are {found} documents, expected 1 to {most}"
            )));
        }
        let default = [RANK_FIELD.to_owned()];
        let fields = self.rank_fields.as_deref().unwrap_or(&default);
        let documents = self.documents.iter().enumerate();
        documents
            .map(|(place, document)| {
                let document = match document {
                    Value::Object(fields) => fields.clone(),
                    Value::String(text) => {
                        Map::from_iter([(RANK_FIELD.to_owned(), Value::String(text.clone()))])
                    }
                    _ => {
                        return Err(Error::invalid(format!(
                            "documents[{place}] is neither an object nor a text"
                        )));
                    }
                };
                let text = rank_text(fields, |field| document.get(field)?.as_str());
                let text = text.map_err(|error| {
                    Error::invalid(format!("documents[{place}]: {}", error.message()))
                })?;
                Ok((document, text))
            })
            .collect()
    }

    /// How many of the best are asked for.
    pub fn top_n(&self) -> Result<usize> {
        checked_top_n(self.top_n, self.documents.len())
    }
}

/// A number of best documents: all `found` where absent.
pub(crate) fn checked_top_n(top_n: Option<u64>, found: usize) -> Result<usize> {
    match top_n {
        None => Ok(found),
        Some(0) => Err(Error::invalid("top_n is 0, expected at least 1")),
        Some(top_n) => Ok(usize::try_from(top_n).unwrap_or(usize::MAX).min(found)),
    }
}

/// The text of a document that a model ranks: its fields in the order named.
pub(crate) fn rank_text<'a>(
    fields: &[String],
    text: impl Fn(&str) -> Option<&'a str>,
) -> Result<String> {
    if fields.is_empty() {
        return Err(Error::invalid("rank_fields is empty, expected the name of a field"));
    }
    let texts = fields.iter().map(|field| {
        text(field).ok_or_else(|| {
            Error::invalid(format!("field {field:?} of rank_fields is missing or no text"))
        })
    });
    Ok(texts.collect::<Result<Vec<_>>>()?.join("\n"))
}

/// Answer of `POST /rerank`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RerankResult {
    /// The model.
    pub model: String,
    /// The best documents, best first.
    pub data: Vec<RankedDocument>,
    /// What it took.
    pub usage: RerankUsage,
}

/// One document of a [`RerankResult`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankedDocument {
    /// Its place in the request.
    pub index: usize,
    /// The higher the better.
    pub score: f32,
    /// The document, unless it was not wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Map<String, Value>>,
}

/// `usage` of [`RerankResult`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RerankUsage {
    /// 1 a call.
    pub rerank_units: u64,
}

/// A model, as `GET /models` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelInfo {
    /// Its name.
    pub model: String,
    /// What it is.
    pub short_description: String,
    /// `embed` or `rerank`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What `parameters` may hold.
    pub supported_parameters: Vec<BTreeMap<String, Value>>,
    /// `text`.
    pub modality: String,
    /// Inputs of one request.
    pub max_batch_size: usize,
    /// Who runs it.
    pub provider_name: String,
    /// `dense`, of an embedding model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_type: Option<String>,
    /// Components of its vectors, once a call has found them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_dimension: Option<u32>,
    /// Metrics of an index of its vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_metrics: Option<Vec<String>>,
}

impl ModelInfo {
    /// An embedding model of the operator's.
    pub fn embed(model: String, dimension: Option<u32>, batch: usize) -> Self {
        let metrics = ["cosine", "euclidean", "dotproduct"].map(str::to_owned);
        Self {
            vector_type: Some("dense".to_owned()),
            default_dimension: dimension,
            supported_metrics: Some(metrics.to_vec()),
            supported_parameters: vec![dimension_parameter()],
            ..Self::of(model, "embed", batch)
        }
    }

    /// A rerank model of the operator's.
    pub fn rerank(model: String, batch: usize) -> Self {
        Self::of(model, "rerank", batch)
    }

    fn of(model: String, kind: &str, max_batch_size: usize) -> Self {
        Self {
            short_description: format!("{model}, at an endpoint of this server's operator"),
            model,
            kind: kind.to_owned(),
            supported_parameters: Vec::new(),
            modality: "text".to_owned(),
            max_batch_size,
            provider_name: "self-hosted".to_owned(),
            vector_type: None,
            default_dimension: None,
            supported_metrics: None,
        }
    }
}

/// What `dimension` of [`EmbedRequest::parameters`] may be, as far as is known
/// here: whether the model can give it, only its endpoint knows.
fn dimension_parameter() -> BTreeMap<String, Value> {
    [
        ("parameter", json!("dimension")),
        ("type", json!("numeric_range")),
        ("value_type", json!("integer")),
        ("required", json!(false)),
        ("min", json!(1)),
        ("max", json!(DIMENSION_MAX)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Answer of `GET /models`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelInfoList {
    /// All models.
    pub models: Vec<ModelInfo>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_objects_or_texts_and_have_what_is_ranked() {
        let read = |json: &str| {
            let request: RerankRequest = serde_json::from_str(json).unwrap();
            request.documents(100).map_err(|error| error.message().to_owned())
        };
        let both = r#"{"model":"m","query":"q","documents":["a",{"text":"b","n":1}]}"#;
        let texts: Vec<String> = read(both).unwrap().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["a", "b"]);
        let fields =
            r#"{"model":"m","query":"q","documents":[{"t":"x","u":"y"}],"rank_fields":["u","t"]}"#;
        assert_eq!(read(fields).unwrap()[0].1, "y\nx");
        for (json, expected) in [
            (r#"{"model":"m","query":"q","documents":[]}"#, "0 documents"),
            (r#"{"model":"m","query":"q","documents":[1]}"#, "documents[0] is neither"),
            (r#"{"model":"m","query":"q","documents":[{"a":"b"}]}"#, "\"text\" of rank_fields"),
            (
                r#"{"model":"m","query":"q","documents":["a"],"rank_fields":[]}"#,
                "rank_fields is empty",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
