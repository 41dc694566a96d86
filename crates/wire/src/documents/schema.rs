//! The `schema` of an index of documents: which of its fields are vectors,
//! and which are searched as text.

use std::collections::BTreeMap;

use crossbill_core::limits::{FIELD_DESCRIPTION_BYTES_MAX, NGRAM_MAX, TEXT_FIELDS_MAX};
use crossbill_core::{
    DocumentFields, Error, IndexShape, Language, Ngrams, RequestLimits, Result, TextField,
    TextOptions, TextSchema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{DENSE_FIELD, SPARSE_FIELD, Schema, SchemaField, dense_shape};

/// `full_text_search` of a string field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullTextSearch {
    /// Such as `en`, which it is where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether words are reduced to their stems; not where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stemming: Option<bool>,
    /// Whether words that are everywhere are left out; not where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_words: Option<bool>,
    /// Asks for parts of words in place of words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ngram: Option<NgramOptions>,
}

/// `ngram` of a [`FullTextSearch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NgramOptions {
    /// Characters of the shortest part, from 1.
    pub min_gram: u64,
    /// Characters of the longest part, at most 10.
    pub max_gram: u64,
    /// Whether only beginnings of words count; not where absent.
    #[serde(default)]
    pub prefix_only: bool,
}

impl FullTextSearch {
    fn options(&self, field: &str) -> Result<TextOptions> {
        let wrong = |text: String| Error::invalid(format!("schema field {field:?}: {text}"));
        let language = match &self.language {
            None => Language::default(),
            Some(code) => Language::try_from(code.clone()).map_err(wrong)?,
        };
        let stemming = self.stemming.unwrap_or(false);
        let stop_words = self.stop_words.unwrap_or(false);
        if stop_words && !stemming {
            return Err(wrong("stop_words is true, expected stemming true beside it".to_owned()));
        }
        let ngrams = self.ngram.map(NgramOptions::checked).transpose().map_err(wrong)?;
        if ngrams.is_some() && stemming {
            return Err(wrong("ngram is given, expected no stemming beside it".to_owned()));
        }
        Ok(TextOptions { language, stemming, stop_words, ngrams })
    }

    /// What an answer says of a field.
    fn of(options: &TextOptions) -> Self {
        let ngram = |ngrams: Ngrams| NgramOptions {
            min_gram: u64::from(ngrams.min_gram),
            max_gram: u64::from(ngrams.max_gram),
            prefix_only: ngrams.prefix_only,
        };
        Self {
            language: Some(options.language.code().to_owned()),
            stemming: Some(options.stemming),
            stop_words: Some(options.stop_words),
            ngram: options.ngrams.map(ngram),
        }
    }
}

impl NgramOptions {
    fn checked(self) -> std::result::Result<Ngrams, String> {
        let bounded = |name: &str, found: u64| {
            u8::try_from(found).ok().filter(|length| (1..=NGRAM_MAX).contains(length)).ok_or_else(
                || format!("ngram.{name} is {found}, expected 1 to {NGRAM_MAX} characters"),
            )
        };
        let min_gram = bounded("min_gram", self.min_gram)?;
        let max_gram = bounded("max_gram", self.max_gram)?;
        if min_gram > max_gram {
            return Err(format!(
                "ngram.min_gram is {min_gram}, expected at most max_gram, which is {max_gram}"
            ));
        }
        Ok(Ngrams { min_gram, max_gram, prefix_only: self.prefix_only })
    }
}

impl Schema {
    /// The vectors' fields, where this is the schema of an index of documents.
    pub fn document_fields(&self) -> Option<DocumentFields> {
        let is_of_documents = self.fields.iter().any(|(name, field)| is_of_documents(name, field));
        let of_kind = |kind: &str| {
            let found = self.fields.iter().find(|(_, field)| field.kind.as_deref() == Some(kind));
            found.map(|(name, _)| name.clone())
        };
        is_of_documents.then(|| DocumentFields {
            dense: of_kind("dense_vector"),
            sparse: of_kind("sparse_vector"),
        })
    }

    /// The fields that are searched as text, in order.
    pub fn text_fields(&self) -> Vec<String> {
        let texts = self.fields.iter().filter(|(_, field)| field.full_text_search.is_some());
        texts.map(|(name, _)| name.clone()).collect()
    }
}

/// What a schema says of an index of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentPlan {
    /// The vectors' fields.
    pub fields: DocumentFields,
    /// The texts' fields.
    pub text: TextSchema,
    /// The schema as answers give it.
    pub schema: Schema,
}

/// Whether a field makes its index one of documents.
pub(crate) fn is_of_documents(name: &str, field: &SchemaField) -> bool {
    let is_reserved = name == DENSE_FIELD || name == SPARSE_FIELD;
    let is_vector = matches!(field.kind.as_deref(), Some("dense_vector" | "sparse_vector"));
    is_vector && !is_reserved
        || field.full_text_search.is_some()
        || field.embed.is_some()
        || field.sparse_embed.is_some()
}

/// Reads the fields of an index of documents. Metadata fields are only told
/// where `takes_metadata`.
pub(crate) fn plan(
    fields: BTreeMap<String, SchemaField>,
    takes_metadata: bool,
    limits: &RequestLimits,
) -> Result<(IndexShape, DocumentPlan)> {
    let mut dense: Option<(String, IndexShape)> = None;
    let mut named = DocumentFields::default();
    let mut texts = Vec::new();
    let mut answer = BTreeMap::new();
    for (name, field) in fields {
        check_name(&name, &field, limits.field_name_bytes)?;
        let twice = |other: &str| {
            Err(Error::invalid(format!(
                "schema fields {other:?} and {name:?} are both of type {}, expected at most one",
                field.kind.as_deref().unwrap_or_default()
            )))
        };
        match field.kind.as_deref() {
            Some("dense_vector") => match &dense {
                Some((other, _)) => return twice(other),
                None => dense = Some((name.clone(), dense_shape(&name, &field, limits)?)),
            },
            Some("sparse_vector") => match &named.sparse {
                Some(other) => return twice(other),
                None => named.sparse = Some(name.clone()),
            },
            Some("string") if field.full_text_search.is_some() => {
                let search = field.full_text_search.clone().unwrap_or_default();
                texts.push(TextField { name: name.clone(), options: search.options(&name)? });
            }
            _ => check_metadata_field(&name, &field, takes_metadata)?,
        }
        answer.insert(name, field);
    }
    if texts.len() > TEXT_FIELDS_MAX {
        return Err(Error::invalid(format!(
            "schema has {} fields with full_text_search, expected at most {TEXT_FIELDS_MAX}",
            texts.len()
        )));
    }
    let text = TextSchema::new(texts);
    for field in text.fields() {
        if let Some(shown) = answer.get_mut(&field.name) {
            shown.full_text_search = Some(FullTextSearch::of(&field.options));
        }
    }
    let (dense, shape) =
        dense.map_or((None, IndexShape::sparse()), |(name, shape)| (Some(name), shape));
    named.dense = dense;
    let schema = Schema { fields: answer };
    Ok((shape.of_documents(), DocumentPlan { fields: named, text, schema }))
}

fn check_name(name: &str, field: &SchemaField, bytes_max: usize) -> Result<()> {
    if name.is_empty() || name.len() > bytes_max || name.starts_with(['$', '_']) {
        return Err(Error::invalid(format!(
            "schema field name {name:?} is refused, expected 1 to {bytes_max} bytes that do not \
             start with '$' or '_'"
        )));
    }
    let length = field.description.as_ref().map_or(0, String::len);
    if length > FIELD_DESCRIPTION_BYTES_MAX {
        return Err(Error::invalid(format!(
            "schema field {name:?} has a description of {length} bytes, expected at most \
             {FIELD_DESCRIPTION_BYTES_MAX}"
        )));
    }
    if field.embed.is_some() || field.sparse_embed.is_some() {
        return Err(Error::unsupported(format!(
            "schema field {name:?} asks for a model, which document indexes of this server do not \
             have: expected dense_vector or sparse_vector, and vectors in the documents"
        )));
    }
    Ok(())
}

fn check_metadata_field(name: &str, field: &SchemaField, takes_metadata: bool) -> Result<()> {
    let kind = field.kind.as_deref();
    let is_metadata =
        matches!(kind, None | Some("string" | "string_list" | "boolean" | "float" | "number"));
    if !is_metadata || field.full_text_search.is_some() {
        return Err(Error::invalid(format!(
            "schema field {name:?} has type {}, expected dense_vector, sparse_vector or a string \
             with full_text_search",
            kind.unwrap_or("(none)")
        )));
    }
    if !takes_metadata {
        return Err(Error::invalid(format!(
            "schema field {name:?} is metadata, expected fields to search by alone: every other \
             field of a document can be filtered without being declared"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crossbill_core::{Metric, VectorType};

    use super::*;

    fn planned(json: &str) -> std::result::Result<(IndexShape, DocumentPlan), String> {
        let schema: Schema = serde_json::from_str(json).map_err(|error| error.to_string())?;
        plan(schema.fields, false, &RequestLimits::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_document_has_vectors_and_texts() {
        let json = r#"{"fields":{
            "embedding":{"type":"dense_vector","dimension":3,"metric":"euclidean"},
            "keywords":{"type":"sparse_vector","description":"terms"},
            "body":{"type":"string","full_text_search":{"language":"DE","stemming":true}},
            "title":{"type":"string","full_text_search":{}}}}"#;
        let (shape, plan) = planned(json).unwrap();
        assert_eq!(shape, IndexShape::dense(3, Metric::Euclidean).of_documents());
        assert!(shape.takes_sparse());
        let (dense, sparse) = (Some("embedding".to_owned()), Some("keywords".to_owned()));
        assert_eq!(plan.fields, DocumentFields { dense, sparse });
        assert_eq!(plan.text.fields()[0].options.language, Language::German);
        let shown = serde_json::to_value(&plan.schema).unwrap();
        assert_eq!(
            shown["fields"]["title"],
            serde_json::json!({"type": "string", "full_text_search":
                {"language": "en", "stemming": false, "stop_words": false}})
        );
        assert_eq!(shown["fields"]["keywords"]["description"], "terms");
        assert_eq!(plan.schema.document_fields(), Some(plan.fields.clone()));
        assert_eq!(plan.schema.text_fields(), ["body", "title"]);
        // What is shown can be asked for again.
        assert_eq!(planned(&shown.to_string()).unwrap().1, plan);
        let texts = planned(r#"{"fields":{"body":{"type":"string","full_text_search":{}}}}"#);
        assert_eq!(texts.unwrap().0.vector_type, VectorType::Sparse);
    }

    #[test]
    fn refusals_name_the_field() {
        let text = |options: &str| {
            format!(r#"{{"fields":{{"body":{{"type":"string","full_text_search":{options}}}}}}}"#)
        };
        let vector = r#"{"type":"dense_vector","dimension":2,"metric":"cosine"}"#;
        let long = "x".repeat(crossbill_core::limits::FIELD_NAME_BYTES_MAX + 1);
        for (json, expected) in [
            (text(r#"{"language":"xx"}"#), "\"body\": language \"xx\", expected one of ar, da"),
            (text(r#"{"stop_words":true}"#), "expected stemming true"),
            (text(r#"{"ngram":{"min_gram":0,"max_gram":2}}"#), "min_gram is 0, expected 1 to 10"),
            (text(r#"{"ngram":{"min_gram":3,"max_gram":2}}"#), "min_gram is 3"),
            (
                text(r#"{"stemming":true,"ngram":{"min_gram":1,"max_gram":2}}"#),
                "expected no stemming",
            ),
            (text(r#"{"speed":1}"#), "unknown field `speed`"),
            (format!(r#"{{"fields":{{"a":{vector},"b":{vector}}}}}"#), "\"a\" and \"b\" are both"),
            (format!(r#"{{"fields":{{"_a":{vector}}}}}"#), "do not start with"),
            (format!(r#"{{"fields":{{"{long}":{vector}}}}}"#), "1 to 64 bytes"),
            (
                format!(r#"{{"fields":{{"a":{vector},"year":{{"type":"float"}}}}}}"#),
                "\"year\" is metadata",
            ),
            (
                format!(r#"{{"fields":{{"a":{vector},"t":{{"type":"semantic_text"}}}}}}"#),
                "has type semantic_text",
            ),
            (
                r#"{"fields":{"a":{"type":"string","embed":{"model":"m"}}}}"#.to_owned(),
                "asks for a model",
            ),
        ] {
            let error = planned(&json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
