//! What keys may do: every route × every role × every kind of index that a key
//! can be for, generated from the route table; limits of requests; keys that
//! change while the server runs; and what the audit log says of it all.

use crossbill_server::{
    Access, ApiKey, AuditLog, BELOW_INDEX, Keys, Plane, Protocol, ROUTES, RateLimit, Reach, Role,
    Route, ServerConfig,
};
use reqwest::Method;
use serde_json::{Value, json};
use tonic::Code;

use crate::auth::path;
use crate::grpc_client::Client;
use crate::harness::{Got, KEY, Server, key};

/// The index that some keys are for.
const OWN: &str = "own-index";

fn of_own(key: ApiKey) -> ApiKey {
    key.for_indexes(&["own-*".to_owned()]).unwrap()
}

fn text(role: Role, is_own: bool) -> String {
    format!("{role}-{}", if is_own { "of-own" } else { "of-all" })
}

/// The keys of all roles, each for all indexes and for its own only.
fn all_keys() -> Vec<ApiKey> {
    let roles = Role::ALL.into_iter().map(|role| {
        let text = text(role, false);
        key(&text, &text).with_role(role)
    });
    let own = Role::ALL.into_iter().map(|role| {
        let text = text(role, true);
        of_own(key(&text, &text).with_role(role))
    });
    roles.chain(own).chain([key("right", KEY)]).collect()
}

async fn start(change: impl FnOnce(&mut ServerConfig)) -> Server {
    let server = Server::start_with(|config| {
        config.keys = Keys::new(all_keys()).unwrap();
        change(config);
    })
    .await;
    for name in [OWN, "other"] {
        let body = json!({"name": name, "dimension": 2,
            "spec": {"serverless": {"cloud": "aws", "region": "x"}}});
        send(&server, Method::POST, "/indexes", KEY, Some(body)).await.ok(201);
    }
    server
}

async fn send(server: &Server, method: Method, url: &str, key: &str, body: Option<Value>) -> Got {
    let body = body.map(|body| body.to_string().into_bytes());
    server.send(method, url, &[("Api-Key", key)], body).await
}

/// The route's path for an index of this name.
fn of_index(route: &Route, index: &str) -> String {
    path(&route.path.replace("/indexes/{name}", &format!("/indexes/{index}")))
}

/// Whether a key of this role may call the route, by what a route says of itself.
fn may(route: &Route, role: Role, is_own: bool, index: &str) -> bool {
    let Access::Key(least) = route.access else { return true };
    let reaches = match route.reach() {
        Reach::Nothing => true,
        Reach::Index => !is_own || index == OWN,
        Reach::Server => !is_own,
    };
    role >= least && reaches
}

#[tokio::test]
async fn every_route_asks_for_its_role_and_index() {
    let server = start(|_| ()).await;
    let control = format!("http://{}", server.control);
    let mut hosts = Vec::new();
    for name in [OWN, "other"] {
        let made = send(&server, Method::GET, &format!("/indexes/{name}"), KEY, None).await.ok(200);
        hosts.push((name, made["host"].as_str().unwrap().to_owned()));
    }
    let mut tried = 0;
    for route in ROUTES.iter().filter(|route| route.access != Access::Open) {
        for (index, host) in &hosts {
            let below = format!("{control}{}", BELOW_INDEX.replace("{index}", index));
            let hosts = match route.plane {
                Plane::Control => vec![control.clone()],
                _ if route.is_below_index() => vec![host.clone(), below],
                _ => vec![host.clone()],
            };
            for (role, is_own) in
                Role::ALL.into_iter().flat_map(|role| [(role, false), (role, true)])
            {
                let (expected, key) = (may(route, role, is_own, index), text(role, is_own));
                let label = format!("{} {} on {index} with {key}", route.method, route.path);
                tried += 1;
                if route.protocol == Protocol::Grpc {
                    let mut client = Client::to(host, None).await;
                    client.metadata = vec![("api-key", key)];
                    let answer = client.full::<(), ()>(route.path, ()).await;
                    let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
                    assert_eq!(code != Code::PermissionDenied, expected, "{label}: {code:?}");
                    continue;
                }
                // The indexes must stay.
                if expected && route.method == Method::DELETE && route.path == "/indexes/{name}" {
                    continue;
                }
                for at in &hosts {
                    let url = format!("{at}{}", of_index(route, index));
                    let headers = [("Api-Key", key.as_str())];
                    let body = Some(b"not json".to_vec());
                    let got = server.send(route.method.clone(), &url, &headers, body).await;
                    assert_eq!(got.status != 403, expected, "{label}: {} {}", got.status, got.body);
                }
            }
        }
    }
    assert!(tried > 6 * 2 * 70, "{tried}");
}

#[tokio::test]
async fn refusals_say_what_is_wanting() {
    let server = start(|_| ()).await;
    let refused = async |method, path: &str, key| {
        send(&server, method, path, key, None).await.control_error(403, "FORBIDDEN")
    };
    let message = refused(Method::DELETE, "/indexes/other", "write-of-all").await;
    assert_eq!(message, "the key \"write-of-all\" has the role write, expected admin");
    let message = refused(Method::GET, "/load", "admin-of-own").await;
    assert!(message.ends_with("expected one that is for the whole server"), "{message}");
    // The same whether or not the index is there.
    let there = refused(Method::GET, "/indexes/other", "read-of-own").await;
    assert_eq!(there, refused(Method::GET, "/indexes/nothing", "read-of-own").await);
    assert!(there.ends_with("expected one that is for this one"), "{there}");
    let below = "/data/other/describe_index_stats";
    let got = send(&server, Method::POST, below, "read-of-own", None).await;
    got.data_error(403, 7);
    let below = "/data/nothing/describe_index_stats";
    send(&server, Method::POST, below, "read-of-own", None).await.data_error(403, 7);
}

#[tokio::test]
async fn lists_leave_out_what_is_not_the_keys() {
    let server = start(|_| ()).await;
    for (key, expected) in [("read-of-own", vec![OWN]), ("read-of-all", vec!["other", OWN])] {
        let list = send(&server, Method::GET, "/indexes", key, None).await.ok(200);
        let mut names: Vec<_> =
            list["indexes"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        names.sort_by_key(ToString::to_string);
        assert_eq!(names, expected.iter().map(|name| json!(name)).collect::<Vec<_>>(), "{key}");
    }
}

#[tokio::test]
async fn too_many_requests_are_refused() {
    let limited =
        |name: &str, count| key(name, name).with_limit(RateLimit::per_second(count).unwrap());
    let keys = Keys::new(vec![limited("slow", 3), limited("fast", 100_000), key("usual", "usual")]);
    let server = Server::start_with(|config| {
        config.keys = keys.unwrap();
        config.rate_limit = RateLimit::per_second(5);
    })
    .await;
    // All at once, so that they come within the second.
    let refused = async |key: &'static str, count: usize| {
        let sent = (0..count).map(|_| send(&server, Method::GET, "/indexes", key, None));
        let answers = futures::future::join_all(sent).await;
        let refused: Vec<_> = answers.into_iter().filter(|got| got.status != 200).collect();
        for got in &refused {
            assert_eq!(got.headers["retry-after"], "1");
            assert_eq!(
                (got.status, &got.body["error"]["code"]),
                (429, &json!("RESOURCE_EXHAUSTED"))
            );
        }
        refused.len()
    };
    assert_eq!(refused("fast", 60).await, 0);
    assert!(refused("slow", 60).await > 30);
    assert!(refused("usual", 60).await > 30);
    // Health is for those who look after the server.
    for _ in 0..20 {
        send(&server, Method::GET, "/health", "slow", None).await.ok(200);
    }
}

#[tokio::test]
async fn without_keys_the_limit_is_for_all_together() {
    let server = Server::start_with(|config| config.rate_limit = RateLimit::per_second(2)).await;
    let sent = (0..40).map(|_| server.send(Method::GET, "/indexes", &[], None));
    let answers = futures::future::join_all(sent).await;
    assert!(answers.iter().filter(|got| got.status == 429).count() > 20);
}

#[tokio::test]
async fn keys_change_while_the_server_runs() {
    let keys = Keys::new(vec![key("old", "old")]).unwrap();
    let changed = keys.clone();
    let server = Server::start_with(|config| config.keys = changed).await;
    let status = async |key| send(&server, Method::GET, "/indexes", key, None).await.status;
    assert_eq!((status("old").await, status("new").await), (200, 401));
    keys.replace(vec![key("old", "old"), key("new", "new")]).unwrap();
    assert_eq!((status("old").await, status("new").await), (200, 200));
    keys.replace(vec![key("new", "new")]).unwrap();
    assert_eq!((status("old").await, status("new").await), (401, 200));
}

#[tokio::test]
async fn the_audit_log_has_changes_and_refusals() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let audit = AuditLog::open(&file).unwrap();
    let server = start(|config| config.audit = Some(audit)).await;
    let vectors = json!({"vectors": [{"id": "a", "values": [1.0, 0.0]}]});
    let at = |path: &str| format!("/data/{OWN}{path}");
    let told = [
        (Method::POST, at("/vectors/upsert"), "write-of-own", Some(vectors), 200),
        (Method::POST, at("/vectors/delete"), "write-of-own", Some(json!({"ids": ["hush"]})), 200),
        (Method::POST, at("/query"), "read-of-own", Some(json!({"id": "a", "topK": 1})), 200),
        (Method::DELETE, "/indexes/other?key=hush".to_owned(), "read-of-all", None, 403),
        (Method::GET, "/indexes".to_owned(), "hush", None, 401),
        (Method::DELETE, "/indexes/other".to_owned(), "admin-of-all", None, 202),
    ];
    for (method, path, key, body, status) in told {
        assert_eq!(send(&server, method, &path, key, body).await.status, status, "{path}");
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("hush"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> = lines
        .iter()
        .skip(2) // the two indexes that were made
        .map(|line| {
            let word = |field: &str| line[field].as_str().unwrap_or("-").to_owned();
            let status = line["status"].as_u64().unwrap();
            (word("event"), word("key"), word("method"), word("path"), status)
        })
        .collect();
    let line = |event: &str, key: &str, method: &str, path: &str, status| {
        (event.to_owned(), key.to_owned(), method.to_owned(), path.to_owned(), status)
    };
    assert_eq!(
        seen,
        [
            line("change", "write-of-own", "POST", &at("/vectors/delete"), 200),
            line("refusal", "read-of-all", "DELETE", "/indexes/other", 403),
            line("refusal", "-", "GET", "/indexes", 401),
            line("change", "admin-of-all", "DELETE", "/indexes/other", 202),
        ]
    );
    assert!(lines.iter().all(|line| line["request_id"].is_string() && line["time"].is_string()));
    assert_eq!(lines[3]["error"], "the key \"read-of-all\" has the role read, expected admin");
}
