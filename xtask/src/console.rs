//! The console's built files are kept beside the server, so that `cargo build`
//! needs no Node: this says when their sources have changed since. The build
//! (`console/vite.config.mjs`) writes down the hash of what it was made of, by
//! the same rule.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const FOLDER: &str = "console";
const BUILT: &str = "crates/server/assets/SOURCES";
/// What decides what is built, beside the folders.
const FILES: [&str; 5] =
    ["index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.mjs"];
const FOLDERS: [&str; 2] = ["public", "src"];

/// One line where the built files are older than their sources.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let built =
        fs::read_to_string(root.join(BUILT)).map_err(|error| format!("{BUILT}: {error}"))?;
    match built.trim() == hash(&root.join(FOLDER))? {
        true => Ok(Vec::new()),
        false => Ok(vec![format!(
            "{BUILT}: the console's sources have changed since it was built; run `npm ci && npm \
             run build` in {FOLDER}/"
        )]),
    }
}

/// SHA-256 over each file's name and content, each ended by a zero.
fn hash(folder: &Path) -> Result<String, String> {
    let mut names: Vec<String> = FILES.map(str::to_owned).into();
    for below in FOLDERS {
        collect(folder, &PathBuf::from(below), &mut names)?;
    }
    names.sort();
    let mut sum = Sha256::new();
    for name in names {
        let content = fs::read(folder.join(&name)).map_err(|error| format!("{name}: {error}"))?;
        sum.update(&name);
        sum.update([0]);
        sum.update(content);
        sum.update([0]);
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Adds the files below `below`, tests apart, with `/` between names.
fn collect(folder: &Path, below: &Path, names: &mut Vec<String>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", below.display());
    for entry in fs::read_dir(folder.join(below)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = below.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            collect(folder, &path, names)?;
        } else if !path.to_string_lossy().contains(".test.") {
            names.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_build() {
        assert_eq!(check(&crate::root()), Ok(Vec::new()));
    }
}
