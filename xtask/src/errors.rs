//! Every row of the one table of statuses stands in docs/errors.md, and every
//! row of that page is in the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TABLE: &str = "crates/wire/src/status.rs";
const PAGE: &str = "docs/errors.md";

/// HTTP status, gRPC code, name.
type Row = (u16, i32, String);

/// One line for each row that only one side has.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let source = rows_of_source(&read(root, TABLE)?);
    let page = rows_of_page(&read(root, PAGE)?);
    if source.is_empty() {
        return Err(format!("{TABLE}: no row was found"));
    }
    let told = |(http, grpc, name): &Row| format!("{http} {name} {grpc}");
    let missing = source.difference(&page).map(|row| format!("{PAGE}: {} is missing", told(row)));
    let unknown =
        page.difference(&source).map(|row| format!("{PAGE}: {} is not in {TABLE}", told(row)));
    Ok(missing.chain(unknown).collect())
}

fn read(root: &Path, file: &str) -> Result<String, String> {
    fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))
}

/// Each `status(404, 5, "NOT_FOUND")`.
fn rows_of_source(text: &str) -> BTreeSet<Row> {
    let calls = text.split("status(").skip(1).filter_map(|rest| rest.split(')').next());
    calls
        .filter_map(|call| row(call.split(',').map(|part| part.trim().trim_matches('"'))))
        .collect()
}

/// Each line `| 404 | `NOT_FOUND` | 5 … |`.
fn rows_of_page(text: &str) -> BTreeSet<Row> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| "));
    lines
        .filter_map(|line| {
            let mut cells = line.split(" | ");
            let (http, name, number) = (cells.next()?, cells.next()?, cells.next()?);
            row([http, number.split(' ').next()?, name.trim_matches('`')].into_iter())
        })
        .collect()
}

fn row<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<Row> {
    let http = parts.next()?.parse().ok()?;
    let grpc = parts.next()?.parse().ok()?;
    Some((http, grpc, parts.next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_on_both_sides() {
        let expected = BTreeSet::from([(404, 5, "NOT_FOUND".to_owned())]);
        let source =
            "const fn status(http: u16, grpc: i32) {}\n A => status(404, 5, \"NOT_FOUND\"),";
        assert_eq!(rows_of_source(source), expected);
        let page = "| HTTP | name | number |\n| --- | --- | --- |\n\
                    | 404 | `NOT_FOUND` | 5 `NOT_FOUND` | when | what |\n";
        assert_eq!(rows_of_page(page), expected);
    }
}
