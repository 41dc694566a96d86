//! What each source file must keep: a module comment on top, at most 500
//! lines without its tests, functions of at most 70 lines, lines of at most
//! 100 columns, and a short `lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
const LIB_LINES_MAX: usize = 60;

/// One line for each rule that a file breaks.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    for file in &rust_files(root)? {
        let text =
            fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(file).display().to_string();
        check_file(&name, &text, &mut findings);
    }
    Ok(findings)
}

/// Every Rust file of the workspace, in order of their paths.
pub(crate) fn rust_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for folder in ["bench", "crates", "xtask"] {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(name: &str, text: &str, findings: &mut Vec<String>) {
    if !text.starts_with("//!") {
        findings.push(format!("{name}: does not open with a //! comment"));
    }
    let is_test = name.contains("/tests/") || name.ends_with("tests.rs");
    let product = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = product.lines().count();
    if !is_test && lines > FILE_LINES_MAX {
        findings.push(format!("{name}: {lines} lines without tests, at most {FILE_LINES_MAX}"));
    }
    if name.ends_with("src/lib.rs") && lines > LIB_LINES_MAX {
        findings.push(format!("{name}: {lines} lines, at most {LIB_LINES_MAX}"));
    }
    for (number, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        // A long string or a row of a table cannot be broken.
        let whole = line.contains('"') || line.contains("http") || line.starts_with("//! |");
        if columns > COLUMNS_MAX && !whole {
            findings
                .push(format!("{name}:{}: {columns} columns, at most {COLUMNS_MAX}", number + 1));
        }
    }
    if !is_test {
        check_functions(name, product, findings);
    }
}

/// Functions end, after rustfmt, at the first `}` of their own indent.
fn check_functions(name: &str, text: &str, findings: &mut Vec<String>) {
    let lines: Vec<&str> = text.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let head =
            ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn "];
        if !head.iter().any(|prefix| code.starts_with(prefix)) || line.ends_with(';') {
            continue;
        }
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        let length =
            lines[start..].iter().position(|line| *line == closing).map_or(0, |end| end + 1);
        if length > FUNCTION_LINES_MAX {
            findings.push(format!(
                "{name}:{}: function of {length} lines, at most {FUNCTION_LINES_MAX}",
                start + 1
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check_file("crates/x/src/a.rs", text, &mut findings);
        findings
    }

    #[test]
    fn a_tidy_file_has_no_findings() {
        assert!(findings("//! Why.\n\nfn short() {\n    run();\n}\n").is_empty());
    }

    #[test]
    fn each_rule_is_found() {
        assert!(findings("fn main() {}\n")[0].contains("does not open"));
        let long = format!("//! Why.\nfn long() {{\n{}}}\n", "    run();\n".repeat(80));
        assert!(findings(&long)[0].contains("function of 82 lines"));
        let big = format!("//! Why.\n{}", "const A: u8 = 0;\n".repeat(600));
        assert!(findings(&big)[0].contains("601 lines"));
        let tested =
            format!("//! Why.\n\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    // x\n".repeat(600));
        assert!(findings(&tested).is_empty());
        assert!(
            findings(&format!("//! Why.\n// {}\n", "x".repeat(120)))[0].contains("123 columns")
        );
    }
}
