//! The settings of a server for a process that embeds the database: the same
//! flags, variables and file, read by the same rules. No key is asked for and
//! nothing listens; imports and exports may use every path that the process may.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crossbill_db::DatabaseOptions;
use crossbill_server::ServerConfig;

use crate::args::Command;
use crate::commands::serve;
use crate::error::{CliError, Result};
use crate::settings::ParseError;
use crate::{log, settings};

/// What an embedded database is opened with.
pub struct Embedding {
    /// The database's options.
    pub database: DatabaseOptions,
    /// The server's, as far as they matter without a socket.
    pub server: ServerConfig,
}

/// Reads `flags` as those of `crossbill serve`, with `data` as the data
/// directory and `handed_over` the directory below it that imports may read.
///
/// # Errors
/// One line that names the setting which is wrong.
pub fn embed(
    data: &Path,
    handed_over: &Path,
    flags: Vec<OsString>,
) -> std::result::Result<Embedding, String> {
    read(data, handed_over, flags).map_err(|error| error.message().to_owned())
}

fn read(data: &Path, handed_over: &Path, flags: Vec<OsString>) -> Result<Embedding> {
    let mut words: Vec<OsString> = ["crossbill", "serve", "--data"].map(OsString::from).into();
    words.push(data.into());
    words.extend(flags);
    let parsed = settings::parse(words).map_err(|error| match error {
        ParseError::File(error) => error,
        ParseError::Clap(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            CliError::usage(first.trim_start_matches("error: "))
        }
    })?;
    let Command::Serve(args) = parsed.cli.command else {
        return Err(CliError::usage("found another command among the settings"));
    };
    if let Some(level) = &args.engine.log {
        // A second database of the process goes into the log of the first.
        let _ = log::start(level, args.log_format, None);
    }
    let anywhere = vec![PathBuf::from("/")];
    let mut database = serve::database_options(&args, &parsed.integrations)?;
    database.source_policy.allow_dirs.clone_from(&anywhere);
    database.source_policy.handed_over = Some(handed_over.to_owned());
    database.export_dirs = anywhere;
    let mut server = serve::server_config(&args)?;
    server.audit = serve::audit(&args)?;
    Ok(Embedding { database, server })
}
