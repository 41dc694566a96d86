//! The import schema: which columns of a file are read, whether their types
//! fit, and what to say where they do not.

use arrow_schema::{DataType, Field, FieldRef, Fields};
use crossbill_core::{IndexShape, VectorType};
use parquet::arrow::{
    FieldLevels, ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema,
    parquet_to_arrow_schema_by_columns,
};
use parquet::schema::types::SchemaDescriptor;

use crate::failure::FileFailure;
use crate::reject::codes;

/// The column of ids.
pub(crate) const ID: &str = "id";
/// The column of dense vectors.
pub(crate) const VALUES: &str = "values";
/// The column of sparse vectors.
pub(crate) const SPARSE: &str = "sparse_values";
/// The column of metadata.
pub(crate) const METADATA: &str = "metadata";

/// Names that other tools give to ids, likeliest first.
const ID_NAMES: [&str; 10] =
    ["_id", "doc_id", "document_id", "docid", "vector_id", "chunk_id", "uuid", "key", "pk", "name"];
/// Names that other tools give to vectors, likeliest first.
const VALUES_NAMES: [&str; 10] = [
    "embedding",
    "embeddings",
    "emb",
    "vector",
    "vectors",
    "dense_vector",
    "dense",
    "features",
    "value",
    "data",
];
/// Columns proposed as metadata at most.
const PROPOSED_METADATA_MAX: usize = 8;

/// The columns of a file that are read, by their place among its top-level
/// columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) id: usize,
    pub(crate) values: Option<usize>,
    pub(crate) sparse: Option<usize>,
    pub(crate) metadata: Option<usize>,
    /// Names of the others.
    pub(crate) ignored: Vec<String>,
}

impl Columns {
    /// Finds and checks the columns that an index of `shape` takes.
    pub(crate) fn resolve(
        schema: &SchemaDescriptor,
        shape: &IndexShape,
    ) -> Result<Self, FileFailure> {
        let roots = schema.root_schema().get_fields();
        let names: Vec<&str> = roots.iter().map(|root| root.name()).collect();
        let dense = shape.vector_type == VectorType::Dense;
        let id = find(&names, ID)?;
        let values = if dense { find(&names, VALUES)? } else { None };
        let sparse = find(&names, SPARSE)?;
        let metadata = find(&names, METADATA)?;
        let missing: Vec<&str> = [
            id.is_none().then_some("\"id\" (string)"),
            (dense && values.is_none()).then_some("\"values\" (list of float)"),
            (!dense && sparse.is_none())
                .then_some("\"sparse_values\" (struct of indices and values)"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let (Some(id), true) = (id, missing.is_empty()) else {
            return Err(missing_columns(schema, &missing, id.is_none(), dense && values.is_none()));
        };
        check(schema, id, ID, "string (or integer)", is_id)?;
        if let Some(root) = values {
            check(schema, root, VALUES, "list of float", is_dense)?;
        }
        if let Some(root) = sparse {
            let expected = "struct of indices (list of uint32) and values (list of float)";
            check(schema, root, SPARSE, expected, is_sparse)?;
        }
        if let Some(root) = metadata {
            check(schema, root, METADATA, "string of JSON, a flat struct or a map", is_metadata)?;
        }
        let read = [Some(id), values, sparse, metadata];
        let ignored = names
            .iter()
            .enumerate()
            .filter(|(root, _)| !read.contains(&Some(*root)))
            .map(|(_, name)| (*name).to_owned())
            .collect();
        Ok(Self { id, values, sparse, metadata, ignored })
    }

    /// The places of all columns read.
    pub(crate) fn roots(&self) -> impl Iterator<Item = usize> {
        [Some(self.id), self.values, self.sparse, self.metadata].into_iter().flatten()
    }

    /// How the decoder is to read them: strings as views, so that a value
    /// that a dictionary holds once takes memory once.
    pub(crate) fn levels(&self, schema: &SchemaDescriptor) -> parquet::errors::Result<FieldLevels> {
        let mask = ProjectionMask::roots(schema, self.roots());
        // A column that is not read may be of a type Arrow has no name for;
        // then there are no hints, and strings are read plainly.
        let hints = parquet_to_arrow_schema(schema, None)
            .ok()
            .map(|schema| schema.fields().iter().map(viewed).collect::<Fields>());
        parquet_to_arrow_field_levels(schema, mask, hints.as_ref())
    }
}

fn viewed(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        _ => return FieldRef::clone(field),
    };
    FieldRef::new(field.as_ref().clone().with_data_type(kind))
}

fn find(names: &[&str], name: &str) -> Result<Option<usize>, FileFailure> {
    let mut found = names.iter().enumerate().filter(|(_, found)| **found == name);
    let first = found.next().map(|(root, _)| root);
    if found.next().is_some() {
        let reason = format!("it has the column {name:?} twice, expected it once");
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    }
    Ok(first)
}

fn field_of(schema: &SchemaDescriptor, root: usize) -> Result<FieldRef, String> {
    let mask = ProjectionMask::roots(schema, [root]);
    let schema = parquet_to_arrow_schema_by_columns(schema, mask, None)
        .map_err(|error| error.to_string())?;
    schema.fields().first().cloned().ok_or_else(|| "it has no values".to_owned())
}

fn check(
    schema: &SchemaDescriptor,
    root: usize,
    name: &str,
    expected: &str,
    fits: fn(&DataType) -> bool,
) -> Result<(), FileFailure> {
    let found = match field_of(schema, root) {
        Ok(field) if fits(field.data_type()) => return Ok(()),
        Ok(field) => type_name(field.data_type()),
        Err(reason) => format!("of a type that cannot be read ({reason})"),
    };
    let reason = format!("column {name:?} is {found}, expected {expected}");
    Err(FileFailure::bad(codes::FILE_SCHEMA, reason))
}

fn is_string(kind: &DataType) -> bool {
    use DataType::{Binary, BinaryView, LargeBinary, LargeUtf8, Utf8, Utf8View};
    matches!(kind, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView)
}

fn is_id(kind: &DataType) -> bool {
    is_string(kind) || kind.is_integer()
}

fn is_float(kind: &DataType) -> bool {
    matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64)
}

/// The item type of any list type.
pub(crate) fn item(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}

fn is_dense(kind: &DataType) -> bool {
    item(kind).is_some_and(is_float)
}

fn is_sparse(kind: &DataType) -> bool {
    let DataType::Struct(fields) = kind else { return false };
    let of = |name: &str| {
        fields.iter().find(|field| field.name() == name).and_then(|field| item(field.data_type()))
    };
    of("indices").is_some_and(DataType::is_integer) && of("values").is_some_and(is_float)
}

/// Whether a metadata value may come from this type.
fn is_value(kind: &DataType) -> bool {
    match kind {
        DataType::Boolean | DataType::Null => true,
        kind if is_string(kind) || kind.is_integer() || is_float(kind) => true,
        kind => item(kind).is_some_and(is_string),
    }
}

fn is_metadata(kind: &DataType) -> bool {
    match kind {
        // A column that is null in every row may have no type.
        DataType::Null => true,
        DataType::Struct(fields) => fields.iter().all(|field| is_value(field.data_type())),
        DataType::Map(entries, _) => map_entry(entries)
            .is_some_and(|(key, value)| is_string(key.data_type()) && is_value(value.data_type())),
        kind => is_string(kind),
    }
}

/// Key and value of a map's entries.
pub(crate) fn map_entry(entries: &Field) -> Option<(&Field, &Field)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Some((&fields[0], &fields[1])),
        _ => None,
    }
}

/// A type as people call it.
fn type_name(kind: &DataType) -> String {
    if let Some(item) = item(kind) {
        return format!("a list of {}", type_name(item));
    }
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Float16 => "float16".to_owned(),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())))
                .collect();
            format!("a struct {{{}}}", fields.join(", "))
        }
        DataType::Map(entries, _) => match map_entry(entries) {
            Some((key, value)) => {
                format!(
                    "a map of {} to {}",
                    type_name(key.data_type()),
                    type_name(value.data_type())
                )
            }
            None => "a map".to_owned(),
        },
        other => other.to_string().to_lowercase(),
    }
}

/// Says what is missing, what there is, and which mapping would fit.
fn missing_columns(
    schema: &SchemaDescriptor,
    missing: &[&str],
    id: bool,
    values: bool,
) -> FileFailure {
    let fields: Vec<(String, Option<DataType>)> = schema
        .root_schema()
        .get_fields()
        .iter()
        .enumerate()
        .map(|(root, column)| {
            let kind = field_of(schema, root).ok().map(|field| field.data_type().clone());
            (column.name().to_owned(), kind)
        })
        .collect();
    let found: Vec<String> = fields
        .iter()
        .map(|(name, kind)| match kind {
            Some(kind) => format!("{name:?} ({})", type_name(kind)),
            None => format!("{name:?}"),
        })
        .collect();
    let plural = if missing.len() == 1 { "column" } else { "columns" };
    let mut reason = format!(
        "it lacks the {plural} {}; it has {}",
        missing.join(" and "),
        if found.is_empty() { "no columns".to_owned() } else { found.join(", ") }
    );
    if let Some(mapping) = proposal(&fields, id, values) {
        reason.push_str(&format!("; rename columns so that {mapping}"));
    }
    FileFailure::bad(codes::FILE_SCHEMA, reason)
}

fn proposal(fields: &[(String, Option<DataType>)], id: bool, values: bool) -> Option<String> {
    let guess = |names: &[&str], fits: fn(&DataType) -> bool| {
        let fitting: Vec<&String> = fields
            .iter()
            .filter(|(_, kind)| kind.as_ref().is_some_and(fits))
            .map(|(name, _)| name)
            .collect();
        names
            .iter()
            .find_map(|name| fitting.iter().find(|found| found.eq_ignore_ascii_case(name)))
            .or_else(|| fitting.iter().find(|found| found.eq_ignore_ascii_case(ID)))
            .or(fitting.first())
            .map(|name| name.as_str())
    };
    let mut taken = vec![ID, VALUES, SPARSE, METADATA];
    let mut parts = Vec::new();
    for (wanted, target, names, fits) in [
        (id, ID, &ID_NAMES, is_id as fn(&DataType) -> bool),
        (values, VALUES, &VALUES_NAMES, is_dense),
    ] {
        if wanted {
            let name = guess(names, fits)?;
            parts.push(format!("{target} = {name:?}"));
            taken.push(name);
        }
    }
    let metadata: Vec<String> = fields
        .iter()
        .filter(|(name, kind)| {
            !taken.contains(&name.as_str()) && kind.as_ref().is_some_and(is_value)
        })
        .take(PROPOSED_METADATA_MAX)
        .map(|(name, _)| format!("{name:?}"))
        .collect();
    let has_metadata = fields.iter().any(|(name, _)| name == METADATA);
    if !metadata.is_empty() && !has_metadata {
        parts.push(format!("metadata = a JSON object of {}", metadata.join(", ")));
    }
    Some(parts.join(", "))
}
