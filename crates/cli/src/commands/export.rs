//! `crossbill export`: writes an index as the Parquet that imports read, and
//! follows it to its end; `crossbill exports`: those there are.

use std::time::Duration;

use crossbill_core::{Clock as _, SystemClock};
use crossbill_wire::{ExportModel, StartExport};
use serde_json::json;

use crate::args::{ExportArgs, ExportsCommand};
use crate::client::{self, Client, Imports};
use crate::commands::{follow, with_hint};
use crate::error::{Exit, Result};
use crate::settings::IntegrationTable;
use crate::signals::Interrupt;
use crate::table::{Align, Table, printable};
use crate::units::{ByteSize, count};
use crate::{output, uri};

/// The wait between two looks.
const POLL: Duration = Duration::from_millis(100);
/// Exports looked through for one to go on with.
const RESUMED_FROM: usize = 100;

/// Exports `args.index` to `args.uri`.
pub(crate) fn run(args: &ExportArgs, integrations: &[IntegrationTable]) -> Result<Exit> {
    let start = StartExport {
        uri: uri::import_uri(&args.uri)?,
        integration_id: args.integration.clone(),
        namespace: args.namespace.clone(),
    };
    let interrupt = Interrupt::listen()?;
    let client = client::connect(&args.connect, integrations, Imports::Run)?;
    let client = client.as_ref();
    let hinted = |error| with_hint(error, &args.index, client);
    let id = match resumable(client, args, &start).map_err(hinted)? {
        Some(id) => {
            output::note(&format!("going on with export {id}, which was interrupted"));
            id
        }
        None => client.start_export(&args.index, &start).map_err(hinted)?,
    };
    if args.detach {
        if args.connect.json {
            output::document(&json!({"id": id}));
        } else {
            output::line(&id);
        }
        return Ok(Exit::Success);
    }
    follow(client, args, &id, &interrupt)
}

/// An export to the same place that an embedded run left unfinished. A
/// server's exports are not taken over: they run anyway.
fn resumable(
    client: &dyn Client,
    args: &ExportArgs,
    start: &StartExport,
) -> Result<Option<String>> {
    if !client.is_embedded() {
        return Ok(None);
    }
    let exports = client.list_exports(&args.index, RESUMED_FROM)?;
    let found = exports.into_iter().find(|export| {
        export.uri == start.uri
            && export.namespace == start.namespace
            && !follow::is_final(&export.status)
    });
    Ok(found.map(|export| export.id))
}

fn follow(client: &dyn Client, args: &ExportArgs, id: &str, interrupt: &Interrupt) -> Result<Exit> {
    let clock = SystemClock::new();
    let mut export = client.describe_export(&args.index, id)?;
    while !follow::is_final(&export.status) {
        if interrupt.is_asked() {
            if client.is_embedded() {
                client.close();
                output::note("stopped; the same command goes on from here");
            } else {
                output::note(&format!("export {id} goes on in the server"));
            }
            return Ok(Exit::Interrupted);
        }
        clock.sleep(POLL);
        export = client.describe_export(&args.index, id)?;
    }
    if args.connect.json {
        output::document(&export);
    } else {
        output::line(&summary(&export));
    }
    Ok(exit_of(&export))
}

fn exit_of(export: &ExportModel) -> Exit {
    match export.status.as_str() {
        "Completed" => Exit::Success,
        "Cancelled" => Exit::Cancelled,
        _ => Exit::Failed,
    }
}

/// How an export ended, or how far it is.
fn summary(export: &ExportModel) -> String {
    let mut text = format!(
        "export {} to {}: {}\n{} of {} records in {} files, {}",
        printable(&export.id),
        printable(&export.uri),
        export.status,
        count(export.records_exported),
        count(export.records_total),
        count(export.files_written),
        ByteSize(export.bytes_written),
    );
    if let Some(error) = &export.error {
        text.push_str(&format!("\nerror: {}", printable(error)));
    }
    text
}

/// Runs one of the commands on exports.
pub(crate) fn manage(command: ExportsCommand, integrations: &[IntegrationTable]) -> Result<Exit> {
    match command {
        ExportsCommand::List { index, limit, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            let exports = client
                .list_exports(&index.name, limit)
                .map_err(|error| with_hint(error, &index.name, client.as_ref()))?;
            list(&exports, connect.json);
        }
        ExportsCommand::Describe { id, index, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            let export = client.describe_export(&index.name, &id)?;
            if connect.json {
                output::document(&export);
            } else {
                output::line(&summary(&export));
            }
        }
        ExportsCommand::Cancel { id, index, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            client.cancel_export(&index.name, &id)?;
            let export = client.describe_export(&index.name, &id)?;
            if connect.json {
                output::document(&export);
            } else {
                output::line(&summary(&export));
            }
        }
    }
    Ok(Exit::Success)
}

fn list(exports: &[ExportModel], json: bool) {
    if json {
        return output::document(&json!({"data": exports}));
    }
    if exports.is_empty() {
        return output::note("no exports yet");
    }
    let mut table = Table::new(&[
        ("id", Align::Right),
        ("status", Align::Left),
        ("done", Align::Right),
        ("records", Align::Right),
        ("files", Align::Right),
        ("created", Align::Left),
        ("uri", Align::Left),
    ]);
    for export in exports {
        table.row(vec![
            export.id.clone(),
            export.status.clone(),
            format!("{:.1}%", export.percent_complete),
            count(export.records_exported),
            count(export.files_written),
            export.created_at.clone(),
            export.uri.clone(),
        ]);
    }
    output::line(&table.render(output::stdout_columns()));
}
