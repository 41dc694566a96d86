//! `crossbill doctor`: each problem is made, and told in a line of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::support::{Ran, Server, crossbill, good_source, run, with_args};

/// A data directory with an imported index, and where it lies.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        let source = good_source(place.dir.path());
        let source = source.to_str().unwrap();
        // By a server, so that the index has a port that is free.
        let server = Server::start(&place.data(), &["--allow-import-dir", source]);
        let import = ["import", source, "--index", "a", "--create", "--dimension", "2"];
        server.ask(&import).exits(0);
        assert_eq!(server.terminate().0, Some(0));
        place
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn doctor(&self, args: &[&str]) -> Ran {
        run(crossbill().arg("doctor").arg("--data").arg(self.data()).args(args))
    }

    /// The checks of a run that ends with `code`.
    fn checks(&self, args: &[&str], code: i32) -> Vec<Value> {
        let ran = self.doctor(&[args, &["--json"]].concat()).exits(code);
        let json = ran.json();
        let count = |status: &str| {
            let of = |check: &&Value| check["status"] == status;
            json["checks"].as_array().unwrap().iter().filter(of).count() as u64
        };
        assert_eq!(json["problems"], count("problem"), "{json}");
        assert_eq!(json["warnings"], count("warning"), "{json}");
        json["checks"].as_array().unwrap().clone()
    }

    fn file(&self, end: &str) -> PathBuf {
        find(&self.data(), end).unwrap_or_else(|| panic!("no file ends with {end}"))
    }
}

fn find(directory: &Path, end: &str) -> Option<PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().find_map(|path| match path.is_dir() {
        true => find(&path, end),
        false => path.to_str().unwrap().ends_with(end).then_some(path),
    })
}

/// What a check of that name says with that status; all must have advice.
fn told(checks: &[Value], name: &str, status: &str) -> String {
    let of = |check: &&Value| check["check"] == name && check["status"] == status;
    let found: Vec<&Value> = checks.iter().filter(of).collect();
    assert!(!found.is_empty(), "no {status} of {name} in {checks:#?}");
    for check in &found {
        assert_eq!(check["advice"].is_string(), status != "ok", "{check}");
    }
    found
        .iter()
        .map(|check| check["found"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Flags that keep other checks from finding what this machine has.
fn quiet() -> Vec<String> {
    vec!["--listen".into(), "127.0.0.1:0".into(), "--memory-limit".into(), "512MiB".into()]
}

#[test]
fn a_good_place_has_no_problem_and_is_not_changed() {
    let place = Place::new();
    let listen = format!("127.0.0.1:{}", port());
    let ran = place.doctor(&["--listen", &listen]).exits(0);
    for line in ran.stdout.lines() {
        assert!(line.starts_with("ok  ") || line.starts_with("warning  "), "{line}");
    }
    for name in
        ["settings", "access", "processor", "memory", "data", "permissions", "sync", "scrub"]
    {
        assert!(ran.stdout.contains(&format!(" {name} ")), "{name}: {}", ran.stdout);
    }
    assert!(ran.stdout.contains("segments"), "{}", ran.stdout);
    assert!(ran.stderr.contains("no problem, "), "{}", ran.stderr);
    let only = place.checks(&["--scrub-only"], 0);
    let names: Vec<&str> = only.iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(names, ["data", "scrub"]);
    let skipped = place.checks(&["--skip-scrub", "--listen", &listen], 0);
    assert!(skipped.iter().all(|check| check["check"] != "scrub"));
    place.doctor(&["--skip-scrub", "--scrub-only"]).exits(2);
    // Nothing there yet is no problem; nothing there to scrub is one.
    let none = place.dir.path().join("none");
    let none = none.to_str().unwrap();
    let fresh = with_args(&["doctor", "--data", none, "--listen", &listen]).exits(0);
    assert!(fresh.stdout.contains("does not exist yet"), "{}", fresh.stdout);
    with_args(&["doctor", "--data", none, "--scrub-only"]).exits(1);
    assert!(!Path::new(none).exists());
}

#[test]
fn damage_of_each_kind_of_file_is_a_problem() {
    let place = Place::new();
    for end in [".seg", "catalog/00000000000000000001.json", "page-key.json"] {
        // The newest version is what counts.
        let path = match end {
            ".seg" | "page-key.json" => place.file(end),
            _ => {
                let mut all: Vec<_> = fs::read_dir(place.data().join("catalog"))
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                    .collect();
                all.sort();
                all.pop().unwrap()
            }
        };
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[70] ^= 4;
        fs::write(&path, &flipped).unwrap();
        let checks = place.checks(&["--scrub-only"], 1);
        assert!(told(&checks, "scrub", "problem").len() > 20, "{end}");
        let text = place.doctor(&["--scrub-only"]).exits(1).stdout;
        assert!(text.contains("problem  scrub "), "{text}");
        fs::write(&path, &whole).unwrap();
    }
    fs::remove_file(place.file(".seg")).unwrap();
    let checks = place.checks(&["--scrub-only"], 1);
    assert!(told(&checks, "scrub", "problem").contains("missing"));
}

#[test]
fn wrong_modes_are_told() {
    let place = Place::new();
    let quiet = quiet();
    let quiet: Vec<&str> = quiet.iter().map(String::as_str).chain(["--skip-scrub"]).collect();
    set_mode(&place.data().join("page-key.json"), 0o644);
    let checks = place.checks(&quiet, 1);
    let found = told(&checks, "permissions", "problem");
    assert!(found.contains("page-key.json") && found.contains("0644"), "{found}");
    set_mode(&place.data().join("page-key.json"), 0o600);
    set_mode(&place.data(), 0o777);
    let found = told(&place.checks(&quiet, 1), "permissions", "problem");
    assert!(found.contains("may delete"), "{found}");
    set_mode(&place.data(), 0o750);
    told(&place.checks(&quiet, 0), "permissions", "ok");
    let keys = place.dir.path().join("keys");
    fs::write(&keys, "secret\n").unwrap();
    set_mode(&keys, 0o644);
    let with_keys = [&quiet[..], &["--api-key-file", keys.to_str().unwrap()]].concat();
    let checks = place.checks(&with_keys, 0);
    assert!(told(&checks, "secrets", "warning").contains("0644"));
    set_mode(&keys, 0o600);
    told(&place.checks(&with_keys, 0), "secrets", "ok");
    let flag = [&quiet[..], &["--api-key", "hush"]].concat();
    let checks = place.checks(&flag, 0);
    assert!(told(&checks, "secrets", "warning").contains("--api-key on a command line"));
    assert!(!format!("{checks:?}").contains("hush"));
}

#[test]
fn risky_and_wrong_settings_are_told() {
    let place = Place::new();
    let skip = "--skip-scrub";
    let open = place.checks(&[skip, "--listen", "0.0.0.0:0"], 1);
    assert!(told(&open, "access", "problem").contains("there is no key"));
    let open = place.checks(&[skip, "--listen", "0.0.0.0:0", "--insecure"], 0);
    assert!(told(&open, "access", "warning").contains("anyone"));
    let listen = ["--listen", "127.0.0.1:0", skip];
    let half = place.checks(&[&listen[..], &["--tls-cert", "/nowhere/chain.pem"]].concat(), 1);
    assert!(told(&half, "settings", "problem").contains("--tls-key"));
    let missing = place.checks(&[&listen[..], &["--allow-import-dir", "/nowhere"]].concat(), 1);
    assert!(told(&missing, "imports from", "problem").contains("/nowhere"));
    let missing = place.checks(&[&listen[..], &["--allow-export-dir", "/nowhere"]].concat(), 1);
    assert!(told(&missing, "exports to", "problem").contains("/nowhere"));
    let data = place.data();
    let inside = [&listen[..], &["--allow-import-dir", data.to_str().unwrap()]].concat();
    told(&place.checks(&inside, 0), "directories", "warning");
    let much = [&listen[..], &["--memory-limit", "100TiB"]].concat();
    assert!(told(&place.checks(&much, 1), "memory", "problem").contains("100TiB"));
    let config = place.dir.path().join("wrong.toml");
    fs::write(&config, "listne = 'x'").unwrap();
    let wrong = place.checks(&["--config", config.to_str().unwrap()], 1);
    assert!(told(&wrong, "settings", "problem").contains("listne"));
    // Secrets in a file that others may read.
    fs::write(&config, "listen = '127.0.0.1:0'\napi-key = ['hush']\n").unwrap();
    set_mode(&config, 0o644);
    let checks = place.checks(&[skip, "--config", config.to_str().unwrap()], 0);
    assert!(told(&checks, "secrets", "warning").contains("wrong.toml"));
    assert!(!format!("{checks:?}").contains("hush"));
}

#[test]
fn certificates_that_ended_or_end_soon_are_told() {
    let place = Place::new();
    let (cert, key) = (place.dir.path().join("cert.pem"), place.dir.path().join("key.pem"));
    let make = |from: (i32, u8, u8), until: (i32, u8, u8)| {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        set_mode(&key, 0o600);
    };
    let mut args = quiet();
    args.extend(["--skip-scrub", "--tls-cert"].map(str::to_owned));
    args.extend([cert.to_str().unwrap().to_owned(), "--tls-key".to_owned()]);
    args.push(key.to_str().unwrap().to_owned());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    make((2001, 1, 1), (2002, 1, 1));
    assert!(told(&place.checks(&args, 1), "tls", "problem").contains("2002-01-01"));
    make((2001, 1, 1), (2999, 1, 1));
    assert!(told(&place.checks(&args, 0), "tls", "ok").contains("2999-01-01"));
    make((2998, 1, 1), (2999, 1, 1));
    assert!(told(&place.checks(&args, 1), "tls", "problem").contains("valid from"));
    // A key of another certificate.
    fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(told(&place.checks(&args, 1), "settings", "problem").contains("cannot be used"));
}

#[test]
fn what_does_not_answer_is_told() {
    let place = Place::new();
    let closed = format!("http://127.0.0.1:{}", port());
    let config = place.dir.path().join("c.toml");
    fs::write(
        &config,
        format!(
            "listen = '127.0.0.1:0'\nsource-retry-budget = '1s'\n[[integration]]\nid = 'minio'\n\
             endpoint = '{closed}'\nbuckets = ['b']\naccess-key-id = 'k'\n\
             secret-access-key = 'hush'\n[[integration]]\nid = 'any'\nendpoint = '{closed}'\n"
        ),
    )
    .unwrap();
    set_mode(&config, 0o600);
    let url = format!("{closed}/v1/embeddings");
    let checks = place.checks(
        &[
            "--skip-scrub",
            "--config",
            config.to_str().unwrap(),
            "--embedding-url",
            &url,
            "--embedding-model",
            "e5",
        ],
        1,
    );
    assert!(told(&checks, "integrations", "problem").contains("minio"));
    assert!(told(&checks, "integrations", "ok").contains("\"any\""));
    assert!(told(&checks, "models", "problem").contains("e5"));
    assert!(!format!("{checks:?}").contains("hush"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let checks = place.checks(&["--skip-scrub", "--listen", &listen], 1);
    assert!(told(&checks, "ports", "problem").contains(&listen));
}

#[test]
fn beside_a_server_it_only_reads() {
    let place = Place::new();
    let server = Server::start(&place.data(), &[]);
    let listen = server.url.trim_start_matches("http://").to_owned();
    let checks = place.checks(&["--listen", &listen], 0);
    assert!(told(&checks, "data", "ok").contains("in use by process"));
    assert!(told(&checks, "ports", "ok").contains("accepts"));
    assert!(told(&checks, "scrub", "ok").contains("beside the server"));
    // The server still works, and damage is told beside it as well.
    server.ask(&["stats", "--index", "a"]).exits(0);
    let path = place.file(".seg");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 30;
    bytes[last] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    told(&place.checks(&["--scrub-only"], 1), "scrub", "problem");
}
