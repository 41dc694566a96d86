//! `crossbill keys`: makes API keys for the file of `serve --keys-file`. A key
//! is shown once; the file has its hash only.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crossbill_core::{IdSource as _, RandomIds};
use crossbill_server::{KeyHash, Keys};
use serde::Serialize;
use serde_json::json;

use crate::args::{KeysCommand, NewKeyArgs};
use crate::error::{CliError, Exit, Result};
use crate::keys::{KeySources, KeyTable, key};
use crate::output;

#[derive(Serialize)]
struct Tables {
    key: Vec<KeyTable>,
}

/// Makes a key.
pub(crate) fn run(command: &KeysCommand) -> Result<Exit> {
    match command {
        KeysCommand::New(args) => new(args),
    }
}

fn new(args: &NewKeyArgs) -> Result<Exit> {
    // Twice 128 bits of the system's randomness.
    let text = format!("cbk_{}{}", RandomIds.next_id(), RandomIds.next_id()).replace('-', "");
    let failed = |error: crossbill_server::KeyError| CliError::usage(error.to_string());
    let table = KeyTable {
        name: args.name.clone(),
        role: args.role.clone(),
        key: None,
        sha256: Some(KeyHash::of_text(&text).map_err(failed)?.to_hex()),
        indexes: (!args.index.is_empty()).then(|| args.index.clone()),
        requests_per_second: args.requests_per_second,
    };
    let made = key(&table).map_err(CliError::usage)?;
    let lines = toml::to_string(&Tables { key: vec![table] })
        .map_err(|error| CliError::failed(format!("the key cannot be written: {error}")))?;
    match &args.file {
        Some(path) => {
            let mut all = match path.exists() {
                true => KeySources { given: &[], lines: None, table: Some(path) }.read()?,
                false => Vec::new(),
            };
            all.push(made);
            Keys::new(all).map_err(failed)?;
            append(path, &lines)?;
            output::note(&format!(
                "added to {}; this is the key, which is not shown again:",
                path.display()
            ));
        }
        None if !args.json => {
            output::note(&format!("for the file of --keys-file:\n\n{lines}\nthe key:"));
        }
        None => {}
    }
    match args.json {
        true => output::document(&json!({"name": args.name, "key": text, "table": lines})),
        false => output::line(&text),
    }
    Ok(Exit::Success)
}

/// Adds `lines` to the file, or makes it, for its owner only.
fn append(path: &Path, lines: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(path);
    file.and_then(|mut file| {
        file.write_all(format!("\n{lines}").as_bytes())?;
        file.sync_all()
    })
    .map_err(|error| CliError::failed(format!("cannot write {}: {error}", path.display())))
}
