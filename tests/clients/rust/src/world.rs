//! What the calls share: the client, its indexes, and the records that most of them use.

use std::error::Error;
use std::sync::OnceLock;

use pinecone_sdk::models::{Kind, Metadata, Namespace, Value, Vector};
use pinecone_sdk::pinecone::data::Index;
use pinecone_sdk::pinecone::{PineconeClient, PineconeClientConfig};
use pinecone_sdk::utils::errors::PineconeError;
use serde_json::json;

/// What a call ends with, where it does not panic.
pub type Call = Result<(), Box<dyn Error + Send + Sync>>;

pub struct World {
    pub pc: PineconeClient,
    pub url: String,
    /// Where the sparse index is: this client cannot read its description.
    pub sparse: OnceLock<String>,
}

impl World {
    pub fn of_environment() -> Result<Self, Box<dyn Error>> {
        let url = std::env::var("CROSSBILL_URL")?;
        let pc = client(&url, &std::env::var("CROSSBILL_KEY")?)?;
        Ok(Self { pc, url, sparse: OnceLock::new() })
    }

    /// Opens an index at the host that its description names.
    pub async fn open(&self, name: &str) -> Result<Index, PineconeError> {
        self.pc.index(&self.pc.describe_index(name).await?.host).await
    }

    /// The index for most calls about records.
    pub async fn dense(&self) -> Result<Index, PineconeError> {
        self.open("dense").await
    }
}

pub fn client(url: &str, key: &str) -> Result<PineconeClient, PineconeError> {
    let config = PineconeClientConfig {
        api_key: Some(key.to_owned()),
        control_plane_host: Some(url.to_owned()),
        ..Default::default()
    };
    config.client()
}

pub fn id(row: usize) -> String {
    format!("doc{}#{row}", row % 2)
}

pub fn values(row: usize) -> Vec<f32> {
    vec![row as f32, 1.0, 0.5]
}

/// Ten records with a number and a truth value each.
pub fn rows() -> Vec<Vector> {
    let row = |row| Vector {
        id: id(row),
        values: values(row),
        sparse_values: None,
        metadata: Some(metadata(&json!({ "row": row, "even": row % 2 == 0 }))),
    };
    (0..10).map(row).collect()
}

/// How many of the ten records a namespace has.
pub async fn count(index: &mut Index, namespace: &Namespace) -> Result<usize, PineconeError> {
    let ids: Vec<String> = (0..10).map(id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    Ok(index.fetch(&ids, namespace).await?.vectors.len())
}

/// Metadata, or a filter, as the client takes it.
///
/// # Panics
/// Where the JSON is no object.
pub fn metadata(json: &serde_json::Value) -> Metadata {
    match value(json).kind {
        Some(Kind::StructValue(fields)) => fields,
        other => panic!("{other:?} is no object"),
    }
}

fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(is) => Kind::BoolValue(*is),
        Json::Number(number) => Kind::NumberValue(number.as_f64().expect("a JSON number")),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => {
            let values = items.iter().map(value).collect();
            Kind::ListValue(prost_types::ListValue { values })
        }
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, json)| (name.clone(), value(json))).collect();
            Kind::StructValue(Metadata { fields })
        }
    };
    Value { kind: Some(kind) }
}
