//! One command from its words to its exit code: reads the command line and its
//! settings and runs the command that they name.

use std::ffi::OsString;

use crate::args::Command;
use crate::error::{CliError, Exit, Result};
use crate::settings::{ParseError, Parsed};
use crate::{commands, output, settings};

/// Runs the command line `words`, the program's name first, and gives the code
/// to end with. Results go to stdout, what is said about them to stderr.
pub fn run(words: Vec<OsString>) -> u8 {
    let is_doctor = words.get(1).is_some_and(|word| word == "doctor");
    let doctor_json = words.iter().any(|word| word == "--json");
    let parsed = match settings::parse(words) {
        Ok(parsed) => parsed,
        Err(ParseError::Clap(error)) => {
            // Help that nobody reads to its end (`| head`) is no failure.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(Exit::Failed as u8);
        }
        Err(ParseError::File(error)) if is_doctor => {
            return commands::doctor::unreadable(&error, doctor_json) as u8;
        }
        Err(ParseError::File(error)) => return fail(&error, false) as u8,
    };
    let json = parsed.cli.command.connect().is_some_and(|connect| connect.json);
    match command(parsed) {
        Ok(exit) => exit as u8,
        Err(error) => fail(&error, json) as u8,
    }
}

fn command(parsed: Parsed) -> Result<Exit> {
    let Parsed { cli, integrations, report } = parsed;
    match cli.command {
        Command::Serve(args) if args.print_settings => {
            output::document(&report);
            Ok(Exit::Success)
        }
        Command::Serve(args) => commands::serve::run(&args, &integrations),
        Command::Doctor(args) => commands::doctor::run(&args, &integrations, &report),
        Command::Index(command) => commands::index::run(command, &integrations),
        Command::Import(args) => commands::import::run(&args, &integrations),
        Command::Imports(command) => commands::imports::run(command, &integrations),
        Command::Export(args) => commands::export::run(&args, &integrations),
        Command::Exports(command) => commands::export::manage(command, &integrations),
        Command::Backups(command) => commands::backups::run(command, &integrations),
        Command::BackupRoot(args) => commands::backup_root::run(&args, &integrations),
        Command::Pull(args) => commands::pull::run(&args, &integrations),
        Command::Integrations(command) => commands::integrations::run(command, &integrations),
        Command::Query(args) => commands::query::run(&args, &integrations),
        Command::Keys(command) => commands::keys::run(&command),
        Command::Stats(args) => commands::stats::run(&args, &integrations),
        Command::Completions { shell } => {
            commands::completions::run(shell);
            Ok(Exit::Success)
        }
    }
}

fn fail(error: &CliError, json: bool) -> Exit {
    if json {
        output::document(&error.to_json());
    }
    output::note(&error.to_string());
    error.exit()
}
