//! The control plane: indexes in both dialects, and what is not done here.

use crossbill_server::{ServeError, ServerConfig, serve};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, open_database};

#[tokio::test]
async fn an_index_lives_and_dies() {
    let server = Server::start().await;
    assert_eq!(server.get("/indexes").await.ok(200), json!({"indexes": []}));
    let host = server.dense("product-search", 3, "cosine").await;
    assert_eq!(host, format!("http://{}:5081", server.control.ip()));

    let described = server.get("/indexes/product-search").await.ok(200);
    assert_eq!(described["status"], json!({"ready": true, "state": "Ready"}));
    assert_eq!(described["dimension"], 3);
    assert_eq!(described["deletion_protection"], "disabled");
    assert_eq!(described["spec"]["serverless"]["region"], "us-east-1");
    assert_eq!(described["schema"]["fields"]["_values"]["metric"], "cosine");
    assert_eq!(described["deployment"]["deployment_type"], "managed");
    assert!(!described.to_string().contains("null"), "{described}");
    assert_eq!(server.get("/indexes").await.ok(200), json!({"indexes": [described]}));

    server.get(&format!("{host}/health")).await.ok(200);
    assert_eq!(server.delete("/indexes/product-search").await.ok(202), Value::Null);
    server.get("/indexes/product-search").await.control_error(404, "NOT_FOUND");
    server.delete("/indexes/product-search").await.control_error(404, "NOT_FOUND");
    // The port is closed, and free for the next one.
    assert!(server.client.get(format!("{host}/health")).send().await.is_err());
    assert_eq!(server.dense("another", 3, "cosine").await, host);
}

#[tokio::test]
async fn vectors_are_kept_as_the_index_was_made() {
    let server = Server::start().await;
    server.dense("plain", 3, "cosine").await;
    assert_eq!(server.get("/indexes/plain").await.ok(200)["vector_storage"], "f32");
    let body = json!({
        "name": "small", "dimension": 3, "metric": "cosine", "vector_storage": "int8",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
    });
    let made = server.post("/indexes", body.clone()).await.ok(201);
    assert_eq!(made["vector_storage"], "int8");
    let host = made["host"].as_str().unwrap();
    let vectors = json!({"vectors": [{"id": "a", "values": [0.1, 0.25, -127.0]}]});
    server.post(&format!("{host}/vectors/upsert"), vectors).await.ok(200);
    let fetched = server.get(&format!("{host}/vectors/fetch?ids=a")).await.ok(200);
    // Steps of 1, the largest component's 127th part.
    assert_eq!(fetched["vectors"]["a"]["values"], json!([0.0, 0.0, -127.0]));
    let mut wrong = body;
    wrong["vector_storage"] = json!("int4");
    let message = server.post("/indexes", wrong).await.control_error(400, "INVALID_ARGUMENT");
    assert_eq!(message, "vector_storage is \"int4\", expected f32, f16, bf16 or int8");
}

#[tokio::test]
async fn the_newer_dialect_makes_the_same_index_and_may_leave_the_name_out() {
    let server = Server::start().await;
    let body = json!({
        "schema": {"fields": {"_values": {"type": "dense_vector", "dimension": 3, "metric": "cosine"}}},
        "name": "a",
        "deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
    });
    let version = [("X-Pinecone-Api-Version", "2026-07")];
    let send = |body: Value| {
        server.send(Method::POST, "/indexes", &version, Some(body.to_string().into_bytes()))
    };
    let newer = send(body.clone()).await.ok(201);
    server.delete("/indexes/a").await.ok(202);
    server.dense("a", 3, "cosine").await;
    assert_eq!(server.get("/indexes/a").await.ok(200), newer);

    let mut nameless = body;
    nameless.as_object_mut().unwrap().remove("name");
    let made = send(nameless).await.ok(201);
    let name = made["name"].as_str().unwrap();
    server.get(&format!("/indexes/{name}")).await.ok(200);

    let pod = json!({"name": "p", "dimension": 2, "spec": {"pod": {"environment": "e"}}});
    let message = send(pod.clone()).await.control_error(400, "INVALID_ARGUMENT");
    assert_eq!(message, "deployment_type 'pod' is not supported on this API version");
    assert_eq!(server.post("/indexes", pod).await.ok(201)["spec"]["pod"]["environment"], "e");
}

#[tokio::test]
async fn a_taken_name_is_a_conflict() {
    let server = Server::start().await;
    server.dense("a", 2, "cosine").await;
    let body = json!({"name": "a", "dimension": 2,
        "spec": {"serverless": {"cloud": "aws", "region": "x"}}});
    server.post("/indexes", body).await.control_error(409, "ALREADY_EXISTS");
}

#[tokio::test]
async fn configuring_merges_tags_and_protects() {
    let server = Server::start().await;
    server.dense("a", 2, "cosine").await;
    let changed = server
        .patch(
            "/indexes/a",
            json!({"tags": {"x": "1", "y": "2"}, "deletion_protection": "enabled"}),
        )
        .await
        .ok(202);
    assert_eq!(changed["tags"], json!({"x": "1", "y": "2"}));
    assert_eq!(changed["deletion_protection"], "enabled");
    let changed = server.patch("/indexes/a", json!({"tags": {"x": "", "z": "3"}})).await.ok(202);
    assert_eq!(changed["tags"], json!({"y": "2", "z": "3"}));

    server.delete("/indexes/a").await.control_error(403, "FORBIDDEN");
    server.get("/indexes/a").await.ok(200);
    server.patch("/indexes/a", json!({"deletion_protection": "disabled"})).await.ok(202);
    server.delete("/indexes/a").await.ok(202);
    server.patch("/indexes/a", json!({"tags": {}})).await.control_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn bad_bodies_are_told_apart() {
    let server = Server::start().await;
    let spec = json!({"serverless": {"cloud": "aws", "region": "x"}});
    for (body, status, expected) in [
        ("{".to_owned(), 422, "Failed to deserialize the JSON body"),
        (String::new(), 422, "empty"),
        (r#"{"name":5}"#.to_owned(), 422, "at line 1 column"),
        (json!({"name": "A", "dimension": 2, "spec": spec}).to_string(), 400, "lower case"),
        (json!({"name": "a", "dimension": 0, "spec": spec}).to_string(), 400, "1 to 20000"),
        (json!({"name": "a", "dimension": 20001, "spec": spec}).to_string(), 400, "20001"),
        (json!({"name": "a", "dimension": 2}).to_string(), 400, "spec is missing"),
        (json!({"name": "a", "dimension": 2, "metric": "l1", "spec": spec}).to_string(), 400, "l1"),
    ] {
        let code = if status == 422 { "UNPROCESSABLE_ENTITY" } else { "INVALID_ARGUMENT" };
        let message = server.post_raw("/indexes", &body).await.control_error(status, code);
        assert!(message.contains(expected), "{body}: {message}");
    }
    assert_eq!(server.get("/indexes").await.ok(200), json!({"indexes": []}));
}

#[tokio::test]
async fn what_is_not_done_here_says_so() {
    let server = Server::start().await;
    server.dense("a", 2, "cosine").await;
    assert_eq!(server.get("/collections").await.ok(200), json!({"collections": []}));
    for list in ["/backups", "/restore-jobs", "/indexes/a/backups?limit=10"] {
        assert_eq!(server.get(list).await.ok(200), json!({"data": []}));
    }
    // Not 501: TypeScript clients try that three times more, and then hide the message.
    for post in ["/indexes/create-for-model", "/embed", "/rerank"] {
        let message = server.post(post, json!({})).await.control_error(404, "NOT_FOUND");
        assert!(message.contains("--embedding-url"), "{message}");
    }
    for get in ["/models", "/models/x"] {
        let message = server.get(get).await.control_error(404, "NOT_FOUND");
        assert!(message.contains("--embedding-url"), "{message}");
    }
    let message = server.post("/assistant/assistants", json!({})).await;
    let message = message.control_error(404, "NOT_FOUND");
    assert!(message.contains("this server"), "{message}");
    for missing in ["/collections/x", "/backups/x", "/restore-jobs/x", "/indexes/b/backups", "/x"] {
        server.get(missing).await.control_error(404, "NOT_FOUND");
    }
    let hint = server.post("/query", json!({})).await.control_error(404, "NOT_FOUND");
    assert!(hint.contains("index's own host"), "{hint}");
    let wrong = server.send(Method::PUT, "/indexes", &[], None).await;
    wrong.control_error(405, "METHOD_NOT_ALLOWED");
    server.post("/indexes/a", json!({})).await.control_error(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn a_public_address_is_given_out_and_otherwise_the_host_asked_for() {
    let server = Server::start_with(|config| config.insecure = true).await;
    server.dense("a", 2, "cosine").await;
    let got = server.send(Method::GET, "/indexes/a", &[("Host", "vectors.lan:9")], None).await;
    assert_eq!(got.ok(200)["host"], "http://vectors.lan:5081");
    let public = Some("https://db.example.com".to_owned());
    let server = Server::start_with(|config| config.public_address = public).await;
    assert_eq!(server.dense("a", 2, "cosine").await, "https://db.example.com:5081");
}

#[tokio::test]
async fn indexes_and_ports_survive_a_restart() {
    let server = Server::start().await;
    let (first, second) =
        (server.dense("a", 2, "cosine").await, server.dense("b", 2, "euclidean").await);
    server.upsert(&second, &[("x", &[1.0, 2.0], json!({"k": "v"}))]).await;
    server.delete("/indexes/a").await.ok(202);
    let (data, address) = server.stop().await;
    let server = Server::start_on(data, address, |_| ()).await;
    assert!(server.client.get(format!("{first}/health")).send().await.is_err());
    let fetched = server.get(&format!("{second}/vectors/fetch?ids=x")).await.ok(200);
    assert_eq!(fetched["vectors"]["x"]["values"], json!([1.0, 2.0]));
    assert_eq!(fetched["vectors"]["x"]["metadata"], json!({"k": "v"}));
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_and_leaves_no_index() {
    let server = Server::start().await;
    let taken = std::net::TcpListener::bind((server.control.ip(), 5081)).unwrap();
    let body = json!({"name": "a", "dimension": 2, "deletion_protection": "enabled",
        "spec": {"serverless": {"cloud": "aws", "region": "x"}}});
    let got = server.post("/indexes", body).await;
    assert_eq!(got.headers["retry-after"], "1");
    let message = got.control_error(503, "UNAVAILABLE");
    assert!(message.contains("port 5081 of index a"), "{message}");
    assert_eq!(server.get("/indexes").await.ok(200), json!({"indexes": []}));
    drop(taken);
    server.dense("a", 2, "cosine").await;
}

#[tokio::test]
async fn a_server_whose_index_port_is_taken_does_not_start() {
    let server = Server::start().await;
    server.dense("a", 2, "cosine").await;
    let (data, address) = server.stop().await;
    let taken = std::net::TcpListener::bind((address.ip(), 5081)).unwrap();
    let path = data.path().to_owned();
    let db = tokio::task::spawn_blocking(move || open_database(&path)).await.unwrap();
    let start = async || serve(db.clone(), ServerConfig::new(address), |_| (), async {}).await;
    let error = start().await.unwrap_err();
    assert!(matches!(error, ServeError::Index(_)), "{error}");
    assert!(error.to_string().contains("port 5081 of index a"), "{error}");
    drop(taken);
    start().await.unwrap();
}
