//! What the policy lets pass: a table of benign and hostile URIs.

use super::*;
use crossbill_core::ErrorKind;
use std::path::PathBuf;

fn integration(id: &str, buckets: &[&str]) -> Integration {
    let buckets = buckets.iter().map(|bucket| bucket.to_string()).collect();
    Integration { id: id.into(), buckets, ..Integration::default() }
}

/// A policy with the allowed directory `<dir>/in`, the data directory
/// `<dir>/in/data`, and integrations `any` and `narrow`.
fn policy(dir: &std::path::Path) -> SourcePolicy {
    for name in ["in/sub", "in/data", "out"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
    }
    SourcePolicy {
        allow_dirs: vec![dir.join("in")],
        data_dir: Some(dir.join("in/data")),
        integrations: vec![
            integration("any", &[]),
            integration("narrow", &["lake/team/x", "logs"]),
        ],
        ..SourcePolicy::default()
    }
}

const OK: Option<ErrorKind> = None;
const INVALID: Option<ErrorKind> = Some(ErrorKind::Invalid);
const FORBIDDEN: Option<ErrorKind> = Some(ErrorKind::Forbidden);
const UNSUPPORTED: Option<ErrorKind> = Some(ErrorKind::Unsupported);

/// URI (`{dir}` stands for the test's directory), what it comes to.
const FILES: &[(&str, Option<ErrorKind>)] = &[
    ("file://{dir}/in", OK),
    ("file://{dir}/in/", OK),
    ("file://{dir}/in/sub/a.parquet", OK),
    ("file://{dir}/in/not%20there", OK),
    ("file://{dir}/in/*.parquet", OK),
    ("file://{dir}/in/**/x?.parquet", OK),
    ("file://localhost{dir}/in/sub", OK),
    ("FILE://{dir}/in", OK),
    // Decoded once, this is a plain name.
    ("file://{dir}/in/%252e%252e/out", OK),
    ("file://{dir}/in/%2520", OK),
    ("file://{dir}/in/...", OK),
    ("file://{dir}/out", FORBIDDEN),
    ("file://{dir}/in2", FORBIDDEN),
    ("file://{dir}/inx/sub", FORBIDDEN),
    ("file://{dir}", FORBIDDEN),
    ("file://{dir}/*/sub", FORBIDDEN),
    ("file:///", FORBIDDEN),
    ("file:///etc/passwd", FORBIDDEN),
    ("file:///proc/self/environ", FORBIDDEN),
    ("file:///proc/1/root/etc/shadow", FORBIDDEN),
    ("file:///dev/stdin", FORBIDDEN),
    ("file:///**", FORBIDDEN),
    ("file://{dir}/in/data", FORBIDDEN),
    ("file://{dir}/in/data/catalog/", FORBIDDEN),
    ("file://{dir}/in/../out", INVALID),
    ("file://{dir}/in/sub/../../out", INVALID),
    ("file://{dir}/in/..", INVALID),
    ("file://{dir}/in/./sub", INVALID),
    ("file://{dir}/in/%2e%2e/out", INVALID),
    ("file://{dir}/in/%2E%2E/out", INVALID),
    ("file://{dir}/in/.%2e/out", INVALID),
    ("file://{dir}/in/%2e./out", INVALID),
    ("file://{dir}/in/%2e%2e%2fout", INVALID),
    ("file://{dir}/in/..%2fout", INVALID),
    ("file://{dir}/in/sub%2fa", INVALID),
    ("file://{dir}/in/..%5cout", INVALID),
    ("file://{dir}/in/..\\out", INVALID),
    ("file://{dir}/in//sub", INVALID),
    ("file:////etc/passwd", INVALID),
    ("file://{dir}/in/a%00.parquet", INVALID),
    ("file://{dir}/in/a\0.parquet", INVALID),
    ("file://{dir}/in/a\n", INVALID),
    ("file://{dir}/in/a%0d%0ab", INVALID),
    ("file://{dir}/in/%", INVALID),
    ("file://{dir}/in/%2", INVALID),
    ("file://{dir}/in/%zz", INVALID),
    ("file://{dir}/in/%+1", INVALID),
    ("file://{dir}/in/%c0%ae%c0%ae/out", INVALID),
    ("file://{dir}/in/%ff", INVALID),
    ("file://evil.example{dir}/in", INVALID),
    ("file://root@localhost/in", INVALID),
    ("file://127.0.0.1/in", INVALID),
    ("file://..{dir}/in", INVALID),
    ("file:{dir}/in", INVALID),
    ("{dir}/in", INVALID),
    ("in/sub", INVALID),
];

/// URI, integration, what it comes to.
const OBJECTS: &[(&str, Option<&str>, Option<ErrorKind>)] = &[
    ("s3://lake", None, OK),
    ("s3://lake/", None, OK),
    ("s3://lake/a/b%20c/*.parquet", Some("any"), OK),
    ("S3://lake/a", Some("any"), OK),
    ("s3://my.bucket-1/a", None, OK),
    ("s3://lake/user@example.com/x", None, OK),
    ("s3://lake/dt=2024-01-01 00:00/x", None, OK),
    ("s3://lake/team/x", Some("narrow"), OK),
    ("s3://lake/team/x/y/*.parquet", Some("narrow"), OK),
    ("s3://logs", Some("narrow"), OK),
    ("s3://lake/team/xy", Some("narrow"), FORBIDDEN),
    ("s3://lake/team", Some("narrow"), FORBIDDEN),
    ("s3://lake/team/*", Some("narrow"), FORBIDDEN),
    ("s3://lake/*/x", Some("narrow"), FORBIDDEN),
    ("s3://other/team/x", Some("narrow"), FORBIDDEN),
    ("s3://logs2", Some("narrow"), FORBIDDEN),
    ("s3://lake/team/x/../y", Some("narrow"), INVALID),
    ("s3://lake/team/x/%2e%2e/y", Some("narrow"), INVALID),
    ("s3://lake/a", Some("unknown"), INVALID),
    ("s3://lake/a", Some(""), INVALID),
    ("s3://lake//a", None, INVALID),
    ("s3:///a", None, INVALID),
    ("s3://", None, INVALID),
    ("s3:lake/a", None, INVALID),
    ("s3://key:secret@lake/a", None, INVALID),
    ("s3://lake@evil.example/a", None, INVALID),
    ("s3://lake:9000/a", None, INVALID),
    ("s3://127.0.0.1/a", None, INVALID),
    ("s3://169.254.169.254/latest/meta-data", None, INVALID),
    ("s3://2130706433/a", None, INVALID),
    ("s3://0177.0.0.1/a", None, INVALID),
    ("s3://[::1]/a", None, INVALID),
    ("s3://Lake/a", None, INVALID),
    ("s3://la_ke/a", None, INVALID),
    ("s3://la/a", None, INVALID),
    ("s3://lake./a", None, INVALID),
    ("s3://.lake/a", None, INVALID),
    ("s3://la..ke/a", None, INVALID),
    ("s3://lake%2fteam/a", None, INVALID),
    ("s3://lake?x=y", None, INVALID),
    ("s3://lake#x", None, INVALID),
    ("s3://läke/a", None, INVALID),
    ("gs://bucket/a", None, UNSUPPORTED),
    ("az://container/a", None, UNSUPPORTED),
    ("abfss://c@account.dfs.core.windows.net/a", None, UNSUPPORTED),
    ("https://account.blob.core.windows.net/container/a", None, UNSUPPORTED),
    ("https://account.blob.core.windows.net.evil.example/c/a", None, INVALID),
    ("https://evilblob.core.windows.net/c/a", None, INVALID),
    ("http://account.blob.core.windows.net/c/a", None, INVALID),
    ("https://s3.amazonaws.com/lake/a", None, INVALID),
    ("http://169.254.169.254/latest/meta-data", None, INVALID),
    ("http://metadata.google.internal/", None, INVALID),
    ("ftp://lake/a", None, INVALID),
    ("data://text/plain,x", None, INVALID),
    ("javascript://alert(1)", None, INVALID),
    ("://lake", None, INVALID),
    (" s3://lake", None, INVALID),
    ("s3 ://lake", None, INVALID),
    ("", None, INVALID),
];

#[test]
fn hostile_uris_are_refused_and_benign_ones_pass() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().canonicalize().unwrap();
    let policy = policy(&dir);
    policy.validate().unwrap();
    let files = FILES.iter().map(|(uri, kind)| (*uri, None, *kind));
    let mut cases = 0;
    for (uri, integration, expected) in files.chain(OBJECTS.iter().copied()) {
        let uri = uri.replace("{dir}", dir.to_str().unwrap());
        let checked = policy.check(&uri, integration);
        let found = checked.as_ref().err().map(|error| error.kind());
        assert_eq!(found, expected, "{uri:?} with {integration:?}: {checked:?}");
        if let Err(error) = checked {
            assert!(!error.message().contains("secret"), "{error}");
        }
        cases += 1;
    }
    assert!(cases >= 60, "{cases}");
    let long = format!("s3://lake/{}", "a".repeat(1491));
    assert!(policy.check(&long, None).is_err());
    assert!(policy.check(&long[..1500], None).is_ok());
    assert!(policy.check(&format!("file://{}/in", dir.display()), Some("any")).is_err());
}

#[test]
fn local_files_are_off_by_default() {
    let error = SourcePolicy::default().check("file:///tmp/x", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.message().contains("file:// imports are off"), "{error}");
}

#[test]
fn an_allowed_directory_that_is_a_link_is_meant_as_what_it_leads_to() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().canonicalize().unwrap();
    std::fs::create_dir(dir.join("real")).unwrap();
    std::os::unix::fs::symlink(dir.join("real"), dir.join("link")).unwrap();
    let policy = SourcePolicy { allow_dirs: vec![dir.join("link")], ..SourcePolicy::default() };
    for name in ["link", "real"] {
        policy.check(&format!("file://{}/x", dir.join(name).display()), None).unwrap();
    }
}

#[test]
fn settings_of_the_operator_are_checked() {
    let sound = |change: &dyn Fn(&mut Integration)| {
        let mut integration = integration("x", &[]);
        change(&mut integration);
        SourcePolicy { integrations: vec![integration], ..SourcePolicy::default() }.validate()
    };
    let endpoint = |url: &str, allow_http: bool| {
        sound(&|i| (i.endpoint, i.allow_http) = (Some(url.to_owned()), allow_http))
    };
    endpoint("https://minio.example.com:9000", false).unwrap();
    endpoint("http://127.0.0.1:9000", true).unwrap();
    endpoint("http://127.0.0.1:9000/base", true).unwrap();
    for (url, allow_http) in [
        ("http://127.0.0.1:9000", false),
        ("http://169.254.169.254", true),
        ("http://2852039166", true),
        ("http://[::ffff:169.254.169.254]", true),
        ("http://[fd00:ec2::254]/", true),
        ("http://0.0.0.0", true),
        ("https://u:p@host", false),
        ("https://host/?x", false),
        ("ftp://host", false),
        ("host:9000", false),
        ("", false),
    ] {
        assert!(endpoint(url, allow_http).is_err(), "{url}");
    }
    let link_local = Integration {
        endpoint: Some("http://169.254.1.1".into()),
        allow_http: true,
        ..integration("x", &[])
    };
    let mut policy = SourcePolicy {
        default_integration: Some(link_local),
        allow_private_endpoints: true,
        ..SourcePolicy::default()
    };
    policy.validate().unwrap();
    policy.allow_private_endpoints = false;
    assert!(policy.validate().is_err());
    assert!(sound(&|i| i.access_key_id = Some(Secret::new("k"))).is_err());
    assert!(sound(&|i| i.session_token = Some(Secret::new("t"))).is_err());
    assert!(sound(&|i| i.region = Some("us east".into())).is_err());
    assert!(sound(&|i| i.id = String::new()).is_err());
    let twice = vec![integration("x", &[]), integration("x", &[])];
    let policy = SourcePolicy { integrations: twice, ..SourcePolicy::default() };
    assert!(policy.validate().is_err());
    let relative =
        SourcePolicy { allow_dirs: vec![PathBuf::from("relative")], ..SourcePolicy::default() };
    assert!(relative.validate().is_err());
}

#[test]
fn secrets_are_not_shown() {
    let integration = Integration {
        access_key_id: Some(Secret::new("AKIACANARY")),
        secret_access_key: Some(Secret::new("canary")),
        ..integration("x", &[])
    };
    let shown = format!("{integration:?}").to_lowercase();
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn stores_over_http_and_https_can_be_opened() {
    let policy = SourcePolicy {
        integrations: vec![
            Integration {
                endpoint: Some("http://127.0.0.1:1".into()),
                allow_http: true,
                ..integration("plain", &[])
            },
            Integration {
                endpoint: Some("https://127.0.0.1:1".into()),
                access_key_id: Some(Secret::new("k")),
                secret_access_key: Some(Secret::new("s")),
                ..integration("tls", &[])
            },
        ],
        ..SourcePolicy::default()
    };
    for integration in [None, Some("plain"), Some("tls")] {
        policy.open(&policy.check("s3://lake/a", integration).unwrap()).unwrap();
    }
}
