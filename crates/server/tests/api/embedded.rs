//! The API without a socket answers as over one, and opens no port.

use bytes::Bytes;
use crossbill_server::{Embedded, EmbeddedAnswer, EmbeddedRequest, ServerConfig};
use serde_json::{Value, json};

use crate::harness::{key, open_database};

async fn ask(api: &Embedded, method: &str, target: &str, body: Value) -> EmbeddedAnswer {
    let request = EmbeddedRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Bytes::from(body.to_string()),
    };
    api.answer(request).await.unwrap()
}

fn json_of(answer: &EmbeddedAnswer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plane_is_reached_in_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let db = tokio::task::spawn_blocking(move || open_database(&path)).await.unwrap();
    // Its port is taken: nothing is to listen there.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = ServerConfig::new(taken.local_addr().unwrap());
    config.keys = crossbill_server::Keys::new(vec![key("one", "not-asked-for")]).unwrap();
    let api = Embedded::new(db.clone(), config);

    let made = json!({"name": "a", "dimension": 2, "metric": "cosine",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}});
    assert_eq!(ask(&api, "POST", "/indexes", made.clone()).await.status, 201);
    let again = ask(&api, "POST", "/indexes", made).await;
    assert_eq!(
        (again.status, json_of(&again)["error"]["code"].clone()),
        (409, json!("ALREADY_EXISTS"))
    );
    let vectors = json!({"vectors": [{"id": "x", "values": [1.0, 0.0]}]});
    let stored = ask(&api, "POST", "/data/a/vectors/upsert", vectors).await;
    assert_eq!((stored.status, json_of(&stored)), (200, json!({"upsertedCount": 1})));
    let found = ask(&api, "POST", "/data/a/query", json!({"id": "x", "topK": 1})).await;
    assert_eq!(json_of(&found)["matches"][0]["id"], "x");
    assert!(found.headers.iter().any(|(name, _)| name == "x-pinecone-request-id"));
    let wrong = ask(&api, "POST", "/data/a/query", json!({"topK": 1})).await;
    assert_eq!((wrong.status, json_of(&wrong)["code"].clone()), (400, json!(3)));
    assert_eq!(ask(&api, "GET", "/data/b/namespaces", json!(null)).await.status, 404);
    assert_eq!(ask(&api, "DELETE", "/indexes/a", json!(null)).await.status, 202);

    for (method, target, header) in
        [("GE T", "/", "a"), ("GET", "no path\0", "a"), ("GET", "/", "no header")]
    {
        let request = EmbeddedRequest {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![(header.to_owned(), String::new())],
            body: Bytes::new(),
        };
        let error = api.answer(request).await.unwrap_err();
        assert_eq!(error.kind(), crossbill_core::ErrorKind::Invalid, "{method} {target} {header}");
    }
    api.close();
    assert_eq!(ask(&api, "GET", "/ready", json!(null)).await.status, 503);
    tokio::task::spawn_blocking(move || db.shutdown()).await.unwrap();
}
