//! The HTTP client behind object stores: it follows no redirect, uses no
//! proxy from the environment, connects only to addresses it has checked, and
//! remembers what the last failed answer said.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;

use futures::StreamExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use parking_lot::Mutex;

/// Bytes of an error's body that are read.
const ERROR_BODY_BYTES_MAX: usize = 16 * 1024;
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which addresses a name may resolve to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// Public ones only: the name is not of the operator's choosing.
    Public,
    /// Private and loopback ones too: the operator named the endpoint.
    Private,
    /// All: the operator said so.
    All,
}

impl Reach {
    pub(crate) fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Public => !is_never_a_store(address) && !is_private(address),
            Self::Private => !is_never_a_store(address),
            Self::All => true,
        }
    }
}

/// The address as it is reached: IPv4 inside IPv6 unwrapped.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let last_four = || {
        let [.., a, b, c, d] = v6.octets();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        // Mapped, compatible, and translated (NAT64) addresses.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => last_four(),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => last_four(),
        _ => address,
    }
}

/// Link-local (cloud metadata services among them), unspecified, multicast.
pub(super) fn is_never_a_store(address: IpAddr) -> bool {
    match unwrapped(address) {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            v4.is_link_local() || first == 0 || v4.is_multicast() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.segments() == [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254]
        }
    }
}

pub(super) fn is_private(address: IpAddr) -> bool {
    match unwrapped(address) {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || (first == 100 && (64..128).contains(&second))
                || (first == 198 && (18..20).contains(&second))
                || first >= 240
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// Resolves names and drops the addresses that may not be connected to, so
/// that what was checked is what is connected to.
#[derive(Debug)]
struct Resolver(Reach);

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let reach = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let permitted: Vec<SocketAddr> =
                found.iter().copied().filter(|address| reach.permits(address.ip())).collect();
            if permitted.is_empty() && !found.is_empty() {
                return Err(Refused { host }.into());
            }
            Ok(Box::new(permitted.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// A host that may not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("host {host} resolves only to addresses that imports may not connect to")]
pub(super) struct Refused {
    host: String,
}

/// Makes the client for one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GuardedConnector {
    pub reach: Reach,
    /// Whether the endpoint is plain HTTP, and nothing else will be spoken.
    pub plain_http: bool,
    pub read_timeout: Duration,
}

impl HttpConnector for GuardedConnector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Sources are opened for each task: they share connections, and the
        // system's certificates are read once.
        static CLIENTS: LazyLock<Mutex<HashMap<GuardedConnector, reqwest::Client>>> =
            LazyLock::new(Mutex::default);
        let mut clients = CLIENTS.lock();
        let client = match clients.get(self) {
            Some(client) => client.clone(),
            None => {
                let client = self.build().map_err(|error| object_store::Error::Generic {
                    store: "http client",
                    source: Box::new(error),
                })?;
                clients.insert(*self, client.clone());
                client
            }
        };
        Ok(HttpClient::new(Recorder(HttpClient::new(client))))
    }
}

impl GuardedConnector {
    pub(crate) fn build(&self) -> reqwest::Result<reqwest::Client> {
        install_crypto();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("crossbill/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(self.read_timeout)
            .dns_resolver(Resolver(self.reach))
            .https_only(!self.plain_http);
        if self.plain_http {
            // A machine without certificates will do.
            builder = builder.tls_certs_only(std::iter::empty());
        }
        builder.build()
    }
}

/// Makes *ring* the process's TLS provider, once. An embedding program that
/// chose another one keeps it.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// What the last answer that was no success said.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub status: Option<u16>,
    /// The store's own code, such as `NoSuchBucket`.
    pub code: Option<String>,
    /// The region the bucket is in, where the store says so.
    pub region: Option<String>,
    pub retry_after: Option<Duration>,
}

tokio::task_local! {
    /// Where requests made by the current task leave their last failed answer.
    pub(super) static ANSWER: Arc<Mutex<Answer>>;
}

#[derive(Debug)]
struct Recorder(HttpClient);

#[async_trait::async_trait]
impl HttpService for Recorder {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = read_some(body).await;
        let header = |name: &str| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
        let answer = Answer {
            status: Some(parts.status.as_u16()),
            code: header("x-ms-error-code")
                .filter(|code| is_word(code))
                .or_else(|| error_code(&body)),
            region: header("x-amz-bucket-region").filter(|region| is_word(region)),
            retry_after: header("retry-after")
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
        };
        let _ = ANSWER.try_with(|seen| *seen.lock() = answer);
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(body)))
    }
}

/// The beginning of an error's body; what cannot be read is left out.
async fn read_some(body: HttpResponseBody) -> Vec<u8> {
    let mut read = Vec::new();
    let mut stream = body.bytes_stream();
    while let Some(Ok(chunk)) = stream.next().await {
        let room = ERROR_BODY_BYTES_MAX - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    read
}

/// The text of `<Code>` in an error's XML.
fn error_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    is_word(code).then(|| code.to_owned())
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        for (address, public, private) in [
            ("52.216.1.1", true, true),
            ("2600:1f00::1", true, true),
            ("127.0.0.1", false, true),
            ("::1", false, true),
            ("10.1.2.3", false, true),
            ("172.16.0.1", false, true),
            ("192.168.1.1", false, true),
            ("100.64.0.1", false, true),
            ("240.0.0.1", false, true),
            ("fd12::1", false, true),
            ("::ffff:10.0.0.1", false, true),
            ("64:ff9b::7f00:1", false, true),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("::a9fe:a9fe", false, false),
            ("fd00:ec2::254", false, false),
            ("fe80::1", false, false),
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("::", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("ff02::1", false, false),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(Reach::Public.permits(parsed), public, "{address}");
            assert_eq!(Reach::Private.permits(parsed), private, "{address}");
            assert!(Reach::All.permits(parsed), "{address}");
        }
    }

    #[test]
    fn codes_are_read_and_nothing_else() {
        let body = b"<?xml?><Error><Code>NoSuchBucket</Code><Message>m</Message></Error>";
        assert_eq!(error_code(body).as_deref(), Some("NoSuchBucket"));
        for bad in ["", "<Code>", "<Code></Code>", "<Code>a b</Code>", "<Code>\u{1b}[1m</Code>"] {
            assert_eq!(error_code(bad.as_bytes()), None);
        }
    }
}
