//! Whatever JSON (or nearly JSON) a client sends to whichever route, the
//! answer is never a fault of the server's, but for the 501 of what it does
//! not do; and after all of it the server still works.
//!
//! Method: bodies are made of the API's own field names and of values of all
//! kinds, so that many get past the first check.

use crossbill_server::{Plane, ROUTES};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;

/// Requests in all.
const REQUESTS: usize = 3000;

fn field() -> impl Strategy<Value = String> {
    let names = [
        "id",
        "ids",
        "values",
        "vector",
        "vectors",
        "topK",
        "filter",
        "namespace",
        "metadata",
        "setMetadata",
        "sparseValues",
        "sparseVector",
        "indices",
        "deleteAll",
        "limit",
        "name",
        "paginationToken",
        "includeValues",
        "includeMetadata",
        "dryRun",
        "uri",
        "errorMode",
        "onError",
        "integrationId",
        "schema",
        "fields",
        "filterable",
        "query",
        "top_k",
        "inputs",
        "dimension",
        "metric",
        "spec",
        "serverless",
        "cloud",
        "region",
        "tags",
        "deployment",
        "deletion_protection",
        "vector_type",
        "_values",
        "type",
        "$eq",
        "$in",
        "$and",
        "$gt",
        "x",
    ];
    select(names.to_vec()).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..20_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        select(vec![
            "cosine",
            "a",
            "__default__",
            "aws",
            "enabled",
            "s3://bucket/c",
            "dense_vector"
        ])
        .prop_map(Value::from),
        Just(json!([1.0, 2.0])),
        Just(json!({"indices": [1, 2], "values": [0.5, 1.0]})),
        Just(json!({"g": {"$in": ["a", 1]}})),
        Just(json!([{"id": "a", "values": [1.0, 2.0], "metadata": {"g": "a"}}])),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(field(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// JSON, most times an object, at times cut short or spoilt.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let object = btree_map(field(), value(), 0..7)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()));
    let json = prop_oneof![4 => object, 1 => value()];
    (json, 0_u8..8, any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(value, spoil, at, byte)| {
            let mut bytes = value.to_string().into_bytes();
            let at = at.index(bytes.len());
            match spoil {
                0 => bytes.truncate(at),
                1 => bytes[at] = byte,
                _ => (),
            }
            bytes
        },
    )
}

/// Query strings in the API's words.
fn query() -> impl Strategy<Value = String> {
    let pair = (
        select(vec!["limit", "prefix", "paginationToken", "namespace", "ids", "offset"]),
        prop_oneof!["[0-9]{1,4}", "[a-zA-Z0-9_=%+-]{0,12}"],
    )
        .prop_map(|(key, value)| format!("{key}={}", value.replace('%', "%25")));
    vec(pair, 0..4).prop_map(|pairs| pairs.join("&"))
}

#[tokio::test]
async fn no_request_is_answered_with_a_fault_of_ours() {
    let server = Server::start().await;
    let hosts = [server.dense("a", 2, "dotproduct").await, server.sparse("s").await];
    let control = format!("http://{}", server.control);
    let seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    println!("replay with SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let segment = prop_oneof!["a", "__default__", "[a-z0-9-]{1,5}", "1"];
    let strategy = (0..ROUTES.len(), 0_usize..2, segment, query(), body());
    for _ in 0..REQUESTS {
        let (route, host, segment, query, body) = strategy.new_tree(&mut runner).unwrap().current();
        let route = &ROUTES[route];
        let creates = route.path == "/indexes" && route.method == Method::POST;
        let deletes = route.path == "/indexes/{name}" && route.method == Method::DELETE;
        if deletes && ["a", "s"].contains(&segment.as_str()) {
            continue;
        }
        let host = if route.plane == Plane::Data { &hosts[host] } else { &control };
        let path: Vec<&str> = route
            .path
            .split('/')
            .map(|part| if part.starts_with('{') { segment.as_str() } else { part })
            .collect();
        let url = format!("{host}{}?{query}", path.join("/"));
        let got = server.send(route.method.clone(), &url, &[], Some(body.clone())).await;
        let label =
            || format!("{} {url} {}: {}", route.method, String::from_utf8_lossy(&body), got.body);
        assert!(got.status < 500 || got.status == 501, "{} {}", got.status, label());
        if got.status >= 400 {
            assert!(got.body["message"].is_string(), "{}", label());
        }
        if creates && got.status == 201 {
            // Few get here; none may pile up.
            let made = format!("/indexes/{}", got.body["name"].as_str().unwrap());
            server.patch(&made, json!({"deletion_protection": "disabled"})).await.ok(202);
            server.delete(&made).await.ok(202);
        }
    }
    for host in hosts {
        server.post(&format!("{host}/describe_index_stats"), json!({})).await.ok(200);
    }
}
