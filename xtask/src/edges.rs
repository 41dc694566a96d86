//! Which crate may use which: the arrows of ARCHITECTURE.md, held against
//! `cargo metadata`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each of our crates with those it may depend on. Development dependencies
/// are free.
const ALLOWED: &[(&str, &[&str])] = &[
    ("crossbill-core", &[]),
    ("crossbill-engine", &["crossbill-core"]),
    ("crossbill-store", &["crossbill-core"]),
    ("crossbill-import", &["crossbill-core", "crossbill-engine", "crossbill-store"]),
    (
        "crossbill-db",
        &["crossbill-core", "crossbill-engine", "crossbill-store", "crossbill-import"],
    ),
    ("crossbill-wire", &["crossbill-core"]),
    ("crossbill-inference", &["crossbill-core", "crossbill-store"]),
    (
        "crossbill-server",
        &["crossbill-core", "crossbill-db", "crossbill-inference", "crossbill-wire"],
    ),
    ("crossbill-sim", &["crossbill-core", "crossbill-engine", "crossbill-store", "crossbill-db"]),
    ("crossbill-bench", &["crossbill-core", "crossbill-db"]),
    (
        "crossbill-cli",
        &[
            "crossbill-core",
            "crossbill-db",
            "crossbill-inference",
            "crossbill-server",
            "crossbill-wire",
        ],
    ),
    ("crossbill-python", &["crossbill-core", "crossbill-db", "crossbill-server", "crossbill-cli"]),
    ("xtask", &[]),
];

/// One line for each arrow that is not allowed.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let metadata = metadata(root)?;
    let mut findings = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            findings.push(format!("{name}: not in the table of crates in xtask/src/edges.rs"));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let target = dependency["name"].as_str().unwrap_or_default();
            let ours = target.starts_with("crossbill-");
            if ours && dependency["kind"].is_null() && !allowed.contains(&target) {
                findings.push(format!("{name} may not depend on {target} (ARCHITECTURE.md)"));
            }
        }
    }
    Ok(findings)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn metadata(root: &Path) -> Result<Value, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata did not start: {error}"))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata gave no JSON: {error}"))
}
