//! A server to talk to, and the few words tests talk in.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};

use crate::conformance;
use crossbill_core::{RandomIds, RequestLimits, SystemClock, limits};
use crossbill_db::{Database, DatabaseOptions, ImportSettings, SourcePolicy};
use crossbill_server::{ApiKey, KeyHash, Keys, ServeError, ServerConfig, serve};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const KEY: &str = "the-right-key";

/// A running server.
pub(crate) struct Server {
    pub(crate) client: reqwest::Client,
    pub(crate) control: SocketAddr,
    pub(crate) data: Arc<TempDir>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

/// A response, read whole.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Got {
    /// The body, where the status is the one expected.
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The message, where this is an error of the control plane.
    #[track_caller]
    pub(crate) fn control_error(self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let message = self.body["message"].as_str().unwrap().to_owned();
        let expected = json!({
            "status": status, "message": message, "error": {"code": code, "message": message},
        });
        assert_eq!(self.body, expected);
        message
    }

    /// The message, where this is an error of the data plane.
    #[track_caller]
    pub(crate) fn data_error(self, status: u16, code: i32) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let message = self.body["message"].as_str().unwrap().to_owned();
        assert_eq!(self.body["code"], code);
        assert_eq!(self.body["details"], json!([]));
        assert_eq!(self.body["error"]["message"], json!(message));
        message
    }

    #[track_caller]
    pub(crate) fn lsn(&self, header: &str) -> u64 {
        self.headers[header].to_str().unwrap().parse().unwrap()
    }
}

/// A key that may do everything.
pub(crate) fn key(name: &str, text: &str) -> ApiKey {
    ApiKey::new(name, KeyHash::of_text(text).unwrap()).unwrap()
}

/// A loopback address that no other test uses, in this process or another.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let [_, _, a, b] = process.to_be_bytes();
    let ip = Ipv4Addr::new(127, a ^ (next / 250) as u8 | 1, b, 1 + (next % 250) as u8);
    SocketAddr::from((ip, 0))
}

pub(crate) fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Another test binary's thread cannot have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn open_database(data: &Path) -> Arc<Database> {
    open_limited(data, RequestLimits::default())
}

fn open_limited(data: &Path, limits_set: RequestLimits) -> Arc<Database> {
    let imports_from = data.join("source");
    std::fs::create_dir_all(&imports_from).unwrap();
    let policy = SourcePolicy { allow_dirs: vec![imports_from], ..SourcePolicy::default() };
    Database::open(DatabaseOptions {
        data: data.join("db"),
        memory_bytes: 256 << 20,
        threads: 2,
        memtable_rows: limits::MEMTABLE_ROWS_MAX,
        resident_vectors_percent: 100,
        merges_at_once: 1,
        merge_rate: limits::MERGE_RATE_BYTES,
        source_policy: policy,
        import: ImportSettings::new(2, 128 << 20),
        imports_at_once: 1,
        export_dirs: Vec::new(),
        export_uris: Vec::new(),
        exports_at_once: 1,
        run_schedules: true,
        webhook: None,
        limits: limits_set,
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds),
        faults: None,
        first_port: 5081,
    })
    .unwrap()
}

impl Server {
    /// A server without a key.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// A server that takes [`KEY`].
    pub(crate) async fn start_with_key() -> Self {
        let keys = Keys::new(vec![key("right", KEY)]).unwrap();
        Self::start_with(|config| config.keys = keys).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        Self::start_on(data, own_address(), change).await
    }

    /// A server with these limits, each as `NAME=VALUE`.
    pub(crate) async fn start_limited(settings: &[&str]) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        Self::start_set(data, own_address(), settings, |_| ()).await
    }

    pub(crate) async fn start_on(
        data: Arc<TempDir>,
        listen: SocketAddr,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        Self::start_set(data, listen, &[], change).await
    }

    pub(crate) async fn start_set(
        data: Arc<TempDir>,
        listen: SocketAddr,
        settings: &[&str],
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let path = data.path().to_owned();
        let mut limits = RequestLimits::default();
        for setting in settings {
            let (name, value) = setting.split_once('=').unwrap();
            limits.set(name, value).unwrap();
        }
        let db = tokio::task::spawn_blocking(move || open_limited(&path, limits)).await.unwrap();
        let mut config = ServerConfig::new(listen);
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let (ready, bound) = oneshot::channel();
        let task = tokio::spawn(serve(
            db,
            config,
            move |bound| ready.send(bound.clone()).unwrap(),
            async move {
                let _ = stopped.await;
            },
        ));
        let control = bound.await.unwrap().control;
        Self { client: client(), control, data, stop, task }
    }

    /// Stops it as a signal would; gives the directory and address, to start
    /// again on.
    pub(crate) async fn stop(self) -> (Arc<TempDir>, SocketAddr) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        (self.data, self.control)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Got {
        let url = match url.starts_with("http") {
            true => url.to_owned(),
            false => format!("http://{}{url}", self.control),
        };
        let mut request = self.client.request(method.clone(), &url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = match bytes.is_empty() {
            true => Value::Null,
            false if headers.get("content-type").is_some_and(|form| form == "application/json") => {
                serde_json::from_slice(&bytes).unwrap()
            }
            false => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        };
        let content = headers.get("content-type").and_then(|form| form.to_str().ok());
        conformance::check(&method, &url, status, content, &body);
        Got { status, headers, body }
    }

    pub(crate) async fn get(&self, url: &str) -> Got {
        self.send(Method::GET, url, &[], None).await
    }

    pub(crate) async fn delete(&self, url: &str) -> Got {
        self.send(Method::DELETE, url, &[], None).await
    }

    pub(crate) async fn post(&self, url: &str, body: Value) -> Got {
        self.send(Method::POST, url, &[], Some(body.to_string().into_bytes())).await
    }

    pub(crate) async fn post_raw(&self, url: &str, body: &str) -> Got {
        self.send(Method::POST, url, &[], Some(body.as_bytes().to_vec())).await
    }

    pub(crate) async fn patch(&self, url: &str, body: Value) -> Got {
        self.send(Method::PATCH, url, &[], Some(body.to_string().into_bytes())).await
    }

    /// Makes a dense index and gives its host.
    pub(crate) async fn dense(&self, name: &str, dimension: u32, metric: &str) -> String {
        let body = json!({
            "name": name, "dimension": dimension, "metric": metric,
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
        });
        let index = self.post("/indexes", body).await.ok(201);
        index["host"].as_str().unwrap().to_owned()
    }

    /// Makes a sparse index and gives its host.
    pub(crate) async fn sparse(&self, name: &str) -> String {
        let body = json!({
            "name": name, "vector_type": "sparse",
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
        });
        let index = self.post("/indexes", body).await.ok(201);
        index["host"].as_str().unwrap().to_owned()
    }

    /// Upserts `(id, values, metadata)` into the default namespace.
    pub(crate) async fn upsert(&self, host: &str, records: &[(&str, &[f32], Value)]) {
        let vectors: Vec<Value> = records
            .iter()
            .map(|(id, values, metadata)| match metadata.is_null() {
                true => json!({"id": id, "values": values}),
                false => json!({"id": id, "values": values, "metadata": metadata}),
            })
            .collect();
        self.post(&format!("{host}/vectors/upsert"), json!({"vectors": vectors})).await.ok(200);
    }
}

/// The ids of a query's answer, in order.
pub(crate) fn ids(answer: &Value) -> Vec<&str> {
    answer["matches"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect()
}
