//! What the policy lets pass: a table of benign and hostile URIs.

use super::*;
use crossbill_core::{ErrorKind, limits};
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
            Integration { kind: StoreKind::Gcs, ..integration("google", &["lake"]) },
            Integration {
                kind: StoreKind::Azure,
                account: Some("mine123".into()),
                ..integration("blob", &["lake", "raw/x"])
            },
        ],
        ..SourcePolicy::default()
    }
}

const OK: Option<ErrorKind> = None;
const INVALID: Option<ErrorKind> = Some(ErrorKind::Invalid);
const FORBIDDEN: Option<ErrorKind> = Some(ErrorKind::Forbidden);

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
    ("gs://bucket/a", None, OK),
    ("gs://my_bucket/a/*.parquet", None, OK),
    ("gcs://bucket", None, OK),
    ("gs://lake/a", Some("google"), OK),
    ("gs://pond/a", Some("google"), FORBIDDEN),
    ("gs://lake/a", Some("any"), INVALID),
    ("s3://lake/a", Some("google"), INVALID),
    ("gs://user:password@bucket/a", None, INVALID),
    ("gs://bucket:443/a", None, INVALID),
    ("gs://169.254.169.254/computeMetadata/v1", None, INVALID),
    ("gs://metadata.google.internal@x/a", None, INVALID),
    ("gs:///a", None, INVALID),
    ("gs://Bucket/a", None, INVALID),
    ("az://container/a", None, INVALID),
    ("az://lake/a", Some("blob"), OK),
    ("az://raw/x/*.parquet", Some("blob"), OK),
    ("az://raw/y", Some("blob"), FORBIDDEN),
    ("az://lake/a", Some("any"), INVALID),
    ("az://la--ke/a", Some("blob"), INVALID),
    ("az://lake.x/a", Some("blob"), INVALID),
    ("az://lake@account.blob.core.windows.net/a", None, OK),
    ("abfss://c@account.dfs.core.windows.net/a", None, INVALID),
    ("abfss://con@account.dfs.core.windows.net/a", None, OK),
    ("abfss://lake@mine123.dfs.core.windows.net/a/**", Some("blob"), OK),
    ("abfss://lake@other.dfs.core.windows.net/a", Some("blob"), FORBIDDEN),
    ("abfss://con@account.dfs.core.windows.net.evil.example/a", None, INVALID),
    ("abfss://con@evil.example/a", None, INVALID),
    ("abfss://con@a.b.dfs.core.windows.net/a", None, INVALID),
    ("abfss://con@.dfs.core.windows.net/a", None, INVALID),
    ("abfss://con@evil@account.dfs.core.windows.net/a", None, INVALID),
    ("abfss://con:secret@account.dfs.core.windows.net/a", None, INVALID),
    ("abfss://account.dfs.core.windows.net/a", None, INVALID),
    ("https://account.blob.core.windows.net/container/a", None, OK),
    ("https://ACCOUNT.blob.core.windows.net/container", None, OK),
    ("https://mine123.blob.core.windows.net/lake/a", Some("blob"), OK),
    ("https://other.blob.core.windows.net/lake/a", Some("blob"), FORBIDDEN),
    ("https://account.blob.core.windows.net/", None, INVALID),
    ("https://account.blob.core.windows.net", None, INVALID),
    ("https://account.blob.core.windows.net/con/a?sv=1&sig=secret", None, INVALID),
    ("https://account.blob.core.windows.net/con?sig=secret", None, INVALID),
    ("https://account.blob.core.windows.net/con/a#secret", None, INVALID),
    ("https://user:secret@account.blob.core.windows.net/con/a", None, INVALID),
    ("https://account.blob.core.windows.net:8443/con/a", None, INVALID),
    ("https://evil.example#.blob.core.windows.net/con/a", None, INVALID),
    ("https://evil.example?.blob.core.windows.net/con/a", None, INVALID),
    ("https://evil.example\\.blob.core.windows.net/con/a", None, INVALID),
    ("https://a.b.blob.core.windows.net/con/a", None, INVALID),
    ("https://127.0.0.1/con/a", None, INVALID),
    ("wasbs://con@account.blob.core.windows.net/a", None, INVALID),
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
    assert!(cases >= 140, "{cases}");
    let most = limits::IMPORT_URI_CHARS_CEILING;
    let long = format!("s3://lake/{}", "a".repeat(most));
    assert!(policy.check(&long[..most + 1], None).is_err());
    assert!(policy.check(&long[..most], None).is_ok());
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
        sound(&|i| (i.endpoint, i.trusted_endpoint) = (Some(url.to_owned()), allow_http))
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
        trusted_endpoint: true,
        ..integration("x", &[])
    };
    let mut policy = SourcePolicy {
        defaults: vec![link_local],
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
    // Fields of another kind, halves, and doubles.
    let secret = || Some(Secret::new("canary"));
    let azure = |i: &mut Integration| i.kind = StoreKind::Azure;
    let gcs = |i: &mut Integration| i.kind = StoreKind::Gcs;
    assert!(sound(&|i| i.account = Some("mine123".into())).is_err());
    assert!(sound(&|i| (gcs(i), i.access_key_id = secret()).1).is_err());
    assert!(sound(&|i| (gcs(i), i.service_account_key = secret()).1).is_ok());
    assert!(sound(&|i| (azure(i), i.access_key = secret()).1).is_err());
    assert!(sound(&|i| (azure(i), i.account = Some("No!".into())).1).is_err());
    let both = sound(&|i| {
        azure(i);
        (i.account, i.access_key, i.sas_token) = (Some("mine123".into()), secret(), secret());
    });
    assert!(both.unwrap_err().message().contains("expected one of them"));
    let defaults = vec![Integration::default(), Integration::default()];
    assert!(SourcePolicy { defaults, ..SourcePolicy::default() }.validate().is_err());
    let twice = vec![integration("x", &[]), integration("x", &[])];
    let policy = SourcePolicy { integrations: twice, ..SourcePolicy::default() };
    assert!(policy.validate().is_err());
    let relative =
        SourcePolicy { allow_dirs: vec![PathBuf::from("relative")], ..SourcePolicy::default() };
    assert!(relative.validate().is_err());
}

#[test]
fn what_a_request_makes_reaches_inwards_only_with_the_operators_word() {
    let mut policy = SourcePolicy::default();
    let check = |policy: &SourcePolicy, endpoint: &str| {
        let endpoint = Some(endpoint.to_owned());
        policy.check_integration(&Integration { endpoint, ..integration("x", &[]) })
    };
    check(&policy, "https://minio.example.com").unwrap();
    for endpoint in ["http://minio.example.com", "http://127.0.0.1:9000", "https://10.0.0.1"] {
        let error = check(&policy, endpoint).unwrap_err();
        assert!(error.message().contains("--allow-endpoint"), "{error}");
    }
    policy.allow_endpoints = vec!["http://127.0.0.1:9000/".into(), "https://10.0.0.1".into()];
    policy.validate().unwrap();
    check(&policy, "http://127.0.0.1:9000").unwrap();
    check(&policy, "http://127.0.0.1:9000/deeper").unwrap();
    check(&policy, "https://10.0.0.1:443").unwrap();
    for endpoint in ["http://127.0.0.1:9001", "https://127.0.0.1:9000", "http://10.0.0.1"] {
        assert!(check(&policy, endpoint).is_err(), "{endpoint}");
    }
    policy.allow_endpoints = vec!["minio".into()];
    assert!(policy.validate().is_err());
    for id in ["", "a b", "a/b", "..", "-x", "ä", &"x".repeat(101)] {
        assert!(SourcePolicy::default().check_integration(&integration(id, &[])).is_err(), "{id}");
    }
    let key = |text: &str| Integration {
        kind: StoreKind::Gcs,
        service_account_key: Some(Secret::new(text)),
        ..integration("x", &[])
    };
    for text in ["canary", "{\"client_email\": \"canary\"}"] {
        let error = SourcePolicy::default().check_integration(&key(text)).unwrap_err();
        assert!(error.message().contains("service account"), "{error}");
        assert!(!error.message().contains("canary"), "{error}");
    }
    let file = Integration {
        kind: StoreKind::Gcs,
        service_account_file: Some("/etc/passwd".into()),
        ..integration("x", &[])
    };
    assert!(SourcePolicy::default().check_integration(&file).is_err());
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
                trusted_endpoint: true,
                ..integration("plain", &[])
            },
            Integration {
                endpoint: Some("https://127.0.0.1:1".into()),
                trusted_endpoint: true,
                access_key_id: Some(Secret::new("k")),
                secret_access_key: Some(Secret::new("s")),
                ..integration("tls", &[])
            },
            Integration {
                kind: StoreKind::Azure,
                account: Some("mine123".into()),
                access_key: Some(Secret::new("bm8gc2VjcmV0")),
                ..integration("blob", &[])
            },
        ],
        ..SourcePolicy::default()
    };
    for integration in [None, Some("plain"), Some("tls")] {
        policy.open(&policy.check("s3://lake/a", integration).unwrap()).unwrap();
    }
    for (uri, integration, place) in [
        ("gs://lake/a", None, "gs://lake/a at https://storage.googleapis.com with no integration"),
        ("az://lake/a", Some("blob"), "az://lake/a at https://mine123.blob.core.windows.net with"),
        (
            "https://other.blob.core.windows.net/lake/a",
            None,
            "az://lake@other/a at https://other.blob.core.windows.net with no integration",
        ),
    ] {
        let source = policy.open(&policy.check(uri, integration).unwrap()).unwrap();
        assert!(source.place().starts_with(place), "{}", source.place());
    }
}

#[test]
fn what_was_handed_over_is_read_though_it_lies_in_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let tables = dir.join("in/data/scratch/tables");
    std::fs::create_dir_all(&tables).unwrap();
    let policy = SourcePolicy { handed_over: Some(tables.clone()), ..policy(&dir) };
    let kind = |uri: &str| {
        let uri = uri.replace("{dir}", &dir.display().to_string());
        policy.check(&uri, None).err().map(|error| error.kind())
    };
    assert_eq!(kind("file://{dir}/in/data/scratch/tables/1/"), OK);
    assert_eq!(kind("file://{dir}/in/sub/a.parquet"), OK);
    for outside in ["", "/wal", "/scratch", "/scratch/tables2/1", "/scratch/tables/../../wal"] {
        let found = kind(&format!("file://{{dir}}/in/data{outside}"));
        assert!(matches!(found, FORBIDDEN | INVALID), "{outside}: {found:?}");
    }
}
