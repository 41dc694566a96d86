//! Files with secrets that the settings name: only the server's own user
//! should read them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use super::check::Report;
use crate::args::ServeArgs;
use crate::settings::IntegrationTable;

/// Permission bits of others than the owner and the owner's group.
const EVERYBODY: u32 = 0o007;
/// What a secret setting's value is shown as where it is set.
const SET: &str = "(set)";

/// Looks at the permissions of each file that holds a secret.
pub(super) fn check(
    args: &ServeArgs,
    tables: &[IntegrationTable],
    sources: &Value,
    report: &mut Report,
) {
    on_command_line(sources, report);
    let named = [
        ("--api-key-file", &args.api_key_file),
        ("--tls-key", &args.tls_key),
        ("--embedding-key-file", &args.models.embedding_key_file),
        ("--rerank-key-file", &args.models.rerank_key_file),
    ];
    for (flag, path) in named {
        if let Some(path) = path {
            look(flag, path, report);
        }
    }
    if let Some(path) = args.engine.config.as_ref().filter(|_| holds_secrets(tables, sources)) {
        look("--config", path, report);
    }
}

/// Tells of secrets that stand on a command line, for all users to see.
fn on_command_line(sources: &Value, report: &mut Report) {
    let flags = sources
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, setting)| setting["value"] == SET && setting["source"] == "flag");
    for (name, _) in flags {
        report.warning(
            "secrets",
            format!("--{name} on a command line is seen by every user of this machine"),
            "give it in the environment or in a file",
        );
    }
}

/// Whether the settings file says a secret itself.
fn holds_secrets(tables: &[IntegrationTable], sources: &Value) -> bool {
    let is_secret = |setting: &Value| setting["value"] == SET && setting["source"] == "file";
    let in_table = |one: &IntegrationTable| {
        one.secret_access_key.is_some()
            || one.service_account_key.is_some()
            || one.access_key.is_some()
            || one.sas_token.is_some()
    };
    let settings = sources.as_object();
    settings.is_some_and(|settings| settings.values().any(is_secret)) || tables.iter().any(in_table)
}

fn look(flag: &str, path: &Path, report: &mut Report) {
    // Whether it can be read at all, the settings' own check says.
    let Ok(metadata) = path.metadata() else { return };
    let (mode, shown) = (metadata.permissions().mode() & 0o7777, path.display());
    match mode & EVERYBODY {
        0 => report.ok("secrets", format!("{flag} {shown} has mode {mode:04o}")),
        _ => report.warning(
            "secrets",
            format!("{flag} {shown} has mode {mode:04o}: every user of this machine may open it"),
            format!("chmod 600 {shown}"),
        ),
    }
}
