//! Bodies of `POST /namespaces/{ns}/documents/…`, snake_case as on the wire.
//! A document is a flat object: `_id`, the vectors under the names that the
//! schema gives them, and texts and metadata beside them.

mod change;
pub(crate) mod schema;
mod score;

use std::collections::{BTreeMap, BTreeSet};

use crossbill_core::limits::{
    FETCH_BY_METADATA_PAGE_MAX, IDS_PER_REQUEST_MAX, LIST_PAGE_MAX, TEXT_CLAUSES_MAX, TOP_K_MAX,
    UPSERT_RECORDS_MAX,
};
use crossbill_core::{
    DocumentFields, Error, Metadata, MetadataValue, REJECT_FIELD, Record, RequestLimits, Result,
    SparseVector, check_new_id, check_record_id,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

pub use change::{DocumentChange, UpdateDocuments};
pub use schema::{DocumentPlan, FullTextSearch, NgramOptions};
pub use score::{ScoreBy, ScoreClause, score_by};

use crate::records::SearchUsage;
use crate::{Pagination, SparseValues, describe, floats};

/// The field of a document's id.
pub const ID_FIELD: &str = "_id";
/// The field of a match's score.
pub const SCORE_FIELD: &str = "_score";
/// The field of an update that names fields to take away.
const REMOVE_FIELD: &str = "_remove_fields";
/// Stands for every field.
const ALL_FIELDS: &str = "*";

/// A document, or a part of one: fields by name.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// `…/upsert`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UpsertDocuments {
    /// 1 to 1000, their ids distinct.
    #[schemars(with = "Vec<describe::Document>", length(min = 1, max = UPSERT_RECORDS_MAX))]
    pub documents: Vec<Fields>,
}

/// What a document's fields are to its index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DocumentParts {
    /// The dense vector.
    pub values: Option<Vec<f32>>,
    /// The sparse vector.
    pub sparse: Option<SparseVector>,
    /// Texts and metadata.
    pub metadata: BTreeMap<String, MetadataValue>,
}

impl DocumentParts {
    /// Takes the fields apart. `_id` is not among them any more.
    pub fn of(fields: Fields, schema: &DocumentFields, limits: &RequestLimits) -> Result<Self> {
        let mut parts = Self::default();
        for (name, raw) in fields {
            let named =
                |error: &dyn std::fmt::Display| Error::invalid(format!("field {name:?}: {error}"));
            if schema.dense.as_deref() == Some(name.as_str()) {
                parts.values = Some(dense(&raw).map_err(|error| named(&error))?);
            } else if schema.sparse.as_deref() == Some(name.as_str()) {
                let values: SparseValues =
                    serde_json::from_str(raw.get()).map_err(|error| named(&error))?;
                let vector = values.into_vector(limits.sparse_entries);
                parts.sparse = Some(vector.map_err(|error| named(&error))?);
            } else if [SCORE_FIELD, REMOVE_FIELD, REJECT_FIELD].contains(&name.as_str()) {
                return Err(Error::invalid(format!("field {name:?} is reserved, expected none")));
            } else {
                let value: Value =
                    serde_json::from_str(raw.get()).map_err(|error| named(&error))?;
                let value = MetadataValue::from_value(&name, value)?;
                parts.metadata.insert(name, value);
            }
        }
        Ok(parts)
    }

    fn is_empty(&self) -> bool {
        self.values.is_none() && self.sparse.is_none() && self.metadata.is_empty()
    }

    /// The texts and metadata, where there are any.
    pub fn take_metadata(&mut self) -> Option<Metadata> {
        (!self.metadata.is_empty()).then(|| Metadata(std::mem::take(&mut self.metadata)))
    }
}

/// A list of numbers that is not empty: no vector is said by no field.
fn dense(raw: &RawValue) -> std::result::Result<Vec<f32>, String> {
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    match floats::deserialize(&mut reader) {
        Ok(values) if values.is_empty() => Err("no components, expected some".to_owned()),
        read => read.map_err(|error| error.to_string()),
    }
}

/// Takes `_id` out of a document.
fn take_id(fields: &mut Fields) -> Result<String> {
    let raw = fields
        .remove(ID_FIELD)
        .ok_or_else(|| Error::invalid(format!("{ID_FIELD} is missing, expected a string")))?;
    let id: String = serde_json::from_str(raw.get())
        .map_err(|_| Error::invalid(format!("{ID_FIELD} is {raw}, expected a string")))?;
    check_record_id(&id)?;
    Ok(id)
}

/// Reads each of a request's documents, whose ids must be distinct; an error
/// says of which it is.
fn each<T>(
    documents: Vec<Fields>,
    most: usize,
    read: impl Fn(String, Fields) -> Result<T>,
) -> Result<Vec<T>> {
    let found = documents.len();
    if !(1..=most).contains(&found) {
        return Err(Error::invalid(format!(
            "the request has {found} documents, expected 1 to {most}"
        )));
    }
    let mut ids = BTreeSet::new();
    let mut all = Vec::with_capacity(found);
    for (position, mut fields) in documents.into_iter().enumerate() {
        let at = |error: Error| {
            Error::new(error.kind(), format!("documents[{position}]: {}", error.message()))
        };
        let id = take_id(&mut fields).map_err(at)?;
        if !ids.insert(id.clone()) {
            return Err(at(Error::invalid(format!("{ID_FIELD} {id:?} is there twice"))));
        }
        let named = |error: Error| at(Error::invalid(format!("{id:?}: {}", error.message())));
        all.push(read(id.clone(), fields).map_err(named)?);
    }
    Ok(all)
}

impl UpsertDocuments {
    /// The records that the documents are.
    pub fn into_records(
        self,
        schema: &DocumentFields,
        limits: &RequestLimits,
    ) -> Result<Vec<Record>> {
        each(self.documents, limits.upsert_records, |id, fields| {
            check_new_id(&id, limits.id_chars)?;
            let mut parts = DocumentParts::of(fields, schema, limits)?;
            let metadata = parts.take_metadata();
            let values = match (parts.values, &schema.dense) {
                (None, Some(name)) => {
                    return Err(Error::invalid(format!(
                        "field {name:?} is missing, expected the dense vector"
                    )));
                }
                (values, _) => values.unwrap_or_default(),
            };
            Ok(Record { id, values, sparse: parts.sparse, metadata })
        })
    }
}

/// Answer of an upsert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpsertedDocuments {
    /// Documents in the request.
    pub upserted_count: u64,
}

/// `…/search`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SearchDocuments {
    /// 1 to 100; several only of texts.
    #[schemars(length(min = 1, max = TEXT_CLAUSES_MAX))]
    pub score_by: Vec<ScoreClause>,
    /// 1 to 10,000.
    #[schemars(range(min = 1, max = TOP_K_MAX))]
    pub top_k: u64,
    /// The fields to answer with: none where absent, `["*"]` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_fields: Option<Vec<String>>,
    /// Which documents count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
}

impl SearchDocuments {
    /// `top_k`, checked.
    pub fn top_k(&self, most: usize) -> Result<usize> {
        usize::try_from(self.top_k)
            .ok()
            .filter(|count| (1..=most).contains(count))
            .ok_or_else(|| Error::invalid(format!("top_k is {}, expected 1 to {most}", self.top_k)))
    }
}

/// A document as it is answered; where it was found by a search, with
/// `_score`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DocumentModel(#[schemars(with = "describe::StoredDocument")] pub Fields);

/// Which fields an answer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Included {
    /// All.
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl Included {
    /// What a request asks for; `default` where it asks for nothing.
    pub fn of(include_fields: Option<Vec<String>>, default: Included) -> Self {
        let names: BTreeSet<String> = include_fields.into_iter().flatten().collect();
        match names {
            names if names.is_empty() => default,
            names if names.contains(ALL_FIELDS) => Included::All,
            names => Included::Named(names),
        }
    }

    /// No field but the id.
    pub fn none() -> Self {
        Included::Named(BTreeSet::new())
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Included::All => true,
            Included::Named(names) => names.contains(name),
        }
    }

    /// Whether a vector is among them.
    pub fn has_vectors(&self, schema: &DocumentFields) -> bool {
        schema.vectors().any(|name| self.has(name))
    }

    /// Whether anything but vectors is among them.
    pub fn has_metadata(&self, schema: &DocumentFields) -> bool {
        let is_vector = |name: &String| schema.vectors().any(|own| own == name);
        match self {
            Included::All => true,
            Included::Named(names) => names.iter().any(|name| !is_vector(name)),
        }
    }
}

/// What a stored document is made of.
#[derive(Debug)]
pub struct StoredDocument<'a> {
    /// Its id.
    pub id: &'a str,
    /// How well it matches, where it was searched for.
    pub score: Option<f32>,
    /// The dense vector, where there is one.
    pub values: Option<&'a [f32]>,
    /// The sparse vector, where there is one.
    pub sparse: Option<&'a SparseVector>,
    /// Texts and metadata as a JSON object, where there are any.
    pub metadata_json: Option<&'a str>,
}

impl DocumentModel {
    /// The answer about a document, with the fields that are `included`.
    pub fn of(
        stored: &StoredDocument<'_>,
        schema: &DocumentFields,
        included: &Included,
    ) -> serde_json::Result<Self> {
        let mut fields = match stored.metadata_json {
            Some(json) => serde_json::from_str::<Fields>(json)?,
            None => Fields::new(),
        };
        fields.retain(|name, _| included.has(name));
        let vectors = [
            (&schema.dense, stored.values.map(to_raw_value)),
            (&schema.sparse, stored.sparse.map(|sparse| to_raw_value(&SparseValues::from(sparse)))),
        ];
        for (name, value) in vectors {
            if let (Some(name), Some(value)) = (name, value)
                && included.has(name)
            {
                fields.insert(name.clone(), value?);
            }
        }
        fields.insert(ID_FIELD.to_owned(), to_raw_value(stored.id)?);
        if let Some(score) = stored.score {
            fields.insert(SCORE_FIELD.to_owned(), to_raw_value(&score)?);
        }
        Ok(Self(fields))
    }
}

/// Answer of a search.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FoundDocuments {
    /// Best first.
    pub matches: Vec<DocumentModel>,
    /// As the path had it.
    pub namespace: String,
    /// What it cost.
    pub usage: SearchUsage,
}

/// `…/fetch`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct FetchDocuments {
    /// 1 to 1000, or a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<describe::RecordId>>", length(min = 1, max = IDS_PER_REQUEST_MAX))]
    pub ids: Option<Vec<String>>,
    /// Which documents; or ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// The fields to answer with; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_fields: Option<Vec<String>>,
    /// 1 to 10,000 documents of a page; 100 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = FETCH_BY_METADATA_PAGE_MAX))]
    pub limit: Option<usize>,
    /// Where to go on, by filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination_token: Option<String>,
}

/// Answer of a fetch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FetchedDocuments {
    /// By id.
    pub documents: BTreeMap<String, DocumentModel>,
    /// As the path had it.
    pub namespace: String,
    /// What it cost.
    pub usage: SearchUsage,
    /// Where another page follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

/// `…/delete`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct DeleteDocuments {
    /// 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<describe::RecordId>>", length(min = 1, max = IDS_PER_REQUEST_MAX))]
    pub ids: Option<Vec<String>>,
    /// Which documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// All of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_all: Option<bool>,
}

/// Answer of a delete or an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ChangedDocuments {
    /// Documents that the filter matched, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_records: Option<i32>,
}

/// `…/list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListDocuments {
    /// Ids begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIST_PAGE_MAX))]
    pub limit: Option<usize>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination_token: Option<String>,
}

/// One document of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedDocument {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
}

/// Answer of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListedDocuments {
    /// In id order.
    pub documents: Vec<ListedDocument>,
    /// As the path had it.
    pub namespace: String,
    /// What it cost.
    pub usage: SearchUsage,
    /// Where another page follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

#[cfg(test)]
mod tests;
