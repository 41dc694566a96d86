//! Commands on a data directory, with no server.

use std::path::Path;

use serde_json::Value;

use crate::support::{Ran, crossbill, good_source, run, write_parquet};

fn on(data: &Path, args: &[&str]) -> Ran {
    run(crossbill().args(args).arg("--data").arg(data))
}

#[test]
fn create_import_query_stats_delete() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let source = good_source(dir.path());
    let source = source.to_str().unwrap();
    let made = on(&data, &["index", "create", "books", "--dimension", "2"]).exits(0);
    assert!(made.stdout.contains("cosine"), "{}", made.stdout);

    let ran = on(&data, &["import", source, "--index", "books"]).exits(0);
    let sum = "read 5 = imported 4 + superseded 1 + rejected 0";
    assert!(ran.stdout.contains(sum), "{}", ran.stdout);
    assert!(!ran.stderr.is_empty(), "progress lines where stderr is no terminal");

    let args = ["query", "--index", "books", "--namespace", "en", "--id", "a", "--json"];
    let found = on(&data, &[&args[..], &["--include-values", "--include-metadata"]].concat());
    let matches = found.exits(0).json()["matches"].clone();
    let ids: Vec<&Value> = matches.as_array().unwrap().iter().map(|found| &found["id"]).collect();
    assert_eq!(ids, ["a", "c", "b"]);
    assert_eq!(matches[0]["metadata"]["name"], "record a");
    assert_eq!(matches[0]["values"][1], 0.1);

    let filter = r#"{"name": "record b"}"#;
    let args = ["query", "--index", "books", "--namespace", "en", "--vector", "[1,0]"];
    let found = on(&data, &[&args[..], &["--filter", filter]].concat()).exits(0);
    assert_eq!(found.stdout.lines().count(), 2, "{}", found.stdout);

    let stats = on(&data, &["stats", "--index", "books"]).exits(0).stdout;
    assert_eq!(
        stats,
        "namespace  records\nde               1\nen               3\n(all)            4\n"
    );
    let list = on(&data, &["index", "list", "--json"]).exits(0).json();
    assert_eq!(list["indexes"][0]["name"], "books");
    on(&data, &["index", "delete", "books"]).exits(0);
    on(&data, &["index", "describe", "books"]).exits(1);
}

#[test]
fn limits_are_those_of_the_directorys_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let create = ["index", "create", "books", "--dimension", "9"];
    let refused = on(&data, &[&create[..], &["--limits", "dimension=8"]].concat()).exits(1);
    assert!(refused.stderr.contains("expected 1 to 8"), "{}", refused.stderr);
    let mut asked = crossbill();
    asked.args(create).arg("--data").arg(&data).env("CROSSBILL_LIMIT", "dimension=8");
    assert!(run(&mut asked).exits(1).stderr.contains("expected 1 to 8"));
    let config = dir.path().join("crossbill.toml");
    std::fs::write(&config, "[limits]\ndimension = 8\n").unwrap();
    let config = ["--config", config.to_str().unwrap()];
    let refused = on(&data, &[&create[..], &config].concat()).exits(1);
    assert!(refused.stderr.contains("expected 1 to 8"), "{}", refused.stderr);
    on(&data, &create).exits(0);
    // The length of a list is another thing.
    let list = ["imports", "list", "--index", "books", "--limit", "1"];
    on(&data, &[&list[..], &config].concat()).exits(0);
}

#[test]
fn backups_are_made_restored_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let source = good_source(dir.path());
    let create = ["--create", "--dimension", "2"];
    let import = ["import", source.to_str().unwrap(), "--index", "books"];
    on(&data, &[&import[..], &create].concat()).exits(0);
    let args = ["backups", "create", "--index", "books", "--name", "first", "--json"];
    let made = on(&data, &args).exits(0).json();
    let id = made["backup_id"].as_str().unwrap();
    let list = on(&data, &["backups", "list", "--index", "books"]).exits(0).stdout;
    assert!(list.contains(id) && list.contains("first"), "{list}");
    on(&data, &["index", "delete", "books"]).exits(0);
    let restored = on(&data, &["backups", "restore", id, "--to", "again"]).exits(0).stdout;
    assert_eq!(restored, "restored index again\n");
    let stats = on(&data, &["stats", "--index", "again"]).exits(0).stdout;
    assert!(stats.contains("(all)            4"), "{stats}");
    on(&data, &["backups", "restore", id, "--to", "again"]).exits(1);
    let every = ["--every", "week", "--keep-days", "30", "--keep-last", "4", "--json"];
    let schedule = ["backups", "schedule", "weekly", "--index", "again"];
    let schedule = on(&data, &[&schedule[..], &every].concat()).exits(0).json();
    assert_eq!(schedule["data"][0]["frequency"], "weekly");
    let shown = on(&data, &["backups", "schedules", "--index", "again"]).exits(0).stdout;
    assert!(shown.contains("weekly") && shown.contains("30"), "{shown}");
    let own = schedule["data"][0]["schedule_id"].as_str().unwrap();
    on(&data, &["backups", "unschedule", own]).exits(0);
    on(&data, &["backups", "delete", id]).exits(0);
    on(&data, &["backups", "describe", id]).exits(1);
    let none = on(&data, &["backups", "list", "--json"]).exits(0).json();
    assert_eq!(none["data"].as_array().unwrap().len(), 0);
}

#[test]
fn rejects_have_their_own_exit_code_and_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let source = dir.path().join("source");
    let file = source.join("a.parquet");
    write_parquet(&file, &[("a", &[1.0, 0.0]), ("b", &[1.0]), ("c", &[f32::NAN, 1.0])]);
    let source = source.to_str().unwrap();
    let create = ["--create", "--dimension", "2"];
    let args = [&["import", source, "--index", "books"], &create[..]].concat();
    let ran = on(&data, &args).exits(3);
    assert!(ran.stdout.contains("read 3 = imported 1 + superseded 0 + rejected 2"), "{ran:?}");
    assert!(ran.stdout.contains("E_DIMENSION"), "{}", ran.stdout);

    let rejects = on(&data, &["imports", "rejects", "1", "--index", "books", "--json"]);
    let rejects = rejects.exits(0).json();
    assert_eq!(rejects["total"], 2);
    assert_eq!(rejects["data"][1]["code"], "E_NOT_FINITE");
    assert_eq!(rejects["data"][1]["id"], "c");
    let page = on(&data, &["imports", "rejects", "1", "--index", "books", "--limit", "1"]);
    let page = page.exits(0);
    assert!(page.stdout.contains("E_DIMENSION"), "{}", page.stdout);
    assert!(page.stderr.contains("--offset 1"), "{}", page.stderr);

    let abort = ["import", source, "--index", "books", "--error-mode", "abort", "--json"];
    let failed = on(&data, &abort).exits(1).json();
    assert_eq!(failed["status"], "Failed");
    assert!(failed["error"].as_str().unwrap().contains("a.parquet"), "{failed}");
    let described = on(&data, &["imports", "describe", "2", "--index", "books"]).exits(0);
    assert!(described.stdout.contains("Failed"), "{}", described.stdout);
}

#[test]
fn progress_can_be_lines_of_json() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let source = good_source(dir.path());
    let pattern = source.join("en/*.parquet");
    on(&data, &["index", "create", "books", "--dimension", "2"]).exits(0);
    let args = ["import", pattern.to_str().unwrap(), "--index", "books", "--json-progress"];
    let ran = on(&data, &args).exits(0);
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(last["status"], "Completed", "{last}");
    assert_eq!(last["recordsImported"], 3);
}

#[test]
fn a_directory_without_parquet_fails_and_says_where_it_looked() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    on(&data, &["index", "create", "books", "--dimension", "2"]).exits(0);
    let ran = on(&data, &["import", empty.to_str().unwrap(), "--index", "books"]).exits(1);
    assert!(ran.stdout.contains("error: "), "{ran:?}");
    assert!(ran.stdout.contains("empty"), "{ran:?}");
}

#[test]
fn unknown_things_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let ran = on(&data, &["stats", "--index", "books"]).exits(1);
    assert!(ran.stderr.contains("crossbill index create books"), "{}", ran.stderr);
    on(&data, &["index", "create", "books", "--dimension", "2"]).exits(0);
    let ran = on(&data, &["query", "--index", "books", "--vector", "[1,2,3]"]).exits(1);
    assert!(ran.stderr.contains("dimension 3"), "{}", ran.stderr);
    let ran = on(&data, &["imports", "describe", "9", "--index", "books", "--json"]).exits(1);
    assert!(ran.json()["error"]["hint"].as_str().unwrap().contains("imports list"));
}
