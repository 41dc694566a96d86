//! `google.protobuf.Struct`, the form of metadata and filters over gRPC, to and
//! from `core`'s words. It is JSON in another dress, but that its numbers may
//! be infinite or none at all, which JSON cannot say and so nobody may store.

use std::collections::BTreeMap;
use std::fmt;

use crossbill_core::{Filter, FilterError, Metadata, MetadataError, MetadataValue, RequestLimits};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads and checks metadata, of so many bytes as JSON at most.
pub fn metadata(fields: Struct, bytes_max: usize) -> Result<Metadata, MetadataError> {
    Metadata::from_fields(fields.fields, bytes_max, metadata_value)
}

fn metadata_value(field: &str, value: Value) -> Result<MetadataValue, MetadataError> {
    match value.kind {
        Some(Kind::StringValue(text)) => Ok(MetadataValue::String(text)),
        Some(Kind::NumberValue(number)) => Ok(MetadataValue::Number(number)),
        Some(Kind::BoolValue(truth)) => Ok(MetadataValue::Bool(truth)),
        Some(Kind::ListValue(list)) if list.values.iter().all(is_string) => {
            Ok(MetadataValue::Strings(list.values.into_iter().filter_map(string).collect()))
        }
        kind => Err(MetadataError::of_value(field.to_owned(), &json(Value { kind }))),
    }
}

fn is_string(value: &Value) -> bool {
    matches!(value.kind, Some(Kind::StringValue(_)))
}

fn string(value: Value) -> Option<String> {
    match value.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// Reads and checks a filter.
pub fn filter(fields: Struct, limits: &RequestLimits) -> Result<Filter, FilterError> {
    Filter::from_value_within(&object(fields), limits)
}

fn object(fields: Struct) -> serde_json::Value {
    fields.fields.into_iter().map(|(field, value)| (field, json(value))).collect()
}

fn json(value: Value) -> serde_json::Value {
    match value.kind {
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::BoolValue(truth)) => truth.into(),
        // Whole numbers without a point, as a client would write them.
        Some(Kind::NumberValue(number)) => {
            serde_json::to_value(MetadataValue::Number(number)).unwrap_or_default()
        }
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(fields)) => object(fields),
        Some(Kind::NullValue(_)) | None => serde_json::Value::Null,
    }
}

/// Stored metadata as it goes out, read from its text straight into the
/// message.
pub fn struct_of_json(json: &str) -> serde_json::Result<Struct> {
    serde_json::from_str(json).map(|Fields(fields)| Struct { fields })
}

/// The fields of an object.
struct Fields(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Fields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((field, Any(kind))) = entries.next_entry()? {
                    fields.insert(field, Value { kind: Some(kind) });
                }
                Ok(Fields(fields))
            }
        }
        input.deserialize_map(Entries)
    }
}

/// Any value that metadata may have.
struct Any(Kind);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Kinds;
        impl<'de> Visitor<'de> for Kinds {
            type Value = Any;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, number, boolean or list")
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Any, E> {
                Ok(Any(Kind::BoolValue(truth)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Any, E> {
                Ok(Any(Kind::NumberValue(number as f64)))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Any, E> {
                Ok(Any(Kind::NumberValue(number as f64)))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Any, E> {
                Ok(Any(Kind::NumberValue(number)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Any, E> {
                Ok(Any(Kind::StringValue(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Any, E> {
                Ok(Any(Kind::StringValue(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Any, A::Error> {
                let mut values = Vec::new();
                while let Some(Any(kind)) = items.next_element()? {
                    values.push(Value { kind: Some(kind) });
                }
                Ok(Any(Kind::ListValue(ListValue { values })))
            }
        }
        input.deserialize_any(Kinds)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use crossbill_core::limits::METADATA_BYTES_MAX;

    use super::*;

    fn value(kind: Kind) -> Value {
        Value { kind: Some(kind) }
    }

    fn one(field: &str, kind: Kind) -> Struct {
        Struct { fields: BTreeMap::from([(field.to_owned(), value(kind))]) }
    }

    /// What the JSON twin of a message would carry.
    fn text(fields: &Struct) -> String {
        object(fields.clone()).to_string()
    }

    #[test]
    fn what_is_not_allowed_is_refused_as_in_json() {
        let list = ListValue { values: vec![value(Kind::NumberValue(1.0))] };
        for kind in [
            Kind::NullValue(0),
            Kind::ListValue(list),
            Kind::StructValue(one("b", Kind::BoolValue(true))),
        ] {
            let fields = one("a", kind);
            let expected = Metadata::from_json(&text(&fields)).unwrap_err();
            assert_eq!(metadata(fields, METADATA_BYTES_MAX), Err(expected));
        }
        let unset = Struct { fields: BTreeMap::from([("a".to_owned(), Value { kind: None })]) };
        assert!(
            metadata(unset, METADATA_BYTES_MAX).unwrap_err().to_string().contains("\"a\" is null")
        );
        let endless = one("a", Kind::NumberValue(f64::INFINITY));
        assert!(
            metadata(endless, METADATA_BYTES_MAX).unwrap_err().to_string().contains("not finite")
        );
    }

    fn plain() -> impl Strategy<Value = Kind> {
        let number = any::<f64>().prop_filter("finite", |number| number.is_finite());
        prop_oneof![
            ".{0,6}".prop_map(Kind::StringValue),
            number.prop_map(Kind::NumberValue),
            (-1000_i32..1000).prop_map(|number| Kind::NumberValue(number.into())),
            any::<bool>().prop_map(Kind::BoolValue),
        ]
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        let leaf = prop_oneof![9 => plain(), 1 => Just(Kind::NullValue(0))];
        leaf.prop_recursive(3, 12, 4, |inner| {
            let keys = "(\\$(eq|ne|gt|in|and|or|exists)|[a-z]{0,3})";
            prop_oneof![
                vec(inner.clone().prop_map(value), 0..4)
                    .prop_map(|values| Kind::ListValue(ListValue { values })),
                btree_map(keys, inner.prop_map(value), 0..4)
                    .prop_map(|fields| Kind::StructValue(Struct { fields })),
            ]
        })
    }

    fn structs() -> impl Strategy<Value = Struct> {
        let keys = "(\\$(and|or|eq)|[a-z]{0,3})";
        btree_map(keys, any_kind().prop_map(value), 0..5).prop_map(|fields| Struct { fields })
    }

    proptest! {
        #[test]
        fn metadata_goes_in_and_out_unchanged(
            fields in btree_map("[a-z]{1,4}", plain().prop_map(value), 0..5),
            list in vec(".{0,4}", 0..4),
        ) {
            let mut fields = fields;
            let values = list.into_iter().map(|text| value(Kind::StringValue(text))).collect();
            fields.insert("zz".to_owned(), value(Kind::ListValue(ListValue { values })));
            let sent = Struct { fields };
            let stored = metadata(sent.clone(), METADATA_BYTES_MAX).unwrap().to_json();
            prop_assert_eq!(struct_of_json(&stored).unwrap(), sent);
        }

        #[test]
        fn metadata_and_filters_mean_what_their_json_means(fields in structs()) {
            let json = text(&fields);
            let read = metadata(fields.clone(), METADATA_BYTES_MAX);
            prop_assert_eq!(read, Metadata::from_json(&json));
            prop_assert_eq!(filter(fields, &RequestLimits::default()), Filter::from_json(&json));
        }

        #[test]
        fn no_text_panics(text in r#"[\{\}\[\]":a-z0-9, .-]{0,40}"#) {
            let _ = struct_of_json(&text);
        }
    }
}
