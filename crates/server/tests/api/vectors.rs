//! Upsert, fetch, update, delete, list, stats.

use serde_json::{Value, json};

use crate::harness::Server;

#[tokio::test]
async fn what_is_upserted_is_fetched() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "dotproduct").await;
    let body = json!({"vectors": [
        {"id": "a", "values": [1, 2.5], "metadata": {"s": "é", "n": 10, "b": true, "l": ["x"]}},
        {"id": "b", "values": [0.1, -3e-2], "sparseValues": {"indices": [7, 2], "values": [1, 2]},
         "metadata": null},
    ], "namespace": ""});
    let got = server.post(&format!("{host}/vectors/upsert"), body).await;
    let written = got.lsn("x-pinecone-request-lsn");
    assert_eq!(got.lsn("x-pinecone-lsn-committed"), written);
    assert!(!got.headers["x-pinecone-request-id"].is_empty());
    assert_eq!(got.ok(200), json!({"upsertedCount": 2}));

    let got = server.get(&format!("{host}/vectors/fetch?ids=a&ids=b&ids=c&namespace=")).await;
    assert!(got.lsn("x-pinecone-max-indexed-lsn") >= written);
    assert!(got.lsn("x-pinecone-lsn-reconciled") >= written);
    assert_eq!(
        got.ok(200),
        json!({
            "vectors": {
                "a": {"id": "a", "values": [1.0, 2.5],
                      "metadata": {"s": "é", "n": 10, "b": true, "l": ["x"]}},
                "b": {"id": "b", "values": [0.1, -0.03],
                      "sparseValues": {"indices": [2, 7], "values": [2.0, 1.0]}},
            },
            "namespace": "", "usage": {"readUnits": 1},
        })
    );
    // The same namespace by its other name, and one that does not exist.
    let other =
        server.get(&format!("{host}/vectors/fetch?ids=a&namespace=__default__")).await.ok(200);
    assert_eq!(other["namespace"], "__default__");
    assert_eq!(other["vectors"]["a"]["values"], json!([1.0, 2.5]));
    let none = server.get(&format!("{host}/vectors/fetch?ids=a&namespace=none")).await.ok(200);
    assert_eq!(none["vectors"], json!({}));
}

#[tokio::test]
async fn the_last_of_two_equal_ids_wins_and_a_record_is_replaced_whole() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "euclidean").await;
    let body = json!({"vectors": [
        {"id": "x", "values": [1], "metadata": {"n": 1}}, {"id": "x", "values": [2]},
    ]});
    let answer = server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
    assert_eq!(answer, json!({"upsertedCount": 2}));
    let got = server.get(&format!("{host}/vectors/fetch?ids=x")).await.ok(200);
    assert_eq!(got["vectors"]["x"], json!({"id": "x", "values": [2.0]}));
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "euclidean").await;
    server.upsert(&host, &[("x", &[1.0], json!({"a": 1, "b": "old"}))]).await;
    let update = format!("{host}/vectors/update");
    let set = json!({"id": "x", "setMetadata": {"b": "new", "c": true}, "namespace": ""});
    assert_eq!(server.post(&update, set).await.ok(200), json!({}));
    server.post(&update, json!({"id": "x", "values": [5]})).await.ok(200);
    server.post(&update, json!({"id": "unknown", "values": [5]})).await.ok(200);
    let got = server.get(&format!("{host}/vectors/fetch?ids=x&ids=unknown")).await.ok(200);
    assert_eq!(
        got["vectors"],
        json!({"x": {"id": "x", "values": [5.0], "metadata": {"a": 1, "b": "new", "c": true}}})
    );
}

#[tokio::test]
async fn an_update_by_filter_counts_and_sets() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "euclidean").await;
    let records = [("x", json!({"g": "a"})), ("y", json!({"g": "a"})), ("z", json!({"g": "b"}))];
    for (id, metadata) in records {
        server.upsert(&host, &[(id, &[1.0], metadata)]).await;
    }
    let update = format!("{host}/vectors/update");
    let dry = json!({"filter": {"g": "a"}, "setMetadata": {"n": 1}, "dryRun": true});
    assert_eq!(server.post(&update, dry).await.ok(200), json!({"matchedRecords": 2}));
    let by_metadata = format!("{host}/vectors/fetch_by_metadata");
    let found = server.post(&by_metadata, json!({"filter": {"n": 1}})).await.ok(200);
    assert_eq!(found["vectors"], json!({}));
    let wet = json!({"filter": {"g": "a"}, "setMetadata": {"n": 1}});
    assert_eq!(server.post(&update, wet).await.ok(200), json!({"matchedRecords": 2}));

    let first = server.post(&by_metadata, json!({"filter": {"n": 1}, "limit": 1})).await.ok(200);
    assert_eq!(first["vectors"]["x"]["metadata"], json!({"g": "a", "n": 1}));
    let token = first["pagination"]["next"].as_str().unwrap();
    let second = server
        .post(&by_metadata, json!({"filter": {"n": 1}, "paginationToken": token}))
        .await
        .ok(200);
    assert_eq!(second["vectors"].as_object().unwrap().keys().collect::<Vec<_>>(), ["y"]);
    assert_eq!(second.get("pagination"), None);
}

#[tokio::test]
async fn deletes_take_ids_a_filter_or_all() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "euclidean").await;
    for (id, group) in [("a", 1), ("b", 1), ("c", 2), ("d", 3)] {
        server.upsert(&host, &[(id, &[1.0], json!({"g": group}))]).await;
    }
    let delete = format!("{host}/vectors/delete");
    let total = async || {
        let stats = server.post(&format!("{host}/describe_index_stats"), json!({})).await.ok(200);
        stats["totalVectorCount"].as_u64().unwrap()
    };
    assert_eq!(server.post(&delete, json!({"ids": ["a", "none"]})).await.ok(200), json!({}));
    assert_eq!(total().await, 3);
    server.post(&delete, json!({"filter": {"g": {"$eq": 1}}})).await.ok(200);
    assert_eq!(total().await, 2);
    server.post(&delete, json!({"deleteAll": true, "namespace": ""})).await.ok(200);
    assert_eq!(total().await, 0);
}

#[tokio::test]
async fn listing_pages_through_ids_of_every_spelling() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "euclidean").await;
    let odd = ["a", "a b", "a#1", "a#2", "a,b", "a/b", "a\"q", "b+c", "b%2F"];
    let records: Vec<(&str, &[f32], Value)> =
        odd.iter().map(|id| (*id, &[1.0][..], Value::Null)).collect();
    server.upsert(&host, &records).await;

    let mut sorted = odd.to_vec();
    sorted.sort_unstable();
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let mut request = server.client.get(format!("{host}/vectors/list?limit=2"));
        if let Some(token) = token {
            request = server.client.get(format!("{host}/vectors/list?paginationToken={token}"));
        }
        let page: Value =
            serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
        let ids = page["vectors"].as_array().unwrap();
        assert!((1..=2).contains(&ids.len()));
        seen.extend(ids.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page.get("pagination") {
            Some(pagination) => token = Some(pagination["next"].as_str().unwrap().to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, sorted);

    let prefixed = server.get(&format!("{host}/vectors/list?prefix=a%23")).await.ok(200);
    let expected = json!({"vectors": [{"id": "a#1"}, {"id": "a#2"}], "namespace": "",
        "usage": {"readUnits": 1}});
    assert_eq!(prefixed, expected);
    let comma = server.get(&format!("{host}/vectors/fetch?ids=a%2Cb&ids=b%2Bc&ids=b%252F")).await;
    let mut keys: Vec<String> =
        comma.ok(200)["vectors"].as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["a,b", "b%2F", "b+c"]);
}

#[tokio::test]
async fn stats_count_by_namespace() {
    let server = Server::start().await;
    let host = server.dense("a", 1, "cosine").await;
    server.upsert(&host, &[("x", &[1.0], Value::Null)]).await;
    let body = json!({"vectors": [{"id": "x", "values": [1]}, {"id": "y", "values": [1]}],
        "namespace": "docs"});
    server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
    let stats = server.post(&format!("{host}/describe_index_stats"), json!({})).await.ok(200);
    let expected = json!({
        "namespaces": {"__default__": {"vectorCount": 1}, "docs": {"vectorCount": 2}},
        "dimension": 1, "indexFullness": 0.0, "totalVectorCount": 3,
        "metric": "cosine", "vectorType": "dense",
    });
    assert_eq!(stats, expected);
    let filtered = json!({"filter": {"a": 1}});
    server.post(&format!("{host}/describe_index_stats"), filtered).await.data_error(400, 3);
}

#[tokio::test]
async fn sparse_records_carry_no_values() {
    let server = Server::start().await;
    let host = server.sparse("s").await;
    let body = json!({"vectors": [
        {"id": "x", "values": [], "sparseValues": {"indices": [1], "values": [0.5]}},
    ]});
    server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
    let got = server.get(&format!("{host}/vectors/fetch?ids=x")).await.ok(200);
    let expected = json!({"id": "x", "sparseValues": {"indices": [1], "values": [0.5]}});
    assert_eq!(got["vectors"]["x"], expected);
    let stats = server.post(&format!("{host}/describe_index_stats"), json!({})).await.ok(200);
    assert_eq!((stats.get("dimension"), &stats["vectorType"]), (None, &json!("sparse")));
}
