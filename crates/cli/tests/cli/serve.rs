//! The server's start and end, and commands that ask a running one.

use std::fs;

use crate::support::{Server, crossbill, good_source, run, wait_until, with_args};

#[test]
fn it_says_how_to_connect_and_stops_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    assert!(server.banner.contains("no API key: listening on loopback only"), "{}", server.banner);
    assert!(server.banner.contains("from pinecone import Pinecone"));
    assert!(server.banner.contains("--allow-import-dir"));
    let (code, said) = server.terminate();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the data is complete on disk"), "{said}");
}

#[test]
fn it_is_not_open_to_others_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut command = crossbill();
    command.args(["serve", "--listen", "0.0.0.0:0", "--data"]).arg(&data);
    let ran = run(&mut command).exits(2);
    assert!(ran.stderr.contains("hint:  give keys"), "{}", ran.stderr);
    assert!(!data.exists(), "nothing was made");
    let keys = dir.path().join("keys");
    fs::write(&keys, "# none yet\n").unwrap();
    let ran = run(command.arg("--api-key-file").arg(&keys)).exits(2);
    assert!(ran.stderr.contains("found no key"), "{}", ran.stderr);
}

#[test]
fn directories_may_be_named_from_where_one_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("in/films")).unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    let record = "{\"id\": \"alien\", \"values\": [0.9, 0.1]}\n";
    fs::write(dir.path().join("in/films/0.jsonl"), record).unwrap();
    let flags = ["--allow-import-dir", "in", "--allow-export-dir", "./out"];
    let server = Server::start_in(dir.path(), &dir.path().join("data"), &flags);
    let uri = format!("file://{}/", dir.path().join("in").canonicalize().unwrap().display());
    server.ask(&["import", &uri, "--index", "films", "--create", "--dimension", "2"]).exits(0);
    let out = format!("file://{}/", dir.path().join("out").canonicalize().unwrap().display());
    server.ask(&["export", &out, "--index", "films"]).exits(0);
}

#[test]
fn a_key_is_required_where_one_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--api-key", "sesame"]);
    assert!(server.banner.contains("access        required"), "{}", server.banner);
    assert!(!server.banner.contains("sesame"));
    let ran = server.ask(&["index", "list"]).exits(1);
    assert!(ran.stderr.contains("--api-key"), "{}", ran.stderr);
    server.ask(&["index", "list", "--api-key", "sesame"]).exits(0);
}

#[test]
fn commands_ask_a_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let source = good_source(dir.path());
    let allowed = source.to_str().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--allow-import-dir", allowed]);
    let made = server.ask(&["index", "create", "books", "--dimension", "2", "--json"]).exits(0);
    assert_eq!(made.json()["dimension"], 2);
    let taken = server.ask(&["index", "create", "books", "--dimension", "2"]).exits(1);
    assert!(taken.stderr.starts_with("error: "), "{}", taken.stderr);

    let ran = server.ask(&["import", allowed, "--index", "books"]).exits(0);
    assert!(
        ran.stdout.contains("read 5 = imported 4 + superseded 1 + rejected 0"),
        "{}",
        ran.stdout
    );
    let args = ["query", "--index", "books", "--namespace", "en", "--vector", "[1,0.1]"];
    let found = server.ask(&[&args[..], &["--include-metadata", "-k", "2"]].concat()).exits(0);
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", found.stdout);
    assert!(lines[0].starts_with("rank"));
    assert!(lines[1].contains("record a"), "{}", found.stdout);
    let stats = server.ask(&["stats", "--index", "books", "--json"]).exits(0).json();
    assert_eq!(stats["totalVectorCount"], 4);

    let id = server.ask(&["import", allowed, "--index", "books", "--detach"]).exits(0).stdout;
    let id = id.trim();
    let followed = server.ask(&["imports", "describe", id, "--index", "books", "--follow"]);
    followed.exits(0);
    let listed = server.ask(&["imports", "list", "--index", "books", "--json"]).exits(0).json();
    assert_eq!(listed["data"][0]["id"], id);
    let cancelled = server.ask(&["imports", "cancel", id, "--index", "books"]).exits(0);
    assert!(cancelled.stdout.contains("Completed"), "{}", cancelled.stdout);

    let refused = server.ask(&["import", "/etc", "--index", "books"]).exits(1);
    assert!(refused.stderr.contains("--allow-import-dir"), "{}", refused.stderr);
    let unknown = server.ask(&["imports", "describe", "99", "--index", "books"]).exits(1);
    assert!(unknown.stderr.contains("imports list"), "{}", unknown.stderr);
    let unknown = server.ask(&["stats", "--index", "boks"]).exits(1);
    assert!(unknown.stderr.contains("the indexes are books"), "{}", unknown.stderr);
    server.ask(&["index", "delete", "books"]).exits(0);
    wait_until("the index is gone", || {
        server.ask(&["index", "list", "--json"]).json()["indexes"].as_array().unwrap().is_empty()
    });
}

#[test]
fn a_server_that_is_not_there_is_explained() {
    let args = ["index", "list", "--server", "http://127.0.0.1:1", "--json"];
    let ran = with_args(&args).exits(1);
    assert!(ran.stderr.contains("hint:  start one with `crossbill serve`"), "{}", ran.stderr);
    let message = ran.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("cannot reach a server at http://127.0.0.1:1"), "{message}");
}
