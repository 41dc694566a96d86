//! Updates of documents: fields that are set and fields that are taken away.

use crossbill_core::limits::UPSERT_RECORDS_MAX;
use crossbill_core::{DocumentFields, Error, RequestLimits, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::describe;

use super::{DocumentParts, Fields, ID_FIELD, REMOVE_FIELD, each};

/// `…/update`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct UpdateDocuments {
    /// 1 to 1000 changes, each by its `_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<describe::DocumentPatch>>", length(min = 1, max = UPSERT_RECORDS_MAX))]
    pub documents: Option<Vec<Fields>>,
    /// Which documents all get the same change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// The fields to set, with a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::DocumentFields>")]
    pub set_fields: Option<Fields>,
    /// The fields to take away, with a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_fields: Option<Vec<String>>,
}

/// A change to a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DocumentChange {
    /// What is set.
    pub set: DocumentParts,
    /// Names of fields that are taken away.
    pub remove: Vec<String>,
}

impl DocumentChange {
    fn new(
        set: Fields,
        remove: Vec<String>,
        schema: &DocumentFields,
        limits: &RequestLimits,
    ) -> Result<Self> {
        if let Some(name) = remove.iter().find(|name| set.contains_key(*name)) {
            return Err(Error::invalid(format!(
                "field {name:?} is both set and removed, expected one of them"
            )));
        }
        if let Some(name) = remove.iter().find(|name| name.starts_with('_') || name.is_empty()) {
            return Err(Error::invalid(format!("field {name:?} cannot be removed")));
        }
        if let Some(name) = schema.dense.as_ref().filter(|name| remove.contains(name)) {
            return Err(Error::invalid(format!(
                "field {name:?} cannot be removed: every document has its dense vector"
            )));
        }
        Ok(Self { set: DocumentParts::of(set, schema, limits)?, remove })
    }

    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

impl UpdateDocuments {
    /// Whether there is a change that needs a filter. One that changes nothing
    /// counts as none.
    pub fn has_patch(&self) -> bool {
        self.set_fields.as_ref().is_some_and(|fields| !fields.is_empty())
            || self.remove_fields.as_ref().is_some_and(|names| !names.is_empty())
    }

    /// Changes by id, in the order sent.
    pub fn by_id(
        documents: Vec<Fields>,
        schema: &DocumentFields,
        limits: &RequestLimits,
    ) -> Result<Vec<(String, DocumentChange)>> {
        each(documents, limits.upsert_records, |id, mut fields| {
            let remove: Vec<String> = match fields.remove(REMOVE_FIELD) {
                None => Vec::new(),
                Some(raw) => serde_json::from_str(raw.get()).map_err(|_| {
                    Error::invalid(format!("{REMOVE_FIELD} is no list of names, expected one"))
                })?,
            };
            Ok((id, DocumentChange::new(fields, remove, schema, limits)?))
        })
    }

    /// The one change to all that a filter matches.
    pub fn by_filter(
        set: Option<Fields>,
        remove: Option<Vec<String>>,
        schema: &DocumentFields,
        limits: &RequestLimits,
    ) -> Result<DocumentChange> {
        let set = set.unwrap_or_default();
        if set.contains_key(ID_FIELD) {
            return Err(Error::invalid(format!("{ID_FIELD} cannot be changed")));
        }
        let change = DocumentChange::new(set, remove.unwrap_or_default(), schema, limits)?;
        match change.is_empty() {
            true => Err(Error::invalid("expected set_fields or remove_fields beside the filter")),
            false => Ok(change),
        }
    }
}
