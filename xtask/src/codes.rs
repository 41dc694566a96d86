//! Every reject code of the source stands in docs/import-errors.md, and every
//! code of that page is in the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One line for each code that only one side knows.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut source = BTreeSet::new();
    for file in crate::files::rust_files(root)? {
        let is_test = file.to_string_lossy().contains("tests");
        if !is_test && file.starts_with(root.join("crates")) {
            collect(&read(&file)?, '"', &mut source);
        }
    }
    let mut page = BTreeSet::new();
    collect(&read(&root.join("docs/import-errors.md"))?, '`', &mut page);
    let undocumented = source.difference(&page);
    let unknown = page.difference(&source);
    Ok(undocumented
        .map(|code| format!("docs/import-errors.md: {code} is missing"))
        .chain(unknown.map(|code| format!("docs/import-errors.md: {code} is in no source")))
        .collect())
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Adds each `E_NAME` that stands between two `quote` characters.
fn collect(text: &str, quote: char, codes: &mut BTreeSet<String>) {
    let is_code = |part: &&str| {
        part.strip_prefix("E_").is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        })
    };
    codes.extend(text.split(quote).filter(is_code).map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_between_quotes() {
        let mut codes = BTreeSet::new();
        collect(r#"code("E_ID_NULL"), "E_", "e_x", E_BARE"#, '"', &mut codes);
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["E_ID_NULL"]);
    }
}
