//! The console's files, and what the API has for it: an index's routes at the
//! control plane, what a query cost, what a source would become, the load.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{KEY, Server, ids};

#[tokio::test]
async fn the_page_is_open_and_runs_its_own_files_only() {
    let server = Server::start_with_key().await;
    for (path, content) in [
        ("/", "text/html; charset=utf-8"),
        ("/console/console.js", "text/javascript; charset=utf-8"),
        ("/console/console.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        let got = server.get(path).await;
        assert_eq!(got.headers["content-type"], content);
        assert_eq!(got.headers["x-content-type-options"], "nosniff");
        let policy = got.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!got.ok(200).as_str().unwrap().is_empty());
    }
    let page = server.get("/").await.ok(200).as_str().unwrap().to_owned();
    for within in ["<script>", "<style", "style=", "onload=", "http://", "https://"] {
        assert!(!page.contains(within), "{within}");
    }
    server.get("/console/nothing").await.control_error(404, "NOT_FOUND");
    server.get("/console/..%2Findex.html").await.control_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn an_index_is_reached_below_the_control_plane() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    server.dense("b", 2, "cosine").await;
    server.upsert("/data/a", &[("near", &[1.0, 0.1], json!({"n": 1}))]).await;
    let query = json!({"vector": [1, 0], "topK": 3});
    for at in [host.as_str(), "/data/a"] {
        let answer = server.post(&format!("{at}/query"), query.clone()).await.ok(200);
        assert_eq!(ids(&answer), ["near"], "{at}");
    }
    let answer = server.post("/data/b/query", query.clone()).await.ok(200);
    assert_eq!(ids(&answer), Vec::<&str>::new());
    let namespaces = server.get("/data/a/namespaces").await.ok(200);
    assert_eq!(namespaces["namespaces"][0]["record_count"], 1);
    let fetched = server.get("/data/a/vectors/fetch?ids=near").await.ok(200);
    assert_eq!(fetched["vectors"]["near"]["id"], "near");
    // Errors are those of the data plane, whatever is wrong.
    let message = server.post("/data/nothing/query", query).await.data_error(404, 5);
    assert!(message.contains("nothing"), "{message}");
    server.get("/data/a/nothing").await.data_error(404, 5);
    let put = server.send(Method::PUT, "/data/a/query", &[], None).await;
    assert_eq!((put.status, &put.body["code"]), (405, &json!(12)));
    server.delete("/indexes/a").await.ok(202);
    server.get("/data/a/namespaces").await.data_error(404, 5);
    let hint = server.post("/query", json!({})).await.control_error(404, "NOT_FOUND");
    assert!(hint.contains("/data/{index}"), "{hint}");
}

#[tokio::test]
async fn a_query_says_what_it_cost_where_that_is_asked() {
    let server = Server::start().await;
    server.dense("a", 2, "cosine").await;
    server
        .upsert("/data/a", &[("x", &[1.0, 0.1], Value::Null), ("y", &[0.0, 1.0], Value::Null)])
        .await;
    let mut query = json!({"vector": [1, 0], "topK": 1});
    let plain = server.post("/data/a/query", query.clone()).await.ok(200);
    assert!(plain.get("explain").is_none());
    query["explain"] = json!(true);
    let told = server.post("/data/a/query", query.clone()).await.ok(200);
    let explain = &told["explain"];
    assert_eq!((&explain["rowsInMemory"], &explain["segments"]), (&json!(2), &json!(0)));
    assert!(explain["micros"]["search"].is_u64() && explain["micros"]["read"].is_u64());
    query["explain"] = json!("yes");
    server.post("/data/a/query", query).await.data_error(400, 3);
}

#[tokio::test]
async fn the_load_is_for_those_with_a_key() {
    let server = Server::start_with_key().await;
    server.get("/load").await.control_error(401, "UNAUTHENTICATED");
    let key = [("Api-Key", KEY)];
    let load = server.send(Method::GET, "/load", &key, None).await.ok(200);
    assert_eq!(load["requests"]["refused"], 1, "{load}");
    assert_eq!(load["imports"], json!({"running": 0, "waiting": 0}));
    assert!(load["uptime_seconds"].as_f64().unwrap() >= 0.0);
    assert!(load["disk_free_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_preview_shows_what_rows_would_become() {
    let server = Server::start().await;
    server.dense("a", 2, "cosine").await;
    let source = server.data.path().join("source/in");
    std::fs::create_dir_all(source.join("docs")).unwrap();
    let line =
        |n: u32| json!({"key": format!("k{n}"), "emb": [n + 1, 2], "title": "t"}).to_string();
    let mut lines: Vec<String> = (0..30).map(line).collect();
    lines[1] = json!({"key": "short", "emb": [1]}).to_string();
    std::fs::write(source.join("docs/a.jsonl"), lines.join("\n")).unwrap();
    let uri = format!("file://{}", source.display());
    let preview = "/data/a/bulk/imports/preview";
    let unmapped = server.post(preview, json!({"uri": uri})).await.ok(200);
    assert_eq!(
        (&unmapped["file"], &unmapped["namespace"]),
        (&json!("docs/a.jsonl"), &json!("docs"))
    );
    assert_eq!(unmapped["columns"][1], json!({"name": "key", "type": "string"}));
    assert!(unmapped["error"].as_str().unwrap().contains("columns"), "{unmapped}");
    assert_eq!(unmapped["rows"], json!([]));

    let columns = json!({"id": "key", "values": "emb", "metadata": ["title"]});
    let mapped = server.post(preview, json!({"uri": uri, "columns": columns})).await.ok(200);
    assert!(mapped.get("error").is_none(), "{mapped}");
    let rows = mapped["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 20);
    let first = json!({"row": 0, "id": "k0", "values": [1.0, 2.0], "metadata": r#"{"title":"t"}"#});
    assert_eq!(rows[0], first);
    assert_eq!((&rows[1]["row"], &rows[1]["code"]), (&json!(1), &json!("E_DIMENSION")));
    assert_eq!(rows[2]["id"], "k2");

    // Nothing came of it, and what an import may not read a preview may not either.
    let imports = server.get("/data/a/bulk/imports").await.ok(200);
    assert_eq!(imports["data"], json!([]));
    server.post(preview, json!({"uri": "file:///etc"})).await.data_error(403, 7);
    server.post(preview, json!({"uri": format!("{uri}/none")})).await.data_error(404, 5);
    server.post(preview, json!({"uri": uri, "dryRun": true})).await.data_error(400, 3);
}
