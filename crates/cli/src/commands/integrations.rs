//! `crossbill integrations`: make, list, describe and delete storage
//! integrations, and try out a source.

use std::io::Read as _;
use std::path::Path;

use crossbill_core::ErrorKind;
use crossbill_wire::{CreateIntegration, IntegrationModel, SourceTest, TestSource};
use serde_json::json;

use crate::args::{CreateIntegrationArgs, IntegrationsCommand, KindArg};
use crate::client::{self, Client, Imports};
use crate::error::{CliError, Exit, Result};
use crate::settings::IntegrationTable;
use crate::table::{Align, Table, printable};
use crate::units::ByteSize;
use crate::{output, uri};

/// Bytes of a service account's file that are read.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Runs one of the commands.
pub(crate) fn run(command: IntegrationsCommand, tables: &[IntegrationTable]) -> Result<Exit> {
    let connect = command.connect().clone();
    let client = || client::connect(&connect, tables, Imports::Wait);
    match command {
        IntegrationsCommand::Create(args) => {
            let request = request(*args)?;
            show(&client()?.create_integration(&request)?, connect.json);
        }
        IntegrationsCommand::List { .. } => {
            let all = client()?.list_integrations()?;
            if connect.json {
                output::document(&json!({"integrations": all}));
            } else if all.is_empty() {
                output::note("no integrations yet; make one with crossbill integrations create");
            } else {
                output::line(&table(&all).render(output::stdout_columns()));
            }
        }
        IntegrationsCommand::Describe { id, .. } => {
            let client = client()?;
            let found = client.describe_integration(&id);
            show(&found.map_err(|error| with_hint(error, client.as_ref()))?, connect.json);
        }
        IntegrationsCommand::Delete { id, .. } => {
            let client = client()?;
            client.delete_integration(&id).map_err(|error| with_hint(error, client.as_ref()))?;
            if connect.json {
                output::document(&json!({"deleted": id}));
            } else {
                output::line(&format!("deleted integration {}", printable(&id)));
            }
        }
        IntegrationsCommand::Test { uri, integration, .. } => {
            let ask = TestSource { uri: uri::import_uri(&uri)?, integration_id: integration };
            return tested(&client()?.test_source(&ask)?, connect.json);
        }
    }
    Ok(Exit::Success)
}

fn request(args: CreateIntegrationArgs) -> Result<CreateIntegration> {
    let kind = match args.kind {
        KindArg::S3 => "s3",
        KindArg::Gcs => "gcs",
        KindArg::Azure => "azure",
    };
    Ok(CreateIntegration {
        id: args.id,
        kind: kind.to_owned(),
        endpoint: args.endpoint,
        buckets: args.buckets,
        region: args.region,
        access_key_id: args.access_key_id,
        secret_access_key: args.secret_access_key,
        session_token: args.session_token,
        path_style: args.path_style,
        service_account_key: args.service_account_file.as_deref().map(key_file).transpose()?,
        account: args.account,
        access_key: args.access_key,
        sas_token: args.sas_token,
    })
}

fn key_file(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text))
    };
    let failed = |error| CliError::usage(format!("cannot read {}: {error}", path.display()));
    read.map_err(failed)?;
    Ok(text)
}

/// The error, and which integrations there are where one was not found.
fn with_hint(error: CliError, client: &dyn Client) -> CliError {
    if error.kind() != Some(ErrorKind::NotFound) {
        return error;
    }
    match client.list_integrations() {
        Ok(all) if all.is_empty() => error.hint("there is no integration yet"),
        Ok(all) => {
            let ids: Vec<String> = all.iter().take(10).map(|one| printable(&one.id)).collect();
            error.hint(format!("the integrations are {}", ids.join(", ")))
        }
        Err(_) => error,
    }
}

fn show(integration: &IntegrationModel, json: bool) {
    if json {
        output::document(integration);
    } else {
        let text = table(std::slice::from_ref(integration)).render(output::stdout_columns());
        output::line(&text);
    }
}

fn table(integrations: &[IntegrationModel]) -> Table {
    let columns = ["id", "kind", "from", "credentials", "place", "may read"];
    let mut table = Table::new(&columns.map(|name| (name, Align::Left)));
    for one in integrations {
        let place = one.endpoint.as_ref().or(one.account.as_ref()).or(one.region.as_ref());
        table.row(vec![
            one.id.clone(),
            one.kind.clone(),
            one.origin.clone(),
            one.credentials.clone(),
            place.cloned().unwrap_or_else(|| "-".to_owned()),
            if one.buckets.is_empty() { "all".to_owned() } else { one.buckets.join(", ") },
        ]);
    }
    table
}

/// Shows what a test found; a source that cannot be read is a failure.
fn tested(test: &SourceTest, json: bool) -> Result<Exit> {
    if json {
        output::document(test);
        return Ok(if test.readable { Exit::Success } else { Exit::Failed });
    }
    output::note(&format!("tried {}", printable(&test.tried)));
    if let Some(error) = &test.error {
        return Err(CliError::failed(format!("it cannot be read: {}", printable(error))));
    }
    if test.files.is_empty() {
        output::note("it can be listed, and no file lies there");
        return Ok(Exit::Success);
    }
    let mut table = Table::new(&[("file", Align::Left), ("size", Align::Right)]);
    for file in &test.files {
        table.row(vec![file.path.clone(), ByteSize(file.bytes).to_string()]);
    }
    output::line(&table.render(output::stdout_columns()));
    if test.more {
        output::note("and more");
    }
    Ok(Exit::Success)
}
