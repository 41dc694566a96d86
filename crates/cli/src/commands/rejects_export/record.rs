//! A rejected record as its text says it, taken apart as far as that goes.

use crossbill_wire::RejectModel;
use crossbill_wire::documents::ID_FIELD;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A component: none where it was null in the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Component(pub(super) Option<f32>);

impl<'de> Deserialize<'de> for Component {
    /// Numbers, and what JSON has no number for by name: `"NaN"`, `"inf"`.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Value::deserialize(input)? {
            Value::Null => Ok(Self(None)),
            Value::String(name) => name
                .parse()
                .map(|value| Self(Some(value)))
                .map_err(|_| serde::de::Error::custom("a component is no number")),
            value => value
                .as_f64()
                .map(|value| Self(Some(value as f32)))
                .ok_or_else(|| serde::de::Error::custom("a component is no number")),
        }
    }
}

/// A sparse vector, whatever it holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Sparse {
    pub(super) indices: Vec<u32>,
    pub(super) values: Vec<Component>,
}

/// The columns of a record. All are empty for a file, and where the text is
/// not of these columns alone: only its beginning was kept, or it is a line
/// that was no record.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) values: Option<Vec<Component>>,
    #[serde(default)]
    pub(super) sparse_values: Option<Sparse>,
    /// As the text that stood there, JSON or not.
    #[serde(default)]
    pub(super) metadata: Option<String>,
    /// Its own fields, where it is a document.
    #[serde(skip)]
    pub(super) document: Map<String, Value>,
    /// The text, where it could not be taken apart.
    #[serde(skip)]
    pub(super) text: Option<String>,
}

impl Record {
    /// The record of `reject`.
    pub(super) fn of(reject: &RejectModel) -> Self {
        let Some(text) = &reject.record else {
            return Self { id: reject.id.clone(), ..Self::default() };
        };
        serde_json::from_str(text).unwrap_or_else(|_| Self {
            id: reject.id.clone(),
            text: Some(text.clone()),
            ..Self::default()
        })
    }

    /// The document of `reject`: any object that has an id of its own.
    pub(super) fn of_document(reject: &RejectModel) -> Self {
        let text = reject.record.as_deref().unwrap_or_default();
        let read = serde_json::from_str::<Map<String, Value>>(text).ok();
        let document = read.filter(|fields| fields.contains_key(ID_FIELD));
        Self {
            id: reject.id.clone(),
            text: reject.record.clone().filter(|_| document.is_none()),
            document: document.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Whether only its beginning was kept.
    pub(super) fn is_incomplete(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.ends_with('…'))
    }

    /// Whether it is whole, but not of the columns of a record.
    pub(super) fn is_no_record(&self) -> bool {
        self.text.is_some() && !self.is_incomplete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: Option<&str>) -> Record {
        let reject = serde_json::json!({"file": "a", "id": "x", "code": "E", "message": "m",
            "record": text});
        Record::of(&serde_json::from_value(reject).unwrap())
    }

    #[test]
    fn a_record_is_taken_apart() {
        let text = r#"{"id":null,"metadata":"{oops","sparse_values":{"indices":[4294967295],
            "values":["NaN"]},"values":[0.1,null,"inf","-inf"]}"#;
        let found = record(Some(text));
        assert_eq!((found.id.as_deref(), found.metadata.as_deref()), (None, Some("{oops")));
        let values: Vec<Option<f32>> = found.values.unwrap().iter().map(|value| value.0).collect();
        assert_eq!(values, [Some(0.1), None, Some(f32::INFINITY), Some(f32::NEG_INFINITY)]);
        let sparse = found.sparse_values.unwrap();
        assert_eq!(sparse.indices, [u32::MAX]);
        assert!(sparse.values[0].0.unwrap().is_nan());
    }

    #[test]
    fn a_document_keeps_its_fields() {
        let document = |text: &str| {
            let reject = serde_json::json!({"file": "a", "id": "x", "code": "E", "message": "m",
                "record": text});
            Record::of_document(&serde_json::from_value(reject).unwrap())
        };
        let whole = document(r#"{"_id":"x","body":7,"at":[0.1]}"#);
        assert_eq!((whole.document["body"].as_u64(), whole.text.as_ref()), (Some(7), None));
        for line in [r#"{"body":"a"}"#, "[1]", "{"] {
            assert!(document(line).is_no_record(), "{line}");
        }
        assert!(document(r#"{"_id":"x","body":"a…"#).is_incomplete());
    }

    #[test]
    fn what_was_not_kept_whole_is_said_to_be_so() {
        let cut = record(Some(r#"{"id":"x","values":[0.1,0.…"#));
        assert!(cut.is_incomplete() && cut.values.is_none());
        assert_eq!(cut.id.as_deref(), Some("x"));
        assert!(!record(None).is_incomplete());
    }

    #[test]
    fn a_line_that_is_no_record_keeps_its_text() {
        for line in [r#"{"_id":"a","emb":[1]}"#, r#"{"id":"a","values":"?"}"#, r#"{"id":"a""#] {
            let found = record(Some(line));
            assert!(found.is_no_record() && !found.is_incomplete());
            assert_eq!((found.text.as_deref(), found.id.as_deref()), (Some(line), Some("x")));
        }
        assert!(!record(Some(r#"{"id":"a","values":[1]}"#)).is_no_record());
    }
}
