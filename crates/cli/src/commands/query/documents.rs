//! Queries of an index of documents: by one of its vectors or by its texts.

use crossbill_core::DocumentFields;
use crossbill_wire::documents::{
    DocumentModel, FoundDocuments, ID_FIELD, SCORE_FIELD, ScoreClause, SearchDocuments,
};
use serde::de::DeserializeOwned;

use super::{Asked, columns, show, values};
use crate::args::QueryArgs;
use crate::client::Client;
use crate::commands::with_hint;
use crate::error::{CliError, Exit, Result};
use crate::output;
use crate::table::Table;

/// Stands for every field of a document.
const ALL_FIELDS: &str = "*";

/// Asks and shows.
pub(super) fn run(
    args: &QueryArgs,
    asked: Asked,
    schema: &DocumentFields,
    client: &dyn Client,
) -> Result<Exit> {
    let request = request(args, asked, schema)?;
    let mut answer = client
        .search_documents(&args.index, &args.namespace, request)
        .map_err(|error| with_hint(error, &args.index, client))?;
    if args.include_metadata && !args.include_values {
        // All fields come with the vectors.
        let is_vector = |name: &str| schema.vectors().any(|own| own == name);
        answer.matches.iter_mut().for_each(|found| found.0.retain(|name, _| !is_vector(name)));
    }
    if args.connect.json {
        output::document(&answer);
    } else {
        show(&table(args, &answer, schema), answer.matches.is_empty());
    }
    Ok(Exit::Success)
}

fn request(args: &QueryArgs, asked: Asked, schema: &DocumentFields) -> Result<SearchDocuments> {
    if args.by.id.is_some() || args.scan_factor.is_some() {
        return Err(CliError::usage(format!(
            "--id and --scan-factor are for vectors, and {:?} holds documents: expected --vector, \
             --vector-file, --sparse-vector or --text",
            args.index
        )));
    }
    let mut fields = args.fields.clone();
    if args.include_values {
        fields.extend(schema.vectors().map(str::to_owned));
    }
    if args.include_metadata {
        fields.push(ALL_FIELDS.to_owned());
    }
    Ok(SearchDocuments {
        top_k: u64::from(args.top_k),
        include_fields: Some(fields),
        filter: asked.filter.clone(),
        score_by: vec![score_by(asked, schema)?],
    })
}

/// The one clause that was asked for.
fn score_by(asked: Asked, schema: &DocumentFields) -> Result<ScoreClause> {
    let Asked { vector, sparse, text, .. } = asked;
    match (text, sparse) {
        (Some(clause), _) => Ok(clause),
        (None, Some(_)) if !vector.is_empty() => Err(CliError::usage(
            "documents are scored by one of their vectors, expected --sparse-vector without a \
             dense vector, or the other way round",
        )),
        (None, Some(sparse)) => Ok(ScoreClause {
            kind: "sparse_vector".to_owned(),
            fields: Some(vec![named(&schema.sparse, "sparse_vector")?]),
            sparse_values: Some(sparse),
            ..ScoreClause::default()
        }),
        (None, None) => Ok(ScoreClause {
            kind: "dense_vector".to_owned(),
            fields: Some(vec![named(&schema.dense, "dense_vector")?]),
            values: vector,
            ..ScoreClause::default()
        }),
    }
}

/// The field of a vector.
fn named(field: &Option<String>, kind: &str) -> Result<String> {
    field.clone().ok_or_else(|| {
        CliError::usage(format!(
            "the schema of the index has no field of type {kind}, expected one"
        ))
    })
}

fn table(args: &QueryArgs, answer: &FoundDocuments, schema: &DocumentFields) -> Table {
    let has_fields = args.include_metadata || !args.fields.is_empty();
    let mut table = columns(args, has_fields.then_some("fields"));
    for (place, found) in answer.matches.iter().enumerate() {
        let score: f32 = field(found, SCORE_FIELD).unwrap_or_default();
        let id: String = field(found, ID_FIELD).unwrap_or_default();
        let mut cells = vec![(place + 1).to_string(), format!("{score:.6}"), id];
        if args.include_values {
            let dense: Option<Vec<f32>> = schema.dense.as_ref().and_then(|name| field(found, name));
            let sparse = schema.sparse.as_ref().and_then(|name| field(found, name));
            cells.push(values(&dense.unwrap_or_default(), sparse.as_ref()));
        }
        if has_fields {
            cells.push(others(args, found, schema));
        }
        table.row(cells);
    }
    table
}

/// A field of a match, where it is there and of its type.
fn field<T: DeserializeOwned>(found: &DocumentModel, name: &str) -> Option<T> {
    serde_json::from_str(found.0.get(name)?.get()).ok()
}

/// The fields of a match that have no column of their own, as JSON.
fn others(args: &QueryArgs, found: &DocumentModel, schema: &DocumentFields) -> String {
    let mut fields = found.0.clone();
    let shown = |name: &str| {
        let has_column = args.include_values && schema.vectors().any(|own| own == name);
        name != ID_FIELD && name != SCORE_FIELD && !has_column
    };
    fields.retain(|name, _| shown(name));
    serde_json::to_string(&fields).unwrap_or_default()
}
