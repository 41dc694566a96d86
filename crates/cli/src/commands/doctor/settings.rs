//! The settings by themselves: whether a server would take them, and what in
//! them is risky.

use std::path::{Path, PathBuf};

use crossbill_core::{RandomIds, SystemClock};
use crossbill_db::doctor::probe_sync;

use super::check::Report;
use crate::args::ServeArgs;
use crate::commands::serve;
use crate::error::Result;
use crate::settings::IntegrationTable;

/// Checks what `crossbill serve` would check, and more.
pub(super) fn check(args: &ServeArgs, tables: &[IntegrationTable], report: &mut Report) {
    match accepted(args, tables) {
        Ok(with_key) => {
            report.ok("settings", "a server would take them");
            access(args, with_key, report);
        }
        Err(error) => report.problem("settings", error.message(), "correct it, see docs/doctor.md"),
    }
    let nested = |directory: &Path| {
        let full = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        full(directory).starts_with(full(&args.data))
            || full(&args.data).starts_with(full(directory))
    };
    for (flag, directories) in [
        ("--allow-import-dir", &args.allow_import_dir),
        ("--allow-export-dir", &args.allow_export_dir),
    ] {
        for directory in directories {
            if nested(directory) {
                let found =
                    format!("{flag} {} and the data directory overlap", directory.display());
                report.warning("directories", found, "give each a place of its own");
            }
        }
    }
    readable(&args.allow_import_dir, report);
    writable(&args.allow_export_dir, report);
    audit_log(args, report);
}

/// Whether a server with these settings would ask for a key; an error where it
/// would not start.
fn accepted(args: &ServeArgs, tables: &[IntegrationTable]) -> Result<bool> {
    let config = serve::server_config(args)?;
    serve::database_options(args, tables)?;
    Ok(!config.keys.is_empty())
}

/// Who may ask, and who may listen.
fn access(args: &ServeArgs, with_key: bool, report: &mut Report) {
    let (address, is_local) = (args.listen, args.listen.ip().is_loopback());
    let with_tls = args.tls_cert.is_some();
    match (with_key, is_local, args.insecure) {
        (false, false, false) => report.problem(
            "access",
            format!("{address} is reached from other machines, and there is no key"),
            "the server would not start: give keys with --keys-file FILE",
        ),
        (false, false, true) => report.warning(
            "access",
            format!("--insecure: anyone who reaches {address} may read and delete everything"),
            "give keys with --keys-file FILE unless a proxy asks for one",
        ),
        (_, false, _) if !with_tls => report.warning(
            "access",
            format!("keys and records cross the network to {address} in clear text"),
            "set --tls-cert and --tls-key unless a proxy in front speaks TLS",
        ),
        (false, true, _) => report.ok("access", format!("no key: {address} is this machine only")),
        _ => report.ok("access", format!("a key is asked for at {address}")),
    }
}

fn readable(directories: &[PathBuf], report: &mut Report) {
    for directory in directories {
        let shown = directory.display();
        match std::fs::read_dir(directory) {
            Ok(_) => report.ok("imports from", format!("{shown} can be read")),
            Err(error) => report.problem(
                "imports from",
                format!("{shown}: {error}"),
                "make it, give this user the right to read it, or drop --allow-import-dir",
            ),
        }
    }
}

/// Whether the audit log can be made where it is to be. Not opened: that would
/// make it.
fn audit_log(args: &ServeArgs, report: &mut Report) {
    let Some(path) = &args.audit_log else { return };
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    match probe_sync(above.unwrap_or(Path::new(".")), &SystemClock::new(), &RandomIds) {
        Ok(_) => report.ok("audit log", format!("{} can be written", path.display())),
        Err(error) => report.problem(
            "audit log",
            format!("{}: {}", path.display(), error.message()),
            "make its directory, or give this user the right to write there",
        ),
    }
}

fn writable(directories: &[PathBuf], report: &mut Report) {
    let clock = SystemClock::new();
    for directory in directories {
        let shown = directory.display();
        match probe_sync(directory, &clock, &RandomIds) {
            Ok(_) => report.ok("exports to", format!("{shown} can be written to")),
            Err(error) => report.problem(
                "exports to",
                format!("{shown}: {}", error.message()),
                "make it, give this user the right to write there, or drop --allow-export-dir",
            ),
        }
    }
}
