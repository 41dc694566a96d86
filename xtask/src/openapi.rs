//! Makes docs/openapi.json anew: the test that compares it with what the code
//! makes writes it instead, with the features that all tests are built with.

use std::path::Path;
use std::process::Command;

const TEST: [&str; 9] = [
    "test",
    "--release",
    "--workspace",
    "--features",
    "crossbill-cli/kill-points",
    "--test",
    "api",
    "--",
    "the_document_is_the_one_that_is_checked_in",
];

/// Writes the document.
pub(crate) fn write(root: &Path) -> Result<Vec<String>, String> {
    let run = Command::new("cargo")
        .args(TEST)
        .current_dir(root)
        .env("CROSSBILL_WRITE_OPENAPI", "1")
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    match run.success() {
        true => Ok(Vec::new()),
        false => Err("the document could not be made; see above".to_owned()),
    }
}
