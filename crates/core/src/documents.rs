//! Documents: records whose fields have names of the user's choice. Which of
//! the fields are the vectors of the record, and what a document may hold.
//! Which fields are searched as text stands in `text`.

use serde::{Deserialize, Serialize};

use crate::limits::{TEXT_BYTES_MAX, TEXT_TOKENS_MAX};
use crate::text::TextSchema;
use crate::{Metadata, MetadataError, MetadataValue};

/// The field that says, beside a document, why it was refused. Reserved: no
/// document has it, and an import passes over it.
pub const REJECT_FIELD: &str = "_reject";

/// Names of the fields that hold a document's vectors. An index that has this
/// is one of documents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DocumentFields {
    /// The dense vector's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<String>,
    /// The sparse vector's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<String>,
}

/// Why the fields of a document were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// No field that it could be found by.
    #[error("the document has none of the schema's fields, expected at least one of {0}")]
    NoField(String),
    /// A text field that holds something else.
    #[error("field {0:?} is searched as text and is no string, expected one")]
    NoText(String),
    /// A text over its limit.
    #[error("field {field:?} has {found} bytes of text, expected at most {TEXT_BYTES_MAX}")]
    TextTooLong {
        /// The field.
        field: String,
        /// Bytes found.
        found: usize,
    },
    /// A text with too many words.
    #[error("field {field:?} has {found} words, expected at most {TEXT_TOKENS_MAX}")]
    TooManyWords {
        /// The field.
        field: String,
        /// Words found.
        found: usize,
    },
    /// The other fields are no metadata.
    #[error("{0}")]
    Metadata(#[from] MetadataError),
}

impl DocumentError {
    /// The stable code of this reason in reject tables and docs.
    pub fn code(&self) -> &'static str {
        match self {
            DocumentError::NoField(_) => "E_DOCUMENT_EMPTY",
            DocumentError::NoText(_) => "E_TEXT",
            DocumentError::TextTooLong { .. } | DocumentError::TooManyWords { .. } => "E_TEXT_SIZE",
            DocumentError::Metadata(error) => error.code(),
        }
    }
}

impl From<DocumentError> for crate::Error {
    fn from(error: DocumentError) -> Self {
        crate::Error::invalid(error.to_string())
    }
}

impl DocumentFields {
    /// The vectors' names.
    pub fn vectors(&self) -> impl Iterator<Item = &str> {
        [&self.dense, &self.sparse].into_iter().flatten().map(String::as_str)
    }

    /// The names of every field that a document can be found by.
    fn all<'a>(&'a self, text: &'a TextSchema) -> impl Iterator<Item = &'a str> {
        self.vectors().chain(text.fields().iter().map(|field| field.name.as_str()))
    }
}

/// Checks what a document has beside its vectors: texts within their limits,
/// and the rest within `metadata_bytes_max`. A document without vectors needs a
/// text.
pub fn check_document(
    fields: &DocumentFields,
    text: &TextSchema,
    has_vector: bool,
    metadata: &Metadata,
    metadata_bytes_max: usize,
) -> Result<(), DocumentError> {
    let mut has_text = false;
    let mut others = 0;
    for (name, value) in &metadata.0 {
        if text.position(name).is_none() {
            others += name.len() + value.json_bytes() + 4;
            continue;
        }
        let MetadataValue::String(value) = value else {
            return Err(DocumentError::NoText(name.clone()));
        };
        check_text(name, value)?;
        has_text = true;
    }
    if others > metadata_bytes_max {
        let error = MetadataError::TooLarge { found: others, expected: metadata_bytes_max };
        return Err(error.into());
    }
    if !has_vector && !has_text {
        let names: Vec<String> = fields.all(text).map(|name| format!("{name:?}")).collect();
        return Err(DocumentError::NoField(names.join(", ")));
    }
    Ok(())
}

fn check_text(field: &str, text: &str) -> Result<(), DocumentError> {
    let field = || field.to_owned();
    if text.len() > TEXT_BYTES_MAX {
        return Err(DocumentError::TextTooLong { field: field(), found: text.len() });
    }
    // A word takes two bytes with what ends it.
    if text.len() / 2 >= TEXT_TOKENS_MAX {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let found = words.count();
        if found > TEXT_TOKENS_MAX {
            return Err(DocumentError::TooManyWords { field: field(), found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::METADATA_BYTES_MAX;
    use crate::{TextField, TextOptions};

    fn check(json: &str, has_vector: bool) -> Result<(), DocumentError> {
        let fields = DocumentFields { dense: Some("embedding".into()), sparse: None };
        let body = TextField { name: "body".into(), options: TextOptions::default() };
        let metadata = Metadata::from_stored_json(json).unwrap();
        let text = TextSchema::new([body]);
        check_document(&fields, &text, has_vector, &metadata, METADATA_BYTES_MAX)
    }

    #[test]
    fn a_document_has_a_field_to_be_found_by() {
        check(r#"{"body":"some words"}"#, false).unwrap();
        check(r#"{"year":2000}"#, true).unwrap();
        let error = check(r#"{"year":2000}"#, false).unwrap_err();
        assert!(error.to_string().contains("one of \"embedding\", \"body\""), "{error}");
        let error = check(r#"{"body":3}"#, true).unwrap_err();
        assert_eq!((error.code(), error), ("E_TEXT", DocumentError::NoText("body".into())));
    }

    #[test]
    fn limits_hold_for_texts_and_for_the_rest_apart() {
        let text = |length: usize| format!(r#"{{"body":"{}"}}"#, "x".repeat(length));
        check(&text(TEXT_BYTES_MAX), false).unwrap();
        let error = check(&text(TEXT_BYTES_MAX + 1), false).unwrap_err();
        assert!(error.to_string().contains("102401 bytes of text"), "{error}");
        let words = |count: usize| format!(r#"{{"body":"{}"}}"#, "a-".repeat(count));
        check(&words(TEXT_TOKENS_MAX), false).unwrap();
        let error = check(&words(TEXT_TOKENS_MAX + 1), false).unwrap_err();
        assert!(error.to_string().contains("10001 words"), "{error}");
        let other = format!(r#"{{"body":"a","other":"{}"}}"#, "x".repeat(METADATA_BYTES_MAX));
        let error = check(&other, false).unwrap_err();
        assert_eq!(error.code(), "E_METADATA_SIZE");
    }
}
