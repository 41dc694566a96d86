//! `crossbill doctor`: checks settings, machine, data directory, what is
//! reached and everything that is stored; says for each what was found and,
//! where something is wrong, what to do. Changes nothing.

mod certificate;
mod check;
mod machine;
mod network;
mod place;
mod scrub;
mod secrets;
mod settings;

use serde_json::Value;

use crate::args::DoctorArgs;
use crate::error::{CliError, Exit, Result};
use crate::log::{self, LogFormat};
use crate::settings::IntegrationTable;
use check::Report;

/// Runs the checks that were asked for.
pub(crate) fn run(args: &DoctorArgs, tables: &[IntegrationTable], sources: &Value) -> Result<Exit> {
    // What is found is told once, by the checks.
    log::start("off", LogFormat::Text, None)?;
    let mut report = Report::new(args.json);
    if !args.scrub_only {
        settings::check(&args.settings, tables, &mut report);
        secrets::check(&args.settings, tables, sources, &mut report);
        network::tls(&args.settings, &mut report);
        machine::check(&args.settings, &mut report);
    }
    let is_there = place::check(&args.settings.data, !args.scrub_only, &mut report);
    if !args.scrub_only {
        network::ports(&args.settings, &mut report);
        network::integrations(&args.settings, tables, &mut report);
        network::models(&args.settings, &mut report);
    }
    if is_there && !args.skip_scrub {
        scrub::check(args, &mut report);
    }
    Ok(report.end())
}

/// The one finding where the settings cannot even be read.
pub(crate) fn unreadable(error: &CliError, json: bool) -> Exit {
    let mut report = Report::new(json);
    report.problem("settings", error.message(), "correct it; all else is checked after that");
    report.end()
}
