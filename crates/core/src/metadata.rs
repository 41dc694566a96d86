//! Metadata: a flat JSON object of strings, numbers, booleans and lists of
//! strings, of a bounded length as JSON.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::limits::METADATA_BYTES_MAX;

/// One metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValue {
    /// Text.
    String(String),
    /// A number; all numbers are f64.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A list of strings.
    Strings(Vec<String>),
}

/// A record's metadata, keys in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(pub BTreeMap<String, MetadataValue>);

/// Why metadata was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Not JSON.
    #[error("metadata is not valid JSON: {0}")]
    Json(String),
    /// JSON, but no object.
    #[error("metadata is {0}, expected an object")]
    NotAnObject(&'static str),
    /// A value of a kind that is not allowed.
    #[error(
        "metadata field {field:?} is {found}, expected a string, number, boolean or list of strings"
    )]
    Value {
        /// The field's name.
        field: String,
        /// The kind found.
        found: &'static str,
    },
    /// A key that is not allowed.
    #[error("metadata field name {0:?} is empty or starts with '$', expected another name")]
    Key(String),
    /// Over the limit.
    #[error("metadata has {found} bytes as JSON, expected at most {expected}")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// The limit.
        expected: usize,
    },
}

impl MetadataError {
    /// The stable code of this reason in reject tables and docs.
    pub fn code(&self) -> &'static str {
        match self {
            MetadataError::Json(_) => "E_METADATA_JSON",
            MetadataError::NotAnObject(_) => "E_METADATA_NOT_OBJECT",
            MetadataError::Value { .. } => "E_METADATA_VALUE",
            MetadataError::Key(_) => "E_METADATA_KEY",
            MetadataError::TooLarge { .. } => "E_METADATA_SIZE",
        }
    }
}

impl MetadataError {
    /// For a value that no field may have.
    pub fn of_value(field: String, value: &Value) -> Self {
        MetadataError::Value { field, found: json_kind(value) }
    }
}

impl From<MetadataError> for crate::Error {
    fn from(error: MetadataError) -> Self {
        crate::Error::invalid(error.to_string())
    }
}

/// The kind of a JSON value, for messages.
pub(crate) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list that holds something other than strings",
        Value::Object(_) => "an object",
    }
}

impl Metadata {
    /// Reads and checks a JSON object, by the usual limit.
    pub fn from_json(json: &str) -> Result<Self, MetadataError> {
        Self::from_json_within(json, METADATA_BYTES_MAX)
    }

    /// Reads and checks a JSON object of so many bytes at most.
    pub fn from_json_within(json: &str, bytes_max: usize) -> Result<Self, MetadataError> {
        if json.len() > bytes_max {
            return Err(MetadataError::TooLarge { found: json.len(), expected: bytes_max });
        }
        Self::from_stored_json(json)
    }

    /// Checks fields that did not come as JSON. What counts for the limit is
    /// the length of their JSON all the same.
    pub fn from_fields<V>(
        fields: impl IntoIterator<Item = (String, V)>,
        bytes_max: usize,
        read: impl Fn(&str, V) -> Result<MetadataValue, MetadataError>,
    ) -> Result<Self, MetadataError> {
        let checked = |(field, value)| {
            let field = check_key(field)?;
            let value = read(&field, value)?;
            if matches!(value, MetadataValue::Number(number) if !number.is_finite()) {
                return Err(MetadataError::Value { field, found: "a number that is not finite" });
            }
            Ok((field, value))
        };
        let metadata = Self(fields.into_iter().map(checked).collect::<Result<_, _>>()?);
        // Writing it is only worth it where it may be too long.
        if metadata.json_bytes_at_most() > bytes_max {
            let found = metadata.to_json().len();
            if found > bytes_max {
                return Err(MetadataError::TooLarge { found, expected: bytes_max });
            }
        }
        Ok(metadata)
    }

    /// No less than the length of the JSON text: a byte of text takes six at
    /// most (as a control character), a number or what stands around a value
    /// 32.
    fn json_bytes_at_most(&self) -> usize {
        let text = |text: &String| 32 + 6 * text.len();
        let fields = self.0.iter().map(|(field, value)| {
            text(field)
                + match value {
                    MetadataValue::String(value) => text(value),
                    MetadataValue::Number(_) | MetadataValue::Bool(_) => 32,
                    MetadataValue::Strings(items) => 32 + items.iter().map(text).sum::<usize>(),
                }
        });
        fields.sum::<usize>() + 2
    }

    /// Reads what [`Metadata::to_json`] wrote. Its length is not checked: the
    /// canonical text may be longer than the text that was let in (`1e15`
    /// becomes `1000000000000000`).
    pub fn from_stored_json(json: &str) -> Result<Self, MetadataError> {
        match serde_json::from_str(json) {
            Ok(Value::Object(fields)) => fields
                .into_iter()
                .map(|(field, value)| Ok((check_key(field)?, value)))
                .map(|entry| entry.and_then(|(field, value)| Self::entry(field, value)))
                .collect::<Result<_, _>>()
                .map(Metadata),
            Ok(Value::Array(_)) => Err(MetadataError::NotAnObject("a list")),
            Ok(other) => Err(MetadataError::NotAnObject(json_kind(&other))),
            Err(error) => Err(MetadataError::Json(error.to_string())),
        }
    }

    fn entry(field: String, value: Value) -> Result<(String, MetadataValue), MetadataError> {
        let wrong = |value: &Value| MetadataError::of_value(field.clone(), value);
        let read = match value {
            Value::String(text) => MetadataValue::String(text),
            Value::Bool(truth) => MetadataValue::Bool(truth),
            Value::Number(ref number) => match number.as_f64() {
                Some(number) => MetadataValue::Number(number),
                None => return Err(wrong(&value)),
            },
            Value::Array(ref items) => MetadataValue::Strings(
                items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(&value)))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Null | Value::Object(_) => return Err(wrong(&value)),
        };
        Ok((field, read))
    }

    /// The canonical JSON text: keys in order, whole numbers without a point.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("text, numbers and lists of text can be written")
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This metadata with the fields of `newer` put over its own; an error
    /// where the result has more than so many bytes as JSON.
    pub fn merged(self, newer: Metadata, bytes_max: usize) -> Result<Metadata, MetadataError> {
        let all = self.overlaid(newer);
        let found = all.to_json().len();
        if found > bytes_max {
            return Err(MetadataError::TooLarge { found, expected: bytes_max });
        }
        Ok(all)
    }

    /// The same, whatever its length.
    pub fn overlaid(mut self, newer: Metadata) -> Metadata {
        self.0.extend(newer.0);
        self
    }
}

impl MetadataValue {
    /// Reads a JSON value of the field called `field`.
    pub fn from_value(field: &str, value: Value) -> Result<Self, MetadataError> {
        let (_, value) = Metadata::entry(check_key(field.to_owned())?, value)?;
        Ok(value)
    }

    /// Bytes of it as JSON, but for escapes.
    pub fn json_bytes(&self) -> usize {
        match self {
            MetadataValue::String(text) => text.len() + 2,
            MetadataValue::Number(_) | MetadataValue::Bool(_) => 8,
            MetadataValue::Strings(items) => {
                items.iter().map(|item| item.len() + 3).sum::<usize>() + 2
            }
        }
    }
}

fn check_key(field: String) -> Result<String, MetadataError> {
    if field.is_empty() || field.starts_with('$') {
        return Err(MetadataError::Key(field));
    }
    Ok(field)
}

impl Serialize for MetadataValue {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            MetadataValue::String(text) => out.serialize_str(text),
            MetadataValue::Bool(truth) => out.serialize_bool(*truth),
            MetadataValue::Number(number) if is_whole(*number) => out.serialize_i64(*number as i64),
            MetadataValue::Number(number) => out.serialize_f64(*number),
            MetadataValue::Strings(items) => items.serialize(out),
        }
    }
}

/// Whether this is a whole number that f64 holds exactly; those are written as
/// integers.
fn is_whole(number: f64) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.fract() == 0.0 && number.abs() <= EXACT && !(number == 0.0 && number.is_sign_negative())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_reads_back_the_same() {
        let json = r#"{"a":"x","b":3,"c":2.5,"d":true,"e":["p","q"]}"#;
        assert_eq!(Metadata::from_json(json).unwrap().to_json(), json);
    }

    #[test]
    fn refusals_say_what_was_found() {
        let message = |json: &str| Metadata::from_json(json).unwrap_err().to_string();
        assert!(message("{").starts_with("metadata is not valid JSON"));
        assert_eq!(message("[1]"), "metadata is a list, expected an object");
        assert!(message(r#"{"a":null}"#).contains("\"a\" is null"));
        assert!(message(r#"{"a":{"b":1}}"#).contains("\"a\" is an object"));
        assert!(message(r#"{"a":["x",1]}"#).contains("something other than strings"));
        assert!(message(r#"{"$a":1}"#).contains("starts with '$'"));
        let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(METADATA_BYTES_MAX));
        assert!(message(&big).contains("expected at most 40960"));
    }

    #[test]
    fn stored_text_may_be_longer_than_what_was_let_in() {
        let fields: Vec<String> = (0..3000).map(|n| format!(r#""k{n}":1e15"#)).collect();
        let metadata = Metadata::from_json(&format!("{{{}}}", fields.join(","))).unwrap();
        let stored = metadata.to_json();
        assert!(stored.len() > METADATA_BYTES_MAX);
        assert_eq!(Metadata::from_stored_json(&stored).unwrap(), metadata);
    }

    #[test]
    fn merging_keeps_what_is_not_named() {
        let old = Metadata::from_json(r#"{"a":1,"b":2}"#).unwrap();
        let new = Metadata::from_json(r#"{"b":"x"}"#).unwrap();
        assert_eq!(old.clone().merged(new.clone(), 15).unwrap().to_json(), r#"{"a":1,"b":"x"}"#);
        let error = old.merged(new, 14).unwrap_err();
        assert_eq!(error, MetadataError::TooLarge { found: 15, expected: 14 });
    }

    #[test]
    fn fields_are_checked_as_json_is() {
        let fields = |name: &str, value: MetadataValue| {
            let fields = [(name.to_owned(), value)];
            let read = Metadata::from_fields(fields, METADATA_BYTES_MAX, |_, value| Ok(value));
            read.map_err(|error| error.to_string())
        };
        assert!(fields("a", MetadataValue::Number(1.0)).is_ok());
        assert!(fields("$a", MetadataValue::Bool(true)).unwrap_err().contains("starts with '$'"));
        assert!(fields("", MetadataValue::Bool(true)).unwrap_err().contains("is empty"));
        let error = fields("a", MetadataValue::Number(f64::NAN)).unwrap_err();
        assert!(error.contains("\"a\" is a number that is not finite"), "{error}");
        // `{"a":""}` is 8 bytes.
        let fits = "x".repeat(METADATA_BYTES_MAX - 8);
        assert!(fields("a", MetadataValue::String(fits.clone())).is_ok());
        let error = fields("a", MetadataValue::String(fits + "x")).unwrap_err();
        assert!(error.contains("has 40961 bytes as JSON"), "{error}");
    }

    proptest! {
        #[test]
        fn the_length_is_never_taken_for_less(
            text in ".{0,9}", number in any::<f64>().prop_filter("finite", |n| n.is_finite()),
        ) {
            let metadata = Metadata(BTreeMap::from([
                (text.clone(), MetadataValue::Number(number)),
                (format!("{text}s"), MetadataValue::Strings(vec![text.clone(), text.clone()])),
                (format!("{text}t"), MetadataValue::String(text)),
            ]));
            prop_assert!(metadata.to_json().len() <= metadata.json_bytes_at_most());
        }

        #[test]
        fn any_number_survives(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            let metadata = Metadata(BTreeMap::from([("n".into(), MetadataValue::Number(number))]));
            prop_assert_eq!(Metadata::from_json(&metadata.to_json()).unwrap(), metadata);
        }

        #[test]
        fn no_text_panics(text in ".{0,64}") {
            let _ = Metadata::from_json(&text);
        }
    }
}
