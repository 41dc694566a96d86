//! Below the API: both HTTP versions on one port, long URLs, slow clients, and
//! a shutdown that lets requests finish.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Server;

/// Sends bytes and gives what comes back until the server closes.
pub(crate) async fn raw(host: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(host.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn http2_with_prior_knowledge_shares_the_port() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let mut stream = TcpStream::connect(host.trim_start_matches("http://")).await.unwrap();
    // Preface, empty SETTINGS, then HEADERS of `GET /health` by RFC 7541's
    // static table: :method GET, :scheme http, :path (literal), :authority.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let block = [&[0x82, 0x86, 0x04, 7][..], b"/health", &[0x01, 1], b"x"].concat();
    bytes.extend([0, 0, block.len() as u8, 1, 0x05, 0, 0, 0, 1]);
    bytes.extend(&block);
    stream.write_all(&bytes).await.unwrap();
    let (mut received, mut chunk) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&received).contains(r#"{"status":"ok"}"#) {
        let read = stream.read(&mut chunk).await.unwrap();
        assert_ne!(read, 0, "closed after {received:?}");
        received.extend(&chunk[..read]);
    }
    assert_eq!(received[3], 4, "the first frame is SETTINGS");
}

#[tokio::test]
async fn a_fetch_of_a_thousand_ids_fits_in_the_url() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let id = |n: usize| format!("{n:0>40}%20{n}");
    let query: Vec<String> = (0..1000).map(|n| format!("ids={}", id(n))).collect();
    let url = format!("{host}/vectors/fetch?{}", query.join("&"));
    assert!(url.len() > 50_000);
    assert_eq!(server.get(&url).await.ok(200)["vectors"], json!({}));
    let one_more = format!("{url}&ids=x");
    let message = server.get(&one_more).await.data_error(400, 3);
    assert!(message.contains("1001 ids, expected 1 to 1000"), "{message}");
}

#[tokio::test]
async fn a_client_that_sends_nothing_more_is_let_go() {
    let server = Server::start_with(|config| {
        config.header_timeout = Duration::from_secs(1);
        config.idle_timeout = Duration::from_secs(2);
    })
    .await;
    let control = server.control.to_string();
    assert_eq!(raw(&control, "").await, "");
    assert_eq!(raw(&control, "GET /health HTTP/1.1\r\nHost:").await, "");
    let kept = raw(&control, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(kept.starts_with("HTTP/1.1 200"), "{kept}");
}

#[tokio::test]
async fn a_body_that_never_ends_runs_into_the_deadline() {
    let server =
        Server::start_with(|config| config.request_timeout = Duration::from_millis(300)).await;
    let host = server.dense("a", 2, "cosine").await;
    let answer = raw(
        &host,
        "POST /query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 504") && answer.contains(r#""code":4"#), "{answer}");
    server.get("/health").await.ok(200);
}

#[tokio::test]
async fn a_shutdown_lets_a_request_finish() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let body = r#"{"vectors":[{"id":"late","values":[1,2]}]}"#;
    let mut stream = TcpStream::connect(host.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /vectors/upsert HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..5]).await.unwrap();
    // The request is under way once another connection was answered after it.
    server.get(&format!("{host}/health")).await.ok(200);
    let stopping = tokio::spawn(server.stop());
    while TcpStream::connect(host.trim_start_matches("http://")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(&body.as_bytes()[5..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains(r#"{"upsertedCount":1}"#), "{answer}");
    let (data, address) = stopping.await.unwrap();
    let server = Server::start_on(data, address, |_| ()).await;
    let fetched = server.get(&format!("{host}/vectors/fetch?ids=late")).await.ok(200);
    assert_eq!(fetched["vectors"]["late"]["values"], json!([1.0, 2.0]));
}

#[tokio::test]
async fn readiness_is_open_and_says_ready() {
    let server = Server::start_with_key().await;
    assert_eq!(server.get("/ready").await.ok(200), json!({"status": "ready"}));
    assert_eq!(server.get("/health").await.ok(200), json!({"status": "ok"}));
}
