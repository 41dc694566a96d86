//! Every limit of a request at the edge: what is just within it is accepted,
//! one past it is refused with the code of the plane and both numbers.
//! docs/limits.md lists them.

use serde_json::{Value, json};

use crate::harness::{Got, Server};

/// A request: a POST with a body, or a GET without.
type Call = (String, Option<Value>);

/// A limit: what it is, a request within it, the first one past it, and what
/// the refusal says.
struct Case {
    what: &'static str,
    within: Call,
    past: Call,
    says: &'static str,
}

fn post(url: String, body: Value) -> Call {
    (url, Some(body))
}

fn get(url: String) -> Call {
    (url, None)
}

async fn made(server: &Server, (url, body): Call) -> Got {
    match body {
        Some(body) => server.post(&url, body).await,
        None => server.get(&url).await,
    }
}

fn text(length: usize) -> String {
    "x".repeat(length)
}

async fn check(server: &Server, cases: Vec<Case>) {
    for Case { what, within, past, says } in cases {
        let is_control = past.0.starts_with('/');
        let accepted = made(server, within).await;
        assert!((200..300).contains(&accepted.status), "{what}: {:?}", accepted.body);
        let refused = made(server, past).await;
        let message = match is_control {
            true => refused.control_error(400, "INVALID_ARGUMENT"),
            false => refused.data_error(400, 3),
        };
        assert!(message.contains(says), "{what}: {message}");
    }
}

fn spec() -> Value {
    json!({"serverless": {"cloud": "aws", "region": "us-east-1"}})
}

fn index(name: &str, dimension: u32, tags: Value) -> Call {
    let body = json!({"name": name, "dimension": dimension, "spec": spec(), "tags": tags});
    post("/indexes".to_owned(), body)
}

fn tags(count: usize, key: usize, value: usize) -> Value {
    let tag = |number: usize| (format!("{number:0key$}"), json!(text(value)));
    Value::Object((0..count).map(tag).collect())
}

#[tokio::test]
async fn indexes_have_the_services_limits() {
    let server = Server::start().await;
    let none = || json!({});
    let cases = vec![
        Case {
            what: "characters of an index name",
            within: index(&text(45), 2, none()),
            past: index(&text(46), 2, none()),
            says: "46 characters, expected 1 to 45",
        },
        Case {
            what: "dimension",
            within: index("wide", 20_000, none()),
            past: index("wider", 20_001, none()),
            says: "20001, expected 1 to 20000",
        },
        Case {
            what: "tags",
            within: index("tags", 2, tags(20, 2, 1)),
            past: index("more-tags", 2, tags(21, 2, 1)),
            says: "21 tags, expected at most 20",
        },
        Case {
            what: "characters of a tag's key",
            within: index("key", 2, tags(1, 80, 1)),
            past: index("long-key", 2, tags(1, 81, 1)),
            says: "1 to 80",
        },
        Case {
            what: "characters of a tag's value",
            within: index("value", 2, tags(1, 2, 120)),
            past: index("long-value", 2, tags(1, 2, 121)),
            says: "at most 120",
        },
        Case {
            what: "a page of backups",
            within: get("/backups?limit=100".to_owned()),
            past: get("/backups?limit=101".to_owned()),
            says: "limit is 101, expected 1 to 100",
        },
        Case {
            what: "a page of restore jobs",
            within: get("/restore-jobs?limit=100".to_owned()),
            past: get("/restore-jobs?limit=101".to_owned()),
            says: "limit is 101, expected 1 to 100",
        },
    ];
    check(&server, cases).await;
}

/// `metadata` whose JSON has so many bytes.
fn metadata(bytes: usize) -> Value {
    json!({"k": text(bytes - r#"{"k":""}"#.len())})
}

#[tokio::test]
async fn writes_have_the_services_limits() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "euclidean").await;
    let sparse = server.sparse("s").await;
    let upsert =
        |records: Value| post(format!("{host}/vectors/upsert"), json!({"vectors": records}));
    let many = |count: usize| {
        let record = |number: usize| json!({"id": format!("r{number}"), "values": [1]});
        upsert(Value::Array((0..count).map(record).collect()))
    };
    let one = |id: &str, metadata: Value| {
        upsert(json!([{"id": id, "values": [1], "metadata": metadata}]))
    };
    let entries = |count: u32| {
        let (indices, values): (Vec<u32>, Vec<u32>) =
            ((0..count).collect(), vec![1; count as usize]);
        let record = json!({"id": "x", "sparseValues": {"indices": indices, "values": values}});
        post(format!("{sparse}/vectors/upsert"), json!({"vectors": [record]}))
    };
    let named = |namespace: String| {
        let body = json!({"vectors": [{"id": "x", "values": [1]}], "namespace": namespace});
        post(format!("{host}/vectors/upsert"), body)
    };
    let delete = |count: usize| {
        let ids: Vec<String> = (0..count).map(|number| format!("d{number}")).collect();
        post(format!("{host}/vectors/delete"), json!({"ids": ids}))
    };
    let import = |uri: usize, integration: usize| {
        let uri = format!("s3://bucket/{}", text(uri - "s3://bucket/".len()));
        let body = json!({"uri": uri, "integrationId": text(integration)});
        post(format!("{host}/bulk/imports"), body)
    };
    let cases = vec![
        Case {
            what: "records of an upsert",
            within: many(1000),
            past: many(1001),
            says: "1001 vectors, expected 1 to 1000",
        },
        Case {
            what: "characters of an id",
            within: one(&text(512), json!({})),
            past: one(&text(513), json!({})),
            says: "513 characters, expected at most 512",
        },
        Case {
            what: "bytes of metadata",
            within: one("x", metadata(40 * 1024)),
            past: one("x", metadata(40 * 1024 + 1)),
            says: "at most 40960",
        },
        Case {
            what: "entries of a sparse vector",
            within: entries(2048),
            past: entries(2049),
            says: "2049",
        },
        Case {
            what: "characters of a namespace",
            within: named(text(512)),
            past: named(text(513)),
            says: "513 characters",
        },
        Case {
            what: "ids of a delete",
            within: delete(1000),
            past: delete(1001),
            says: "1001 ids, expected 1 to 1000",
        },
    ];
    check(&server, cases).await;
    // An import answers at once whatever its source is: only its own text counts.
    for (uri, integration, says) in [(1501, 0, "1500"), (100, 1001, "1000")] {
        let refused = made(&server, import(uri, integration)).await.data_error(400, 3);
        assert!(refused.contains(says), "{refused}");
    }
    made(&server, import(1500, 0)).await.ok(200);
}

#[tokio::test]
async fn a_body_has_the_services_limit() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "euclidean").await;
    let body = |bytes: usize| {
        let begin = r#"{"vectors":[{"id":"x","values":[1]}]"#;
        format!("{begin}{}}}", " ".repeat(bytes - begin.len() - 1))
    };
    let url = format!("{host}/vectors/upsert");
    server.post_raw(&url, &body(2 << 20)).await.ok(200);
    server.post_raw(&url, &body((2 << 20) + 1)).await.data_error(413, 3);
}

#[tokio::test]
async fn reads_have_the_services_limits() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "euclidean").await;
    server.upsert(&host, &[("x", &[1.0], json!({"n": 1}))]).await;
    let query = |body: Value| post(format!("{host}/query"), body);
    let top_k = |count: u32| query(json!({"topK": count, "vector": [1]}));
    let fetch = |count: usize| {
        let ids: Vec<String> = (0..count).map(|number| format!("ids=f{number}")).collect();
        get(format!("{host}/vectors/fetch?{}", ids.join("&")))
    };
    let filter = |count: u32| {
        let values: Vec<u32> = (0..count).collect();
        query(json!({"topK": 1, "vector": [1], "filter": {"n": {"$in": values}}}))
    };
    let page = |path: &str, limit: u32| get(format!("{host}{path}?limit={limit}"));
    let by_metadata = |limit: u32| {
        let body = json!({"filter": {"n": 1}, "limit": limit});
        post(format!("{host}/vectors/fetch_by_metadata"), body)
    };
    let prefix = |length: usize| get(format!("{host}/vectors/list?prefix={}", text(length)));
    let search = |fields: usize| {
        let body = json!({"query": {"top_k": 1, "id": "x"}, "fields": vec!["n"; fields]});
        post(format!("{host}/records/namespaces/__default__/search"), body)
    };
    let candidates = |count: u32| query(json!({"topK": 1, "vector": [1], "maxCandidates": count}));
    let scan = |factor: f32| query(json!({"topK": 1, "vector": [1], "scanFactor": factor}));
    let case = |what, within, past, says| Case { what, within, past, says };
    let cases = vec![
        case("topK", top_k(10_000), top_k(10_001), "topK is 10001, expected 1 to 10000"),
        case("topK at least", top_k(1), top_k(0), "topK is 0, expected 1 to 10000"),
        case("scanFactor", scan(4.0), scan(4.1), "expected 0.5 to 4"),
        case("maxCandidates", candidates(100_000), candidates(100_001), "100001"),
        case("ids of a fetch", fetch(1000), fetch(1001), "1001 ids, expected 1 to 1000"),
        case("values of $in", filter(10_000), filter(10_001), "10001 values"),
        case("a page of ids", page("/vectors/list", 100), page("/vectors/list", 101), "1 to 100"),
        case(
            "a page of namespaces",
            page("/namespaces", 100),
            page("/namespaces", 101),
            "1 to 100",
        ),
        case(
            "a page of imports",
            page("/bulk/imports", 100),
            page("/bulk/imports", 101),
            "limit is 101, expected 1 to 100",
        ),
        case("a page by metadata", by_metadata(10_000), by_metadata(10_001), "1 to 10000"),
        case("a page at least", by_metadata(1), by_metadata(0), "limit is 0"),
        case("a prefix", prefix(512), prefix(513), "513 characters, expected at most 512"),
        case("fields of a search", search(100), search(101), "fields has 101"),
    ];
    check(&server, cases).await;
}
