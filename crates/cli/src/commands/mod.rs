//! One module a command: take the arguments, call once, show the answer.

pub(crate) mod backup_root;
pub(crate) mod backups;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod export;
mod follow;
pub(crate) mod import;
pub(crate) mod imports;
pub(crate) mod index;
pub(crate) mod integrations;
pub(crate) mod keys;
pub(crate) mod manifest;
pub(crate) mod pull;
pub(crate) mod query;
mod rejects_export;
pub(crate) mod serve;
pub(crate) mod stats;

use crossbill_core::ErrorKind;

use crate::client::Client;
use crate::error::CliError;

/// The error, and what helps where something of index `name` was not found.
fn with_hint(error: CliError, name: &str, client: &dyn Client) -> CliError {
    if error.kind() != Some(ErrorKind::NotFound) {
        return error;
    }
    let flags = client.flags();
    match client.list_indexes() {
        Ok(indexes) if indexes.iter().any(|index| index.name == name) => {
            error.hint(format!("see crossbill imports list --index {name}{flags}"))
        }
        Ok(indexes) if indexes.is_empty() => error.hint(format!(
            "there is no index yet; make one with crossbill index create {name} --dimension N{flags}"
        )),
        Ok(indexes) => {
            let names: Vec<&str> =
                indexes.iter().take(10).map(|index| index.name.as_str()).collect();
            error.hint(format!("the indexes are {}", names.join(", ")))
        }
        Err(_) => error,
    }
}
