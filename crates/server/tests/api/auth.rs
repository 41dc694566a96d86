//! Every route × {no key, a wrong key, the right key}, generated from the
//! route table, so that a new route cannot be forgotten. Must fail closed.

use crossbill_server::{
    Access, BELOW_INDEX, Plane, Protocol, ROUTES, Route, ServeError, ServerConfig, serve,
};
use reqwest::Method;
use serde_json::json;
use tonic::Code;

use crate::grpc_client::Client;
use crate::harness::{KEY, Server, open_database};

/// A path of the route that matches, for parameters that name nothing.
pub(crate) fn path(pattern: &str) -> String {
    let segment = |segment: &str| match segment.starts_with('{') {
        true => "nothing".to_owned(),
        false => segment.to_owned(),
    };
    pattern.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_asks_for_the_key() {
    let server = Server::start_with_key().await;
    let create = json!({"name": "a", "dimension": 2,
        "spec": {"serverless": {"cloud": "aws", "region": "x"}}});
    let made = server
        .send(Method::POST, "/indexes", &[("Api-Key", KEY)], Some(create.to_string().into_bytes()))
        .await
        .ok(201);
    let control = format!("http://{}", server.control);
    let data = made["host"].as_str().unwrap();
    let below = format!("{control}{}", BELOW_INDEX.replace("{index}", "a"));
    let mut tried = 0;
    for route in ROUTES {
        let hosts = match route.plane {
            Plane::Control => vec![(control.as_str(), Plane::Control)],
            Plane::Data if route.is_below_index() => {
                vec![(data, Plane::Data), (below.as_str(), Plane::Data)]
            }
            Plane::Data => vec![(data, Plane::Data)],
            Plane::Both => vec![(control.as_str(), Plane::Control), (data, Plane::Data)],
        };
        for (host, plane) in hosts {
            let url = format!("{host}{}", path(route.path));
            for (headers, right) in [
                (vec![], false),
                (vec![("Api-Key", "")], false),
                (vec![("Api-Key", "a-wrong-key")], false),
                (vec![("Authorization", "Bearer a-wrong-key")], false),
                (vec![("Authorization", KEY)], false),
                (
                    vec![("Api-Key", "a-wrong-key"), ("Authorization", "Bearer the-right-key")],
                    false,
                ),
                (vec![("Api-Key", KEY)], true),
                (vec![("Authorization", "Bearer the-right-key")], true),
            ] {
                tried += 1;
                if route.protocol == Protocol::Grpc {
                    check_method(data, route, &headers, right).await;
                }
                let got = server
                    .send(route.method.clone(), &url, &headers, Some(b"not json".to_vec()))
                    .await;
                let label = format!("{} {url} {headers:?}", route.method);
                if route.access == Access::Open || right {
                    assert_ne!(got.status, 401, "{label}");
                    continue;
                }
                assert_eq!(got.status, 401, "{label}: {}", got.body);
                match plane {
                    Plane::Data => got.data_error(401, 16),
                    _ => got.control_error(401, "UNAUTHENTICATED"),
                };
            }
        }
    }
    assert!(tried > 8 * 50, "{tried}");
}

/// A gRPC method, asked as it wants to be.
async fn check_method(host: &str, route: &Route, headers: &[(&str, &str)], right: bool) {
    let mut client = Client::to(host, None).await;
    for (name, value) in headers {
        let name = if *name == "Api-Key" { "api-key" } else { "authorization" };
        client.metadata.push((name, (*value).to_owned()));
    }
    let answer = client.full::<(), ()>(route.path, ()).await;
    let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
    assert_eq!(code != Code::Unauthenticated, right, "{} {headers:?}: {code:?}", route.path);
}

#[tokio::test]
async fn an_unknown_method_asks_for_the_key_too() {
    let server = Server::start_with_key().await;
    let control = format!("http://{}", server.control);
    let mut client = Client::to(&control, None).await;
    for (key, expected) in [("wrong", Code::Unauthenticated), (KEY, Code::Unimplemented)] {
        client.metadata = vec![("api-key", key.to_owned())];
        let status = client.full::<(), ()>("/VectorService/Nothing", ()).await.unwrap_err();
        assert_eq!(status.code(), expected, "{}", status.message());
    }
}

#[tokio::test]
async fn without_a_key_grpc_is_for_this_machine_too() {
    let server = Server::start().await;
    let host = server.dense("a", 2, "cosine").await;
    let mut client = Client::to(&host, None).await;
    client.metadata = vec![("origin", "https://page.example".to_owned())];
    let status = client.full::<(), ()>("/VectorService/Query", ()).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn what_is_no_route_asks_for_the_key_too() {
    let server = Server::start_with_key().await;
    for (method, path) in [
        (Method::GET, "/nothing"),
        (Method::PUT, "/indexes"),
        (Method::GET, "/data"),
        (Method::POST, "/load"),
    ] {
        server.send(method.clone(), path, &[], None).await.control_error(401, "UNAUTHENTICATED");
        let got = server.send(method, path, &[("Api-Key", KEY)], None).await;
        assert!(matches!(got.status, 404 | 405), "{}", got.status);
    }
}

#[tokio::test]
async fn nobody_else_is_let_in_without_a_key() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().to_owned();
    let db = tokio::task::spawn_blocking(move || open_database(&path)).await.unwrap();
    let config = ServerConfig::new("0.0.0.0:0".parse().unwrap());
    let error = serve(db.clone(), config.clone(), |_| (), async {}).await.unwrap_err();
    assert!(matches!(error, ServeError::NoKey(_)), "{error}");
    let meant = ServerConfig { insecure: true, ..config };
    serve(db, meant, |bound| assert_ne!(bound.control.port(), 0), async {}).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_seen_by_a_client_that_sends_much_first() {
    let server = Server::start_with_key().await;
    let body = Some(vec![b' '; 8 << 20]);
    let got = server.send(Method::POST, "/indexes", &[("Api-Key", "wrong")], body).await;
    got.control_error(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn without_a_key_no_web_page_gets_in() {
    let server = Server::start().await;
    for (name, value, status) in [
        ("Host", "127.0.0.1:1", 200),
        ("Host", "localhost", 200),
        ("Host", "rebound.example:5080", 403),
        ("Origin", "http://localhost:3000", 200),
        ("Origin", "https://page.example", 403),
        ("Origin", "null", 403),
    ] {
        let got = server.send(Method::GET, "/indexes", &[(name, value)], None).await;
        assert_eq!(got.status, status, "{name}: {value}");
    }
    let server = Server::start_with_key().await;
    let headers = [("Host", "db.example"), ("Api-Key", KEY)];
    assert_eq!(server.send(Method::GET, "/indexes", &headers, None).await.status, 200);
}
