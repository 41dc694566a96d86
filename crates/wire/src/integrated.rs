//! Indexes with integrated embedding: `POST /indexes/create-for-model`, the
//! `embed` object in both dialects, and what the catalog keeps of it.

use std::collections::BTreeMap;

use crossbill_core::limits::DIMENSION_MAX;
use crossbill_core::{
    Error, IndexName, IndexShape, Metric, RequestLimits, Result, TextSchema, VectorStorage,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::describe;
use crate::index::{checked_protection, checked_tags};
use crate::schema::{SchemaField, check_metadata_field, checked_dimension, checked_metric};
use crate::{IndexPlan, Placement, Schema, StoredSpec};

/// The type of a record's text field in the 2026-07 dialect.
pub(crate) const SEMANTIC_TEXT: &str = "semantic_text";
/// The input of a model that a field of the records is mapped to.
const TEXT_INPUT: &str = "text";

/// `embed` of a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbedSettings {
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `{"text": "<field>"}`: which field of a record is embedded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_map: Option<BTreeMap<String, String>>,
    /// Cosine where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::MetricWord>")]
    pub metric: Option<String>,
    /// The model's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = DIMENSION_MAX))]
    pub dimension: Option<u64>,
    /// Kept and given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_parameters: Option<Map<String, Value>>,
    /// Kept and given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_parameters: Option<Map<String, Value>>,
}

/// `POST /indexes/create-for-model`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreateForModel {
    /// The index's name.
    #[schemars(with = "describe::IndexName")]
    pub name: String,
    /// Such as `aws`.
    pub cloud: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// The model and what it embeds.
    pub embed: EmbedSettings,
    /// `enabled` or `disabled`; disabled where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::ProtectionWord>")]
    pub deletion_protection: Option<String>,
    /// At most 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Tags>")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Metadata fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
}

/// How records of an index are embedded, as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoredEmbed {
    /// The model, by the name that clients use.
    pub model: String,
    /// The field of a record that is embedded.
    pub field: String,
    /// The dimension that the request asked the model for; absent where it is
    /// the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_dimension: Option<u32>,
    /// As the request had them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_parameters: Option<Map<String, Value>>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_parameters: Option<Map<String, Value>>,
}

/// `embed` of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbedModel {
    /// The model.
    pub model: String,
    /// `{"text": "<field>"}`.
    pub field_map: BTreeMap<String, String>,
    /// The index's.
    pub dimension: u32,
    /// The index's.
    pub metric: String,
    /// `dense`.
    pub vector_type: String,
    /// Of queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_parameters: Option<Map<String, Value>>,
    /// Of upserts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_parameters: Option<Map<String, Value>>,
}

/// A request to create an index for a model, checked but for the dimension,
/// which the model gives.
#[derive(Debug, Clone, PartialEq)]
pub struct ForModelPlan {
    /// The index, with dimension 1 so far.
    pub plan: IndexPlan,
    /// How its records are embedded.
    pub embed: StoredEmbed,
}

impl ForModelPlan {
    /// The index, for a model of this dimension.
    pub fn with_dimension(mut self, dimension: u32, limits: &RequestLimits) -> Result<IndexPlan> {
        let dimension = checked_dimension(Some(dimension.into()), limits.dimension)?;
        self.plan.shape.dimension = dimension;
        self.plan.stored.embed = Some(self.embed);
        Ok(self.plan)
    }
}

impl CreateForModel {
    /// Checks what can be checked without the model.
    pub fn into_plan(self, storage: VectorStorage, limits: &RequestLimits) -> Result<ForModelPlan> {
        let name = IndexName::within(&self.name, limits.index_name_chars)?;
        let tags = checked_tags(self.tags.unwrap_or_default(), limits)?;
        let protection = self.deletion_protection.as_deref().map(checked_protection);
        let metric = self.embed.metric.as_deref().map(checked_metric).transpose()?;
        let dimension = |found| checked_dimension(Some(found), limits.dimension);
        let asked = self.embed.dimension.map(dimension).transpose()?;
        let model = self.embed.model.filter(|model| !model.is_empty());
        let model = model.ok_or_else(|| Error::invalid("embed.model is missing, expected one"))?;
        let field_map = self.embed.field_map.ok_or_else(|| {
            Error::invalid("embed.field_map is missing, expected {\"text\": \"<field>\"}")
        })?;
        let field = mapped_field(field_map)?;
        let metadata_fields = self.schema.unwrap_or_default().fields;
        for (name, field) in &metadata_fields {
            check_metadata_field(name, field, limits)?;
        }
        let placement = Placement::Managed { cloud: self.cloud, region: self.region };
        let shape = IndexShape::dense(1, metric.unwrap_or(Metric::Cosine)).stored_as(storage);
        let stored = StoredSpec { metadata_fields, ..StoredSpec::of(placement) };
        let plan = IndexPlan {
            name: Some(name),
            shape,
            tags,
            deletion_protection: protection.transpose()?.unwrap_or(false),
            stored,
            documents: None,
            text: TextSchema::default(),
            source: None,
            names_storage: false,
        };
        let embed = StoredEmbed {
            model,
            field,
            asked_dimension: asked,
            read_parameters: self.embed.read_parameters,
            write_parameters: self.embed.write_parameters,
        };
        Ok(ForModelPlan { plan, embed })
    }
}

/// The field of a record that a model's `text` input is taken from.
fn mapped_field(field_map: BTreeMap<String, String>) -> Result<String> {
    let mut entries = field_map.into_iter();
    match (entries.next(), entries.next()) {
        (Some((input, field)), None)
            if input == TEXT_INPUT && !field.is_empty() && !field.starts_with(['$', '_']) =>
        {
            Ok(field)
        }
        _ => Err(Error::invalid(
            "embed.field_map is refused, expected {\"text\": \"<field>\"} with the name of a \
             metadata field",
        )),
    }
}

impl EmbedSettings {
    /// What is kept once a `PATCH` has changed `stored`; where there was
    /// nothing, the index's records are embedded from now on.
    pub fn change(self, stored: Option<StoredEmbed>) -> Result<StoredEmbed> {
        if self.metric.is_some() || self.dimension.is_some() {
            return Err(Error::invalid(
                "embed has metric or dimension, expected neither: they are the index's own",
            ));
        }
        let field = self.field_map.map(mapped_field).transpose()?;
        let mut changed = match (stored, self.model) {
            (Some(stored), Some(model)) if model != stored.model => {
                return Err(Error::invalid(format!(
                    "embed.model is {model:?}, expected {:?}: the model of an index cannot be \
                     changed",
                    stored.model
                )));
            }
            (Some(stored), _) => stored,
            (None, model) => StoredEmbed {
                model: model.ok_or_else(|| {
                    Error::invalid("embed.model is missing, expected one: the index has none")
                })?,
                field: field.clone().ok_or_else(|| {
                    Error::invalid("embed.field_map is missing, expected {\"text\": \"<field>\"}")
                })?,
                asked_dimension: None,
                read_parameters: None,
                write_parameters: None,
            },
        };
        changed.field = field.unwrap_or(changed.field);
        changed.read_parameters = self.read_parameters.or(changed.read_parameters);
        changed.write_parameters = self.write_parameters.or(changed.write_parameters);
        Ok(changed)
    }
}

impl StoredEmbed {
    /// The classic dialect's form.
    pub(crate) fn model_of(&self, shape: &IndexShape) -> EmbedModel {
        EmbedModel {
            model: self.model.clone(),
            field_map: BTreeMap::from([(TEXT_INPUT.to_owned(), self.field.clone())]),
            dimension: shape.dimension,
            metric: shape.metric.as_str().to_owned(),
            vector_type: shape.vector_type.as_str().to_owned(),
            read_parameters: self.read_parameters.clone(),
            write_parameters: self.write_parameters.clone(),
        }
    }

    /// The 2026-07 dialect's form: the field of this name.
    pub(crate) fn schema_field(&self, shape: &IndexShape) -> (String, SchemaField) {
        let field = SchemaField {
            kind: Some(SEMANTIC_TEXT.to_owned()),
            model: Some(self.model.clone()),
            metric: Some(shape.metric.as_str().to_owned()),
            read_parameters: self.read_parameters.clone(),
            write_parameters: self.write_parameters.clone(),
            ..SchemaField::default()
        };
        (self.field.clone(), field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(embed: &str) -> std::result::Result<ForModelPlan, String> {
        let json = format!(r#"{{"name":"a","cloud":"aws","region":"r","embed":{embed}}}"#);
        let request: CreateForModel = serde_json::from_str(&json).unwrap();
        request
            .into_plan(VectorStorage::F32, &RequestLimits::default())
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_request_names_a_model_and_one_field() {
        let made = plan(r#"{"model":"m","field_map":{"text":"body"},"metric":"dotproduct"}"#);
        let index = made.unwrap().with_dimension(7, &RequestLimits::default()).unwrap();
        assert_eq!((index.shape.dimension, index.shape.metric), (7, Metric::DotProduct));
        assert_eq!(index.stored.embed.unwrap().field, "body");
        for (embed, expected) in [
            (r#"{"field_map":{"text":"a"}}"#, "embed.model is missing"),
            (r#"{"model":"m"}"#, "embed.field_map is missing"),
            (r#"{"model":"m","field_map":{}}"#, "field_map is refused"),
            (r#"{"model":"m","field_map":{"text":"_id"}}"#, "field_map is refused"),
            (r#"{"model":"m","field_map":{"image":"a"}}"#, "field_map is refused"),
            (r#"{"model":"m","field_map":{"text":"a"},"dimension":0}"#, "dimension is 0"),
            (r#"{"model":"m","field_map":{"text":"a"},"metric":"l1"}"#, "metric is \"l1\""),
        ] {
            let error = plan(embed).unwrap_err();
            assert!(error.contains(expected), "{embed}: {error}");
        }
    }

    #[test]
    fn a_change_keeps_the_model_and_what_it_does_not_name() {
        let stored = plan(r#"{"model":"m","field_map":{"text":"a"}}"#).unwrap().embed;
        let change = |json: &str| serde_json::from_str::<EmbedSettings>(json).unwrap();
        let changed = change(r#"{"field_map":{"text":"b"},"read_parameters":{"x":1}}"#)
            .change(Some(stored.clone()))
            .unwrap();
        assert_eq!((changed.field.as_str(), changed.model.as_str()), ("b", "m"));
        assert!(changed.read_parameters.is_some() && changed.write_parameters.is_none());
        assert!(change(r#"{"model":"other"}"#).change(Some(stored.clone())).is_err());
        assert!(change(r#"{"dimension":3}"#).change(Some(stored)).is_err());
        assert!(change(r#"{"model":"m"}"#).change(None).is_err());
    }
}
