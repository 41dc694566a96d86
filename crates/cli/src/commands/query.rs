//! `crossbill query`: the nearest records, or the documents that match best, as
//! a table.

mod documents;

use std::fs;
use std::io::Read as _;
use std::path::Path;

use crossbill_wire::documents::ScoreClause;
use crossbill_wire::{QueryRequest, QueryResponse, SparseValues};
use serde_json::value::RawValue;

use crate::args::QueryArgs;
use crate::client::{self, Imports};
use crate::commands::with_hint;
use crate::error::{CliError, Exit, Result};
use crate::output;
use crate::settings::IntegrationTable;
use crate::table::{Align, Table};

/// Components of a vector that a cell shows.
const VALUES_SHOWN: usize = 4;

/// Asks and shows.
pub(crate) fn run(args: &QueryArgs, integrations: &[IntegrationTable]) -> Result<Exit> {
    let asked = Asked::of(args)?;
    let client = client::connect(&args.connect, integrations, Imports::Wait)?;
    let client = client.as_ref();
    let hinted = |error| with_hint(error, &args.index, client);
    let model = client.describe_index(&args.index).map_err(hinted)?;
    if let Some(schema) = model.schema.document_fields() {
        return documents::run(args, asked, &schema, client);
    }
    if asked.text.is_some() || !args.fields.is_empty() {
        return Err(CliError::usage(format!(
            "--text and --fields are for documents, and {:?} holds vectors: expected --vector, \
             --vector-file, --sparse-vector or --id",
            args.index
        )));
    }
    let answer = client.query(&args.index, asked.into_request(args)).map_err(hinted)?;
    if args.connect.json {
        output::document(&answer);
    } else {
        show(&table(args, &answer), answer.matches.is_empty());
    }
    Ok(Exit::Success)
}

/// Shows a table, or that there is nothing to be shown.
fn show(table: &Table, is_empty: bool) {
    if is_empty {
        output::note("no record matches");
    } else {
        output::line(&table.render(output::stdout_columns()));
    }
}

/// What is looked for, read.
struct Asked {
    vector: Vec<f32>,
    sparse: Option<SparseValues>,
    text: Option<ScoreClause>,
    filter: Option<Box<RawValue>>,
}

impl Asked {
    fn of(args: &QueryArgs) -> Result<Self> {
        let vector = match (&args.by.vector, &args.by.vector_file) {
            (Some(text), _) => vector("--vector", text)?,
            (None, Some(path)) => vector("--vector-file", &read(path)?)?,
            (None, None) => Vec::new(),
        };
        let sparse = args
            .sparse_vector
            .as_deref()
            .map(|text| json::<SparseValues>("--sparse-vector", text))
            .transpose()?;
        let text = args.by.text.as_ref().map(|query| clause(query, &args.text_field));
        if vector.is_empty() && sparse.is_none() && text.is_none() && args.by.id.is_none() {
            return Err(CliError::usage(
                "found nothing to look for, expected --vector, --vector-file, --sparse-vector, \
                 --id or --text",
            ));
        }
        let filter = args.filter.as_deref().map(filter).transpose()?;
        Ok(Self { vector, sparse, text, filter })
    }

    /// The request to an index of vectors.
    fn into_request(self, args: &QueryArgs) -> QueryRequest {
        QueryRequest {
            top_k: u64::from(args.top_k),
            vector: self.vector,
            id: args.by.id.clone(),
            sparse_vector: self.sparse,
            filter: self.filter,
            include_values: Some(args.include_values),
            include_metadata: Some(args.include_metadata),
            namespace: Some(args.namespace.clone()),
            scan_factor: args.scan_factor,
            max_candidates: None,
            explain: None,
        }
    }
}

/// Words as they are scored: with operators, or any of them in these fields.
fn clause(query: &str, fields: &[String]) -> ScoreClause {
    let kind = if fields.is_empty() { "query_string" } else { "text" };
    ScoreClause {
        kind: kind.to_owned(),
        fields: (!fields.is_empty()).then(|| fields.to_vec()),
        query: Some(query.to_owned()),
        ..ScoreClause::default()
    }
}

fn filter(text: &str) -> Result<Box<RawValue>> {
    // Our own check gives the better message; the text goes on as it is.
    let read = crossbill_core::Filter::from_json(text);
    read.map_err(|error| CliError::usage(format!("--filter: {error}")))?;
    json("--filter", text)
}

fn vector(flag: &str, text: &str) -> Result<Vec<f32>> {
    let values: Vec<f32> = json(flag, text)?;
    if values.is_empty() {
        return Err(CliError::usage(format!("{flag} has no components, expected at least 1")));
    }
    Ok(values)
}

fn json<T: serde::de::DeserializeOwned>(flag: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| CliError::usage(format!("{flag}: {error}")))
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|error| CliError::usage(format!("cannot read {}: {error}", path.display())))
}

/// An empty table; `last` is the column of metadata or fields, where shown.
fn columns(args: &QueryArgs, last: Option<&'static str>) -> Table {
    let mut columns = vec![("rank", Align::Right), ("score", Align::Right), ("id", Align::Left)];
    if args.include_values {
        columns.push(("values", Align::Left));
    }
    columns.extend(last.map(|name| (name, Align::Left)));
    Table::new(&columns)
}

fn table(args: &QueryArgs, answer: &QueryResponse) -> Table {
    let mut table = columns(args, args.include_metadata.then_some("metadata"));
    for (place, found) in answer.matches.iter().enumerate() {
        let mut cells =
            vec![(place + 1).to_string(), format!("{:.6}", found.score), found.id.clone()];
        if args.include_values {
            cells.push(values(&found.values, found.sparse_values.as_ref()));
        }
        if args.include_metadata {
            cells.push(found.metadata.as_ref().map_or_else(String::new, |m| m.get().to_owned()));
        }
        table.row(cells);
    }
    table
}

/// The beginning of a record's vectors.
fn values(dense: &[f32], sparse: Option<&SparseValues>) -> String {
    let list = |values: &[f32]| {
        let shown: Vec<String> =
            values.iter().take(VALUES_SHOWN).map(|value| value.to_string()).collect();
        let more = if values.len() > VALUES_SHOWN { ", …" } else { "" };
        format!("[{}{more}]", shown.join(", "))
    };
    match sparse {
        Some(sparse) if dense.is_empty() => {
            format!("{} entries {}", sparse.indices.len(), list(&sparse.values))
        }
        Some(sparse) => format!("{} + {} sparse", list(dense), sparse.indices.len()),
        None => list(dense),
    }
}
