//! The precedence of settings, over every setting there is: the list comes
//! from the binary itself, and one without a sample fails the test.

use std::fs;

use serde_json::{Value, json};

use crate::support::{crossbill, run, with_args};

/// A value of each setting for flag, variable and file.
fn samples(key: &str) -> Option<[&'static str; 3]> {
    Some(match key {
        "allow-endpoint" => ["http://a:1", "http://b:1", "http://c:1"],
        "allow-export-dir" => ["/srv/flag", "/srv/env", "/srv/file"],
        "allow-export-uri" => ["s3://flag", "s3://env", "s3://file"],
        "allow-import-dir" => ["/flag", "/env", "/file"],
        "api-key" => ["flag-key", "env-key", "file-key"],
        "api-key-file" => ["flag.keys", "env.keys", "file.keys"],
        "azure-access-key" => ["ZmxhZw==", "ZW52", "ZmlsZQ=="],
        "azure-account" => ["flag123", "env123", "file123"],
        "azure-container" => ["flag-c", "env-c", "file-c"],
        "azure-endpoint" => ["http://flag", "http://env", "http://file"],
        "azure-sas-token" => ["sig=flag", "sig=env", "sig=file"],
        "data" => ["flag-data", "env-data", "file-data"],
        "default-vector-storage" => ["f16", "bf16", "int8"],
        "embedding-batch" => ["1", "2", "3"],
        "embedding-key" => ["flag-key", "env-key", "file-key"],
        "embedding-key-file" => ["flag.key", "env.key", "file.key"],
        "embedding-model" => ["flag=a", "env=b", "file=c"],
        "embedding-url" => ["http://flag/", "http://env/", "http://file/"],
        "model-concurrency" => ["1", "2", "3"],
        "model-timeout" => ["1s", "2s", "3s"],
        "rerank-key" => ["flag-key", "env-key", "file-key"],
        "rerank-key-file" => ["flag.key", "env.key", "file.key"],
        "rerank-model" => ["flag=a", "env=b", "file=c"],
        "rerank-shape" => ["texts", "documents", "texts"],
        "rerank-url" => ["http://flag/", "http://env/", "http://file/"],
        "gcs-bucket" => ["flag-b", "env-b", "file-b"],
        "gcs-endpoint" => ["http://flag", "http://env", "http://file"],
        "gcs-service-account-file" => ["flag.json", "env.json", "file.json"],
        "gcs-service-account-key" => ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"],
        "answer-bytes-max" => ["1MiB", "2MiB", "3MiB"],
        "import-file-bytes-max" => ["1GiB", "2GiB", "3GiB"],
        "import-files-max" => ["10", "20", "30"],
        "import-namespace-bytes-max" => ["1GiB", "2GiB", "3GiB"],
        "import-namespaces-max" => ["10", "20", "30"],
        "import-task-rows" => ["1000", "2000", "3000"],
        "import-workers" => ["1", "2", "3"],
        "index-port-first" => ["6001", "6002", "6003"],
        "insecure" => ["true", "false", "true"],
        "limit" => ["top-k=1", "top-k=2", "top-k=3"],
        "listen" => ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"],
        "log" => ["error", "warn", "debug"],
        "memory-limit" => ["1GiB", "2GiB", "3GiB"],
        "public-address" => ["flag.example", "env.example", "file.example"],
        "resident-vectors" => ["10", "20", "30"],
        "request-bytes-max" => ["1MiB", "2MiB", "3MiB"],
        "s3-access-key-id" => ["flag-id", "env-id", "file-id"],
        "s3-bucket" => ["flag-b", "env-b", "file-b"],
        "s3-endpoint" => ["http://flag", "http://env", "http://file"],
        "s3-path-style" => ["true", "false", "true"],
        "s3-region" => ["flag-1", "env-1", "file-1"],
        "merge-rate" => ["10MiB", "20MiB", "30MiB"],
        "s3-secret-access-key" => ["flag-s", "env-s", "file-s"],
        "s3-session-token" => ["flag-t", "env-t", "file-t"],
        "source-attempt-timeout" => ["1s", "2s", "3s"],
        "source-retry-budget" => ["1m", "2m", "3m"],
        "source-retry-pause" => ["100ms", "200ms", "300ms"],
        "threads" => ["1", "2", "3"],
        "trace-one-in" => ["2", "3", "4"],
        "audit-log" => ["flag.jsonl", "env.jsonl", "file.jsonl"],
        "keys-file" => ["flag.toml", "env.toml", "file.toml"],
        "log-format" => ["json", "text", "json"],
        "otlp-endpoint" => ["http://flag:1", "http://env:2", "http://file:3"],
        "requests-per-second" => ["10", "20", "30"],
        "tls-cert" => ["flag.pem", "env.pem", "file.pem"],
        "tls-key" => ["flag.key", "env.key", "file.key"],
        "webhook-secret" => ["flag-sixteen-bytes", "env-sixteen-bytes", "file-sixteen-bytes"],
        "webhook-url" => ["http://flag/", "http://env/", "http://file/"],
        _ => return None,
    })
}

fn printed(flag: Option<(&str, &str)>, env: Option<(&str, &str)>, file: Option<&str>) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let mut command = crossbill();
    command.args(["serve", "--print-settings"]);
    if let Some((key, value)) = flag {
        command.arg(format!("--{key}={value}"));
    }
    if let Some((key, value)) = env {
        command.env(format!("CROSSBILL_{}", key.to_uppercase().replace('-', "_")), value);
    }
    if let Some(text) = file {
        let path = dir.path().join("crossbill.toml");
        fs::write(&path, text).unwrap();
        command.arg("--config").arg(path);
    }
    run(&mut command).exits(0).json()
}

#[test]
fn every_setting_comes_from_flag_variable_file_or_default() {
    let defaults = printed(None, None, None);
    let keys: Vec<&String> = defaults.as_object().unwrap().keys().collect();
    assert!(keys.len() >= 19, "{keys:?}");
    for key in keys {
        let [flag, env, file] = samples(key).unwrap_or_else(|| panic!("no sample for {key}"));
        let is_text = file.parse::<u64>().is_err() && file != "true";
        let file_line =
            if is_text { format!("{key} = '{file}'") } else { format!("{key} = {file}") };
        let shown = |value: &str| match key.as_str() {
            "api-key"
            | "s3-secret-access-key"
            | "s3-session-token"
            | "gcs-service-account-key"
            | "azure-access-key"
            | "azure-sas-token"
            | "webhook-secret"
            | "embedding-key"
            | "rerank-key" => json!("(set)"),
            _ => json!(value),
        };
        let expect = |printed: Value, value: &str, source: &str| {
            let expected = json!({"value": shown(value), "source": source});
            assert_eq!(printed[key], expected, "{key} from {source}");
        };
        assert_eq!(defaults[key]["source"], "default", "{key}");
        let (flagged, in_env, in_file) =
            (Some((&**key, flag)), Some((&**key, env)), Some(&*file_line));
        expect(printed(None, None, in_file), file, "file");
        expect(printed(None, in_env, in_file), env, "environment");
        expect(printed(flagged, in_env, in_file), flag, "flag");
        expect(printed(flagged, None, in_file), flag, "flag");
    }
}

#[test]
fn lists_have_several_values_in_every_source() {
    let expected = json!(["/a", "/b"]);
    let in_file = printed(None, None, Some("allow-import-dir = ['/a', '/b']"));
    assert_eq!(in_file["allow-import-dir"]["value"], expected);
    let in_env = printed(None, Some(("allow-import-dir", "/a,/b")), None);
    assert_eq!(in_env["allow-import-dir"]["value"], expected);
    let flags = ["serve", "--print-settings", "--allow-import-dir=/a", "--allow-import-dir=/b"];
    assert_eq!(with_args(&flags).json()["allow-import-dir"]["value"], expected);
}

#[test]
fn a_wrong_file_is_a_usage_error_that_names_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crossbill.toml");
    for (text, expected) in [
        ("listne = '127.0.0.1:1'", "unknown key \"listne\""),
        ("threads = 'many'", "'--threads"),
        ("[[integration]]\nid = 'a'\nendpiont = 'x'", "endpiont"),
        ("threads = [", "line 1"),
    ] {
        fs::write(&path, text).unwrap();
        let config = path.to_str().unwrap();
        let ran = with_args(&["serve", "--print-settings", "--config", config]).exits(2);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
        assert!(ran.stderr.contains("crossbill.toml"), "{}", ran.stderr);
    }
    let ran = with_args(&["serve", "--config", "/nowhere/x.toml"]).exits(2);
    assert!(ran.stderr.contains("/nowhere/x.toml"), "{}", ran.stderr);
}
