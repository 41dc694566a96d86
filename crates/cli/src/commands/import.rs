//! `crossbill import`: starts an import, follows it, sums it up.

use crossbill_core::{ErrorKind, RequestLimits};
use crossbill_wire::{ErrorModeField, ImportModel, OnError, StartImport};
use serde_json::json;

use crate::args::{ErrorModeArg, ImportArgs, ModeArg};
use crate::client::{self, Client, Imports};
use crate::commands::follow::{self, Followed};
use crate::commands::{index, with_hint};
use crate::error::{CliError, Exit, Result};
use crate::settings::IntegrationTable;
use crate::signals::Interrupt;
use crate::{output, progress, uri};

/// Imports looked through for one to go on with.
const RESUMED_FROM: usize = 100;

/// Imports `args.uri` into `args.index`.
pub(crate) fn run(args: &ImportArgs, integrations: &[IntegrationTable]) -> Result<Exit> {
    let shape = &args.shape;
    if !args.create && (shape.sparse || shape.dimension.is_some() || shape.metric.is_some()) {
        return Err(CliError::usage("--dimension, --metric and --sparse say what --create makes")
            .hint("add --create, or leave them out where the index exists"));
    }
    let start = start(args)?;
    // From here on Ctrl-C ends the watching, not the work.
    let interrupt = Interrupt::listen()?;
    let client = client::connect(&args.connect, integrations, Imports::Run)?;
    let client = client.as_ref();
    if args.create {
        create_missing(client, args)?;
    }
    let id = match resumable(client, args, &start)? {
        Some(id) => {
            // Whoever gives the same command again wants it to go on.
            client.resume_import(&args.index, &id)?;
            output::note(&format!("going on with import {id}, which was interrupted"));
            id
        }
        None => client
            .start_import(&args.index, &start)
            .map_err(|error| refused(error, &start, &args.index, client))?,
    };
    if args.detach {
        return Ok(detached(client, args, &id));
    }
    let mut display = progress::display(args.json_progress);
    match follow::follow(client, &args.index, &id, display.as_mut(), &interrupt)? {
        Followed::Ended(import) => {
            let is_json = args.connect.json || args.json_progress;
            show_json(args, &import);
            follow::finish(client, &args.index, &import, is_json)
        }
        Followed::Interrupted(import) => {
            show_json(args, &import);
            Ok(let_go(client, &args.index, &id))
        }
    }
}

/// Leaves a running import on the user's demand, and says how to come back.
pub(crate) fn let_go(client: &dyn Client, index: &str, id: &str) -> Exit {
    if client.is_embedded() {
        output::note("stopping at a safe point (a second Ctrl-C stops at once)");
        client.close();
        output::note("stopped; the same command goes on from here");
        return Exit::Interrupted;
    }
    let flags = client.flags();
    output::note(&format!(
        "import {id} goes on in the server\n  \
         follow it: crossbill imports describe {id} --index {index} --follow{flags}\n  \
         end it:    crossbill imports cancel {id} --index {index}{flags}"
    ));
    Exit::Interrupted
}

fn start(args: &ImportArgs) -> Result<StartImport> {
    let on_error = match args.error_mode {
        ErrorModeArg::Continue => OnError::Continue,
        ErrorModeArg::Abort => OnError::Abort,
    };
    let start = StartImport {
        uri: uri::import_uri(&args.uri)?,
        integration_id: args.integration.clone(),
        error_mode: Some(ErrorModeField { on_error: Some(on_error), max_errors: args.max_errors }),
        dry_run: args.dry_run.then_some(true),
        skip_loaded: args.skip_loaded.then_some(true),
        mode: match args.mode {
            ModeArg::Upsert => None,
            ModeArg::Replace => Some("replace".to_owned()),
        },
        atomic: args.atomic.then_some(true),
        columns: args.columns.columns.clone(),
        id_prefix: args.columns.id_prefix.clone(),
    };
    // Which limits the server has, only the server knows.
    start.check(&RequestLimits::widest()).map_err(|error| CliError::usage(error.message()))?;
    Ok(start)
}

/// The refusal of a start, with the cure where it is a setting of the server.
fn refused(error: CliError, start: &StartImport, index: &str, client: &dyn Client) -> CliError {
    let is_refused = matches!(error.kind(), Some(ErrorKind::Forbidden | ErrorKind::Invalid));
    if is_refused && start.uri.starts_with("file:") && !client.is_embedded() {
        return error.hint(
            "the server reads files only below the directories it was started with: \
             crossbill serve --allow-import-dir DIR",
        );
    }
    with_hint(error, index, client)
}

fn create_missing(client: &dyn Client, args: &ImportArgs) -> Result<()> {
    match client.describe_index(&args.index) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Some(ErrorKind::NotFound) => {
            client.create_index(index::request(&args.index, &args.shape)?)?;
            output::note(&format!("created index {}", args.index));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// An import of the same source that an embedded run left unfinished. A
/// server's imports are not taken over: they run anyway.
fn resumable(
    client: &dyn Client,
    args: &ImportArgs,
    start: &StartImport,
) -> Result<Option<String>> {
    if !client.is_embedded() {
        return Ok(None);
    }
    let imports = client
        .list_imports(&args.index, RESUMED_FROM)
        .map_err(|error| with_hint(error, &args.index, client))?;
    let found = imports.into_iter().find(|import| {
        import.uri == start.uri
            && import.dry_run == args.dry_run
            && import.mode == start.mode
            && import.atomic == args.atomic
            && !follow::is_final(&import.status)
    });
    Ok(found.map(|import| import.id))
}

fn detached(client: &dyn Client, args: &ImportArgs, id: &str) -> Exit {
    if args.connect.json {
        output::document(&json!({"id": id}));
    } else {
        output::line(id);
        let (index, flags) = (&args.index, client.flags());
        output::note(&format!(
            "follow it: crossbill imports describe {id} --index {index} --follow{flags}"
        ));
    }
    Exit::Success
}

/// Lines of progress end with the import's last state: nothing is said twice.
fn show_json(args: &ImportArgs, import: &ImportModel) {
    if args.connect.json && !args.json_progress {
        output::document(import);
    }
}
