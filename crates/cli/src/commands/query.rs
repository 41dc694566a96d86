//! `crossbill query`: the nearest records as a table.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use crossbill_wire::{QueryRequest, QueryResponse, ScoredVector, SparseValues};
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
    let request = request(args)?;
    let client = client::connect(&args.connect, integrations, Imports::Wait)?;
    let answer = client
        .query(&args.index, request)
        .map_err(|error| with_hint(error, &args.index, client.as_ref()))?;
    if args.connect.json {
        output::document(&answer);
    } else if answer.matches.is_empty() {
        output::note("no record matches");
    } else {
        output::line(&table(args, &answer).render(output::stdout_columns()));
    }
    Ok(Exit::Success)
}

fn request(args: &QueryArgs) -> Result<QueryRequest> {
    let vector = match (&args.by.vector, &args.by.vector_file) {
        (Some(text), _) => vector("--vector", text)?,
        (None, Some(path)) => vector("--vector-file", &read(path)?)?,
        (None, None) => Vec::new(),
    };
    let sparse_vector = args
        .sparse_vector
        .as_deref()
        .map(|text| json::<SparseValues>("--sparse-vector", text))
        .transpose()?;
    if vector.is_empty() && sparse_vector.is_none() && args.by.id.is_none() {
        return Err(CliError::usage(
            "found nothing to look for, expected --vector, --vector-file, --sparse-vector or --id",
        ));
    }
    let filter = args
        .filter
        .as_deref()
        .map(|text| {
            // Our own check gives the better message; the text goes on as it is.
            let read = crossbill_core::Filter::from_json(text);
            read.map_err(|error| CliError::usage(format!("--filter: {error}")))?;
            json::<Box<RawValue>>("--filter", text)
        })
        .transpose()?;
    Ok(QueryRequest {
        top_k: u64::from(args.top_k),
        vector,
        id: args.by.id.clone(),
        sparse_vector,
        filter,
        include_values: Some(args.include_values),
        include_metadata: Some(args.include_metadata),
        namespace: Some(args.namespace.clone()),
        scan_factor: args.scan_factor,
        max_candidates: None,
        explain: None,
    })
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

fn table(args: &QueryArgs, answer: &QueryResponse) -> Table {
    let mut columns = vec![("rank", Align::Right), ("score", Align::Right), ("id", Align::Left)];
    if args.include_values {
        columns.push(("values", Align::Left));
    }
    if args.include_metadata {
        columns.push(("metadata", Align::Left));
    }
    let mut table = Table::new(&columns);
    for (place, found) in answer.matches.iter().enumerate() {
        let mut cells =
            vec![(place + 1).to_string(), format!("{:.6}", found.score), found.id.clone()];
        if args.include_values {
            cells.push(values(found));
        }
        if args.include_metadata {
            cells.push(found.metadata.as_ref().map_or_else(String::new, |m| m.get().to_owned()));
        }
        table.row(cells);
    }
    table
}

/// The beginning of a record's vectors.
fn values(found: &ScoredVector) -> String {
    let list = |values: &[f32]| {
        let shown: Vec<String> =
            values.iter().take(VALUES_SHOWN).map(|value| value.to_string()).collect();
        let more = if values.len() > VALUES_SHOWN { ", …" } else { "" };
        format!("[{}{more}]", shown.join(", "))
    };
    match &found.sparse_values {
        Some(sparse) if found.values.is_empty() => {
            format!("{} entries {}", sparse.indices.len(), list(&sparse.values))
        }
        Some(sparse) => format!("{} + {} sparse", list(&found.values), sparse.indices.len()),
        None => list(&found.values),
    }
}
