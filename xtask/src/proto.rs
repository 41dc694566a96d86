//! Makes the gRPC messages of their `.proto` file: `cargo xtask proto` writes
//! them, `cargo xtask tidy` compares them with what is checked in, so that
//! nothing else ever needs a protobuf compiler.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = "crates/wire/proto";
const SOURCE: &str = "vector_service.proto";
const TARGET: &str = "crates/wire/src/grpc/messages.rs";

const HEAD: &str = "\
//! The messages of the data plane. Made by `cargo xtask proto` of
//! `proto/vector_service.proto`: change that file, never this one.

#![allow(clippy::all, clippy::pedantic, reason = \"made by a program\")]

";

/// Writes the messages anew.
pub(crate) fn write(root: &Path) -> Result<Vec<String>, String> {
    let made = make(root)?;
    fs::write(root.join(TARGET), made).map_err(|error| format!("{TARGET}: {error}"))?;
    Ok(Vec::new())
}

/// One line where the checked-in messages are not what would be made.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let made = make(root)?;
    let found =
        fs::read_to_string(root.join(TARGET)).map_err(|error| format!("{TARGET}: {error}"))?;
    match made == found {
        true => Ok(Vec::new()),
        false => Ok(vec![format!("{TARGET}: not what {SOURCE} says; run `cargo xtask proto`")]),
    }
}

fn make(root: &Path) -> Result<String, String> {
    let files = protox::compile([SOURCE], [root.join(FOLDER)]).map_err(|e| format!("{e:?}"))?;
    let out = root.join("target").join("proto");
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    prost_build::Config::new()
        .btree_map(["."])
        .out_dir(&out)
        .default_package_filename("messages")
        .compile_fds(files)
        .map_err(|error| error.to_string())?;
    let made = out.join("messages.rs");
    let made = fs::read_to_string(&made).map_err(|error| format!("{}: {error}", made.display()))?;
    formatted(root, &format!("{HEAD}{made}"))
}

/// As `cargo fmt` would have it.
fn formatted(root: &Path, text: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("rustfmt: {error}");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut input = rustfmt.stdin.take().ok_or("rustfmt takes no input")?;
    // It reads all before it writes.
    input.write_all(text.as_bytes()).map_err(failed)?;
    drop(input);
    let output = rustfmt.wait_with_output().map_err(failed)?;
    match output.status.success() {
        true => String::from_utf8(output.stdout).map_err(|error| error.to_string()),
        false => Err(format!("rustfmt: {}", output.status)),
    }
}
