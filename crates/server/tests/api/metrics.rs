//! `GET /metrics`: what is counted, that the page about it names all of it,
//! and that the dashboard asks for nothing else.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{KEY, Server};

const PAGE: &str = include_str!("../../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../../deploy/grafana/crossbill.json");

async fn scrape(server: &Server) -> String {
    let got = server.get("/metrics").await;
    let content = got.headers["content-type"].to_str().unwrap();
    assert!(content.starts_with("application/openmetrics-text"), "{content}");
    got.ok(200).as_str().unwrap().to_owned()
}

/// The value of a sample as it is written, labels included.
fn value(scraped: &str, sample: &str) -> f64 {
    let line = scraped.lines().find_map(|line| line.strip_prefix(&format!("{sample} ")));
    line.unwrap_or_else(|| panic!("no {sample} in\n{scraped}")).parse().unwrap()
}

/// A server that has done a little of everything.
async fn used() -> (Server, String) {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let ids: Vec<String> = (0..20).map(|n| format!("r{n}")).collect();
    let records: Vec<(&str, &[f32], Value)> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| (id.as_str(), [1.0, 2.0].as_slice(), json!({"n": n})))
        .collect();
    server.upsert(&host, &records).await;
    let query = json!({"vector": [1, 1], "topK": 3, "filter": {"n": {"$gt": 3}}});
    for _ in 0..2 {
        server.post(&format!("{host}/query"), query.clone()).await.ok(200);
    }
    server.get(&format!("{host}/vectors/nothing/here")).await;
    (server, host)
}

#[tokio::test]
async fn requests_and_what_they_did_are_counted() {
    let (server, _) = used().await;
    let scraped = scrape(&server).await;
    let requests = |route: &str, method: &str, status: u16| {
        let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
        value(&scraped, &format!("crossbill_requests_total{{{labels}}}"))
    };
    assert_eq!(requests("/query", "POST", 200), 2.0);
    assert_eq!(requests("none", "none", 404), 1.0);
    assert_eq!(value(&scraped, "crossbill_query_search_seconds_count"), 2.0);
    assert_eq!(value(&scraped, "crossbill_wal_append_seconds_count"), 1.0);
    assert!(value(&scraped, "crossbill_wal_bytes_total") > 20.0 * 8.0);
    assert_eq!(value(&scraped, "crossbill_index_records{index=\"a\"}"), 20.0);
    assert_eq!(value(&scraped, "crossbill_index_namespaces{index=\"a\"}"), 1.0);
    // The scrape itself.
    assert_eq!(value(&scraped, "crossbill_requests_in_flight"), 1.0);
    assert!(scraped.ends_with("# EOF\n"));
}

#[tokio::test]
async fn without_the_key_nothing_is_told() {
    let server = Server::start_with_key().await;
    server.get("/metrics").await.control_error(401, "UNAUTHENTICATED");
    for header in [("Api-Key", KEY.to_owned()), ("Authorization", format!("Bearer {KEY}"))] {
        let headers = [(header.0, header.1.as_str())];
        server.send(Method::GET, "/metrics", &headers, None).await.ok(200);
    }
}

/// Families as the scrape declares them; a counter's samples end in `_total`.
fn declared(scraped: &str) -> BTreeSet<String> {
    let types = scraped.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect()
}

/// The names in backquotes in the first column of the table.
fn documented() -> BTreeSet<String> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut names = BTreeSet::new();
    for row in rows {
        let cell = row.split(" |").next().unwrap_or_default();
        let mut written = cell.split('`').step_by(2).filter(|name| !name.is_empty());
        let first = written.next().unwrap_or_default().to_owned();
        let stem = first.rsplit_once('_').map_or("", |(stem, _)| stem).to_owned();
        names.insert(first);
        names.extend(written.map(|name| match name.strip_prefix('_') {
            Some(end) => format!("{stem}_{end}"),
            None => name.to_owned(),
        }));
    }
    names
}

#[tokio::test]
async fn the_page_names_them_all_and_the_dashboard_asks_for_no_others() {
    let (server, _) = used().await;
    let declared = declared(&scrape(&server).await);
    assert_eq!(declared, documented());
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in
                words.filter(|word| word.starts_with("crossbill_") || word.starts_with("process_"))
            {
                let family = ["_bucket", "_count", "_sum"]
                    .iter()
                    .find_map(|end| word.strip_suffix(end))
                    .unwrap_or(word);
                assert!(declared.contains(family), "{word} in {expression}");
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked}");
}
