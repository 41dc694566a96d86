//! What the operator sets about the server: where it listens, which keys it
//! takes, its bounds. No flag or file is read here; the binary does that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use crossbill_core::{Clock, IdSource, RandomIds, SystemClock, VectorStorage, limits};
use crossbill_inference::Inference;

use crate::audit::AuditLog;
use crate::keys::Keys;
use crate::rate::RateLimit;
use crate::tls::Tls;

/// How the server listens and what it bounds. Start from
/// [`ServerConfig::new`] and change what the operator set.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where the control plane listens; every index listens on the same
    /// address with its own port.
    pub listen: SocketAddr,
    /// The host (optionally with `http://` or `https://` before it, and
    /// without a port) that index hosts are given out under. Without it, the
    /// host of the request's own `Host` header is used: what the client could
    /// reach.
    pub public_address: Option<String>,
    /// The keys that are let in. None: everyone is, on a loopback address.
    pub keys: Keys,
    /// How often a caller may ask, where its key does not say; all callers
    /// together where none has a key.
    pub rate_limit: Option<RateLimit>,
    /// What changes and refusals are written to.
    pub audit: Option<AuditLog>,
    /// Called with the span of each request and its headers, so that it can
    /// become part of a trace that the caller began.
    pub joins_trace: Option<fn(&tracing::Span, &HeaderMap)>,
    /// Lets the server listen beyond loopback without a key.
    pub insecure: bool,
    /// How a new index keeps its full vectors where the request does not say.
    pub vector_storage: VectorStorage,
    /// Bytes of a request's body, packed and unpacked.
    pub request_bytes_max: usize,
    /// Bytes of an answer over gRPC. The official clients read so much.
    pub answer_bytes_max: usize,
    /// The certificate and key that every listener speaks TLS with; without
    /// them they speak plainly.
    pub tls: Option<Tls>,
    /// Bytes of request bodies held at once; requests over it wait.
    pub request_memory_bytes: usize,
    /// Requests that work at once; more wait.
    pub concurrent_requests_max: usize,
    /// How long a request may take, its body's arrival included.
    pub request_timeout: Duration,
    /// How long a request's head may take to arrive.
    pub header_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub idle_timeout: Duration,
    /// How long a shutdown waits for requests under way.
    pub drain_timeout: Duration,
    /// What embeds texts and ranks documents; nothing where absent.
    pub inference: Option<Arc<dyn Inference>>,
    /// Where request durations come from.
    pub clock: Arc<dyn Clock>,
    /// Where request ids and generated index names come from.
    pub ids: Arc<dyn IdSource>,
}

impl ServerConfig {
    /// The defaults, listening at `listen`, with no key.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            public_address: None,
            keys: Keys::default(),
            rate_limit: None,
            audit: None,
            joins_trace: None,
            insecure: false,
            vector_storage: VectorStorage::F32,
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            answer_bytes_max: limits::GRPC_ANSWER_BYTES_MAX,
            tls: None,
            request_memory_bytes: 256 * 1024 * 1024,
            concurrent_requests_max: 256,
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            inference: None,
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(RandomIds),
        }
    }
}
