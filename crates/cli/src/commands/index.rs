//! `crossbill index`: create, list, describe and delete indexes.

use crossbill_core::{Metric, RequestLimits, VectorStorage};
use crossbill_wire::{ApiVersion, CreateIndex, Deployment, IndexModel};
use serde_json::json;

use crate::args::{IndexCommand, ShapeArgs};
use crate::client::{self, Imports};
use crate::commands::with_hint;
use crate::error::{CliError, Exit, Result};
use crate::output;
use crate::settings::IntegrationTable;
use crate::table::{Align, Table};

/// Runs one of the commands.
pub(crate) fn run(command: IndexCommand, integrations: &[IntegrationTable]) -> Result<Exit> {
    match command {
        IndexCommand::Create { name, shape, connect } => {
            let request = request(&name, &shape)?;
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            let index = client.create_index(request)?;
            show(&index, connect.json);
        }
        IndexCommand::List { connect } => {
            let indexes = client::connect(&connect, integrations, Imports::Wait)?.list_indexes()?;
            list(&indexes, connect.json);
        }
        IndexCommand::Describe { name, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            let index = client
                .describe_index(&name)
                .map_err(|error| with_hint(error, &name, client.as_ref()))?;
            show(&index, connect.json);
        }
        IndexCommand::Delete { name, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            client.delete_index(&name).map_err(|error| with_hint(error, &name, client.as_ref()))?;
            if connect.json {
                output::document(&json!({"deleted": name}));
            } else {
                output::line(&format!("deleted index {name}"));
            }
        }
    }
    Ok(Exit::Success)
}

/// The request for the index that the flags describe, checked but for the
/// name's being free.
pub(crate) fn request(name: &str, args: &ShapeArgs) -> Result<CreateIndex> {
    if args.dimension.is_none() && !args.sparse {
        return Err(CliError::usage(
            "found neither --dimension nor --sparse, expected one of them",
        ));
    }
    let metric = args.metric.map_or(Metric::Cosine, Metric::from);
    let request = CreateIndex {
        name: Some(name.to_owned()),
        dimension: args.dimension.map(u64::from),
        metric: (!args.sparse).then(|| metric.as_str().to_owned()),
        vector_type: Some(if args.sparse { "sparse" } else { "dense" }.to_owned()),
        vector_storage: args
            .vector_storage
            .map(|storage| VectorStorage::from(storage).as_str().to_owned()),
        deployment: Some(Deployment::default()),
        ..CreateIndex::default()
    };
    // Which limits the server has, only the server knows.
    let (version, storage) = (ApiVersion::DEFAULT, VectorStorage::F32);
    let checked = request.clone().into_plan(version, storage, &RequestLimits::widest());
    checked.map_err(|error| CliError::usage(error.message()))?;
    Ok(request)
}

fn list(indexes: &[IndexModel], json: bool) {
    if json {
        return output::document(&json!({"indexes": indexes}));
    }
    if indexes.is_empty() {
        return output::note("no indexes yet; make one with crossbill index create");
    }
    output::line(&table(indexes).render(output::stdout_columns()));
}

fn show(index: &IndexModel, json: bool) {
    if json {
        output::document(index);
    } else {
        output::line(&table(std::slice::from_ref(index)).render(output::stdout_columns()));
    }
}

fn table(indexes: &[IndexModel]) -> Table {
    let mut table = Table::new(&[
        ("name", Align::Left),
        ("type", Align::Left),
        ("dimension", Align::Right),
        ("metric", Align::Left),
        ("storage", Align::Left),
        ("host", Align::Left),
    ]);
    for index in indexes {
        table.row(vec![
            index.name.clone(),
            index.vector_type.clone(),
            index.dimension.map_or_else(|| "-".to_owned(), |dimension| dimension.to_string()),
            index.metric.clone(),
            index.vector_storage.clone().unwrap_or_else(|| "-".to_owned()),
            index.host.clone(),
        ]);
    }
    table
}
