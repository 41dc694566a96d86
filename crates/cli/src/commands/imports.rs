//! `crossbill imports`: the imports of an index, one of them, its end, its
//! rejects.

use crossbill_wire::{ImportModel, RejectPage};
use serde_json::json;

use crate::args::ImportsCommand;
use crate::client::{self, Client, Imports};
use crate::commands::follow::{self, Followed};
use crate::commands::{import, manifest, rejects_export, with_hint};
use crate::error::{Exit, Result};
use crate::settings::IntegrationTable;
use crate::signals::Interrupt;
use crate::table::{Align, Table, printable};
use crate::units::count;
use crate::{output, progress};

/// Runs one of the commands.
pub(crate) fn run(command: ImportsCommand, integrations: &[IntegrationTable]) -> Result<Exit> {
    match command {
        ImportsCommand::List { index, limit, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            let imports = client
                .list_imports(&index.name, limit)
                .map_err(|error| with_hint(error, &index.name, client.as_ref()))?;
            list(&imports, connect.json);
            Ok(Exit::Success)
        }
        ImportsCommand::Describe { id, index, follow, connect } => {
            let imports = if follow { Imports::Run } else { Imports::Wait };
            let client = client::connect(&connect, integrations, imports)?;
            describe(client.as_ref(), &index.name, &id, follow, connect.json)
        }
        ImportsCommand::Cancel { id, index, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            cancel(client.as_ref(), &index.name, &id, connect.json)
        }
        ImportsCommand::Pause { id, index, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            client
                .pause_import(&index.name, &id)
                .map_err(|error| with_hint(error, &index.name, client.as_ref()))?;
            let how = "is paused; tasks under way are finished first";
            say(client.as_ref(), &index.name, &id, how, connect.json)
        }
        ImportsCommand::Resume { id, index, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            client
                .resume_import(&index.name, &id)
                .map_err(|error| with_hint(error, &index.name, client.as_ref()))?;
            let how = match client.is_embedded() {
                true => "goes on with the next import command on this directory",
                false => "goes on",
            };
            say(client.as_ref(), &index.name, &id, how, connect.json)
        }
        ImportsCommand::Manifest { id, index, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            manifest::run(client.as_ref(), &index.name, &id, connect.json)
        }
        ImportsCommand::Rejects { id, index, offset, limit, export: file, connect } => {
            let client = client::connect(&connect, integrations, Imports::Wait)?;
            if let Some(file) = file {
                return rejects_export::run(client.as_ref(), &index.name, &id, &file, connect.json);
            }
            let page = client
                .rejects(&index.name, &id, offset, limit)
                .map_err(|error| with_hint(error, &index.name, client.as_ref()))?;
            rejects(&page, offset, connect.json);
            Ok(Exit::Success)
        }
    }
}

fn list(imports: &[ImportModel], json: bool) {
    if json {
        return output::document(&json!({"data": imports}));
    }
    if imports.is_empty() {
        return output::note("no imports yet");
    }
    let mut table = Table::new(&[
        ("id", Align::Right),
        ("status", Align::Left),
        ("done", Align::Right),
        ("imported", Align::Right),
        ("rejected", Align::Right),
        ("created", Align::Left),
        ("uri", Align::Left),
    ]);
    for import in imports {
        table.row(vec![
            import.id.clone(),
            if import.paused {
                format!("{}, paused", import.status)
            } else {
                import.status.clone()
            },
            format!("{:.1}%", import.percent_complete),
            count(import.records_imported),
            count(import.records_rejected),
            import.created_at.clone(),
            import.uri.clone(),
        ]);
    }
    output::line(&table.render(output::stdout_columns()));
}

fn describe(
    client: &dyn Client,
    index: &str,
    id: &str,
    is_followed: bool,
    json: bool,
) -> Result<Exit> {
    let hinted = |error| with_hint(error, index, client);
    if !is_followed {
        let import = client.describe_import(index, id).map_err(hinted)?;
        if json {
            output::document(&import);
        } else {
            output::line(&description(&import));
        }
        return Ok(Exit::Success);
    }
    let interrupt = Interrupt::listen()?;
    let mut display = progress::display(false);
    let followed = follow::follow(client, index, id, display.as_mut(), &interrupt);
    match followed.map_err(hinted)? {
        Followed::Ended(import) => {
            if json {
                output::document(&import);
            }
            follow::finish(client, index, &import, json)
        }
        Followed::Interrupted(state) => {
            if json {
                output::document(&state);
            }
            Ok(import::let_go(client, index, id))
        }
    }
}

/// An import as lines of name and value.
fn description(import: &ImportModel) -> String {
    let of = |done: u64, total: Option<u64>| match total {
        Some(total) => format!("{} of {}", count(done), count(total)),
        None => count(done),
    };
    let mut table = Table::new(&[("import", Align::Left), ("", Align::Left)]);
    let mut line = |name: &str, value: String| table.row(vec![name.to_owned(), value]);
    line("id", import.id.clone());
    line("uri", import.uri.clone());
    let paused = if import.paused { ", paused" } else { "" };
    line("status", format!("{}{paused}", import.status));
    line("progress", progress::text(import));
    line("created", import.created_at.clone());
    if let Some(finished) = &import.finished_at {
        line("finished", finished.clone());
    }
    line("read", of(import.records_read, import.records_total));
    line("imported", count(import.records_imported));
    line("superseded", count(import.records_superseded));
    line("rejected", count(import.records_rejected));
    line("files", of(import.files_done, import.files_total));
    if import.files_skipped > 0 {
        line("files passed over", format!("{}: loaded before", count(import.files_skipped)));
    }
    line("bytes", of(import.bytes_read, import.bytes_total));
    line("error mode", import.error_mode.clone());
    if let Some(mode) = &import.mode {
        line("mode", mode.clone());
    }
    if import.atomic {
        line("atomic", "yes: all is seen at its end, or nothing".to_owned());
    }
    if import.dry_run {
        line("dry run", "yes: nothing is written".to_owned());
    }
    if let Some(estimate) = &import.estimate {
        line("estimate", follow::estimated(estimate));
    }
    if let Some(max_errors) = import.max_errors {
        line("max errors", count(max_errors));
    }
    if let Some(error) = &import.error {
        line("error", error.clone());
    }
    for warning in &import.warnings {
        line("warning", warning.clone());
    }
    table.render(None)
}

fn cancel(client: &dyn Client, index: &str, id: &str, json: bool) -> Result<Exit> {
    let hinted = |error| with_hint(error, index, client);
    client.cancel_import(index, id).map_err(hinted)?;
    let import = client.describe_import(index, id).map_err(hinted)?;
    if json {
        output::document(&import);
    } else {
        output::line(&format!(
            "import {} is {}; {} records stay",
            printable(&import.id),
            import.status,
            count(import.records_imported)
        ));
    }
    Ok(Exit::Success)
}

/// The import after a change to it.
fn say(client: &dyn Client, index: &str, id: &str, how: &str, json: bool) -> Result<Exit> {
    if json {
        output::document(&client.describe_import(index, id)?);
    } else {
        output::line(&format!("import {} {how}", printable(id)));
    }
    Ok(Exit::Success)
}

fn rejects(page: &RejectPage, offset: u64, json: bool) {
    if json {
        return output::document(page);
    }
    if page.data.is_empty() {
        return output::note(&format!(
            "no rejects from {offset} on ({} in all)",
            count(page.total)
        ));
    }
    let mut table = Table::new(&[
        ("file", Align::Left),
        ("row group", Align::Right),
        ("row", Align::Right),
        ("id", Align::Left),
        ("code", Align::Left),
        ("reason", Align::Left),
    ]);
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for reject in &page.data {
        table.row(vec![
            reject.file.clone(),
            number(reject.row_group.map(u64::from)),
            number(reject.row),
            reject.id.clone().unwrap_or_else(|| "-".to_owned()),
            reject.code.clone(),
            reject.message.clone(),
        ]);
    }
    output::line(&table.render(output::stdout_columns()));
    let shown = offset + page.data.len() as u64;
    if shown < page.total {
        output::note(&format!(
            "{} of {} shown; go on with --offset {shown}",
            count(page.data.len() as u64),
            count(page.total)
        ));
    }
}
