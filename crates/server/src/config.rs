//! What the operator sets about the server: where it listens, which keys it
//! takes, its bounds. No flag or file is read here; the binary does that.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Clock, IdSource, RandomIds, SystemClock, VectorStorage, limits};
use crossbill_inference::Inference;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::tls::Tls;

/// Why a text cannot be an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an API key must be 1 to 512 visible ASCII characters without spaces")]
pub struct KeyError;

/// An API key, held only as its SHA-256 hash; it cannot be shown again.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey([u8; 32]);

impl ApiKey {
    /// Hashes `text`. An error where no client could send it in a header.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > 512 || !sendable {
            return Err(KeyError);
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// Whether `presented` is one of `keys`. Looks at all of them and at
    /// every byte, so that the time taken tells nothing.
    pub(crate) fn any_matches(keys: &[ApiKey], presented: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(presented).into();
        let found = keys.iter().fold(Choice::from(0), |found, key| found | key.0.ct_eq(&hash));
        found.into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

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
    pub api_keys: Vec<ApiKey>,
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
            api_keys: Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_only_themselves() {
        let keys = [ApiKey::from_text("one").unwrap(), ApiKey::from_text("two").unwrap()];
        assert!(ApiKey::any_matches(&keys, b"one") && ApiKey::any_matches(&keys, b"two"));
        for wrong in [&b"on"[..], b"onee", b"", b"One"] {
            assert!(!ApiKey::any_matches(&keys, wrong));
        }
        assert!(!ApiKey::any_matches(&[], b"one"));
    }

    #[test]
    fn keys_that_no_header_carries_are_refused_and_none_is_shown() {
        for bad in ["", " ", "a b", "a\n", "ü"] {
            assert_eq!(ApiKey::from_text(bad), Err(KeyError), "{bad:?}");
        }
        assert_eq!(format!("{:?}", ApiKey::from_text("secret").unwrap()), "ApiKey(hidden)");
    }
}
