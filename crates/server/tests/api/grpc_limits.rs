//! gRPC below its methods: sizes, packing, deadlines, what is no message, and
//! TLS.

use std::time::Duration;

use bytes::Bytes;
use crossbill_server::{Protocol, ROUTES, Tls};
use crossbill_wire::grpc::{QueryRequest, QueryResponse, UpsertRequest, UpsertResponse, Vector};
use futures::stream;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prost::Message;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;

use crate::grpc_client::{Client, framed, raw};
use crate::harness::Server;

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn whole(bytes: Vec<u8>) -> Body {
    Body::new(Full::new(Bytes::from(bytes)))
}

/// A request that ends a little later than `bytes`, or never.
fn endless(bytes: Vec<u8>) -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from(bytes)))]);
    Body::new(StreamBody::new(futures::StreamExt::chain(first, stream::pending())))
}

fn vector(id: String, values: Vec<f32>) -> Vector {
    Vector { id, values, ..Vector::default() }
}

#[tokio::test]
async fn messages_are_bounded_and_may_be_packed() {
    let server = Server::start_with(|config| config.request_bytes_max = 4000).await;
    let host = server.dense("a", 2, "euclidean").await;
    let mut client = Client::to(&host, None).await;
    let request = |length: usize| UpsertRequest {
        vectors: vec![vector("a".to_owned(), vec![1.0, 2.0])],
        namespace: "n".repeat(length),
    };
    let over = |message: &UpsertRequest| message.encoded_len();
    let answer = client.call::<_, UpsertResponse>("Upsert", request(500)).await.unwrap();
    assert_eq!(answer.upserted_count, 1);
    let long = request(5000);
    let length = over(&long);
    let status = client.call::<_, UpsertResponse>("Upsert", long).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let expected = format!("request body has {length} bytes, expected at most 4000");
    assert_eq!(status.message(), expected);

    client.grpc = client.grpc.send_compressed(CompressionEncoding::Gzip);
    let answer = client.call::<_, UpsertResponse>("Upsert", request(500)).await.unwrap();
    assert_eq!(answer.upserted_count, 1);
    // Small as sent, too large unpacked.
    let status = client.call::<_, UpsertResponse>("Upsert", request(5000)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("more than 4000 bytes"), "{}", status.message());
}

#[tokio::test]
async fn answers_are_bounded() {
    let server = Server::start_with(|config| config.answer_bytes_max = 1000).await;
    let host = server.dense("a", 2, "euclidean").await;
    let mut client = Client::to(&host, None).await;
    let vectors = (0..100).map(|n| vector(format!("id-{n}"), vec![n as f32, 1.0])).collect();
    let request = UpsertRequest { vectors, namespace: String::new() };
    let _: UpsertResponse = client.call("Upsert", request).await.unwrap();
    let query = |top_k| QueryRequest { top_k, vector: vec![0.0, 1.0], ..QueryRequest::default() };
    let answer: QueryResponse = client.call("Query", query(10)).await.unwrap();
    assert_eq!(answer.matches.len(), 10);
    let status = client.call::<_, QueryResponse>("Query", query(100)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("expected at most 1000"), "{}", status.message());
}

#[tokio::test]
async fn a_deadline_is_kept() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let path = "/VectorService/Query";
    let begun = framed(0, &[0; 100])[..50].to_vec();
    let (status, message, http) =
        raw(&host, path, &[GRPC, ("grpc-timeout", "50m")], endless(begun)).await;
    assert_eq!((status, http), (Some(4), 200), "{message}");
    assert_eq!(message, "the request took longer than 0.05 seconds");
    let (status, message, _) =
        raw(&host, path, &[GRPC, ("grpc-timeout", "soon")], whole(framed(0, &[]))).await;
    assert_eq!(status, Some(3));
    assert!(message.contains("grpc-timeout is \"soon\""), "{message}");
    let server =
        Server::start_with(|config| config.request_timeout = Duration::from_millis(50)).await;
    let host = server.dense("a", 2, "cosine").await;
    let patient = [GRPC, ("grpc-timeout", "8H")];
    let (status, message, _) = raw(&host, path, &patient, endless(Vec::new())).await;
    assert_eq!(status, Some(4), "{message}");
}

#[tokio::test]
async fn a_write_that_waited_too_long_is_not_done() {
    let server = Server::start_with(|config| {
        config.request_bytes_max = 4096;
        config.request_memory_bytes = 4096;
    })
    .await;
    let host = server.dense("a", 2, "cosine").await;
    let path = "/VectorService/Upsert";
    // One request takes all the memory that there is, and does not end.
    let begun = framed(0, &[0; 4096])[..100].to_vec();
    let held = host.clone();
    let holding = tokio::spawn(async move { raw(&held, path, &[GRPC], endless(begun)).await });
    let vectors = vec![vector("a".to_owned(), vec![1.0, 2.0])];
    let write = UpsertRequest { vectors, namespace: String::new() };
    let write = framed(0, &write.encode_to_vec());
    let short = [GRPC, ("grpc-timeout", "50m")];
    let stats = "/VectorService/DescribeIndexStats";
    while raw(&host, stats, &short, whole(framed(0, &[]))).await.0 != Some(4) {}
    let (status, message, _) = raw(&host, path, &short, whole(write)).await;
    assert_eq!(status, Some(4), "{message}");
    holding.abort();
    let mut client = Client::to(&host, None).await;
    let request = crossbill_wire::grpc::DescribeIndexStatsRequest::default();
    let answer: crossbill_wire::grpc::DescribeIndexStatsResponse =
        client.call("DescribeIndexStats", request).await.unwrap();
    assert_eq!(answer.total_vector_count, 0);
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let path = "/VectorService/Query";
    let empty = framed(0, &[]);
    for (headers, body, code, words) in [
        (&[GRPC][..], vec![], 3, "ended before its message"),
        (&[GRPC], framed(0, &[1, 2, 3])[..6].to_vec(), 3, "ended before its message"),
        (&[GRPC], [empty.clone(), empty.clone()].concat(), 3, "goes on after its message"),
        (&[GRPC], framed(0, &[255; 9]), 3, "request message:"),
        (&[GRPC], framed(1, &[]), 3, "begins with byte 1"),
        (&[GRPC], framed(7, &[]), 3, "begins with byte 7"),
        (&[GRPC, ("grpc-encoding", "gzip")], framed(1, b"no gzip"), 3, "not valid gzip"),
        (&[GRPC, ("grpc-encoding", "br")], empty.clone(), 12, "expected gzip or identity"),
        (&[GRPC], empty.clone(), 3, "neither vector"),
    ] {
        let (status, message, http) = raw(&host, path, headers, whole(body)).await;
        assert_eq!((status, http), (Some(code), 200), "{words}: {message}");
        assert!(message.contains(words), "{words}: {message}");
    }
    let control = format!("http://{}", server.control);
    for (host, path, words) in [
        (&host, "/VectorService/Nothing", "there is no /VectorService/Nothing here"),
        (&host, "/query", "there is no /query here"),
        (&host, "/health", "there is no /health here"),
        (&control, "/VectorService/Query", "records are at the index's own host"),
    ] {
        let (status, message, http) = raw(host, path, &[GRPC], whole(empty.clone())).await;
        assert_eq!((status, http), (Some(12), 200), "{path}: {message}");
        assert!(message.contains(words), "{path}: {message}");
    }
    for kind in ["application/json", "application/grpc-web", "application/grpc+json"] {
        let headers = [("content-type", kind)];
        let (status, _, http) = raw(&host, path, &headers, whole(empty.clone())).await;
        assert_eq!((status, http), (None, 415), "{kind}");
    }
    let message = server.post(&format!("{host}{path}"), json!({})).await.data_error(415, 3);
    assert!(message.contains("application/grpc over HTTP/2"), "{message}");
}

#[tokio::test]
async fn no_bytes_are_a_fault_of_ours() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // Tags of the messages' own fields, small lengths and numbers, some text.
    let byte = proptest::prop_oneof![
        proptest::sample::select(vec![8_u8, 10, 18, 26, 34, 40, 58, 66, 74, 85, 0, 1, 2, 3, 4]),
        proptest::prelude::any::<u8>(),
    ];
    let bytes = proptest::collection::vec(byte, 0..40);
    let methods: Vec<_> = ROUTES.iter().filter(|r| r.protocol == Protocol::Grpc).collect();
    assert_eq!(methods.len(), 12);
    for method in methods {
        for _ in 0..40 {
            let body = bytes.new_tree(&mut runner).unwrap().current();
            let (status, message, _) =
                raw(&host, method.path, &[GRPC], whole(framed(0, &body))).await;
            let label = format!("{} {body:?}: {message}", method.path);
            assert!(matches!(status, None | Some(0 | 3 | 5 | 6)), "{status:?} {label}");
        }
    }
    server.get(&format!("{host}/health")).await.ok(200);
}

#[tokio::test]
async fn tls_serves_both_on_every_port() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let data = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let local = "127.0.0.1:0".parse().unwrap();
    let server = Server::start_on(data, local, |config| config.tls = Some(tls)).await;
    let port = server.control.port();
    let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    let https = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
    let body = json!({"name": "a", "dimension": 2, "metric": "cosine",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}});
    let request = https.post(format!("https://localhost:{port}/indexes")).body(body.to_string());
    let made: serde_json::Value =
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let host = made["host"].as_str().unwrap();
    assert!(host.starts_with("https://localhost:"), "{host}");

    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::pem::PemObject as _;
    let der = rustls::pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    roots.add(der).unwrap();
    let mut client = Client::to(host, Some(&roots)).await;
    let vectors = vec![vector("a".to_owned(), vec![1.0, 2.0])];
    let request = UpsertRequest { vectors, namespace: String::new() };
    let _: UpsertResponse = client.call("Upsert", request).await.unwrap();
    let got = https.get(format!("{host}/vectors/fetch?ids=a")).send().await.unwrap();
    assert!(got.text().await.unwrap().contains("\"values\":[1.0,2.0]"));

    let plain = host.trim_start_matches("https://").replace("localhost", "127.0.0.1");
    let mut stream = TcpStream::connect(plain).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("https://"), "{answer}");
}
