//! Bulk imports over REST, of files made here.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;

/// Writes records with ids `prefix-0…`, two components each; those of
/// `short` have one only.
fn parquet(path: &Path, prefix: &str, rows: usize, short: &[usize]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (mut ids, mut values) = (StringBuilder::new(), ListBuilder::new(Float32Builder::new()));
    let mut metadata = StringBuilder::new();
    for row in 0..rows {
        ids.append_value(format!("{prefix}-{row}"));
        values.values().append_value(1.0 + row as f32);
        if !short.contains(&row) {
            values.values().append_value(2.0);
        }
        values.append(true);
        metadata.append_value(format!(r#"{{"row":{row}}}"#));
    }
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(ids.finish())),
        ("values", Arc::new(values.finish())),
        ("metadata", Arc::new(metadata.finish())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

async fn finished(server: &Server, host: &str, id: &str) -> Value {
    loop {
        let import = server.get(&format!("{host}/bulk/imports/{id}")).await.ok(200);
        if !["Pending", "InProgress"].contains(&import["status"].as_str().unwrap()) {
            return import;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn start(server: &Server, host: &str, body: Value) -> String {
    let answer = server.post(&format!("{host}/bulk/imports"), body).await.ok(200);
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_import_completes_and_its_rejects_can_be_read() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "euclidean").await;
    let source = server.data.path().join("source/in");
    parquet(&source.join("docs/1.parquet"), "d", 50, &[7, 9]);
    parquet(&source.join("root.parquet"), "r", 10, &[]);
    let uri = format!("file://{}/", source.display());
    let id = start(&server, &host, json!({"uri": uri})).await;
    let import = finished(&server, &host, &id).await;
    assert_eq!(import["status"], "Completed", "{import}");
    assert_eq!((&import["id"], &import["uri"]), (&json!(id), &json!(uri)));
    assert_eq!((&import["recordsImported"], &import["recordsRejected"]), (&json!(58), &json!(2)));
    assert_eq!(import["percentComplete"].as_f64(), Some(100.0));
    assert_eq!(import["validationResult"], json!({"importSuccesses": 58, "importErrors": 2}));
    assert_eq!(import["errorMode"], "continue");
    assert!(import["finishedAt"].as_str().unwrap().ends_with('Z'));
    assert!(!import.to_string().contains("null"), "{import}");

    let url = format!("{host}{}", import["rejectsUri"].as_str().unwrap());
    let rejects = server.get(&format!("{url}?offset=1&limit=5")).await.ok(200);
    assert_eq!((&rejects["total"], rejects["data"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(
        (&rejects["data"][0]["code"], &rejects["data"][0]["id"]),
        (&json!("E_DIMENSION"), &json!("d-9"))
    );
    server.get(&format!("{url}?limit=0")).await.data_error(400, 3);

    let stats = server.post(&format!("{host}/describe_index_stats"), json!({})).await.ok(200);
    let expected = json!({"__default__": {"vectorCount": 10}, "docs": {"vectorCount": 48}});
    assert_eq!(stats["namespaces"], expected);
    let body = json!({"vector": [1, 2], "topK": 1, "namespace": "docs", "includeMetadata": true});
    let answer = server.post(&format!("{host}/query"), body).await.ok(200);
    assert_eq!(answer["matches"][0]["id"], "d-0");
    assert_eq!(answer["matches"][0]["metadata"], json!({"row": 0}));
}

#[tokio::test]
async fn the_limits_that_are_set_hold_for_imports() {
    let server = Server::start_limited(&["id-chars=4", "namespace-chars=4"]).await;
    let host = server.dense("a", 2, "euclidean").await;
    let source = server.data.path().join("source/in");
    // The last id of the second file, `dd-10`, has five characters.
    parquet(&source.join("docs/1.parquet"), "d", 10, &[]);
    parquet(&source.join("docs/2.parquet"), "dd", 11, &[]);
    parquet(&source.join("longer/1.parquet"), "d", 5, &[]);
    let uri = format!("file://{}/", source.display());
    let id = start(&server, &host, json!({"uri": uri})).await;
    let import = finished(&server, &host, &id).await;
    assert_eq!((&import["status"], &import["recordsImported"]), (&json!("Completed"), &json!(20)));
    let url = format!("{host}{}", import["rejectsUri"].as_str().unwrap());
    let rejects = server.get(&url).await.ok(200);
    let of = |reject: &Value| (reject["code"].clone(), reject["file"].clone());
    let mut found: Vec<_> = rejects["data"].as_array().unwrap().iter().map(of).collect();
    found.sort_by_key(|(code, _)| code.to_string());
    let expected = [
        (json!("E_FILE_NAMESPACE"), json!("longer/1.parquet")),
        (json!("E_ID_LENGTH"), json!("docs/2.parquet")),
    ];
    assert_eq!(found, expected);
    let stats = server.post(&format!("{host}/describe_index_stats"), json!({})).await.ok(200);
    assert_eq!(stats["namespaces"], json!({"docs": {"vectorCount": 20}}));
}

#[tokio::test]
async fn abort_fails_with_the_first_reason() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "euclidean").await;
    let source = server.data.path().join("source/bad");
    parquet(&source.join("1.parquet"), "d", 5, &[3]);
    let uri = format!("file://{}", source.display());
    let body = json!({"uri": uri, "errorMode": {"onError": "ABORT"}});
    let id = start(&server, &host, body).await;
    let import = finished(&server, &host, &id).await;
    assert_eq!((&import["status"], &import["errorMode"]), (&json!("Failed"), &json!("abort")));
    let error = import["error"].as_str().unwrap();
    assert!(error.contains("1.parquet") && error.contains("dimension"), "{error}");
}

#[tokio::test]
async fn a_directory_without_parquet_fails_and_says_where_it_looked() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "euclidean").await;
    let source = server.data.path().join("source/empty");
    std::fs::create_dir_all(&source).unwrap();
    let uri = format!("file://{}", source.display());
    let id = start(&server, &host, json!({"uri": uri})).await;
    let import = finished(&server, &host, &id).await;
    assert_eq!(import["status"], "Failed");
    let error = import["error"].as_str().unwrap();
    assert!(error.to_lowercase().contains("parquet") && error.contains("empty"), "{error}");
}

#[tokio::test]
async fn imports_are_listed_newest_first_and_cancelled_at_once() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "euclidean").await;
    let all = format!("{host}/bulk/imports");
    assert_eq!(server.get(&all).await.ok(200), json!({"data": []}));
    let mut started = Vec::new();
    for name in ["x", "y", "z"] {
        let source = server.data.path().join("source").join(name);
        parquet(&source.join("1.parquet"), name, 2, &[]);
        let body = json!({"uri": format!("file://{}", source.display())});
        started.insert(0, start(&server, &host, body).await);
    }
    let first = server.get(&format!("{all}?limit=2")).await.ok(200);
    let token = first["pagination"]["next"].as_str().unwrap();
    let second = server.get(&format!("{all}?limit=2&paginationToken={token}")).await.ok(200);
    assert_eq!(second.get("pagination"), None);
    let listed: Vec<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["data"].as_array().unwrap())
        .map(|import| import["id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, started);

    let done = finished(&server, &host, &started[2]).await;
    let url = format!("{all}/{}", started[2]);
    assert_eq!(server.delete(&url).await.ok(200), json!({}));
    assert_eq!(server.get(&url).await.ok(200)["status"], done["status"]);
}

#[tokio::test]
async fn an_unreachable_bucket_is_listed_at_once_and_can_be_cancelled() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "euclidean").await;
    let body = json!({"uri": "s3://no-such-bucket-of-crossbill-tests/",
        "errorMode": {"onError": "continue"}});
    let id = start(&server, &host, body).await;
    let url = format!("{host}/bulk/imports/{id}");
    let import = server.get(&url).await.ok(200);
    assert_eq!(import.get("finishedAt"), None, "{import}");
    assert_eq!(server.delete(&url).await.ok(200), json!({}));
    assert_eq!(server.get(&url).await.ok(200)["status"], "Cancelled");
}

#[tokio::test]
async fn an_idempotency_key_gives_the_same_import() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "euclidean").await;
    let source = server.data.path().join("source/i");
    parquet(&source.join("1.parquet"), "i", 2, &[]);
    let body = json!({"uri": format!("file://{}", source.display())}).to_string().into_bytes();
    let url = format!("{host}/bulk/imports");
    let send = async |key: &str| {
        let headers = [("Idempotency-Key", key)];
        server.send(Method::POST, &url, &headers, Some(body.clone())).await.ok(200)
    };
    let first = send("k1").await;
    finished(&server, &host, first["id"].as_str().unwrap()).await;
    assert_eq!(send("k1").await, first);
    assert_ne!(send("k2").await, first);
}

#[tokio::test]
async fn bad_starts_are_refused_before_anything_is_read() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "euclidean").await;
    let url = format!("{host}/bulk/imports");
    for (body, expected) in [
        (json!({}), "missing field `uri`"),
        (json!({"uri": ""}), "1 to 1500"),
        (json!({"uri": "s3://bucket/", "dryRan": true}), "unknown field `dryRan`"),
        (json!({"uri": "s3://bucket/", "dryRun": "yes"}), "expected a boolean"),
        (json!({"uri": "s3://bucket/", "webhookUrl": "http://h/"}), "unknown field `webhookUrl`"),
        (json!({"uri": "x".repeat(1501)}), "1501"),
        (json!({"uri": "ftp://host/dir"}), "ftp"),
        (json!({"uri": "no uri at all"}), ""),
        (json!({"uri": "file:///etc"}), ""),
        (json!({"uri": "s3://bucket/", "errorMode": {"onError": "stop"}}), "abort"),
        (json!({"uri": "s3://bucket/", "integrationId": "none"}), "none"),
    ] {
        let got = server.post(&url, body.clone()).await;
        assert!(matches!(got.status, 400 | 403), "{body}: {} {}", got.status, got.body);
        let (status, code) = if got.status == 400 { (400, 3) } else { (403, 7) };
        let message = got.data_error(status, code);
        assert!(message.contains(expected), "{body}: {message}");
    }
    for url in [format!("{url}/999"), format!("{url}/x%2F"), format!("{url}/999/rejects")] {
        server.get(&url).await.data_error(404, 5);
    }
    server.delete(&format!("{url}/999")).await.data_error(404, 5);
    server.get(&format!("{url}?limit=101")).await.data_error(400, 3);
    server.get(&format!("{url}?paginationToken=zz")).await.data_error(400, 3);
}
