//! Repository chores that need more than cargo: `cargo xtask tidy` checks the
//! rules of ARCHITECTURE.md and CONTRIBUTING.md that no lint knows and changes
//! nothing; `cargo xtask proto` makes the gRPC messages anew,
//! `cargo xtask openapi` the OpenAPI document.

mod codes;
mod console;
mod edges;
mod errors;
mod files;
mod openapi;
mod proto;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let findings = match command.as_deref() {
        Some("tidy") => tidy(&root()),
        Some("proto") => proto::write(&root()),
        Some("openapi") => openapi::write(&root()),
        _ => Err("usage: cargo xtask tidy | proto | openapi".to_owned()),
    };
    report(findings)
}

/// The repository's root: the parent of this package's folder.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

fn tidy(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = edges::check(root)?;
    findings.extend(files::check(root)?);
    findings.extend(codes::check(root)?);
    findings.extend(errors::check(root)?);
    findings.extend(proto::check(root)?);
    findings.extend(console::check(root)?);
    Ok(findings)
}

#[allow(clippy::print_stdout, reason = "a command line tool answers on standard output")]
fn report(findings: Result<Vec<String>, String>) -> ExitCode {
    match findings {
        Ok(findings) if findings.is_empty() => {
            println!("tidy: ok");
            ExitCode::SUCCESS
        }
        Ok(findings) => {
            findings.iter().for_each(|finding| println!("{finding}"));
            println!("tidy: {} findings", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("tidy: {error}");
            ExitCode::from(2)
        }
    }
}
