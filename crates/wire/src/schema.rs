//! The `schema` of an index: the field types of the 2026-07 dialect and the
//! `{filterable}` fields of the ones before.

use std::collections::BTreeMap;

use crossbill_core::limits::DIMENSION_MAX;
use crossbill_core::{Error, IndexShape, Metric, RequestLimits, Result, VectorType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::StoredSpec;

use crate::describe;

use crate::ApiVersion;
use crate::documents::schema::{
    self as document_schema, DocumentPlan, FullTextSearch, is_of_documents,
};

/// The reserved field that means the dense vector of every record.
pub(crate) const DENSE_FIELD: &str = "_values";
/// The reserved field that means the sparse vector of every record.
pub(crate) const SPARSE_FIELD: &str = "_sparse_values";

/// One field.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SchemaField {
    /// Such as `dense_vector` or `string`; absent in the older dialect.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of a dense vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = DIMENSION_MAX))]
    pub dimension: Option<u64>,
    /// Of a dense vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::MetricWord>")]
    pub metric: Option<String>,
    /// Of a metadata field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filterable: Option<bool>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Of a string that is searched as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_text_search: Option<FullTextSearch>,
    /// Asks for a model: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<Value>,
    /// Asks for a model: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_embed: Option<Value>,
    /// Of a text that is embedded: the model. In answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Likewise, of queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_parameters: Option<Map<String, Value>>,
    /// Likewise, of upserts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_parameters: Option<Map<String, Value>>,
}

/// `schema` of an index.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Schema {
    /// Fields by name.
    #[serde(default)]
    pub fields: BTreeMap<String, SchemaField>,
}

/// `schema` of a namespace: filterable metadata fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MetadataSchema {
    /// Fields by name.
    #[serde(default)]
    pub fields: BTreeMap<String, Filterable>,
}

/// One field of a [`MetadataSchema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Filterable {
    /// Must be true: a field that is not named is what `false` would mean.
    #[schemars(with = "describe::True")]
    pub filterable: bool,
}

impl MetadataSchema {
    /// The schema that names `fields`.
    pub fn of(fields: &[String]) -> Self {
        let entry = |name: &String| (name.clone(), Filterable { filterable: true });
        Self { fields: fields.iter().map(entry).collect() }
    }

    /// The filterable fields, checked.
    pub fn into_names(self) -> Result<Vec<String>> {
        match self.fields.iter().find(|(_, field)| !field.filterable) {
            Some((name, _)) => Err(Error::invalid(format!(
                "schema field {name:?} has filterable false, expected true (leave the field out)"
            ))),
            None => Ok(self.fields.into_keys().collect()),
        }
    }
}

/// What a request's schema says about its index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SchemaFacts {
    pub(crate) shape: IndexShape,
    pub(crate) sparse_field: bool,
    pub(crate) metadata_fields: BTreeMap<String, SchemaField>,
    /// Of an index of documents.
    pub(crate) documents: Option<DocumentPlan>,
}

impl Schema {
    /// The shape that the reserved fields give, and the plain metadata fields
    /// beside them; or what other vector fields and texts make of an index of
    /// documents.
    pub(crate) fn into_facts(
        self,
        version: ApiVersion<'_>,
        limits: &RequestLimits,
    ) -> Result<SchemaFacts> {
        if self.fields.iter().any(|(name, field)| is_of_documents(name, field)) {
            let takes_metadata = version < ApiVersion::SCHEMA;
            let (shape, plan) = document_schema::plan(self.fields, takes_metadata, limits)?;
            return Ok(SchemaFacts {
                shape,
                sparse_field: false,
                metadata_fields: BTreeMap::new(),
                documents: Some(plan),
            });
        }
        let (mut dense, mut sparse_field) = (None, false);
        let mut metadata_fields = BTreeMap::new();
        for (name, field) in self.fields {
            match (name.as_str(), field.kind.as_deref()) {
                (DENSE_FIELD, Some("dense_vector")) => {
                    dense = Some(dense_shape(&name, &field, limits)?);
                }
                (SPARSE_FIELD, Some("sparse_vector")) => sparse_field = true,
                (DENSE_FIELD | SPARSE_FIELD, kind) => {
                    return Err(Error::invalid(format!(
                        "schema field {name:?} has type {}, expected dense_vector for \
                         {DENSE_FIELD:?} and sparse_vector for {SPARSE_FIELD:?}",
                        kind.unwrap_or("(none)")
                    )));
                }
                _ => {
                    check_metadata_field(&name, &field, limits)?;
                    metadata_fields.insert(name, field);
                }
            }
        }
        let shape = match (dense, sparse_field) {
            (Some(shape), false) => shape,
            (Some(shape), true) if shape.takes_sparse() => shape,
            (Some(shape), true) => {
                return Err(Error::invalid(format!(
                    "schema has {SPARSE_FIELD:?} beside {DENSE_FIELD:?} of metric {}, expected \
                     dotproduct",
                    shape.metric.as_str()
                )));
            }
            (None, true) => IndexShape::sparse(),
            (None, false) => {
                return Err(Error::invalid(format!(
                    "schema has no field to search by, expected {DENSE_FIELD:?} of type \
                     dense_vector, {SPARSE_FIELD:?} of type sparse_vector, or those of documents"
                )));
            }
        };
        Ok(SchemaFacts { shape, sparse_field, metadata_fields, documents: None })
    }

    /// The schema that an answer carries.
    pub(crate) fn of(shape: &IndexShape, stored: &StoredSpec) -> Self {
        if let Some(schema) = &stored.document_schema {
            return schema.clone();
        }
        let mut fields = stored.metadata_fields.clone();
        if let Some(embed) = &stored.embed {
            // The dense field is the text's own then.
            fields.extend([embed.schema_field(shape)]);
            return Self { fields };
        }
        if shape.vector_type == VectorType::Dense {
            let field = SchemaField {
                kind: Some("dense_vector".to_owned()),
                dimension: Some(u64::from(shape.dimension)),
                metric: Some(shape.metric.as_str().to_owned()),
                ..SchemaField::default()
            };
            fields.insert(DENSE_FIELD.to_owned(), field);
        }
        if shape.vector_type == VectorType::Sparse || stored.sparse_field {
            let field =
                SchemaField { kind: Some("sparse_vector".to_owned()), ..SchemaField::default() };
            fields.insert(SPARSE_FIELD.to_owned(), field);
        }
        Self { fields }
    }
}

/// The shape that a dense vector field gives.
pub(crate) fn dense_shape(
    name: &str,
    field: &SchemaField,
    limits: &RequestLimits,
) -> Result<IndexShape> {
    let metric = field.metric.as_deref().ok_or_else(|| {
        Error::invalid(format!("schema field {name:?} has no metric, expected one"))
    })?;
    let dimension = checked_dimension(field.dimension, limits.dimension)?;
    Ok(IndexShape::dense(dimension, checked_metric(metric)?))
}

/// A dimension of `most` at most.
pub(crate) fn checked_dimension(dimension: Option<u64>, most: usize) -> Result<u32> {
    let found = dimension
        .ok_or_else(|| Error::invalid(format!("dimension is missing, expected 1 to {most}")))?;
    u32::try_from(found)
        .ok()
        .filter(|dimension| (1..=most as u64).contains(&u64::from(*dimension)))
        .ok_or_else(|| Error::invalid(format!("dimension is {found}, expected 1 to {most}")))
}

/// A metric by name, in any case.
pub(crate) fn checked_metric(name: &str) -> Result<Metric> {
    Metric::parse(name).ok_or_else(|| {
        Error::invalid(format!("metric is {name:?}, expected cosine, euclidean or dotproduct"))
    })
}

/// A plain metadata field is kept and given back; every metadata field is
/// filterable here, so it changes nothing else.
pub(crate) fn check_metadata_field(
    name: &str,
    field: &SchemaField,
    limits: &RequestLimits,
) -> Result<()> {
    let most = limits.field_name_bytes;
    if name.is_empty() || name.len() > most || name.starts_with('$') {
        return Err(Error::invalid(format!(
            "schema field name {name:?} is refused, expected 1 to {most} bytes that do not start \
             with '$'"
        )));
    }
    let plain = matches!(
        field.kind.as_deref(),
        None | Some("string" | "string_list" | "boolean" | "float" | "integer")
    );
    if !plain {
        return Err(Error::invalid(format!(
            "schema field {name:?} has type {}, expected string, string_list, boolean or float",
            field.kind.as_deref().unwrap_or_default()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(json: &str) -> std::result::Result<SchemaFacts, String> {
        let schema: Schema = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let limits = RequestLimits::default();
        schema.into_facts(ApiVersion::DEFAULT, &limits).map_err(|error| error.to_string())
    }

    #[test]
    fn the_reserved_fields_give_the_shape() {
        let dense = facts(
            r#"{"fields":{"_values":{"type":"dense_vector","dimension":3,"metric":"cosine"}}}"#,
        )
        .unwrap();
        assert_eq!(dense.shape, IndexShape::dense(3, Metric::Cosine));
        let sparse = facts(r#"{"fields":{"_sparse_values":{"type":"sparse_vector"}}}"#).unwrap();
        assert_eq!(sparse.shape, IndexShape::sparse());
        let both = r#"{"fields":{
            "_values":{"type":"dense_vector","dimension":3,"metric":"dotproduct"},
            "_sparse_values":{"type":"sparse_vector"},
            "genre":{"type":"string","filterable":true}, "year":{"filterable":true}}}"#;
        let both = facts(both).unwrap();
        assert!(both.sparse_field && both.shape.dimension == 3);
        assert_eq!(both.metadata_fields.len(), 2);
        let stored = StoredSpec {
            sparse_field: both.sparse_field,
            metadata_fields: both.metadata_fields.clone(),
            ..StoredSpec::of(crate::Placement::managed())
        };
        let answer = Schema::of(&both.shape, &stored);
        let limits = RequestLimits::default();
        assert_eq!(answer.into_facts(ApiVersion::DEFAULT, &limits).unwrap(), both);
    }

    #[test]
    fn what_cannot_be_indexed_is_named() {
        for (json, expected) in [
            (r#"{"fields":{}}"#, "no field to search by"),
            (r#"{"fields":{"_values":{"type":"string"}}}"#, "has type string"),
            (r#"{"fields":{"_values":{"type":"dense_vector","metric":"cosine"}}}"#, "dimension is"),
            (
                r#"{"fields":{"_values":{"type":"dense_vector","dimension":0,"metric":"cosine"}}}"#,
                "dimension is 0, expected 1 to 20000",
            ),
            (
                r#"{"fields":{"_values":{"type":"dense_vector","dimension":2,"metric":"l1"}}}"#,
                "metric is \"l1\"",
            ),
            (r#"{"fields":{"v":{"type":"dense_vector","dimension":2}}}"#, "\"v\" has no metric"),
            (r#"{"fields":{"v":{"type":"semantic_text"}}}"#, "has type semantic_text"),
        ] {
            let error = facts(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
