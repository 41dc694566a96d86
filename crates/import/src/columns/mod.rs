//! The import schema: which columns of a file are read, whether their types
//! fit, and what to say where they do not. It knows no file format: what a
//! file has comes as names and Arrow types.

mod proposal;
mod types;

use arrow_schema::DataType;
use crossbill_core::{IndexShape, REJECT_FIELD, VectorType};

pub(crate) use types::item;

use crate::failure::FileFailure;
use crate::mapping::{ColumnMapping, MetadataMapping};
use crate::plan::layout::quoted;
use crate::reject::codes;
use proposal::{Missing, missing_columns};
use types::{is_dense, is_id, is_metadata, is_sparse, is_value, type_name};

/// The column of ids.
pub(crate) const ID: &str = "id";
/// The column of dense vectors.
pub(crate) const VALUES: &str = "values";
/// The column of sparse vectors.
pub(crate) const SPARSE: &str = "sparse_values";
/// The column of metadata.
pub(crate) const METADATA: &str = "metadata";

const ID_TYPE: &str = "string (or integer)";
const VALUES_TYPE: &str = "list of float";
const SPARSE_TYPE: &str = "struct of indices (list of uint32) and values (list of float)";
const METADATA_TYPE: &str = "string of JSON, a flat struct or a map";
const FIELD_TYPE: &str = "string, number, boolean or list of string";

/// A top-level column of a file.
#[derive(Debug, Clone)]
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    /// Its type, or why it has none that can be read.
    pub(crate) kind: Result<DataType, String>,
}

impl FoundColumn {
    /// Its type as people call it.
    pub(crate) fn type_name(&self) -> String {
        match &self.kind {
            Ok(kind) => type_name(kind),
            Err(reason) => format!("of a type that cannot be read ({reason})"),
        }
    }
}

/// A column that is read, by its place among the file's top-level columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) root: usize,
    pub(crate) name: String,
}

/// Where a file's metadata comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetadataSource {
    /// There is none.
    Absent,
    /// One column of JSON text, a struct or a map.
    Column(Column),
    /// Plain columns, each a field.
    Fields(Vec<Column>),
    /// Whatever is not read as something else; of formats whose rows need not
    /// have the same columns.
    Others,
}

/// The columns of a file that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    /// None where ids are made of the rows' numbers.
    pub(crate) id: Option<Column>,
    pub(crate) values: Option<Column>,
    pub(crate) sparse: Option<Column>,
    pub(crate) metadata: MetadataSource,
    /// Names of the others.
    pub(crate) ignored: Vec<String>,
}

/// What messages call the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnNames {
    id: String,
    values: String,
    sparse: String,
    metadata: String,
}

impl ColumnNames {
    /// As the schema has them.
    pub(crate) fn usual() -> Self {
        Self {
            id: ID.to_owned(),
            values: VALUES.to_owned(),
            sparse: SPARSE.to_owned(),
            metadata: METADATA.to_owned(),
        }
    }

    /// The file's own name of a part of the schema.
    pub(crate) fn of<'a>(&'a self, part: &'a str) -> &'a str {
        match part {
            ID => &self.id,
            VALUES => &self.values,
            SPARSE => &self.sparse,
            METADATA => &self.metadata,
            other => other,
        }
    }
}

impl Columns {
    /// Finds and checks the columns that an index of `shape` takes.
    pub(crate) fn resolve(
        found: &[FoundColumn],
        shape: &IndexShape,
        mapping: &ColumnMapping,
    ) -> Result<Self, FileFailure> {
        let columns = Self::find(found, shape, mapping)?;
        if let Some(id) = &columns.id {
            check(found, id, ID_TYPE, is_id)?;
        }
        if let Some(values) = &columns.values {
            check(found, values, VALUES_TYPE, is_dense)?;
        }
        if let Some(sparse) = &columns.sparse {
            check(found, sparse, SPARSE_TYPE, is_sparse)?;
        }
        match &columns.metadata {
            MetadataSource::Absent | MetadataSource::Others => {}
            MetadataSource::Column(column) => check(found, column, METADATA_TYPE, is_metadata)?,
            MetadataSource::Fields(fields) => {
                fields.iter().try_for_each(|field| check(found, field, FIELD_TYPE, is_value))?;
            }
        }
        Ok(columns)
    }

    /// As [`Columns::resolve`], whatever the types.
    pub(crate) fn find(
        found: &[FoundColumn],
        shape: &IndexShape,
        mapping: &ColumnMapping,
    ) -> Result<Self, FileFailure> {
        let dense = shape.vector_type == VectorType::Dense;
        let makes_ids = mapping.id_prefix.is_some();
        let only_named = mapping.is_of_documents();
        let named = |part: &'static str, mapped: &Option<String>| match mapped.as_deref() {
            None if only_named => Ok(None),
            mapped => find(found, mapped.unwrap_or(part)),
        };
        let id = if makes_ids { None } else { named(ID, &mapping.id)? };
        let values = if dense { named(VALUES, &mapping.values)? } else { None };
        let sparse = named(SPARSE, &mapping.sparse_values)?;
        let mut missing = Missing {
            id: id.is_none() && !makes_ids,
            values: dense && values.is_none(),
            sparse: sparse.is_none()
                && (!dense || mapping.sparse_values.is_some())
                && !shape.documents,
            named: Vec::new(),
            is_mapped: !mapping.is_default(),
        };
        for (is_missing, part, kind, mapped) in [
            (missing.id, ID, "string", &mapping.id),
            (missing.values, VALUES, VALUES_TYPE, &mapping.values),
            (missing.sparse, SPARSE, "struct of indices and values", &mapping.sparse_values),
        ] {
            match mapped {
                _ if !is_missing => {}
                Some(name) => {
                    missing.named.push(format!("{} ({kind}, mapped to {part:?})", quoted(name)));
                }
                None => missing.named.push(format!("{part:?} ({kind})")),
            }
        }
        let taken: Vec<usize> =
            [&id, &values, &sparse].into_iter().flatten().map(|column| column.root).collect();
        let metadata = find_metadata(found, mapping, &taken, &mut missing)?;
        if !missing.named.is_empty() {
            return Err(missing_columns(found, &missing));
        }
        let mut columns = Self { id, values, sparse, metadata, ignored: Vec::new() };
        let read: Vec<usize> = columns.roots().collect();
        let others = found.iter().enumerate().filter(|(root, _)| !read.contains(root));
        columns.ignored = others.map(|(_, column)| column.name.clone()).collect();
        Ok(columns)
    }

    /// The columns that would be read if a file had them all: for formats
    /// whose rows need not have the same.
    pub(crate) fn wanted(shape: &IndexShape, mapping: &ColumnMapping) -> Self {
        let column = |name: &str| Column { root: 0, name: name.to_owned() };
        let only_named = mapping.is_of_documents();
        let named = |part: &str, mapped: &Option<String>| match mapped.as_deref() {
            None if only_named => None,
            mapped => Some(column(mapped.unwrap_or(part))),
        };
        let dense = shape.vector_type == VectorType::Dense;
        Self {
            id: mapping.id_prefix.is_none().then(|| named(ID, &mapping.id)).flatten(),
            values: dense.then(|| named(VALUES, &mapping.values)).flatten(),
            sparse: named(SPARSE, &mapping.sparse_values),
            metadata: match &mapping.metadata {
                None => MetadataSource::Column(column(METADATA)),
                Some(MetadataMapping::Column(name)) => MetadataSource::Column(column(name)),
                Some(MetadataMapping::Fields(names)) => {
                    MetadataSource::Fields(names.iter().map(|name| column(name)).collect())
                }
                Some(MetadataMapping::Others { .. }) => MetadataSource::Others,
            },
            ignored: Vec::new(),
        }
    }

    /// The places of all columns read.
    pub(crate) fn roots(&self) -> impl Iterator<Item = usize> {
        let metadata = match &self.metadata {
            MetadataSource::Absent | MetadataSource::Others => &[][..],
            MetadataSource::Column(column) => std::slice::from_ref(column),
            MetadataSource::Fields(fields) => fields,
        };
        let vectors = [&self.id, &self.values, &self.sparse].into_iter().flatten();
        vectors.chain(metadata).map(|column| column.root)
    }

    /// What messages call them.
    pub(crate) fn names(&self) -> ColumnNames {
        let name = |column: &Option<Column>, usual: &str| {
            column.as_ref().map_or_else(|| usual.to_owned(), |column| column.name.clone())
        };
        ColumnNames {
            id: name(&self.id, ID),
            values: name(&self.values, VALUES),
            sparse: name(&self.sparse, SPARSE),
            metadata: match &self.metadata {
                MetadataSource::Column(column) => column.name.clone(),
                MetadataSource::Absent | MetadataSource::Fields(_) | MetadataSource::Others => {
                    METADATA.to_owned()
                }
            },
        }
    }
}

fn find(found: &[FoundColumn], name: &str) -> Result<Option<Column>, FileFailure> {
    let mut same = found.iter().enumerate().filter(|(_, column)| column.name == name);
    let first = same.next().map(|(root, _)| Column { root, name: name.to_owned() });
    if same.next().is_some() {
        let reason = format!("it has the column {} twice, expected it once", quoted(name));
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    }
    Ok(first)
}

fn find_metadata(
    found: &[FoundColumn],
    mapping: &ColumnMapping,
    taken: &[usize],
    missing: &mut Missing,
) -> Result<MetadataSource, FileFailure> {
    let mut wanted = |name: &str| -> Result<Option<Column>, FileFailure> {
        let column = find(found, name)?;
        if column.is_none() {
            missing.named.push(format!("{} (mapped to {METADATA:?})", quoted(name)));
        }
        Ok(column)
    };
    Ok(match &mapping.metadata {
        None => find(found, METADATA)?.map_or(MetadataSource::Absent, MetadataSource::Column),
        Some(MetadataMapping::Column(name)) => {
            wanted(name)?.map_or(MetadataSource::Absent, MetadataSource::Column)
        }
        Some(MetadataMapping::Fields(names)) => {
            let fields: Result<Vec<_>, _> = names.iter().map(|name| wanted(name)).collect();
            MetadataSource::Fields(fields?.into_iter().flatten().collect())
        }
        Some(MetadataMapping::Others { .. }) => {
            let others = found
                .iter()
                .enumerate()
                .filter(|(root, column)| !taken.contains(root) && column.name != REJECT_FIELD);
            let others = others.map(|(_, column)| find(found, &column.name));
            let fields: Result<Vec<_>, _> = others.collect();
            MetadataSource::Fields(fields?.into_iter().flatten().collect())
        }
    })
}

fn check(
    found: &[FoundColumn],
    column: &Column,
    expected: &str,
    fits: fn(&DataType) -> bool,
) -> Result<(), FileFailure> {
    let kind = match &found[column.root].kind {
        Ok(kind) if fits(kind) => return Ok(()),
        _ => found[column.root].type_name(),
    };
    let reason = format!("column {} is {kind}, expected {expected}", quoted(&column.name));
    Err(FileFailure::bad(codes::FILE_SCHEMA, reason))
}
