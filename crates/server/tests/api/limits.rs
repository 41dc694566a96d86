//! Every limit of a request at the edge: what is just within it is accepted,
//! one past it is refused with the code of the plane and both numbers; once as
//! the service has them and once as an operator has set them. docs/limits.md
//! lists them.

use crossbill_core::RequestLimits;
use crossbill_wire::grpc::{QueryRequest, QueryResponse, UpsertRequest, UpsertResponse, Vector};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Field};
use serde_json::{Value, json};
use tonic::Code;

use crate::grpc_client::Client;
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

/// What the tests below set; every other limit is set to its most.
const SET: [&str; 19] = [
    "max-candidates=50",
    "index-name-chars=50",
    "dimension=8",
    "field-name-bytes=10",
    "tags=3",
    "tag-key-chars=100",
    "tag-value-chars=5",
    "id-chars=10",
    "metadata-bytes=100000",
    "sparse-entries=3000",
    "namespace-chars=10",
    "prefix-chars=5",
    "filter-conditions=10",
    "filter-depth=3",
    "import-uri-chars=2000",
    "integration-id-chars=10",
    "import-page=200",
    "export-page=3",
    "backup-page=4",
];

/// A filter with conditions within conditions.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({"n": 1}), |inner, _| json!({"$and": [inner]}))
}

fn case(what: &'static str, within: Call, past: Call, says: &'static str) -> Case {
    Case { what, within, past, says }
}

#[tokio::test]
async fn the_limits_of_indexes_can_be_changed() {
    let server = Server::start_limited(&SET).await;
    server.dense("a", 2, "cosine").await;
    let none = || json!({});
    let field = |name: &str, bytes: usize| {
        let schema = json!({"fields": {
            "_values": {"type": "dense_vector", "dimension": 2, "metric": "cosine"},
            text(bytes): {"type": "string"},
        }});
        post("/indexes".to_owned(), json!({"name": name, "schema": schema}))
    };
    let text_field = |name: &str, bytes: usize| {
        let schema = json!({"fields": {text(bytes): {"type": "string", "full_text_search": {}}}});
        post("/indexes".to_owned(), json!({"name": name, "schema": schema}))
    };
    let vector_field = |name: &str, dimension: u32| {
        let schema = json!({"fields": {
            "v": {"type": "dense_vector", "dimension": dimension, "metric": "cosine"}}});
        post("/indexes".to_owned(), json!({"name": name, "schema": schema}))
    };
    let page = |url: &str, limit: u32| get(format!("{url}?limit={limit}"));
    let cases = vec![
        case("name", index(&text(50), 2, none()), index(&text(51), 2, none()), "1 to 50"),
        case("dimension", index("b", 8, none()), index("c", 9, none()), "9, expected 1 to 8"),
        case("a field's dimension", vector_field("d", 8), vector_field("e", 9), "1 to 8"),
        case("a field's name", field("f", 10), field("g", 11), "1 to 10 bytes"),
        case("a text field's name", text_field("h", 10), text_field("i", 11), "1 to 10 bytes"),
        case("tags", index("j", 2, tags(3, 2, 1)), index("k", 2, tags(4, 2, 1)), "at most 3"),
        case("a key", index("l", 2, tags(1, 100, 1)), index("m", 2, tags(1, 101, 1)), "1 to 100"),
        case("a value", index("n", 2, tags(1, 2, 5)), index("o", 2, tags(1, 2, 6)), "at most 5"),
        case("backups", page("/backups", 4), page("/backups", 5), "expected 1 to 4"),
        case("jobs", page("/restore-jobs", 4), page("/restore-jobs", 5), "expected 1 to 4"),
        case(
            "schedules",
            page("/indexes/a/backup-schedules", 4),
            page("/indexes/a/backup-schedules", 5),
            "expected 1 to 4",
        ),
    ];
    check(&server, cases).await;
    // Tags that are there count with those that come.
    let more = server.patch("/indexes/j", json!({"tags": {"x": "1"}})).await;
    assert!(more.control_error(400, "INVALID_ARGUMENT").contains("4 tags, expected at most 3"));
    let backup = server.post("/indexes/a/backups", json!({})).await.ok(201);
    let restore = format!("/backups/{}/create-index", backup["backup_id"].as_str().unwrap());
    let long = server.post(&restore, json!({"name": text(51)})).await;
    assert!(long.control_error(400, "INVALID_ARGUMENT").contains("1 to 50"));
    server.post(&restore, json!({"name": format!("r{}", text(49))})).await.ok(202);
    let long = server.post("/collections", json!({"name": text(51), "source": "a"})).await;
    assert!(long.control_error(400, "INVALID_ARGUMENT").contains("1 to 50"));
}

#[tokio::test]
async fn the_limits_of_writes_can_be_changed() {
    let server = Server::start_limited(&SET).await;
    let host = server.dense("a", 1, "euclidean").await;
    let sparse = server.sparse("s").await;
    let one = |namespace: String, id: &str, metadata: Value| {
        let record = json!({"id": id, "values": [1], "metadata": metadata});
        let body = json!({"vectors": [record], "namespace": namespace});
        post(format!("{host}/vectors/upsert"), body)
    };
    let none = || json!({});
    let entries = |count: u32| {
        let values = vec![1; count as usize];
        json!({"indices": (0..count).collect::<Vec<_>>(), "values": values})
    };
    let sparse_upsert = |count: u32| {
        let record = json!({"id": "x", "sparseValues": entries(count)});
        post(format!("{sparse}/vectors/upsert"), json!({"vectors": [record]}))
    };
    let sparse_query = |count: u32| {
        post(format!("{sparse}/query"), json!({"topK": 1, "sparseVector": entries(count)}))
    };
    let set = |bytes: usize| {
        let body = json!({"id": "x", "setMetadata": metadata(bytes)});
        post(format!("{host}/vectors/update"), body)
    };
    let made = |name: String| post(format!("{host}/namespaces"), json!({"name": name}));
    let empty = String::new;
    let cases = vec![
        case("id", one(empty(), &text(10), none()), one(empty(), &text(11), none()), "most 10"),
        case(
            "metadata",
            one(empty(), "x", metadata(100_000)),
            one(empty(), "x", metadata(100_001)),
            "100001 bytes as JSON, expected at most 100000",
        ),
        case("metadata of an update", set(100_000), set(100_001), "expected at most 100000"),
        case("entries", sparse_upsert(3000), sparse_upsert(3001), "3001 entries, expected at most"),
        case("entries of a query", sparse_query(3000), sparse_query(3001), "at most 3000"),
        case("namespace", one(text(10), "x", none()), one(text(11), "x", none()), "at most 10"),
        case("a made one", made(format!("n{}", text(9))), made(text(11)), "at most 10"),
    ];
    check(&server, cases).await;
    // Merged metadata counts as a whole.
    let more = json!({"id": "x", "setMetadata": {"other": 1}});
    let refused = server.post(&format!("{host}/vectors/update"), more).await.data_error(400, 3);
    assert!(refused.contains("expected at most 100000"), "{refused}");
    let default = json!({"vectors": [{"id": "x", "values": [1]}], "namespace": "__default__"});
    server.post(&format!("{host}/vectors/upsert"), default).await.ok(200);
    for (uri, integration, says) in [(2001, 0, "2000"), (100, 11, "10")] {
        let uri = format!("s3://bucket/{}", text(uri - "s3://bucket/".len()));
        let mut body = json!({"uri": uri});
        if integration > 0 {
            body["integrationId"] = json!(text(integration));
        }
        for call in ["imports", "exports"] {
            let refused = server.post(&format!("{host}/bulk/{call}"), body.clone()).await;
            let refused = refused.data_error(400, 3);
            assert!(refused.contains(says), "{call}: {refused}");
        }
        if integration == 0 {
            let refused = server.post("/sources/test", body).await;
            assert!(refused.control_error(400, "INVALID_ARGUMENT").contains(says));
        }
    }
    let uri = format!("s3://bucket/{}", text(2000 - "s3://bucket/".len()));
    server.post(&format!("{host}/bulk/imports"), json!({"uri": uri})).await.ok(200);
}

#[tokio::test]
async fn the_limits_of_reads_can_be_changed() {
    let server = Server::start_limited(&SET).await;
    let host = server.dense("a", 1, "euclidean").await;
    server.upsert(&host, &[("x", &[1.0], json!({"n": 1}))]).await;
    let query = |body: Value| post(format!("{host}/query"), body);
    let candidates = |count: u32| query(json!({"topK": 1, "vector": [1], "maxCandidates": count}));
    let filter = |filter: Value| query(json!({"topK": 1, "vector": [1], "filter": filter}));
    let conditions = |count: usize| {
        let all = (0..count).map(|number| (format!("f{number}"), json!(1)));
        filter(Value::Object(all.collect()))
    };
    let page = |path: &str, limit: u32| get(format!("{host}{path}?limit={limit}"));
    let prefix = |path: &str, length: usize| get(format!("{host}{path}?prefix={}", text(length)));
    let cases = vec![
        case("maxCandidates", candidates(50), candidates(51), "(1) to 50"),
        case("conditions", conditions(10), conditions(11), "more than 10 conditions"),
        case("nesting", filter(nested(3)), filter(nested(4)), "nested deeper than 3"),
        case("prefix", prefix("/vectors/list", 5), prefix("/vectors/list", 6), "at most 5"),
        case("of namespaces", prefix("/namespaces", 5), prefix("/namespaces", 6), "at most 5"),
        case("imports", page("/bulk/imports", 200), page("/bulk/imports", 201), "1 to 200"),
        case("exports", page("/bulk/exports", 3), page("/bulk/exports", 4), "1 to 3"),
    ];
    check(&server, cases).await;
    // A page has no more items than it may have where the request does not say.
    server.get(&format!("{host}/bulk/exports")).await.ok(200);
    // What came under other limits can be read and deleted.
    let (data, address) = server.stop().await;
    let lower = ["id-chars=1", "namespace-chars=1", "metadata-bytes=2", "tags=1"];
    let server = Server::start_set(data, address, &lower, |_| ()).await;
    let host = server.get("/indexes/a").await.ok(200)["host"].as_str().unwrap().to_owned();
    let long = json!({"vectors": [{"id": "xy", "values": [1]}]});
    server.post(&format!("{host}/vectors/upsert"), long).await.data_error(400, 3);
    let moved = json!({"id": "x", "values": [2]});
    server.post(&format!("{host}/vectors/update"), moved).await.ok(200);
    let found = server.get(&format!("{host}/vectors/fetch?ids=x&ids=xy")).await.ok(200);
    assert_eq!(found["vectors"]["x"]["metadata"], json!({"n": 1}));
    server.post(&format!("{host}/vectors/delete"), json!({"ids": ["x"]})).await.ok(200);
}

#[tokio::test]
async fn the_limits_of_documents_can_be_changed() {
    let server = Server::start_limited(&SET).await;
    let schema = json!({"fields": {
        "terms": {"type": "sparse_vector"},
        "body": {"type": "string", "full_text_search": {}},
    }});
    let made = server.post("/indexes", json!({"name": "docs", "schema": schema})).await.ok(201);
    let calls = format!("{}/namespaces/n/documents", made["host"].as_str().unwrap());
    let upsert = |id: &str, more: Value| {
        let mut document = more;
        document["_id"] = json!(id);
        document["body"] = json!("words");
        post(format!("{calls}/upsert"), json!({"documents": [document]}))
    };
    let entries = |count: u32| {
        let values = vec![1; count as usize];
        json!({"indices": (0..count).collect::<Vec<_>>(), "values": values})
    };
    let terms = |count: u32| upsert("x", json!({"terms": entries(count)}));
    let search = |count: u32| {
        let clause = json!({"type": "sparse_vector", "fields": ["terms"],
            "sparse_values": entries(count)});
        post(format!("{calls}/search"), json!({"score_by": [clause], "top_k": 1}))
    };
    let filtered = |filter: Value| {
        let clause = json!({"type": "text", "fields": ["body"], "query": "words"});
        let body = json!({"score_by": [clause], "top_k": 1, "filter": filter});
        post(format!("{calls}/search"), body)
    };
    // What counts of a field is its name, its text and a little.
    let other = |bytes: usize| upsert("x", json!({"k": text(bytes - 7)}));
    let prefix = |length: usize| post(format!("{calls}/list"), json!({"prefix": text(length)}));
    let cases = vec![
        case("id", upsert(&text(10), json!({})), upsert(&text(11), json!({})), "at most 10"),
        case("metadata", other(100_000), other(100_001), "expected at most 100000"),
        case("entries", terms(3000), terms(3001), "3001 entries, expected at most 3000"),
        case("entries of a search", search(3000), search(3001), "at most 3000"),
        case("nesting", filtered(nested(3)), filtered(nested(4)), "nested deeper than 3"),
        case("prefix", prefix(5), prefix(6), "at most 5"),
    ];
    check(&server, cases).await;
}

#[tokio::test]
async fn the_limits_hold_over_grpc_as_well() {
    let server = Server::start_limited(&SET).await;
    let host = server.dense("a", 1, "dotproduct").await;
    let mut client = Client::to(&host, None).await;
    let number = |number: f64| Field { kind: Some(Kind::NumberValue(number)) };
    let string = |text: String| Field { kind: Some(Kind::StringValue(text)) };
    let fields = |name: &str, value: Field| Struct { fields: [(name.to_owned(), value)].into() };
    let upsert = |id: usize, metadata: usize, entries: u32, namespace: usize| {
        let metadata = fields("k", string(text(metadata - r#"{"k":""}"#.len())));
        let sparse = crossbill_wire::grpc::SparseValues {
            indices: (0..entries).collect(),
            values: vec![1.0; entries as usize],
        };
        let vector = Vector {
            id: text(id),
            values: vec![1.0],
            sparse_values: Some(sparse),
            metadata: Some(metadata),
        };
        UpsertRequest { vectors: vec![vector], namespace: text(namespace) }
    };
    let answer = client.call::<_, UpsertResponse>("Upsert", upsert(10, 100_000, 3000, 10)).await;
    assert_eq!(answer.unwrap().upserted_count, 1);
    for (past, says) in [
        (upsert(11, 100, 1, 1), "11 characters, expected at most 10"),
        (upsert(1, 100_001, 1, 1), "100001 bytes as JSON, expected at most 100000"),
        (upsert(1, 100, 3001, 1), "3001 entries, expected at most 3000"),
        (upsert(1, 100, 1, 11), "11 characters, expected at most 10"),
    ] {
        let refused = client.call::<_, UpsertResponse>("Upsert", past).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(says), "{says}: {}", refused.message());
    }
    for (depth, fits) in [(3, true), (4, false)] {
        let filter = (0..depth).fold(fields("n", number(1.0)), |inner, _| {
            let inner = Field { kind: Some(Kind::StructValue(inner)) };
            let list = Kind::ListValue(ListValue { values: vec![inner] });
            fields("$and", Field { kind: Some(list) })
        });
        let request = QueryRequest {
            vector: vec![1.0],
            top_k: 1,
            filter: Some(filter),
            ..QueryRequest::default()
        };
        let answer = client.call::<_, QueryResponse>("Query", request).await;
        assert_eq!(answer.is_ok(), fits, "{depth}");
    }
}

/// A limit that is new is one more to be tried here.
#[test]
fn every_limit_that_is_set_has_a_test() {
    let set: Vec<&str> = SET.iter().filter_map(|setting| setting.split('=').next()).collect();
    // Those that had settings first; the tests of each call try them.
    let others = 10;
    let all: Vec<&str> = RequestLimits::ALL.iter().map(|limit| limit.name).collect();
    assert_eq!(all[others..], set[..]);
}
