//! Object stores against a misbehaving server in this process.

mod stub;

use super::*;
use crate::source::answers::cause;
use crate::source::guard::{GuardedConnector, Reach};
use crate::source::{Integration, Secret, Source, SourcePolicy};
use crossbill_core::{ManualClock, SystemClock, Timestamp};
use object_store::RetryConfig;
use object_store::aws::AmazonS3Builder;
use std::sync::atomic::{AtomicBool, Ordering};
use stub::{Stub, Trouble};

fn policy(stub: &Stub) -> SourcePolicy {
    SourcePolicy {
        defaults: vec![Integration {
            endpoint: Some(stub.endpoint.clone()),
            trusted_endpoint: true,
            ..Integration::default()
        }],
        // Pauses cost no time.
        clock: Arc::new(ManualClock::at(Timestamp(0))),
        attempt_timeout: Duration::from_secs(5),
        ..SourcePolicy::default()
    }
}

fn open(policy: &SourcePolicy, uri: &str) -> Source {
    policy.open(&policy.check(uri, None).unwrap()).unwrap()
}

fn paths(source: &Source) -> Vec<String> {
    source.list().unwrap().into_iter().map(|object| object.path).collect()
}

fn big() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i / 7) as u8).collect()
}

#[test]
fn prefixes_globs_and_single_objects_are_listed_across_pages() {
    let stub = Stub::start(&[
        ("x/", b""),
        ("x/a b.parquet", b"1"),
        ("x/ns1", b""),
        ("x/ns1-other/d.parquet", b"1"),
        ("x/ns1/a.parquet", b"12"),
        ("x/ns1/b%41.parquet", b"123"),
        ("x/ns2/c.parquet", b"1234"),
        ("xy/other.parquet", b"1"),
    ]);
    let policy = policy(&stub);
    let all = [
        "a b.parquet",
        "ns1-other/d.parquet",
        "ns1/a.parquet",
        "ns1/b%41.parquet",
        "ns2/c.parquet",
    ];
    assert_eq!(paths(&open(&policy, "s3://lake/x")), all);
    assert_eq!(paths(&open(&policy, "s3://lake/x/")), all);
    assert_eq!(paths(&open(&policy, "s3://lake/x/ns?/*")), all[2..]);
    assert_eq!(paths(&open(&policy, "s3://lake")).len(), 6);
    for (uri, path, bytes) in [
        ("s3://lake/x/a%20b.parquet", "a b.parquet", "1"),
        ("s3://lake/x/ns1/b%2541.parquet", "b%41.parquet", "123"),
        ("s3://lake/x/ns1/b*", "b%41.parquet", "123"),
    ] {
        let source = open(&policy, uri);
        let listed = source.list().unwrap();
        assert_eq!((listed.len(), listed[0].path.as_str()), (1, path), "{uri}");
        assert_eq!(source.read(&listed[0], 0..listed[0].size).unwrap(), bytes, "{uri}");
    }
    assert_eq!(paths(&open(&policy, "s3://lake/none/")), Vec::<String>::new());
    let error = open(&policy, "s3://lake/none").list().unwrap_err().to_string();
    assert!(error.contains("nothing lies at s3://lake/none at http://"), "{error}");
    let error = open(&policy, "s3://pond/none").list().unwrap_err();
    assert!(matches!(error, SourceError::NotFound(_)));
    assert!(error.to_string().contains("bucket s3://pond does not exist"), "{error}");
}

#[test]
fn troubled_reads_and_lists_come_right_in_the_end() {
    let bytes = big();
    let stub = Stub::start(&[("x/a", &bytes), ("x/b", b"b"), ("x/c", b"c"), ("x/d", b"d")]);
    let mut policy = policy(&stub);
    policy.attempt_timeout = Duration::from_millis(400);
    let source = open(&policy, "s3://lake/x");
    for trouble in [
        Trouble::Status(500, "", "InternalError"),
        Trouble::Status(503, "Retry-After: 3\r\n", "SlowDown"),
        Trouble::Status(429, "", "TooManyRequests"),
        Trouble::Status(400, "", "RequestTimeout"),
        Trouble::Reset,
        Trouble::CutAfter(20),
        Trouble::StallAfter(20),
    ] {
        for (what, times) in [("list-type", 1), ("continuation-token", 2), ("/x/a", 2)] {
            stub.trouble(what, times, trouble.clone());
            let listed = source.list().unwrap();
            assert_eq!(listed.len(), 4, "{what} {trouble:?}");
            let read = source.read(&listed[0], 5..290_000).unwrap();
            assert_eq!(read, bytes[5..290_000], "{what} {trouble:?}");
        }
    }
    let object = source.list().unwrap().remove(0);
    stub.trouble("/x/a", 1, Trouble::ShiftedRange);
    assert_eq!(source.read(&object, 0..9).unwrap(), bytes[..9]);
}

#[test]
fn broken_streams_are_resumed_where_they_broke() {
    let bytes = big();
    let stub = Stub::start(&[("a", &bytes)]);
    let source = open(&policy(&stub), "s3://lake/a");
    let object = source.list().unwrap().remove(0);
    stub.trouble("GET /lake/a", 4, Trouble::CutAfter(70_000));
    assert_eq!(source.read(&object, 0..300_000).unwrap(), bytes);
    let starts: Vec<u64> = stub
        .requests()
        .iter()
        .filter_map(|(line, headers)| {
            let range = headers.get("range").filter(|_| line == "GET /lake/a")?;
            range.strip_prefix("bytes=")?.split_once('-')?.0.parse().ok()
        })
        .collect();
    assert_eq!(starts.len(), 5, "{starts:?}");
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{starts:?}");
}

#[test]
fn a_changed_object_is_an_error_and_never_other_bytes() {
    let stub = Stub::start(&[("a", b"hello"), ("b", b"hello")]);
    let source = open(&policy(&stub), "s3://lake/");
    let listed = source.list().unwrap();
    stub.put("a", b"other");
    let error = source.read(&listed[0], 0..5).unwrap_err();
    assert!(matches!(error, SourceError::Changed(_)), "{error}");
    // A store that does not know If-Match.
    stub.trouble("/b", 1, Trouble::OtherETag);
    let error = source.read(&listed[1], 0..5).unwrap_err();
    assert!(matches!(error, SourceError::Changed(_)), "{error}");
    assert!(error.to_string().contains("s3://lake/b changed"), "{error}");
    assert_eq!(source.read(&listed[1], 0..5).unwrap(), "hello");
}

#[test]
fn permanent_errors_end_it_at_once_and_say_what_was_tried() {
    let stub = Stub::start(&[("a", b"hello")]);
    let policy = policy(&stub);
    let source = open(&policy, "s3://lake/a");
    let object = source.list().unwrap().remove(0);
    let region = "x-amz-bucket-region: eu-west-1\r\n";
    let evil = "Location: http://169.254.169.254/latest/meta-data\r\n";
    for (status, extra, code, expected) in [
        (403, "", "AccessDenied", "403 (AccessDenied)"),
        (401, "", "Unauthorized", "401 (Unauthorized)"),
        (301, region, "PermanentRedirect", "is in region eu-west-1"),
        (400, region, "AuthorizationHeaderMalformed", "is in region eu-west-1"),
        (307, evil, "x", "follow no redirect"),
        (400, "", "InvalidArgument", "400 (InvalidArgument)"),
        (405, "", "MethodNotAllowed", "405 (MethodNotAllowed)"),
    ] {
        for what in ["list-type", "GET /lake/a"] {
            let before = stub.requests().len();
            stub.trouble(what, 1, Trouble::Status(status, extra, code));
            let error = match what {
                "list-type" => open(&policy, "s3://lake/").list().unwrap_err(),
                _ => source.read(&object, 0..5).unwrap_err(),
            };
            let message = error.to_string();
            assert!(message.contains(expected), "{status} {what}: {message}");
            assert!(message.contains("the default integration"), "{message}");
            assert_eq!(stub.requests().len(), before + 1, "{status} {what} was tried again");
        }
    }
    // Keys that may read but not list can still name an object.
    stub.trouble("list-type", 1, Trouble::Status(403, "", "AccessDenied"));
    assert_eq!(source.list().unwrap(), [object]);
}

#[test]
fn a_store_that_never_answers_uses_up_the_budget() {
    let stub = Stub::start(&[]);
    stub.trouble("", u32::MAX, Trouble::Status(503, "", "SlowDown"));
    let error = open(&policy(&stub), "s3://lake/x").list().unwrap_err();
    assert!(matches!(error, SourceError::Unavailable(_)), "{error}");
    let message = error.to_string();
    assert!(message.contains("600 s without progress"), "{message}");
    assert!(message.ends_with("503 (SlowDown)"), "{message}");
    let mut nobody = policy(&stub);
    nobody.defaults[0].endpoint = Some("http://127.0.0.1:1".into());
    let error = open(&nobody, "s3://lake/x").list().unwrap_err();
    assert!(matches!(error, SourceError::Unavailable(_)), "{error}");
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

#[test]
fn a_waiting_call_can_be_cancelled() {
    let stub = Stub::start(&[("a", &big())]);
    let mut policy = policy(&stub);
    policy.clock = Arc::new(SystemClock::new());
    policy.attempt_timeout = Duration::from_secs(60);
    let flag = Arc::new(AtomicBool::new(false));
    let source = open(&policy, "s3://lake/a").with_cancel(Arc::clone(&flag));
    let object = source.list().unwrap().remove(0);
    let troubles =
        [Trouble::StallAfter(1000), Trouble::Status(503, "Retry-After: 60\r\n", "SlowDown")];
    for trouble in troubles {
        flag.store(false, Ordering::SeqCst);
        stub.trouble("GET /lake/a", 1, trouble);
        let started = policy.clock.monotonic();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                policy.clock.sleep(Duration::from_millis(200));
                flag.store(true, Ordering::SeqCst);
            });
            let error = source.read(&object, 0..300_000).unwrap_err();
            assert!(matches!(error, SourceError::Cancelled(_)), "{error}");
        });
        assert!(policy.clock.monotonic() - started < Duration::from_secs(2));
    }
}

#[test]
fn requests_are_signed_with_the_integrations_keys_or_not_at_all() {
    let stub = Stub::start(&[("a", b"1")]);
    let mut policy = policy(&stub);
    open(&policy, "s3://lake/a").list().unwrap();
    let keyed = &mut policy.defaults[0];
    keyed.access_key_id = Some(Secret::new("THEKEY"));
    keyed.secret_access_key = Some(Secret::new("thesecret"));
    keyed.session_token = Some(Secret::new("thetoken"));
    keyed.region = Some("eu-north-1".into());
    let unsigned = stub.requests().len();
    open(&policy, "s3://lake/a").list().unwrap();
    for (at, (_, headers)) in stub.requests().iter().enumerate() {
        let signature = headers.get("authorization");
        if at < unsigned {
            assert_eq!((signature, headers.get("x-amz-security-token")), (None, None));
        } else {
            assert!(signature.unwrap().contains("Credential=THEKEY/"), "{headers:?}");
            assert!(signature.unwrap().contains("/eu-north-1/s3/"), "{headers:?}");
            assert_eq!(headers["x-amz-security-token"], "thetoken");
        }
        assert!(headers["user-agent"].starts_with("crossbill/"));
    }
}

#[test]
fn names_that_resolve_inwards_are_not_connected_to() {
    let stub = Stub::start(&[]);
    let mut policy = policy(&stub);
    let port = stub.endpoint.rsplit(':').next().unwrap();
    let by_name = format!("http://localhost:{port}");
    policy.defaults[0].endpoint = Some(by_name);
    // The operator named it: loopback is fine.
    open(&policy, "s3://lake/").list().unwrap();
    let requests = stub.requests().len();
    let settings =
        |reach| GuardedConnector { reach, plain_http: true, read_timeout: Duration::from_secs(1) };
    let store = AmazonS3Builder::new()
        .with_bucket_name("lake")
        .with_endpoint(format!("http://localhost:{port}"))
        .with_skip_signature(true)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_http_connector(settings(Reach::Public))
        .build()
        .unwrap();
    let error = block_on(store.list(None).next()).unwrap().unwrap_err();
    assert!(cause(&error).contains("resolves only to addresses"), "{error}");
    assert_eq!(stub.requests().len(), requests);
}
