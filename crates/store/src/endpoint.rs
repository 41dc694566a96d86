//! A service of the operator's choosing that is spoken to in JSON over HTTP:
//! its address is checked, its answers are bounded in time and bytes, and its
//! key is never shown. What is said to it is its caller's business.
//!
//! Addresses come from the operator's settings and nowhere else.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use crossbill_core::{Error, ErrorKind, Result};
use reqwest::Url;
use tokio::sync::Semaphore;

use crate::Secret;
use crate::runtime::block_on;
use crate::source::{GuardedConnector, Reach};

/// How often a call asks whether it is still wanted.
const STOP_POLL: Duration = Duration::from_millis(100);

/// How an [`Endpoint`] is spoken to.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// Where it is: the address that is posted to.
    pub url: String,
    /// What it wants to see as a bearer token.
    pub key: Option<Secret>,
    /// How long one call may take, from its turn to the last byte.
    pub timeout: Duration,
    /// Calls under way at once; more wait their turn, within the same time.
    pub at_once: usize,
    /// Bytes that an answer may have.
    pub answer_bytes_max: usize,
}

/// A service.
#[derive(Clone)]
pub struct Endpoint {
    what: &'static str,
    url: Url,
    client: reqwest::Client,
    turns: Arc<Semaphore>,
    options: EndpointOptions,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.what).field(&self.host()).finish()
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

/// Reads an address of the operator's own and makes the client for it. It may
/// be a private one, but none of those that cloud providers keep for secrets
/// of the machine.
pub(crate) fn guarded(
    what: &str,
    url: &str,
    read_timeout: Duration,
) -> Result<(Url, reqwest::Client)> {
    let wrong = |found: &str| {
        Error::invalid(format!(
            "{what}'s address {found}, expected http://HOST/… or https://HOST/…"
        ))
    };
    let url: Url = url.parse().map_err(|error| wrong(&format!("cannot be read ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(&format!("begins with {}:", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("names a user"));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if host.parse::<IpAddr>().is_ok_and(|address| !Reach::Private.permits(address)) {
        return Err(Error::forbidden(format!(
            "{what}'s address {host} is one that nothing may be sent to"
        )));
    }
    let plain_http = url.scheme() == "http";
    let connector = GuardedConnector { reach: Reach::Private, plain_http, read_timeout };
    let client = connector.build().map_err(|error| Error::internal(error.to_string()))?;
    Ok((url, client))
}

impl Endpoint {
    /// Checks the address and contacts nobody. `what` begins messages: "the
    /// embedding endpoint".
    pub fn new(what: &'static str, options: EndpointOptions) -> Result<Self> {
        // A pause of the client's own would end a call first, and say less.
        let (url, client) = guarded(what, &options.url, options.timeout.saturating_mul(2))?;
        if let Some(key) = &options.key
            && !key.expose().bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Error::invalid(format!(
                "{what}'s key has characters that no header carries, expected visible ASCII \
                 without spaces"
            )));
        }
        let turns = Arc::new(Semaphore::new(options.at_once.max(1)));
        Ok(Self { what, url, client, turns, options })
    }

    /// The host, for messages: paths and queries may hold secrets.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Posts JSON and gives what is answered. Ends soon after `stop` says so.
    ///
    /// # Errors
    /// `Unavailable` where no answer came in time, `Upstream` where it is
    /// larger than is read.
    pub fn post(&self, body: Vec<u8>, stop: &dyn Fn() -> bool) -> Result<EndpointAnswer> {
        let stopped = async {
            while !stop() {
                tokio::time::sleep(STOP_POLL).await;
            }
        };
        let answer = block_on(async {
            // Made in here: a timer wants a runtime around it.
            let call = tokio::time::timeout(self.options.timeout, self.call(body));
            tokio::select! {
                answer = call => Some(answer),
                () = stopped => None,
            }
        });
        match answer {
            Some(Ok(answer)) => answer,
            Some(Err(_)) => Err(Error::unavailable(format!(
                "{} at {} gave no answer within {} s, try again",
                self.what,
                self.host(),
                self.options.timeout.as_secs_f32()
            ))),
            None => Err(Error::unavailable(format!("the call to {} was stopped", self.what))),
        }
    }

    async fn call(&self, body: Vec<u8>) -> Result<EndpointAnswer> {
        let _turn = self.turns.acquire().await.map_err(|error| self.failed(&error))?;
        let mut request = self.client.post(self.url.clone());
        if let Some(key) = &self.options.key {
            request = request.bearer_auth(key.expose());
        }
        let request = request.header("content-type", "application/json").body(body);
        // Without the address, which may hold a secret.
        let sent = request.send().await;
        let mut answer = sent.map_err(|error| self.failed(&root(&error.without_url())))?;
        let status = answer.status().as_u16();
        let mut read = BytesMut::new();
        while let Some(piece) =
            answer.chunk().await.map_err(|error| self.failed(&root(&error.without_url())))?
        {
            if read.len() + piece.len() > self.options.answer_bytes_max {
                return Err(Error::new(
                    ErrorKind::Upstream,
                    format!(
                        "{} at {} answered more than {} bytes, which is all that is read",
                        self.what,
                        self.host(),
                        self.options.answer_bytes_max
                    ),
                ));
            }
            read.extend_from_slice(&piece);
        }
        Ok(EndpointAnswer { status, body: read.freeze() })
    }

    fn failed(&self, why: &dyn fmt::Display) -> Error {
        Error::unavailable(format!("{} at {} does not answer: {why}", self.what, self.host()))
    }
}

/// The last cause, which says what happened ("Connection refused").
fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(url: &str, key: &str) -> Result<Endpoint> {
        Endpoint::new(
            "the endpoint",
            EndpointOptions {
                url: url.to_owned(),
                key: Some(Secret::new(key)),
                timeout: Duration::from_secs(5),
                at_once: 1,
                answer_bytes_max: 1000,
            },
        )
    }

    #[test]
    fn addresses_and_keys_are_checked_and_never_shown() {
        let good = made("http://127.0.0.1:9/v1?token=hush", "canary").unwrap();
        assert!(!format!("{good:?}").contains("hush") && !format!("{good:?}").contains("canary"));
        for (url, kind) in [
            ("v1/embeddings", ErrorKind::Invalid),
            ("file:///etc/passwd", ErrorKind::Invalid),
            ("https://user:pass@example.com/", ErrorKind::Invalid),
            ("http://169.254.169.254/latest", ErrorKind::Forbidden),
        ] {
            let error = made(url, "canary").unwrap_err();
            assert_eq!(error.kind(), kind, "{url}: {error}");
            assert!(!error.message().contains("pass@"), "{error}");
        }
        assert!(made("http://127.0.0.1:9/", "two words").is_err());
    }

    #[test]
    fn nobody_there_is_unavailable_and_a_stop_ends_it() {
        let closed = made("http://127.0.0.1:9/v1?token=hush", "canary").unwrap();
        let error = closed.post(b"{}".to_vec(), &|| false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.message().contains("hush"), "{error}");
        // Accepts and never answers.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = made(&format!("http://{}/", listener.local_addr().unwrap()), "k").unwrap();
        let error = silent.post(b"{}".to_vec(), &|| true).unwrap_err();
        assert!(error.message().contains("was stopped"), "{error}");
    }
}
