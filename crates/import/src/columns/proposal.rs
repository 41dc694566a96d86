//! What to say of a file that lacks the schema's columns: what it has, and
//! the mapping that would fit, as text to be pasted into a request or a shell.

use arrow_schema::DataType;
use serde_json::{Map, Value};

use super::types::{is_dense, is_id, is_sparse, is_value, type_name};
use super::{FoundColumn, ID, METADATA, SPARSE, VALUES};
use crate::failure::FileFailure;
use crate::mapping::FILE_MARK;
use crate::plan::layout::quoted;
use crate::reject::codes;

/// Names that other tools give to ids, likeliest first.
const ID_NAMES: [&str; 12] = [
    ID,
    "_id",
    "doc_id",
    "document_id",
    "docid",
    "vector_id",
    "chunk_id",
    "uuid",
    "key",
    "pk",
    "name",
    "url",
];
/// Names that other tools give to vectors, likeliest first.
const VALUES_NAMES: [&str; 11] = [
    VALUES,
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
/// What the name of a column of vectors may hold within.
const VALUES_PART: &str = "embedding";
/// Columns proposed as metadata at most.
const PROPOSED_METADATA_MAX: usize = 8;
/// Columns named as found at most.
const NAMED_COLUMNS_MAX: usize = 50;

/// What an index needs and a file lacks.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) id: bool,
    pub(super) values: bool,
    pub(super) sparse: bool,
    /// Each missing column as people call it.
    pub(super) named: Vec<String>,
    /// Whether columns are mapped already: then they are for the user to mend.
    pub(super) is_mapped: bool,
}

/// Says what is missing, what there is, and which mapping would fit.
pub(super) fn missing_columns(found: &[FoundColumn], missing: &Missing) -> FileFailure {
    let mut named: Vec<String> = found
        .iter()
        .take(NAMED_COLUMNS_MAX)
        .map(|column| match &column.kind {
            Ok(kind) => format!("{} ({})", quoted(&column.name), type_name(kind)),
            Err(_) => quoted(&column.name),
        })
        .collect();
    if found.len() > NAMED_COLUMNS_MAX {
        named.push(format!("{} more", found.len() - NAMED_COLUMNS_MAX));
    }
    let plural = if missing.named.len() == 1 { "column" } else { "columns" };
    let mut reason = format!(
        "it lacks the {plural} {}; it has {}",
        missing.named.join(" and "),
        if named.is_empty() { "no columns".to_owned() } else { named.join(", ") }
    );
    if !missing.is_mapped
        && let Some(proposal) = Proposal::of(found, missing)
    {
        let (request, shell) = (proposal.request(), proposal.shell());
        reason.push_str(&format!("; start the import with {request} (in a shell: {shell})"));
    }
    FileFailure::bad(codes::FILE_SCHEMA, reason)
}

/// A mapping that would fit.
struct Proposal<'a> {
    /// Parts of the schema and the columns that would do, in order.
    columns: Vec<(&'static str, &'a str)>,
    metadata: Vec<&'a str>,
    /// Whether ids have to be made.
    makes_ids: bool,
}

impl<'a> Proposal<'a> {
    /// None where nothing would do.
    fn of(found: &'a [FoundColumn], missing: &Missing) -> Option<Self> {
        let mut columns = Vec::new();
        if missing.id
            && let Some(name) = guess(found, &ID_NAMES, None, is_id)
        {
            columns.push((ID, name));
        }
        let makes_ids = missing.id && columns.is_empty();
        if missing.values {
            columns.push((VALUES, guess(found, &VALUES_NAMES, Some(VALUES_PART), is_dense)?));
        }
        if missing.sparse {
            columns.push((SPARSE, guess(found, &[SPARSE], None, is_sparse)?));
        }
        let is_taken = |name: &str| {
            [ID, VALUES, SPARSE].contains(&name) || columns.iter().any(|(_, taken)| *taken == name)
        };
        let has_metadata = found.iter().any(|column| column.name == METADATA);
        let metadata = found
            .iter()
            .filter(|column| !has_metadata && !is_taken(&column.name))
            .filter(|column| column.kind.as_ref().is_ok_and(is_value))
            .take(PROPOSED_METADATA_MAX)
            .map(|column| column.name.as_str())
            .collect();
        Some(Self { columns, metadata, makes_ids })
    }

    /// As fields of the request.
    fn request(&self) -> String {
        let mut fields: Map<String, Value> = self
            .columns
            .iter()
            .map(|(part, name)| ((*part).to_owned(), Value::from(*name)))
            .collect();
        if !self.metadata.is_empty() {
            fields.insert(METADATA.to_owned(), Value::from(self.metadata.clone()));
        }
        let mut request = format!("\"columns\": {}", Value::Object(fields));
        if self.makes_ids {
            request.push_str(&format!(", \"idPrefix\": \"{FILE_MARK}-\""));
        }
        request
    }

    /// As flags of the command line: short where the names allow it.
    fn shell(&self) -> String {
        let is_plain = |name: &&str| {
            name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        };
        let names = || self.columns.iter().map(|(_, name)| *name).chain(self.metadata.clone());
        let mut flags = if names().all(|name| is_plain(&name)) {
            let mut parts: Vec<String> =
                self.columns.iter().map(|(part, name)| format!("{part}={name}")).collect();
            if !self.metadata.is_empty() {
                parts.push(format!("{METADATA}={}", self.metadata.join("+")));
            }
            format!("--columns {}", parts.join(","))
        } else {
            "--columns with the same JSON".to_owned()
        };
        if self.makes_ids {
            flags.push_str(&format!(" --id-prefix '{FILE_MARK}-'"));
        }
        flags
    }
}

/// The likeliest of the columns whose type fits.
fn guess<'a>(
    found: &'a [FoundColumn],
    names: &[&str],
    part: Option<&str>,
    fits: fn(&DataType) -> bool,
) -> Option<&'a str> {
    let fitting: Vec<&str> = found
        .iter()
        .filter(|column| column.kind.as_ref().is_ok_and(fits))
        .map(|column| column.name.as_str())
        .collect();
    let named = |name: &&str| fitting.iter().find(|found| found.eq_ignore_ascii_case(name));
    let within = |part: &str| fitting.iter().find(|name| name.to_ascii_lowercase().contains(part));
    names.iter().find_map(named).or_else(|| part.and_then(within)).or(fitting.first()).copied()
}
