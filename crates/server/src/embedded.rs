//! The server without a socket: the control plane's router, called in process.
//! Whoever embeds the database speaks the same API as a client over HTTP, with
//! the same answers and the same errors.
//!
//! It opens no port, checks no key (the caller is the process itself), and
//! leaves runtime, database and their end to whoever made them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use bytes::Bytes;
use crossbill_core::{Error, Result};
use crossbill_db::Database;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::call::Site;
use crate::dispatch::{Shared, router};
use crate::ports::Ports;
use crate::{Keys, ServerConfig};

/// A request as it would stand on the wire.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Path and query. An index's routes are below [`crate::BELOW_INDEX`].
    pub target: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body as sent.
    pub body: Bytes,
}

/// What a server would answer.
#[derive(Debug, Clone)]
pub struct EmbeddedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// The API of a database in this process. Clones are the same one.
#[derive(Clone)]
pub struct Embedded {
    router: Router,
    shared: Arc<Shared>,
}

impl Embedded {
    /// The API of `db`. Keys, TLS and addresses in `config` play no part.
    pub fn new(db: Arc<Database>, config: ServerConfig) -> Self {
        let config = ServerConfig { keys: Keys::default(), tls: None, rate_limit: None, ..config };
        let shared = Arc::new(Shared::new(db, config, Ports::none()));
        shared.ready.store(true, Ordering::Release);
        Self { router: router(&shared, &Site::Control), shared }
    }

    /// Answers one request; must run within a tokio runtime that has timers.
    /// Dropped early, it is a client that went away.
    ///
    /// # Errors
    /// `Invalid` where it is no HTTP request; what goes wrong with one that is
    /// stands in the answer.
    pub async fn answer(&self, request: EmbeddedRequest) -> Result<EmbeddedAnswer> {
        let request = http_request(request)?;
        let answered = match self.router.clone().oneshot(request).await {
            Ok(answered) => answered,
            Err(never) => match never {},
        };
        let (parts, body) = answered.into_parts();
        let body = body.collect().await;
        let body =
            body.map_err(|error| Error::internal(format!("an answer broke off: {error}")))?;
        let headers = parts.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Ok(EmbeddedAnswer {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            body: body.to_bytes(),
        })
    }

    /// Says in `/ready` that it is over.
    pub fn close(&self) {
        self.shared.ready.store(false, Ordering::Release);
    }
}

fn http_request(request: EmbeddedRequest) -> Result<Request<Body>> {
    let wrong = |what: &str, text: &str| {
        Error::invalid(format!("{what} is {:?}, expected one of HTTP", short(text)))
    };
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| wrong("the method", &request.method))?;
    let target = request.target.parse::<Uri>().map_err(|_| wrong("the target", &request.target))?;
    let bytes = request.body.len();
    let mut made = Request::new(Body::from(request.body));
    *made.method_mut() = method;
    *made.uri_mut() = target;
    let headers = made.headers_mut();
    for (name, value) in &request.headers {
        let header = HeaderName::from_bytes(name.as_bytes());
        let header = header.map_err(|_| wrong("a header's name", name))?;
        let value = HeaderValue::from_bytes(value.as_bytes());
        headers.append(header, value.map_err(|_| wrong("a header's value", name))?);
    }
    // As a client would, so that memory is held for what there is.
    headers.insert(axum::http::header::CONTENT_LENGTH, HeaderValue::from(bytes));
    Ok(made)
}

fn short(text: &str) -> String {
    text.chars().take(crossbill_core::limits::QUOTED_CHARS_MAX).collect()
}
