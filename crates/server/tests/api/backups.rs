//! Backups, restore jobs, collections and schedules over REST.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;

/// An index `a` with three records.
async fn filled(server: &Server) -> String {
    let host = server.dense("a", 2, "euclidean").await;
    fill(server, &host).await;
    host
}

async fn fill(server: &Server, host: &str) {
    let none = Value::Null;
    let records: [(&str, &[f32], Value); 3] = [
        ("x", &[1.0, 0.0], json!({"k": 1.0})),
        ("y", &[2.0, 0.0], none.clone()),
        ("z", &[3.0, 0.0], none),
    ];
    server.upsert(host, &records).await;
}

async fn count(server: &Server, host: &str) -> Value {
    let stats = server.post(&format!("{host}/describe_index_stats"), json!({})).await.ok(200);
    stats["totalVectorCount"].clone()
}

#[tokio::test]
async fn a_backup_is_made_listed_restored_and_deleted() {
    let server = Server::start().await;
    let host = filled(&server).await;
    let index = server.get("/indexes/a").await.ok(200);
    let body = json!({"name": "n", "description": "d"});
    let made = server.post("/indexes/a/backups", body).await.ok(201);
    let id = made["backup_id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 36);
    for (key, value) in [
        ("source_index_name", json!("a")),
        ("status", json!("Ready")),
        ("name", json!("n")),
        ("description", json!("d")),
        ("cloud", json!("aws")),
        ("region", json!("us-east-1")),
        ("dimension", json!(2)),
        ("metric", json!("euclidean")),
        ("record_count", json!(3)),
        ("namespace_count", json!(1)),
        ("schema", index["schema"].clone()),
        ("tags", Value::Null),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert!(made.get("tags").is_none(), "never null");
    assert_eq!(server.get(&format!("/backups/{id}")).await.ok(200), made);
    for list in ["/backups", "/indexes/a/backups", "/indexes/a/backups?include_deleted=false"] {
        assert_eq!(server.get(list).await.ok(200), json!({"data": [made]}), "{list}");
    }
    server.post(&format!("{host}/vectors/delete"), json!({"ids": ["x"]})).await.ok(200);
    let create = format!("/backups/{id}/create-index");
    let job = server.post(&create, json!({"name": "b"})).await.ok(202);
    let restored = server.get("/indexes/b").await.ok(200);
    assert_eq!(restored["status"], json!({"ready": true, "state": "Ready"}));
    assert_eq!((&restored["dimension"], &restored["metric"]), (&json!(2), &json!("euclidean")));
    let host_b = restored["host"].as_str().unwrap();
    assert_eq!(count(&server, host_b).await, 3);
    assert_eq!(count(&server, &host).await, 2);
    let found = server.post(&format!("{host_b}/query"), json!({"vector": [1, 0], "topK": 1})).await;
    assert_eq!(found.ok(200)["matches"][0]["id"], "x");
    let job_id = job["restore_job_id"].as_str().unwrap();
    let described = server.get(&format!("/restore-jobs/{job_id}")).await.ok(200);
    assert_eq!(described["status"], "Completed");
    assert_eq!(described["target_index_name"], "b");
    assert_eq!(described["target_index_id"], job["index_id"]);
    assert_eq!(described["percent_complete"], 100.0);
    assert_eq!(server.get("/restore-jobs").await.ok(200), json!({"data": [described]}));
    let taken = server.post(&create, json!({"name": "b"})).await;
    taken.control_error(409, "ALREADY_EXISTS");
    server.delete("/indexes/a").await.ok(202);
    let orphan = server.get(&format!("/backups/{id}")).await.ok(200);
    assert!(orphan["source_index_deleted_at"].is_string());
    server.get("/indexes/a/backups").await.control_error(404, "NOT_FOUND");
    let all = server.get("/indexes/a/backups?include_deleted=true").await.ok(200);
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.delete(&format!("/backups/{id}")).await.status, 202);
    server.get(&format!("/backups/{id}")).await.control_error(404, "NOT_FOUND");
    server.post(&create, json!({"name": "c"})).await.control_error(404, "NOT_FOUND");
    assert_eq!(count(&server, host_b).await, 3);
    let (data, listen) = server.stop().await;
    let server = Server::start_on(data, listen, |_| ()).await;
    let host_b = server.get("/indexes/b").await.ok(200)["host"].as_str().unwrap().to_owned();
    assert_eq!(count(&server, &host_b).await, 3);
}

#[tokio::test]
async fn pages_remember_their_size() {
    let server = Server::start().await;
    filled(&server).await;
    for _ in 0..5 {
        server.send(Method::POST, "/indexes/a/backups", &[], None).await.ok(201);
    }
    let first = server.get("/backups?limit=2").await.ok(200);
    let mut seen: Vec<Value> = first["data"].as_array().unwrap().clone();
    let mut token = first["pagination"]["next"].as_str().map(str::to_owned);
    while let Some(next) = token {
        let page = server.get(&format!("/backups?paginationToken={next}")).await.ok(200);
        let data = page["data"].as_array().unwrap();
        assert!((1..=2).contains(&data.len()));
        seen.extend(data.iter().cloned());
        token = page["pagination"]["next"].as_str().map(str::to_owned);
    }
    let mut ids: Vec<&str> = seen.iter().map(|one| one["backup_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), seen.len()), (5, 5));
    for bad in ["limit=0", "limit=101", "limit=x", "paginationToken=x"] {
        server.get(&format!("/backups?{bad}")).await.control_error(400, "INVALID_ARGUMENT");
    }
    let wrong = server.get("/indexes/a/backups?include_deleted=maybe").await;
    wrong.control_error(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let server = Server::start().await;
    filled(&server).await;
    let made = server.post("/indexes/a/backups", json!({})).await.ok(201);
    let create = format!("/backups/{}/create-index", made["backup_id"].as_str().unwrap());
    for (url, body, status, code, expected) in [
        ("/indexes/a/backups", json!({"name": 5}), 422, "UNPROCESSABLE_ENTITY", "a string"),
        ("/indexes/a/backups", json!({"name": "x".repeat(201)}), 400, "INVALID_ARGUMENT", "201"),
        ("/indexes/nope/backups", json!({}), 404, "NOT_FOUND", "nope"),
        (&create, json!({}), 422, "UNPROCESSABLE_ENTITY", "name"),
        (&create, json!({"name": "B"}), 400, "INVALID_ARGUMENT", "'B'"),
        (&create, json!({"name": "a"}), 409, "ALREADY_EXISTS", "a"),
        ("/collections", json!({"name": "c", "source": "nope"}), 404, "NOT_FOUND", "nope"),
        ("/collections", json!({"name": "C", "source": "a"}), 400, "INVALID_ARGUMENT", "name"),
        ("/collections", json!({"name": "c", "source": "a"}), 400, "INVALID_ARGUMENT", "backup"),
    ] {
        let message = server.post(url, body.clone()).await.control_error(status, code);
        assert!(message.contains(expected), "{url} {body}: {message}");
    }
    assert_eq!(server.get("/indexes").await.ok(200)["indexes"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/collections").await.ok(200), json!({"collections": []}));
}

#[tokio::test]
async fn an_index_is_made_of_a_collection() {
    let server = Server::start().await;
    let asked = json!({"environment": "us-east-1", "pod_type": "p1.x2", "replicas": 2, "shards": 1,
        "pods": 2, "metadata_config": {"indexed": ["k"]}});
    let body = json!({"name": "a", "dimension": 2, "metric": "euclidean", "spec": {"pod": asked}});
    server.post("/indexes", body).await.ok(201);
    let described = server.get("/indexes/a").await.ok(200);
    assert_eq!(described["spec"], json!({"pod": asked}));
    fill(&server, described["host"].as_str().unwrap()).await;
    let body = json!({"name": "c", "source": "a"});
    let made = server.post("/collections", body.clone()).await.ok(201);
    assert_eq!((&made["status"], &made["vector_count"]), (&json!("Ready"), &json!(3)));
    assert_eq!((&made["dimension"], &made["environment"]), (&json!(2), &json!("us-east-1")));
    server.post("/collections", body).await.control_error(409, "ALREADY_EXISTS");
    assert_eq!(server.get("/collections").await.ok(200), json!({"collections": [made]}));
    assert_eq!(server.get("/collections/c").await.ok(200), made);
    assert_eq!(server.get("/backups").await.ok(200), json!({"data": []}));
    server.delete("/indexes/a").await.ok(202);
    let pod = json!({"environment": "e", "pod_type": "p1.x1", "source_collection": "c"});
    let index = |name: &str, metric: &str, collection: &str| {
        let mut pod = pod.clone();
        pod["source_collection"] = json!(collection);
        json!({"name": name, "dimension": 2, "metric": metric, "spec": {"pod": pod}})
    };
    let other = server.post("/indexes", index("b", "cosine", "c")).await;
    let message = other.control_error(400, "INVALID_ARGUMENT");
    assert!(message.contains("metric euclidean"), "{message}");
    let missing = server.post("/indexes", index("b", "euclidean", "d")).await;
    let message = missing.control_error(400, "INVALID_ARGUMENT");
    assert!(message.contains("Collection d not found"), "{message}");
    let made = server.post("/indexes", index("b", "euclidean", "c")).await.ok(201);
    assert_eq!(made["spec"]["pod"]["source_collection"], "c");
    assert_eq!(count(&server, made["host"].as_str().unwrap()).await, 3);
    assert_eq!(server.delete("/collections/c").await.status, 202);
    server.delete("/collections/c").await.control_error(404, "NOT_FOUND");
    assert_eq!(count(&server, made["host"].as_str().unwrap()).await, 3);
}

#[tokio::test]
async fn schedules_are_made_changed_and_deleted() {
    let server = Server::start().await;
    filled(&server).await;
    let url = "/indexes/a/backup-schedules";
    let body = |kind: &str, frequency: &str, retention: Value| {
        json!({"name": "nightly", "schedule": {"type": kind, "frequency": frequency},
               "retention": retention})
    };
    let days = json!({"expire_after_days": 30});
    let made = server.post(url, body("time-based", "daily", days.clone())).await.ok(201);
    for (key, value) in [
        ("name", json!("nightly")),
        (
            "index_id",
            server.post("/indexes/a/backups", json!({})).await.body["source_index_id"].clone(),
        ),
        ("schedule_type", json!("time-based")),
        ("frequency", json!("daily")),
        ("retention_expire_after_days", json!(30)),
        ("enabled", json!(true)),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert!(made["next_scheduled_run"].is_string() && made["project_id"].is_string());
    let id = made["schedule_id"].as_str().unwrap();
    let own = format!("/backup-schedules/{id}");
    assert_eq!(server.get(&own).await.ok(200), made);
    assert_eq!(server.get(url).await.ok(200), json!({"data": [made]}));
    assert_eq!(server.get(&format!("{own}/history")).await.ok(200), json!({"data": []}));
    let second = server.post(url, body("time-based", "weekly", days.clone())).await;
    second.control_error(409, "ALREADY_EXISTS");
    for bad in [
        body("cron", "daily", days.clone()),
        body("time-based", "hourly", days),
        body("time-based", "daily", json!({})),
        body("time-based", "daily", json!({"expire_after_days": 0})),
    ] {
        server.post(url, bad).await.control_error(400, "INVALID_ARGUMENT");
    }
    let change = json!({"enabled": false, "frequency": "weekly",
        "retention": {"expire_after_days": 7, "keep_last": 2}});
    let changed = server.patch(&own, change).await.ok(200);
    assert_eq!((&changed["enabled"], &changed["frequency"]), (&json!(false), &json!("weekly")));
    assert_eq!(changed["retention_expire_after_days"], 7);
    assert_eq!(changed["retention_keep_last"], 2);
    assert!(changed.get("next_scheduled_run").is_none());
    assert_eq!(server.patch(&own, json!({})).await.ok(200), changed);
    let unknown = server.patch(&own, json!({"cron": "x"})).await;
    unknown.control_error(422, "UNPROCESSABLE_ENTITY");
    assert_eq!(server.delete(&own).await.status, 202);
    for missing in [own.clone(), format!("{own}/history")] {
        server.get(&missing).await.control_error(404, "NOT_FOUND");
    }
}
