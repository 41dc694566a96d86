//! Bad input on the data plane: each a clear error in the API's shape, and
//! the server goes on.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;

#[tokio::test]
async fn bad_upserts_say_what_was_found_and_expected() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let url = format!("{host}/vectors/upsert");
    let one = |vector: &str| format!(r#"{{"vectors":[{{"id":"ok","values":[1,2]}},{vector}]}}"#);
    let long = "x".repeat(513);
    let big = format!(r#"{{"k":"{}"}}"#, "x".repeat(41_000));
    for (body, expected) in [
        ("{".to_owned(), "malformed JSON"),
        (String::new(), "empty"),
        ("[]".to_owned(), "request body: "),
        ("{}".to_owned(), "missing field `vectors`"),
        (r#"{"vectors":[]}"#.to_owned(), "0 vectors, expected 1 to 1000"),
        (one(r#"{"id":"x","values":[1]}"#), "vectors[1] (id \"x\"): vector dimension 1 does not"),
        (one(r#"{"id":"x"}"#), "vector dimension 0 does not match"),
        (one(r#"{"id":"x","values":[NaN,1]}"#), "component 0: expected value at line 1"),
        (one(r#"{"id":"x","values":[1,1e39]}"#), "component 1"),
        (one(r#"{"id":"x","values":[1,"2"]}"#), "component 1: invalid type: string"),
        (one(r#"{"id":"x","values":[0,0]}"#), "all components are 0"),
        (one(r#"{"id":"","values":[1,2]}"#), "vectors[1] (id \"\"): id is empty"),
        (one(&format!(r#"{{"id":"{long}","values":[1,2]}}"#)), "513 characters"),
        (one(r#"{"id":"naïve","values":[1,2]}"#), "expected ASCII"),
        (one(r#"{"id":"x","values":[1,2],"metadata":{"a":null}}"#), "\"a\" is null"),
        (one(r#"{"id":"x","values":[1,2],"metadata":{"a":{"b":1}}}"#), "\"a\" is an object"),
        (one(r#"{"id":"x","values":[1,2],"metadata":[1]}"#), "metadata is a list"),
        (one(&format!(r#"{{"id":"x","values":[1,2],"metadata":{big}}}"#)), "at most 40960"),
        (
            one(r#"{"id":"x","values":[1,2],"sparseValues":{"indices":[1],"values":[1]}}"#),
            "expected dotproduct",
        ),
        (r#"{"vectors":[{"id":"a","values":[1,2]}],"namespace":"é"}"#.to_owned(), "namespace"),
    ] {
        let message = server.post_raw(&url, &body).await.data_error(400, 3);
        assert!(message.contains(expected), "{body:.80}: {message}");
    }
    let stats = server.post(&format!("{host}/describe_index_stats"), json!({})).await.ok(200);
    assert_eq!(stats["totalVectorCount"], 0);
}

#[tokio::test]
async fn sparse_rules_are_kept() {
    let server = Server::start().await;
    let url = format!("{}/vectors/upsert", server.sparse("s").await);
    for (vector, expected) in [
        (json!({"id": "x", "values": [1]}), "expected sparseValues only"),
        (json!({"id": "x"}), "sparseValues are missing"),
        (
            json!({"id": "x", "sparseValues": {"indices": [1, 1], "values": [1, 2]}}),
            "index 1 twice",
        ),
        (json!({"id": "x", "sparseValues": {"indices": [1], "values": [1, 2]}}), "1 indices and 2"),
        (json!({"id": "x", "sparseValues": {"indices": [], "values": []}}), "no entries"),
        (json!({"id": "x", "sparseValues": {"indices": [-1], "values": [1]}}), "integer `-1`"),
        (json!({"id": "x", "sparseValues": {"indices": [4294967296_u64], "values": [1]}}), "u32"),
    ] {
        let message = server.post(&url, json!({"vectors": [vector]})).await.data_error(400, 3);
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn bad_reads_and_writes_are_refused() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/query", json!({"vector": [1, 2]}), "missing field `topK`"),
        ("/query", json!({"vector": [1, 2], "topK": 0}), "topK is 0, expected 1 to 10000"),
        ("/query", json!({"vector": [1, 2], "topK": 10001}), "topK is 10001"),
        ("/query", json!({"vector": [1], "topK": 1}), "dimension 1 does not match"),
        ("/query", json!({"topK": 1}), "neither vector"),
        ("/query", json!({"vector": [1, 2], "id": "a", "topK": 1}), "both id and a vector"),
        ("/query", json!({"vector": [1, 2], "topK": 1, "filter": {"a": {"$foo": 1}}}), "$foo"),
        ("/query", json!({"vector": [1, 2], "topK": 1, "filter": [1]}), "expected an object"),
        ("/vectors/fetch_by_metadata", json!({"filter": {}}), "Empty filter provided for fetch"),
        ("/vectors/fetch_by_metadata", json!({"filter": {"a": 1}, "limit": 0}), "limit is 0"),
        ("/vectors/update", json!({"namespace": ""}), "neither id nor filter"),
        ("/vectors/update", json!({"id": "a", "filter": {"a": 1}}), "both id and filter"),
        ("/vectors/update", json!({"id": "a"}), "nothing to update"),
        ("/vectors/update", json!({"id": "a", "values": [1]}), "dimension 1"),
        ("/vectors/update", json!({"id": "a", "setMetadata": {"a": null}}), "is null"),
        (
            "/vectors/update",
            json!({"filter": {}, "setMetadata": {"a": 1}}),
            "Update with empty metadata filter is not allowed",
        ),
        (
            "/vectors/update",
            json!({"filter": {"a": 1}, "values": [1, 2]}),
            "Update by metadata request does not support updating vector values.",
        ),
        ("/vectors/delete", json!({}), "neither ids"),
        ("/vectors/delete", json!({"ids": ["a"], "deleteAll": true}), "No explicit IDs allowed"),
        ("/vectors/delete", json!({"filter": {}}), "Delete with empty metadata filter"),
    ];
    for (path, body, expected) in cases {
        let message = server.post(&format!("{host}{path}"), body).await.data_error(400, 3);
        assert!(message.contains(expected), "{path}: {message}");
    }
    for (path, expected) in [
        ("/vectors/fetch", "0 ids, expected 1 to 1000"),
        ("/vectors/fetch?ids=", "ids[0]: id is empty"),
        ("/vectors/list?limit=0", "limit is 0, expected 1 to 100"),
        ("/vectors/list?limit=x", "limit is \"x\""),
        ("/vectors/list?paginationToken=x", "paginationToken is malformed"),
        ("/vectors/list?namespace=%FF", "not UTF-8"),
    ] {
        let message = server.get(&format!("{host}{path}")).await.data_error(400, 3);
        assert!(message.contains(expected), "{path}: {message}");
    }
}

#[tokio::test]
async fn unknown_things_are_not_found() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    server.get("/indexes/none").await.control_error(404, "NOT_FOUND");
    server.get(&format!("{host}/namespaces/none")).await.data_error(404, 5);
    server.get(&format!("{host}/nothing")).await.data_error(404, 5);
    let hint = server.get(&format!("{host}/indexes")).await.data_error(404, 5);
    assert!(hint.contains("control plane"), "{hint}");
    let wrong = server.send(Method::PUT, &format!("{host}/query"), &[], None).await;
    wrong.data_error(405, 12);
}

#[tokio::test]
async fn requests_over_a_limit_name_both_figures() {
    let server = Server::start_with(|config| config.request_bytes_max = 100_000).await;
    let host = server.dense("a", 2, "cosine").await;
    let url = format!("{host}/vectors/upsert");
    let vectors: Vec<Value> =
        (0..1001).map(|n| json!({"id": n.to_string(), "values": [1, 2]})).collect();
    let message = server.post(&url, json!({"vectors": vectors})).await.data_error(400, 3);
    assert_eq!(message, "the request has 1001 vectors, expected 1 to 1000");

    let large = " ".repeat(100_001);
    let message = server.post_raw(&url, &large).await.data_error(413, 3);
    assert_eq!(message, "request body has 100001 bytes, expected at most 100000");
    server.post_raw("/indexes", &large).await.control_error(413, "INVALID_ARGUMENT");
    let good = r#"{"vectors":[{"id":"a","values":[1,2]}]}"#;
    let exact = format!("{good}{}", " ".repeat(100_000 - good.len()));
    server.post_raw(&url, &exact).await.ok(200);

    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        Some(encoder.finish().unwrap())
    };
    let packed = [("Content-Encoding", "gzip")];
    server.send(Method::POST, &url, &packed, gzip(&exact)).await.ok(200);
    let bomb = server.send(Method::POST, &url, &packed, gzip(&" ".repeat(9_000_000))).await;
    let message = bomb.data_error(413, 3);
    assert_eq!(message, "request body has more than 100000 bytes, expected at most 100000");
    let torn = server.send(Method::POST, &url, &packed, Some(b"{}".to_vec())).await;
    torn.data_error(400, 3);
    let other = [("Content-Encoding", "br")];
    server.send(Method::POST, &url, &other, gzip("{}")).await.data_error(415, 3);
}

/// Found by schemathesis: `[null, null]` was a backup without name and description.
#[tokio::test]
async fn a_list_is_no_object() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    for (path, body) in [
        ("/indexes/a/backups", "[null, null]"),
        ("/collections", r#"["c", "a"]"#),
        ("/integrations", r#" ["lake", "s3"]"#),
    ] {
        let message = server.post_raw(path, body).await.control_error(422, "UNPROCESSABLE_ENTITY");
        assert!(message.contains("body"), "{message}");
    }
    let body = Some(b"[null, null]".to_vec());
    let got = server.send(Method::PATCH, "/indexes/a", &[], body).await;
    got.control_error(422, "UNPROCESSABLE_ENTITY");
    for (path, body) in [("/query", r#"[1, [1, 2]]"#), ("/vectors/delete", r#"[["a"]]"#)] {
        let message = server.post_raw(&format!("{host}{path}"), body).await.data_error(400, 3);
        assert!(message.contains("expected an object"), "{message}");
    }
}

/// The router knows the methods of all other paths.
#[tokio::test]
async fn what_is_not_allowed_says_what_is() {
    let server = Server::start().await;
    let post = server.post("/indexes/a", json!({})).await;
    assert_eq!(post.headers["allow"], "GET,HEAD,PATCH,DELETE");
    post.control_error(405, "METHOD_NOT_ALLOWED");
    let put = server.send(Method::PUT, "/indexes", &[], None).await;
    assert_eq!(put.headers["allow"], "GET,HEAD,POST");
}
