//! Documents over REST: which of them a delete takes, and how large an answer
//! may be. What a search finds, tests with the official client say.

use serde_json::{Value, json};

use crate::harness::Server;

/// An index of documents, `count` of them in the namespace `n`; the address of
/// their calls.
async fn filled(server: &Server, count: usize) -> String {
    let schema = json!({"fields": {
        "at": {"type": "dense_vector", "dimension": 2, "metric": "euclidean"},
        "body": {"type": "string", "full_text_search": {}},
    }});
    let made = server.post("/indexes", json!({"name": "docs", "schema": schema})).await.ok(201);
    let calls = format!("{}/namespaces/n/documents", made["host"].as_str().unwrap());
    let document = |number: usize| json!({"_id": format!("d{number}"), "at": [number, 1], "body": "a red fox", "n": number});
    let documents: Vec<Value> = (0..count).map(document).collect();
    server.post(&format!("{calls}/upsert"), json!({"documents": documents})).await.ok(202);
    calls
}

async fn ids(server: &Server, calls: &str) -> Vec<String> {
    let listed = server.post(&format!("{calls}/list"), json!({})).await.ok(200);
    let documents = listed["documents"].as_array().unwrap();
    documents.iter().map(|one| one["_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_delete_names_its_documents_as_one_of_vectors_does() {
    let server = Server::start().await;
    let calls = filled(&server, 5).await;
    let url = format!("{calls}/delete");
    for (body, says) in [
        (json!({}), "neither ids, filter nor delete_all"),
        (json!({"delete_all": false}), "neither ids, filter nor delete_all"),
        (json!({"ids": []}), "0 ids, expected 1 to 1000"),
        (json!({"ids": ["d1"], "delete_all": true}), "No explicit IDs allowed"),
        (json!({"filter": {"n": 1}, "delete_all": true}), "No filter allowed"),
        (json!({"ids": ["d1"], "filter": {"n": 1}}), "both ids and filter"),
        (json!({"filter": {}}), "Delete with empty metadata filter is not allowed"),
        (json!({"filter": {"body": {"$match_all": "fox"}}}), "only a search takes"),
    ] {
        let refused = server.post(&url, body.clone()).await.data_error(400, 3);
        assert!(refused.contains(says), "{body}: {refused}");
    }
    assert_eq!(ids(&server, &calls).await, ["d0", "d1", "d2", "d3", "d4"]);
    assert_eq!(server.post(&url, json!({"ids": ["d0", "none"]})).await.ok(202), json!({}));
    let matched = json!({"ids": [], "filter": {"n": {"$lt": 3}}});
    assert_eq!(server.post(&url, matched).await.ok(202), json!({"matched_records": 2}));
    assert_eq!(ids(&server, &calls).await, ["d3", "d4"]);
    assert_eq!(server.post(&url, json!({"delete_all": true})).await.ok(202), json!({}));
    assert!(ids(&server, &calls).await.is_empty());
}

#[tokio::test]
async fn an_answer_has_the_limit_of_queries() {
    let search = json!({"score_by": [{"type": "text", "fields": ["body"], "query": "fox"}],
        "top_k": 10, "include_fields": ["*"]});
    let server = Server::start().await;
    let calls = filled(&server, 10).await;
    let whole = server.post(&format!("{calls}/search"), search.clone()).await;
    let bytes: usize = whole.headers["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(whole.ok(200)["matches"].as_array().unwrap().len(), 10);
    for (limit, fits) in [(bytes, true), (bytes - 1, false)] {
        let limits = format!("query-answer-bytes={limit}");
        let server = Server::start_limited(&[&limits]).await;
        let calls = filled(&server, 10).await;
        let got = server.post(&format!("{calls}/search"), search.clone()).await;
        if fits {
            got.ok(200);
            continue;
        }
        let refused = got.data_error(400, 3);
        assert!(refused.contains(&format!("has {bytes} bytes, expected at most {limit}")));
        let mut fewer = search.clone();
        fewer["top_k"] = json!(9);
        server.post(&format!("{calls}/search"), fewer).await.ok(200);
    }
}
