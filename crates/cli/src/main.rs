//! The one binary, `crossbill`: reads the command line and its settings,
//! runs one command, ends with its exit code.
//!
//! Commands call the database or the server and show the answer; no rule
//! about records, imports or indexes is decided here.

mod args;
mod client;
mod commands;
mod error;
mod keys;
mod log;
mod machine;
mod models;
mod options;
mod output;
mod progress;
mod reload;
mod settings;
mod signals;
mod table;
mod traces;
mod units;
mod uri;

use std::process::ExitCode;

use args::Command;
use error::{CliError, Exit};
use settings::{ParseError, Parsed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    let is_doctor = argv.get(1).is_some_and(|word| word == "doctor");
    let doctor_json = argv.iter().any(|word| word == "--json");
    let parsed = match settings::parse(argv) {
        Ok(parsed) => parsed,
        Err(ParseError::Clap(error)) => error.exit(),
        Err(ParseError::File(error)) if is_doctor => {
            return commands::doctor::unreadable(&error, doctor_json).into();
        }
        Err(ParseError::File(error)) => return fail(&error, false),
    };
    let json = parsed.cli.command.connect().is_some_and(|connect| connect.json);
    match run(parsed) {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error, json),
    }
}

fn run(parsed: Parsed) -> error::Result<Exit> {
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

fn fail(error: &CliError, json: bool) -> ExitCode {
    if json {
        output::document(&error.to_json());
    }
    output::note(&error.to_string());
    error.exit().into()
}
