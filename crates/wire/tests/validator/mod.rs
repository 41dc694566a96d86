//! Whether a value is what a JSON Schema says, for the words that our schemas
//! use; any other word is a panic. Written here because the crates that do it
//! change the features of half of the tree, which would then be compiled twice.
//! schemathesis, which has a validator of its own, checks the same document.

use serde_json::Value;

/// Words that tell and do not check.
const TOLD: [&str; 10] = [
    "$schema",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "components",
    "headers",
    "links",
    "$defs",
];

/// A schema with the document that its references point into.
#[derive(Clone, Copy)]
pub(crate) struct Validator<'a> {
    root: &'a Value,
}

impl<'a> Validator<'a> {
    /// References are looked up in `root`.
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// The first thing that is wrong with `value`, and where.
    pub(crate) fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let words = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err("nothing is allowed".to_owned()),
            schema => schema.as_object().expect("a schema is an object or a boolean"),
        };
        words.iter().try_for_each(|(word, wanted)| {
            self.word(schema, word, wanted, value).map_err(|inner| match inner.contains(": ") {
                true => inner,
                false => format!("{word} {wanted}: {inner}"),
            })
        })
    }

    fn word(
        &self,
        schema: &Value,
        word: &str,
        wanted: &Value,
        value: &Value,
    ) -> Result<(), String> {
        let number = || wanted.as_f64().expect("a bound is a number");
        let most = |found: usize| found as f64 <= number();
        let least = |found: usize| found as f64 >= number();
        let text = value.as_str();
        let fits = match word {
            word if TOLD.contains(&word) => true,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                let target = self.root.pointer(pointer).expect("a reference has a target");
                return self.check(target, value);
            }
            "type" => match wanted {
                Value::Array(all) => all.iter().any(|kind| is(value, kind)),
                kind => is(value, kind),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "const" => wanted == value,
            "minimum" => value.as_f64().is_none_or(|found| found >= number()),
            "maximum" => value.as_f64().is_none_or(|found| found <= number()),
            "minLength" => text.is_none_or(|text| least(text.chars().count())),
            "maxLength" => text.is_none_or(|text| most(text.chars().count())),
            "pattern" => text.is_none_or(|text| matches(wanted.as_str().unwrap(), text)),
            "minItems" => value.as_array().is_none_or(|items| least(items.len())),
            "maxItems" => value.as_array().is_none_or(|items| most(items.len())),
            "minProperties" => value.as_object().is_none_or(|fields| least(fields.len())),
            "maxProperties" => value.as_object().is_none_or(|fields| most(fields.len())),
            "uniqueItems" => value.as_array().is_none_or(|items| {
                (1..items.len()).all(|end| !items[..end].contains(&items[end]))
            }),
            "anyOf" => wanted.as_array().unwrap().iter().any(|one| self.check(one, value).is_ok()),
            "oneOf" => {
                let all = wanted.as_array().unwrap().iter();
                all.filter(|one| self.check(one, value).is_ok()).count() == 1
            }
            "allOf" => {
                return wanted
                    .as_array()
                    .unwrap()
                    .iter()
                    .try_for_each(|one| self.check(one, value));
            }
            "not" => self.check(wanted, value).is_err(),
            "items" => {
                let mut items = value.as_array().into_iter().flatten().enumerate();
                return items.try_for_each(|(at, item)| {
                    self.check(wanted, item).map_err(|inner| format!("{at}: {inner}"))
                });
            }
            "required" => {
                let names = wanted.as_array().unwrap().iter().filter_map(Value::as_str);
                value.as_object().is_none_or(|fields| names.clone().all(|n| fields.contains_key(n)))
            }
            "propertyNames" => {
                let names = value.as_object().into_iter().flatten().map(|(name, _)| name);
                names.clone().all(|name| self.check(wanted, &Value::String(name.clone())).is_ok())
            }
            "properties" | "patternProperties" | "additionalProperties" => {
                let mut fields = value.as_object().into_iter().flatten();
                return fields.try_for_each(|(name, field)| {
                    let within = self.of_field(schema, word, wanted, name);
                    within.into_iter().try_for_each(|schema| {
                        self.check(schema, field).map_err(|inner| format!("{name}: {inner}"))
                    })
                });
            }
            other => panic!("the word {other:?} of a schema is not known"),
        };
        if fits { Ok(()) } else { Err(value.to_string()) }
    }

    /// The schemas that a word has for the field `name`.
    fn of_field<'s>(
        &self,
        schema: &'s Value,
        word: &str,
        wanted: &'s Value,
        name: &str,
    ) -> Vec<&'s Value> {
        let patterns = |wanted: &'s Value| {
            let all = wanted.as_object().into_iter().flatten();
            all.filter(|(pattern, _)| matches(pattern, name)).map(|(_, schema)| schema)
        };
        match word {
            "properties" => wanted.get(name).into_iter().collect(),
            "patternProperties" => patterns(wanted).collect(),
            _ => {
                let named =
                    schema.pointer("/properties").is_some_and(|all| all.get(name).is_some());
                let fits = schema.get("patternProperties").into_iter().flat_map(patterns).count();
                if named || fits > 0 { Vec::new() } else { vec![wanted] }
            }
        }
    }
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("the type {other:?} is not known"),
    }
}

/// The few patterns that our schemas have.
fn matches(pattern: &str, text: &str) -> bool {
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let lower = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    match pattern {
        "^[ -~]*$" => bytes.iter().all(|byte| (b' '..=b'~').contains(byte)),
        "^[\\x01-\\x7F]*$" => bytes.iter().all(|byte| (1..=0x7F).contains(byte)),
        "^[A-Za-z0-9_-]{1,80}$" => (1..=80).contains(&bytes.len()) && bytes.iter().all(name),
        "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" => {
            bytes.first().is_some_and(lower)
                && bytes.last().is_some_and(lower)
                && bytes.iter().all(|byte| lower(byte) || *byte == b'-')
        }
        "^[^$]" => bytes.first().is_some_and(|byte| *byte != b'$'),
        "^[^_]" => bytes.first().is_some_and(|byte| *byte != b'_'),
        "^$" => text.is_empty(),
        other => panic!("the pattern {other:?} is not known"),
    }
}
