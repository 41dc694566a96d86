//! The components: schemas of what is read and of what is written. A type
//! that differs between the two (a field with a default is always written and
//! need not be sent) has the suffix `Input` where it is read.

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operation::SchemaOf;

const FOLDER: &str = "#/components/schemas/";

/// The two sides while a document is made.
pub(super) struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    /// Answers' schemas that the document has under other names.
    taken: BTreeSet<String>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            requests: settings.clone().for_deserialize().into_generator(),
            answers: settings.for_serialize().into_generator(),
            taken: BTreeSet::new(),
        }
    }

    /// What a request holds; its references are good once
    /// [`Schemas::finish`] has gone over them.
    pub(super) fn request(&mut self, schema: SchemaOf) -> Value {
        tidy(bounded(value(schema(&mut self.requests))))
    }

    /// What an answer holds.
    pub(super) fn answer(&mut self, schema: SchemaOf) -> Value {
        tidy(without_null(value(schema(&mut self.answers))))
    }

    /// The schema that an answer refers to, which will not be a component.
    pub(super) fn take_answer(&mut self, reference: &Value) -> Value {
        let name = reference["$ref"].as_str().and_then(|text| text.strip_prefix(FOLDER));
        let name = name.unwrap_or_default();
        self.taken.insert(name.to_owned());
        tidy(without_null(self.answers.definitions()[name].clone()))
    }

    /// All components; renames what `requests` refer to.
    pub(super) fn finish(self, requests: &mut [&mut Value]) -> Map<String, Value> {
        let Self { requests: mut read, answers: mut written, taken } = self;
        let side = |definitions: Map<String, Value>, change: fn(Value) -> Value| {
            let tidied = |(name, schema)| (name, tidy(change(schema)));
            definitions.into_iter().map(tidied).collect::<Map<String, Value>>()
        };
        let read = side(read.take_definitions(true), bounded);
        let mut written = side(written.take_definitions(true), without_null);
        written.retain(|name, _| !taken.contains(name));
        let renamed = differing(&read, &written);
        requests.iter_mut().for_each(|request| rename(request, &renamed));
        for (name, mut schema) in read {
            rename(&mut schema, &renamed);
            let name = if renamed.contains(&name) { format!("{name}Input") } else { name };
            written.insert(name, schema);
        }
        written
    }
}

fn value(schema: Schema) -> Value {
    schema.to_value()
}

/// Names of both sides that do not mean the same on each, in what they refer
/// to included.
fn differing(read: &Map<String, Value>, written: &Map<String, Value>) -> BTreeSet<String> {
    let both = |name: &&String| written.contains_key(*name);
    let mut found: BTreeSet<String> =
        read.keys().filter(both).filter(|name| read[*name] != written[*name]).cloned().collect();
    loop {
        let more: Vec<String> = read
            .keys()
            .filter(both)
            .filter(|name| !found.contains(*name))
            .filter(|name| refers_to(&read[*name], &found))
            .cloned()
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn refers_to(schema: &Value, names: &BTreeSet<String>) -> bool {
    match schema {
        Value::Object(fields) => fields.iter().any(|(key, value)| match (key.as_str(), value) {
            ("$ref", Value::String(target)) => {
                target.strip_prefix(FOLDER).is_some_and(|name| names.contains(name))
            }
            (_, value) => refers_to(value, names),
        }),
        Value::Array(items) => items.iter().any(|item| refers_to(item, names)),
        _ => false,
    }
}

fn rename(schema: &mut Value, names: &BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), &mut *value) {
                    ("$ref", Value::String(target)) => {
                        let name = target.strip_prefix(FOLDER);
                        if name.is_some_and(|name| names.contains(name)) {
                            target.push_str("Input");
                        }
                    }
                    (_, value) => rename(value, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

/// Answers leave absent fields out and never write `null`.
fn without_null(mut schema: Value) -> Value {
    let Some(fields) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            fields.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(words)) = fields.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
        choices.retain(|choice| choice != &json!({"type": "null"}));
        if let [one] = &mut choices[..] {
            let one = one.take();
            fields.remove("anyOf");
            if let Value::Object(one) = one {
                for (key, value) in one {
                    fields.entry(key).or_insert(value);
                }
            }
        }
    }
    inner(schema, without_null)
}

/// A whole number has the bounds of its type: JSON knows none.
fn bounded(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        let most = match fields.get("format").and_then(Value::as_str) {
            Some("uint32") => Some(u64::from(u32::MAX)),
            Some("uint64" | "uint") => Some(u64::MAX),
            _ => None,
        };
        if let Some(most) = most {
            fields.entry("maximum").or_insert(json!(most));
        }
    }
    inner(schema, bounded)
}

/// Rust's way to link in a comment means nothing here.
fn tidy(mut schema: Value) -> Value {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`");
    }
    inner(schema, tidy)
}

/// `change` of every schema within this one.
fn inner(mut schema: Value, change: fn(Value) -> Value) -> Value {
    let Some(fields) = schema.as_object_mut() else { return schema };
    for (key, value) in fields {
        match (key.as_str(), &mut *value) {
            ("properties" | "patternProperties", Value::Object(named)) => {
                named.values_mut().for_each(|schema| *schema = change(schema.take()));
            }
            ("items" | "additionalProperties" | "propertyNames" | "not", schema) => {
                *schema = change(schema.take());
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(all)) => {
                all.iter_mut().for_each(|schema| *schema = change(schema.take()));
            }
            _ => {}
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_lose_their_nulls() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": ["string", "null"], "default": null},
                "b": {"anyOf": [{"$ref": "x"}, {"type": "null"}], "description": "d"},
                "c": {"enum": ["y", null], "type": ["string", "null"]},
            },
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"$ref": "x", "description": "d"},
                "c": {"enum": ["y"], "type": "string"},
            },
        });
        assert_eq!(without_null(schema), expected);
    }

    #[test]
    fn what_refers_to_a_differing_schema_differs() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let shared = json!({"$ref": "#/components/schemas/A"});
        let read = map(json!({"A": {"x": 1}, "B": shared, "C": {}, "D": {}}));
        let written = map(json!({"A": {"x": 2}, "B": shared, "C": {}}));
        let names = differing(&read, &written);
        assert_eq!(names.iter().collect::<Vec<_>>(), ["A", "B"]);
        let mut request = json!({"items": shared});
        rename(&mut request, &names);
        assert_eq!(request, json!({"items": {"$ref": "#/components/schemas/AInput"}}));
    }
}
