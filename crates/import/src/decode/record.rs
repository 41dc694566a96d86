//! One line of JSON as the parts of a record: found by name, then read each
//! by its type. Nothing is built for what is not wanted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crossbill_core::REJECT_FIELD;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::columns::{Columns, ID, MetadataSource, SPARSE, VALUES};
use crate::reject::codes;

/// Why a line is no record, whatever its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    /// The part of the schema, where it is one part's fault.
    pub(crate) part: Option<&'static str>,
    pub(crate) text: String,
}

impl Fault {
    /// A line of more than `bytes_max` bytes.
    pub(super) fn too_long(bytes_max: usize) -> Self {
        let text = format!("the line has more than {bytes_max} bytes, expected at most as many");
        Self { code: codes::LINE_LENGTH, part: None, text }
    }

    fn of_line(text: String) -> Self {
        Self { code: codes::JSON, part: None, text }
    }

    fn of_type(part: &'static str, text: String) -> Self {
        Self { code: codes::TYPE, part: Some(part), text }
    }
}

/// The names that are wanted of an object.
pub(super) struct Wanted {
    /// Distinct names.
    names: Vec<String>,
    id: Option<usize>,
    values: Option<usize>,
    sparse: Option<usize>,
    metadata: Option<usize>,
    fields: Vec<usize>,
    /// Whether all other names are fields, too, but for the reserved one.
    others: bool,
}

impl Wanted {
    pub(super) fn of(columns: &Columns) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut place = |name: &str| {
            names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        };
        let id = columns.id.as_ref().map(|column| place(&column.name));
        let values = columns.values.as_ref().map(|column| place(&column.name));
        let sparse = columns.sparse.as_ref().map(|column| place(&column.name));
        let (mut metadata, mut fields) = (None, Vec::new());
        let others = columns.metadata == MetadataSource::Others;
        match &columns.metadata {
            MetadataSource::Absent | MetadataSource::Others => {}
            MetadataSource::Column(column) => metadata = Some(place(&column.name)),
            MetadataSource::Fields(columns) => {
                fields = columns.iter().map(|column| place(&column.name)).collect();
            }
        }
        Self { names, id, values, sparse, metadata, fields, others }
    }

    /// Whether a field of this name is wanted.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|wanted| wanted == name)
    }

    /// Finds the wanted parts of a line.
    pub(super) fn read<'a>(&'a self, line: &'a [u8]) -> Result<Parts<'a>, Fault> {
        let text = std::str::from_utf8(line).map_err(|error| {
            let at = error.valid_up_to();
            Fault::of_line(format!("the line is not UTF-8 from byte {at} on, expected JSON"))
        })?;
        let trimmed = text.trim_ascii();
        if !trimmed.starts_with('{') {
            let kind = if trimmed.starts_with(['[', '"', 't', 'f', 'n', '-'])
                || trimmed.starts_with(|c: char| c.is_ascii_digit())
            {
                kind_of(trimmed)
            } else {
                "no JSON"
            };
            let text = format!("the line is {kind}, expected a JSON object");
            return Err(Fault::of_line(text));
        }
        let mut reader = serde_json::Deserializer::from_str(trimmed);
        let Found { found, others } = ObjectSeed(self)
            .deserialize(&mut reader)
            .and_then(|parts| reader.end().map(|()| parts))
            .map_err(|error| {
                Fault::of_line(format!("the line is not valid JSON: {}", without_line(&error)))
            })?;
        Ok(Parts { wanted: self, found, others })
    }
}

/// What a line has of what is wanted.
pub(super) struct Parts<'a> {
    wanted: &'a Wanted,
    found: Vec<Option<&'a RawValue>>,
    others: BTreeMap<String, &'a RawValue>,
}

impl<'a> Parts<'a> {
    /// The text of a part; none where it is absent or null.
    fn raw(&self, place: Option<usize>) -> Option<&'a str> {
        self.found[place?].map(RawValue::get).filter(|text| *text != "null")
    }

    pub(super) fn id(&self) -> Result<Option<Cow<'a, str>>, Fault> {
        let Some(text) = self.raw(self.wanted.id) else { return Ok(None) };
        let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if is_integer {
            return Ok(Some(Cow::Borrowed(text)));
        }
        string(text).map(Some).ok_or_else(|| {
            let kind = kind_of(text);
            Fault::of_type(ID, format!("id is {kind}, expected a string or an integer"))
        })
    }

    /// Adds the vector's components to `values`, and the places of null ones
    /// to `nulls`; false where there is no vector.
    pub(super) fn values(
        &self,
        values: &mut Vec<f32>,
        nulls: &mut Vec<usize>,
    ) -> Result<bool, Fault> {
        let Some(text) = self.raw(self.wanted.values) else { return Ok(false) };
        let start = (values.len(), nulls.len());
        floats(text, values, nulls).map(|()| true).map_err(|wrong| {
            values.truncate(start.0);
            nulls.truncate(start.1);
            Fault::of_type(VALUES, wrong.text("vector", "component"))
        })
    }

    /// Indices and values of the sparse vector.
    pub(super) fn sparse(&self) -> Result<Option<SparseParts>, Fault> {
        let Some(text) = self.raw(self.wanted.sparse) else { return Ok(None) };
        let wrong = |text: String| Fault::of_type(SPARSE, text);
        if !text.starts_with('{') {
            let kind = kind_of(text);
            return Err(wrong(format!(
                "sparse vector is {kind}, expected an object of indices and values"
            )));
        }
        let parts: RawSparse<'_> = serde_json::from_str(text)
            .map_err(|error| wrong(format!("sparse vector: {}", without_line(&error))))?;
        let mut found = SparseParts::default();
        if let Some(text) = parts.indices.map(RawValue::get).filter(|text| *text != "null") {
            found.indices = Some(serde_json::from_str(text).map_err(|_| {
                wrong("sparse vector's indices are no list of integers".to_owned())
            })?);
        }
        if let Some(text) = parts.values.map(RawValue::get).filter(|text| *text != "null") {
            let (mut values, mut nulls) = (Vec::new(), Vec::new());
            floats(text, &mut values, &mut nulls)
                .map_err(|error| wrong(error.text("sparse vector's list of values", "value")))?;
            found.values = Some((values, nulls));
        }
        Ok(Some(found))
    }

    /// The text that is metadata, or should be.
    pub(super) fn metadata(&self) -> Option<Cow<'a, str>> {
        if self.wanted.others {
            let others = self.others.iter().map(|(name, raw)| (name.as_str(), raw.get()));
            let object = object(others.filter(|(_, text)| *text != "null"));
            return object.map(Cow::Owned);
        }
        if self.wanted.fields.is_empty() {
            let text = self.raw(self.wanted.metadata)?;
            // JSON within JSON, as the column of a Parquet file has it.
            return Some(string(text).unwrap_or(Cow::Borrowed(text)));
        }
        let fields = self.wanted.fields.iter().filter_map(|place| {
            Some((self.wanted.names[*place].as_str(), self.raw(Some(*place))?))
        });
        Some(Cow::Owned(object(fields).unwrap_or_else(|| "{}".to_owned())))
    }
}

/// An object of these fields, each a name and a JSON text; none of no fields.
fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut object = String::new();
    for (name, text) in fields {
        object.push(if object.is_empty() { '{' } else { ',' });
        object.push_str(&serde_json::Value::from(name).to_string());
        object.push(':');
        object.push_str(text);
    }
    (!object.is_empty()).then(|| object + "}")
}

/// The parts of a sparse vector; none where a part is absent or null.
#[derive(Debug, Default)]
pub(super) struct SparseParts {
    pub(super) indices: Option<Vec<Option<i64>>>,
    /// Values, and the places of null ones.
    pub(super) values: Option<(Vec<f32>, Vec<usize>)>,
}

impl SparseParts {
    pub(super) fn len(&self) -> usize {
        let values = self.values.as_ref().map_or(0, |(values, _)| values.len());
        self.indices.as_ref().map_or(0, Vec::len).max(values)
    }
}

#[derive(serde::Deserialize)]
struct RawSparse<'a> {
    #[serde(borrow, default)]
    indices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    values: Option<&'a RawValue>,
}

/// The kind of a JSON value, by its first character.
fn kind_of(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') | None => "null",
        Some(_) => "a number",
    }
}

/// The text of a JSON string; none of anything else.
fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(text).ok().map(Cow::Owned)
}

/// An error of the JSON reader without its line, which is always 1.
fn without_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at character ")
}

/// Why a text is no list of numbers.
enum NoFloats {
    /// It is of another kind.
    Kind(&'static str),
    /// The item at this place is.
    Item(usize),
}

impl NoFloats {
    fn text(&self, whole: &str, item: &str) -> String {
        match self {
            NoFloats::Kind(kind) => format!("{whole} is {kind}, expected a list of numbers"),
            NoFloats::Item(place) => format!("{item} {place} is no number"),
        }
    }
}

fn floats(text: &str, values: &mut Vec<f32>, nulls: &mut Vec<usize>) -> Result<(), NoFloats> {
    if !text.starts_with('[') {
        return Err(NoFloats::Kind(kind_of(text)));
    }
    let start = values.len();
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = FloatsSeed { values, nulls }.deserialize(&mut reader);
    read.map_err(|_| NoFloats::Item(values.len() - start))
}

struct FloatsSeed<'a> {
    values: &'a mut Vec<f32>,
    nulls: &'a mut Vec<usize>,
}

impl<'de> DeserializeSeed<'de> for FloatsSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FloatsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element::<Option<f64>>()? {
            if item.is_none() {
                self.nulls.push(self.values.len());
            }
            // Out of f32's range becomes infinite, which the rules refuse.
            self.values.push(item.unwrap_or_default() as f32);
        }
        Ok(())
    }
}

/// What an object has of the wanted names, and beside them.
struct Found<'a> {
    found: Vec<Option<&'a RawValue>>,
    others: BTreeMap<String, &'a RawValue>,
}

/// Reads an object for the wanted names.
struct ObjectSeed<'a>(&'a Wanted);

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Found<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let twice =
            |name: &str| A::Error::custom(format_args!("the field {name:?} is there twice"));
        let (mut found, mut others) = (vec![None; self.0.names.len()], BTreeMap::new());
        while let Some(name) = map.next_key_seed(NameSeed(self.0))? {
            match name {
                Name::Wanted(place) => {
                    if found[place].replace(map.next_value()?).is_some() {
                        return Err(twice(&self.0.names[place]));
                    }
                }
                Name::Other(name) => {
                    if others.insert(name.clone(), map.next_value()?).is_some() {
                        return Err(twice(&name));
                    }
                }
                Name::Unwanted => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Found { found, others })
    }
}

/// What a name is.
enum Name {
    /// The one at this place among those wanted.
    Wanted(usize),
    /// Another, where others are wanted.
    Other(String),
    Unwanted,
}

/// Reads a name.
struct NameSeed<'a>(&'a Wanted);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Name;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match self.0.names.iter().position(|wanted| wanted == name) {
            Some(place) => Name::Wanted(place),
            None if self.0.others && name != REJECT_FIELD => Name::Other(name.to_owned()),
            None => Name::Unwanted,
        })
    }
}
