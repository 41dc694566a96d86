//! Tokens of listings: bound to what they were given out for, signed, and good
//! after a restart.

use serde_json::{Value, json};

use crate::harness::Server;

fn next(page: &Value) -> String {
    page["pagination"]["next"].as_str().unwrap().to_owned()
}

async fn filled(server: &Server, name: &str) -> String {
    let host = server.dense(name, 1, "euclidean").await;
    for namespace in ["", "other"] {
        let vectors: Vec<Value> = ["a", "b", "c"]
            .iter()
            .map(|id| json!({"id": id, "values": [1], "metadata": {"n": 1}}))
            .collect();
        let body = json!({"vectors": vectors, "namespace": namespace});
        server.post(&format!("{host}/vectors/upsert"), body).await.ok(200);
    }
    host
}

#[tokio::test]
async fn a_token_is_refused_elsewhere() {
    let server = Server::start().await;
    let (one, two) = (filled(&server, "one").await, filled(&server, "two").await);
    let token = next(&server.get(&format!("{one}/vectors/list?limit=2")).await.ok(200));
    let rest = server.get(&format!("{one}/vectors/list?paginationToken={token}")).await.ok(200);
    assert_eq!(rest["vectors"], json!([{"id": "c"}]));
    for elsewhere in [
        format!("{two}/vectors/list?paginationToken={token}"),
        format!("{one}/vectors/list?namespace=other&paginationToken={token}"),
        format!("{one}/namespaces?paginationToken={token}"),
        format!("{one}/bulk/imports?paginationToken={token}"),
        format!("{one}/bulk/exports?paginationToken={token}"),
    ] {
        let message = server.get(&elsewhere).await.data_error(400, 3);
        assert!(message.contains("of another listing"), "{elsewhere}: {message}");
    }
    let body = json!({"filter": {"n": 1}, "paginationToken": token});
    server.post(&format!("{one}/vectors/fetch_by_metadata"), body).await.data_error(400, 3);
    let backups = format!("/backups?paginationToken={token}");
    server.get(&backups).await.control_error(400, "INVALID_ARGUMENT");
    // The default namespace is one, however it is written.
    let same = format!("{one}/vectors/list?namespace=__default__&paginationToken={token}");
    server.get(&same).await.ok(200);
}

#[tokio::test]
async fn an_index_made_anew_under_the_name_refuses_the_tokens_of_the_old_one() {
    let server = Server::start().await;
    let host = filled(&server, "one").await;
    let token = next(&server.get(&format!("{host}/vectors/list?limit=2")).await.ok(200));
    server.delete("/indexes/one").await.ok(202);
    let host = filled(&server, "one").await;
    let url = format!("{host}/vectors/list?paginationToken={token}");
    server.get(&url).await.data_error(400, 3);
}

#[tokio::test]
async fn tokens_are_good_after_a_restart() {
    let server = Server::start().await;
    let host = filled(&server, "one").await;
    let token = next(&server.get(&format!("{host}/vectors/list?limit=2")).await.ok(200));
    let spaces = next(&server.get(&format!("{host}/namespaces?limit=1")).await.ok(200));
    let (data, address) = server.stop().await;
    let server = Server::start_on(data, address, |_| ()).await;
    let index = server.get("/indexes/one").await.ok(200);
    let host = index["host"].as_str().unwrap();
    let rest = server.get(&format!("{host}/vectors/list?paginationToken={token}")).await.ok(200);
    assert_eq!(rest["vectors"], json!([{"id": "c"}]));
    let rest = server.get(&format!("{host}/namespaces?paginationToken={spaces}")).await.ok(200);
    assert_eq!(rest["namespaces"][0]["name"], "other");
}
