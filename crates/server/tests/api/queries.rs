//! Queries: scores as the service gives them, filters, what is included.

use serde_json::{Value, json};

use crate::harness::{Server, ids};

async fn seeded(metric: &str) -> (Server, String) {
    let server = Server::start().await;
    let host = server.dense("a", 2, metric).await;
    server
        .upsert(
            &host,
            &[
                ("near", &[1.0, 0.1], json!({"g": "a", "n": 1})),
                ("far", &[3.0, 3.0], json!({"g": "b", "n": 2})),
                ("opposite", &[-1.0, 0.0], Value::Null),
            ],
        )
        .await;
    (server, host)
}

fn score(answer: &Value, at: usize) -> f64 {
    answer["matches"][at]["score"].as_f64().unwrap()
}

#[tokio::test]
async fn scores_have_the_metrics_scale_and_order() {
    let query = json!({"vector": [1, 0], "topK": 3, "includeValues": false,
        "includeMetadata": false});
    for (metric, order, first) in [
        ("cosine", ["near", "far", "opposite"], 1.0 / 1.01_f64.sqrt()),
        ("dotproduct", ["far", "near", "opposite"], 3.0),
        ("euclidean", ["near", "opposite", "far"], 0.01),
    ] {
        let (server, host) = seeded(metric).await;
        let answer = server.post(&format!("{host}/query"), query.clone()).await.ok(200);
        assert_eq!(ids(&answer), order, "{metric}");
        assert!((score(&answer, 0) - first).abs() < 1e-5, "{metric}: {}", score(&answer, 0));
        assert_eq!(answer["namespace"], "");
        assert_eq!(answer["usage"], json!({"readUnits": 1}));
        let mut keys: Vec<&String> = answer["matches"][0].as_object().unwrap().keys().collect();
        keys.sort_unstable();
        assert_eq!(keys, ["id", "score"]);
    }
}

#[tokio::test]
async fn filters_and_inclusions_do_what_they_say() {
    let (server, host) = seeded("cosine").await;
    let query = format!("{host}/query");
    let body = json!({"vector": [1, 0], "topK": 10, "includeValues": true,
        "includeMetadata": true, "filter": {"n": {"$gte": 2}}});
    let answer = server.post(&query, body).await.ok(200);
    assert_eq!(ids(&answer), ["far"]);
    assert_eq!(answer["matches"][0]["values"], json!([3.0, 3.0]));
    assert_eq!(answer["matches"][0]["metadata"], json!({"g": "b", "n": 2}));
    for (filter, expected) in [
        (json!({"g": {"$in": ["a", "b"]}}), vec!["near", "far"]),
        (json!({"g": {"$ne": "a"}}), vec!["far", "opposite"]),
        (json!({"$or": [{"g": "a"}, {"n": 2}]}), vec!["near", "far"]),
        (json!({"g": {"$exists": false}}), vec!["opposite"]),
        (json!({}), vec!["near", "far", "opposite"]),
        (json!({"g": {"$in": []}}), vec![]),
    ] {
        let body = json!({"vector": [1, 0], "topK": 10, "filter": filter});
        let answer = server.post(&query, body).await.ok(200);
        assert_eq!(ids(&answer), expected, "{filter}");
    }
}

#[tokio::test]
async fn a_query_may_name_a_record_or_an_unknown_namespace() {
    let (server, host) = seeded("cosine").await;
    let query = format!("{host}/query");
    let answer = server.post(&query, json!({"id": "far", "topK": 1})).await.ok(200);
    assert_eq!(ids(&answer), ["far"]);
    let answer = server.post(&query, json!({"id": "unknown", "topK": 1})).await.ok(200);
    assert_eq!(answer["matches"], json!([]));
    let body = json!({"vector": [1, 0], "topK": 1, "namespace": "none", "scanFactor": 2,
        "maxCandidates": 100, "queries": []});
    let answer = server.post(&query, body).await.ok(200);
    assert_eq!((&answer["matches"], &answer["namespace"]), (&json!([]), &json!("none")));
}

#[tokio::test]
async fn sparse_and_hybrid_queries_sum_both_parts() {
    let server = Server::start().await;
    let host = server.sparse("s").await;
    let body = json!({"vectors": [
        {"id": "x", "sparseValues": {"indices": [1, 5], "values": [0.5, 2]}},
        {"id": "y", "sparseValues": {"indices": [5], "values": [3]}},
    ]});
    server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
    let body = json!({"sparseVector": {"indices": [5, 1], "values": [1, 4]}, "topK": 2});
    let answer = server.post(&format!("{host}/query"), body).await.ok(200);
    assert_eq!((ids(&answer), score(&answer, 0)), (vec!["x", "y"], 4.0));

    let host = server.dense("h", 1, "dotproduct").await;
    let body = json!({"vectors": [
        {"id": "x", "values": [1], "sparseValues": {"indices": [1], "values": [2]}},
        {"id": "y", "values": [2]},
    ]});
    server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
    let body = json!({"vector": [1], "sparseVector": {"indices": [1], "values": [3]}, "topK": 2});
    let answer = server.post(&format!("{host}/query"), body).await.ok(200);
    assert_eq!((ids(&answer), score(&answer, 0)), (vec!["x", "y"], 7.0));
}

#[tokio::test]
async fn a_query_of_zeros_finds_by_filter_alone() {
    for metric in ["cosine", "dotproduct", "euclidean"] {
        let (server, host) = seeded(metric).await;
        let query = json!({"vector": [0, 0], "topK": 3, "filter": {"n": {"$gte": 2}}});
        let answer = server.post(&format!("{host}/query"), query).await.ok(200);
        assert_eq!(ids(&answer), ["far"], "{metric}");
        let expected = if metric == "euclidean" { 18.0 } else { 0.0 };
        assert_eq!(score(&answer, 0), expected, "{metric}");
    }
}

#[tokio::test]
async fn a_record_search_by_vector_is_a_query() {
    let (server, host) = seeded("cosine").await;
    let search = format!("{host}/records/namespaces/__default__/search");
    let body = json!({"query": {"top_k": 1, "vector": {"values": [1, 0]}}, "fields": ["g"]});
    let answer = server.post(&search, body).await.ok(200);
    let hit = &answer["result"]["hits"][0];
    assert_eq!((&hit["_id"], &hit["fields"]), (&json!("near"), &json!({"g": "a"})));
    assert_eq!(answer["usage"], json!({"read_units": 1}));
    let body = json!({"query": {"top_k": 1, "vector": {"values": [1, 0]}}, "fields": ["*"]});
    let answer = server.post(&search, body).await.ok(200);
    assert_eq!(answer["result"]["hits"][0]["fields"], json!({"g": "a", "n": 1}));
    let body = json!({"query": {"top_k": 1, "id": "opposite"}});
    let answer = server.post(&search, body).await.ok(200);
    assert_eq!(answer["result"]["hits"][0]["fields"], json!({}));
    let text = json!({"query": {"top_k": 1, "inputs": {"text": "x"}}});
    let message = server.post(&search, text).await.data_error(400, 3);
    assert!(message.contains("made with create-for-model"), "{message}");
    let upsert = format!("{host}/records/namespaces/x/upsert");
    server.post_raw(&upsert, "{\"_id\":\"a\"}\n").await.data_error(400, 3);
    let documents = format!("{host}/namespaces/x/documents/search");
    server.post(&documents, json!({})).await.data_error(400, 3);
}
