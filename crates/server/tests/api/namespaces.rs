//! Namespaces, the default one and those with odd names among them.

use serde_json::{Value, json};

use crate::harness::Server;

#[tokio::test]
async fn a_namespace_lives_and_dies() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "cosine").await;
    let all = format!("{host}/namespaces");
    let made = server.post(&all, json!({"name": "n"})).await.ok(200);
    let expected =
        json!({"name": "n", "record_count": 0, "size_bytes": 0, "indexed_fields": {"fields": []}});
    assert_eq!(made, expected);
    let schema = json!({"fields": {"genre": {"filterable": true}}});
    let made = server.post(&all, json!({"name": "m", "schema": schema})).await.ok(200);
    assert_eq!(made["schema"], schema);
    assert_eq!(made["indexed_fields"], json!({"fields": ["genre"]}));
    server.post(&all, json!({"name": "n"})).await.data_error(409, 6);

    let body = json!({"vectors": [{"id": "x", "values": [1]}], "namespace": "n"});
    server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
    let described = server.get(&format!("{all}/n")).await.ok(200);
    assert_eq!((&described["name"], &described["record_count"]), (&json!("n"), &json!(1)));

    assert_eq!(server.delete(&format!("{all}/n")).await.ok(200), json!({}));
    server.get(&format!("{all}/n")).await.data_error(404, 5);
    server.delete(&format!("{all}/n")).await.data_error(404, 5);
}

#[tokio::test]
async fn listing_has_pages_a_prefix_and_the_default_one() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "cosine").await;
    for name in ["", "a1", "a2", "a3", "b"] {
        let body = json!({"vectors": [{"id": "x", "values": [1]}], "namespace": name});
        server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
    }
    let all = server.get(&format!("{host}/namespaces")).await.ok(200);
    assert_eq!(all["total_count"], 5);
    let default = &all["namespaces"][0];
    assert_eq!((&default["name"], &default["record_count"]), (&json!("__default__"), &json!(1)));
    assert!(default["size_bytes"].is_u64(), "{default}");
    let first = server.get(&format!("{host}/namespaces?prefix=a&limit=2")).await.ok(200);
    let token = first["pagination"]["next"].as_str().unwrap();
    let second =
        server.get(&format!("{host}/namespaces?paginationToken={token}&limit=2")).await.ok(200);
    let names: Vec<&Value> =
        second["namespaces"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, ["a3"]);
    assert_eq!(second.get("pagination"), None);
    let clash = format!("{host}/namespaces?paginationToken={token}&prefix=b");
    server.get(&clash).await.data_error(400, 3);
}

#[tokio::test]
async fn names_are_decoded_once_and_never_paths() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "cosine").await;
    for (name, in_path) in [("a/b", "a%2Fb"), ("..", "%2E%2E"), ("a b", "a%20b"), ("%41", "%2541")]
    {
        let body = json!({"vectors": [{"id": "x", "values": [1]}], "namespace": name});
        server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
        // Not through the client's URL parser, which would resolve the dots.
        let answer = crate::connections::raw(
            &host,
            &format!(
                "GET /namespaces/{in_path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            ),
        )
        .await;
        let expected = format!("{{\"name\":{},\"record_count\":1", json!(name));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&expected), "{answer}");
    }
}

#[tokio::test]
async fn bad_names_are_refused() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "cosine").await;
    for body in [
        json!({"name": ""}),
        json!({"name": "__default__"}),
        json!({"name": "naïve"}),
        json!({"name": "x".repeat(513)}),
        json!({"name": "x", "schema": {"fields": {"f": {"filterable": false}}}}),
        json!({}),
    ] {
        server.post(&format!("{host}/namespaces"), body).await.data_error(400, 3);
    }
}
