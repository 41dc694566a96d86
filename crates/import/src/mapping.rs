//! Where a source keeps what the schema wants, if not in the columns that the
//! schema names. Plain data, kept with an import's record and plan; what it
//! means for a file is found out in `columns`.

use crossbill_core::DocumentFields;
use serde::{Deserialize, Serialize};

use crate::source::Format;

/// Stands in an id prefix for the file's path without its ending.
pub(crate) const FILE_MARK: &str = "{file}";

/// Which columns hold what. Parts that are absent have their usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnMapping {
    /// The column of ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The column of dense vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// The column of sparse vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse_values: Option<String>,
    /// Where metadata comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataMapping>,
    /// Ids are made of this and the number of the row in its file, and no
    /// column of ids is read. `{file}` in it stands for the file's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_prefix: Option<String>,
}

/// Where metadata comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetadataMapping {
    /// A column of JSON text, a struct or a map.
    Column(String),
    /// Plain columns, each a field of its own name; nulls are left out.
    Fields(Vec<String>),
    /// Every column that nothing else is named for, likewise.
    Others {
        /// Says so.
        all_others: True,
    },
}

/// What can only be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "bool", try_from = "bool")]
pub struct True;

impl From<True> for bool {
    fn from(_: True) -> Self {
        true
    }
}

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        if value { Ok(True) } else { Err("false, expected true") }
    }
}

/// The column of a document's id.
pub(crate) const DOCUMENT_ID: &str = "_id";

impl ColumnMapping {
    /// Whether everything has its usual name.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The mapping for an index whose vectors are in these fields. A document
    /// has them under their own names and everything else beside them; what
    /// a mapping says beyond that stays.
    pub fn for_index(mut self, documents: Option<&DocumentFields>) -> Self {
        let Some(fields) = documents else { return self };
        if self.id_prefix.is_none() {
            self.id.get_or_insert_with(|| DOCUMENT_ID.to_owned());
        }
        self.values = self.values.or_else(|| fields.dense.clone());
        self.sparse_values = self.sparse_values.or_else(|| fields.sparse.clone());
        self.metadata.get_or_insert(MetadataMapping::Others { all_others: True });
        self
    }

    /// Whether only columns that it names are vectors.
    pub(crate) fn is_of_documents(&self) -> bool {
        matches!(self.metadata, Some(MetadataMapping::Others { .. }))
    }

    /// What the ids of the file at `path` begin with, where they are made.
    pub(crate) fn prefix_of(&self, path: &str) -> Option<String> {
        let prefix = self.id_prefix.as_deref()?;
        Some(prefix.replace(FILE_MARK, Format::stem(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_names_the_file() {
        let of = |prefix: &str, path: &str| {
            let mapping = ColumnMapping { id_prefix: Some(prefix.into()), ..Default::default() };
            mapping.prefix_of(path).unwrap()
        };
        assert_eq!(of("doc-", "a/b.npy"), "doc-");
        assert_eq!(of("{file}-", "a.b/part-1.jsonl.gz"), "a.b/part-1-");
        assert_eq!(of("{file}-", "part.0.npy"), "part.0-", "files stay apart");
        assert_eq!(of("x{file}{file}", "n"), "xnn");
        assert_eq!(ColumnMapping::default().prefix_of("a"), None);
    }

    #[test]
    fn a_mapping_is_stored_as_it_is_asked_for() {
        let json = r#"{"id":"_id","metadata":["title","url"]}"#;
        let mapping: ColumnMapping = serde_json::from_str(json).unwrap();
        let fields = MetadataMapping::Fields(vec!["title".into(), "url".into()]);
        assert_eq!(mapping.metadata, Some(fields));
        assert_eq!(serde_json::to_string(&mapping).unwrap(), json);
        let one: ColumnMapping = serde_json::from_str(r#"{"metadata":"meta"}"#).unwrap();
        assert_eq!(one.metadata, Some(MetadataMapping::Column("meta".into())));
        assert!(serde_json::from_str::<ColumnMapping>("{}").unwrap().is_default());
        let fields = DocumentFields { dense: Some("emb".into()), sparse: None };
        let documents = ColumnMapping::default().for_index(Some(&fields));
        let json = r#"{"id":"_id","values":"emb","metadata":{"all_others":true}}"#;
        assert_eq!(serde_json::to_string(&documents).unwrap(), json);
        assert_eq!(serde_json::from_str::<ColumnMapping>(json).unwrap(), documents);
        let wrong = r#"{"metadata":{"all_others":false}}"#;
        assert!(serde_json::from_str::<ColumnMapping>(wrong).is_err());
    }
}
