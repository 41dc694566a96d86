//! What a search of documents scores them by: clauses, each checked against
//! the index's schema.

use crossbill_core::limits::{TEXT_CLAUSES_MAX, TEXT_QUERY_BYTES_MAX};
use crossbill_core::{DocumentFields, Error, RequestLimits, Result, SparseVector, TextClause};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SparseValues, describe, floats};

/// One way to score documents.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreClause {
    /// `dense_vector`, `sparse_vector`, `text` or `query_string`.
    #[serde(rename = "type")]
    #[schemars(with = "describe::ScoreWord")]
    pub kind: String,
    /// The fields to score by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// The one field to score by, in the older dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The words to look for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The dense vector to look for.
    #[serde(
        default,
        deserialize_with = "floats::deserialize",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "describe::ComponentsOrNull")]
    pub values: Vec<f32>,
    /// The sparse vector to look for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<SparseValues>,
}

/// What documents are scored by.
#[derive(Debug, Clone, PartialEq)]
pub enum ScoreBy {
    /// The dense vector.
    Dense(Vec<f32>),
    /// The sparse vector.
    Sparse(SparseVector),
    /// Texts; scores add up.
    Text(Vec<TextClause>),
}

impl ScoreClause {
    /// The clause's fields, in whichever of its two forms.
    fn named(&self) -> Result<Vec<String>> {
        let names = match (&self.fields, &self.field) {
            (Some(fields), None) => fields.clone(),
            (None, Some(field)) => vec![field.clone()],
            (None, None) => Vec::new(),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("both field and fields are given, expected one"));
            }
        };
        match names.is_empty() {
            true => Err(Error::invalid("fields are missing, expected at least one")),
            false => Ok(names),
        }
    }

    /// Checks that the clause names the one field of its kind.
    fn check_vector_field(&self, own: Option<&str>) -> Result<()> {
        let named = self.named()?;
        match (named.as_slice(), own) {
            ([name], Some(own)) if name == own => Ok(()),
            (names, own) => Err(Error::invalid(format!(
                "fields are {names:?}, expected {} of type {}",
                own.map_or("a field (the schema has none)".to_owned(), |own| format!("{own:?}")),
                self.kind
            ))),
        }
    }

    fn text(&self) -> Result<String> {
        let query = self.query.as_deref().map(str::trim).unwrap_or_default();
        if query.is_empty() || query.len() > TEXT_QUERY_BYTES_MAX {
            return Err(Error::invalid(format!(
                "query has {} bytes, expected 1 to {TEXT_QUERY_BYTES_MAX}",
                query.len()
            )));
        }
        Ok(query.to_owned())
    }

    fn into_score(self, schema: &DocumentFields, limits: &RequestLimits) -> Result<ScoreBy> {
        match self.kind.as_str() {
            "dense_vector" => {
                self.check_vector_field(schema.dense.as_deref())?;
                match self.values.is_empty() {
                    true => Err(Error::invalid("values are missing, expected the dense vector")),
                    false => Ok(ScoreBy::Dense(self.values)),
                }
            }
            "sparse_vector" => {
                self.check_vector_field(schema.sparse.as_deref())?;
                let values = self.sparse_values.ok_or_else(|| {
                    Error::invalid("sparse_values are missing, expected the sparse vector")
                })?;
                Ok(ScoreBy::Sparse(values.into_vector(limits.sparse_entries)?))
            }
            "text" => {
                let words = TextClause::Text { fields: self.named()?, query: self.text()? };
                Ok(ScoreBy::Text(vec![words]))
            }
            "query_string" if self.fields.is_some() || self.field.is_some() => {
                Err(Error::invalid("fields are given, expected them in the query (title:(word))"))
            }
            "query_string" => Ok(ScoreBy::Text(vec![TextClause::QueryString(self.text()?)])),
            "embed" | "sparse_embed" => Err(Error::invalid(
                "the schema has no field with a model, expected dense_vector, sparse_vector, text \
                 or query_string",
            )),
            other => Err(Error::invalid(format!(
                "type is {other:?}, expected dense_vector, sparse_vector, text or query_string"
            ))),
        }
    }
}

/// What a search scores by, checked.
pub fn score_by(
    clauses: Vec<ScoreClause>,
    schema: &DocumentFields,
    limits: &RequestLimits,
) -> Result<ScoreBy> {
    let found = clauses.len();
    if !(1..=TEXT_CLAUSES_MAX).contains(&found) {
        return Err(Error::invalid(format!(
            "score_by has {found} clauses, expected 1 to {TEXT_CLAUSES_MAX}"
        )));
    }
    let mut texts = Vec::new();
    for (position, clause) in clauses.into_iter().enumerate() {
        let kind = clause.kind.clone();
        let score = clause.into_score(schema, limits).map_err(|error| {
            Error::invalid(format!("score_by[{position}] of type {kind:?}: {}", error.message()))
        })?;
        match score {
            ScoreBy::Text(clauses) => texts.extend(clauses),
            alone if found == 1 => return Ok(alone),
            _ => {
                return Err(Error::invalid(format!(
                    "score_by[{position}] is of type {kind:?} among {found} clauses, expected it \
                     alone: only text and query_string can be combined"
                )));
            }
        }
    }
    Ok(ScoreBy::Text(texts))
}
