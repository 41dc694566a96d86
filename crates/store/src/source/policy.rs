//! What imports may read: the operator's word. A request names a scheme, a
//! bucket and a path; where that is, and with which credentials it is read,
//! is decided here and nowhere else.

use std::fmt;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Clock, Error, Result, Seed, SystemClock, limits};

use super::guard;
use super::uri::{self, Parsed, Place, SourceUri};
use crate::FaultPlan;

/// A value that is never shown or logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// An object store that imports may read from, as the operator configured it.
#[derive(Debug, Clone, Default)]
pub struct Integration {
    /// The name by which a request asks for it.
    pub id: String,
    /// Where the store answers, such as `https://minio.example.com:9000`;
    /// `None` means AWS.
    pub endpoint: Option<String>,
    /// The region; `None` means `us-east-1`.
    pub region: Option<String>,
    /// The access key's id; without keys, requests are not signed.
    pub access_key_id: Option<Secret>,
    /// The access key itself.
    pub secret_access_key: Option<Secret>,
    /// The token of temporary keys.
    pub session_token: Option<Secret>,
    /// Whether `endpoint` may be plain `http://`.
    pub allow_http: bool,
    /// What may be read with it: `bucket` or `bucket/prefix`; empty means
    /// everything the keys can read.
    pub buckets: Vec<String>,
}

/// What imports may read. The default allows no local file and reads only
/// public S3 buckets, unsigned.
#[derive(Debug, Clone)]
pub struct SourcePolicy {
    /// Directories below which `file://` may read; empty turns it off.
    pub allow_dirs: Vec<PathBuf>,
    /// The server's own data directory, which is never read.
    pub data_dir: Option<PathBuf>,
    /// What is used where a request names no integration; `None` means AWS,
    /// unsigned.
    pub default_integration: Option<Integration>,
    /// What a request may name.
    pub integrations: Vec<Integration>,
    /// Whether any address may be connected to, link-local ones included.
    pub allow_private_endpoints: bool,
    /// How long transient errors are retried without any progress.
    pub retry_budget: Duration,
    /// How long one request may take before it is given up and retried.
    pub attempt_timeout: Duration,
    /// What pauses between attempts and counts the budget.
    pub clock: Arc<dyn Clock>,
    /// Where the jitter of pauses comes from.
    pub seed: Seed,
    /// Faults to inject; `None` but in tests.
    pub faults: Option<Arc<FaultPlan>>,
}

impl Default for SourcePolicy {
    fn default() -> Self {
        Self {
            allow_dirs: Vec::new(),
            data_dir: None,
            default_integration: None,
            integrations: Vec::new(),
            allow_private_endpoints: false,
            retry_budget: Duration::from_secs(600),
            attempt_timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock::new()),
            seed: Seed(0),
            faults: None,
        }
    }
}

impl SourcePolicy {
    /// Whether the operator's settings are sound; to be asked at start-up.
    ///
    /// # Errors
    /// `Invalid`, with the name of the setting.
    pub fn validate(&self) -> Result<()> {
        for (place, integration) in self.integrations.iter().enumerate() {
            let id = &integration.id;
            if id.is_empty() || id.chars().count() > limits::INTEGRATION_ID_CHARS_MAX {
                return Err(Error::invalid(format!(
                    "integration {place} has an id of {} characters, expected 1 to {}",
                    id.chars().count(),
                    limits::INTEGRATION_ID_CHARS_MAX
                )));
            }
            if self.integrations[..place].iter().any(|other| other.id == *id) {
                return Err(Error::invalid(format!("two integrations have the id {id:?}")));
            }
            integration.validate(self.allow_private_endpoints)?;
        }
        if let Some(integration) = &self.default_integration {
            integration.validate(self.allow_private_endpoints)?;
        }
        for directory in &self.allow_dirs {
            if !directory.is_absolute() {
                return Err(Error::invalid(format!(
                    "allowed import directory {} is not an absolute path",
                    directory.display()
                )));
            }
        }
        Ok(())
    }

    /// Checks what a request asks for, without touching the source.
    ///
    /// # Errors
    /// `Invalid` for a malformed URI or an unknown integration, `Forbidden`
    /// for what the operator does not allow, `Unsupported` for stores that
    /// this version does not speak to.
    pub fn check(&self, uri: &str, integration: Option<&str>) -> Result<SourceUri> {
        let (place, pattern) = match uri::parse(uri)? {
            Parsed::File(pattern) => {
                if integration.is_some() {
                    return Err(uri::refuse(uri, "an integration is for object stores only"));
                }
                let (root, base) = self.allowed_file(uri, pattern.base())?;
                (Place::File { root, base }, pattern)
            }
            Parsed::S3 { bucket, pattern } => {
                let chosen = self.integration(integration)?;
                if !chosen.is_none_or(|chosen| chosen.allows(&bucket, pattern.base())) {
                    return Err(Error::forbidden(format!(
                        "import uri {:?} is outside the buckets that {} may read",
                        uri::quote(uri),
                        name_of(chosen)
                    )));
                }
                (Place::S3 { bucket }, pattern)
            }
        };
        let integration = integration.map(str::to_owned);
        Ok(SourceUri { text: uri.to_owned(), integration, place, pattern })
    }

    /// The integration named `id`, or the default one if there is one.
    pub(super) fn integration(&self, id: Option<&str>) -> Result<Option<&Integration>> {
        let Some(id) = id else { return Ok(self.default_integration.as_ref()) };
        match self.integrations.iter().find(|integration| integration.id == id) {
            Some(found) => Ok(Some(found)),
            None => {
                let shown: String = id.chars().take(limits::QUOTED_CHARS_MAX).collect();
                Err(Error::invalid(format!("integration {shown:?} does not exist")))
            }
        }
    }

    /// The allowed directory that the file or directory lies in, and the way
    /// from there.
    fn allowed_file(&self, uri: &str, base: &[String]) -> Result<(PathBuf, Vec<String>)> {
        if self.allow_dirs.is_empty() {
            return Err(Error::forbidden(
                "file:// imports are off: the operator allows no local directory",
            ));
        }
        let asked: PathBuf = std::iter::once("/").chain(base.iter().map(String::as_str)).collect();
        let data_dir = self.data_dir.as_ref().and_then(|dir| dir.canonicalize().ok());
        for allowed in &self.allow_dirs {
            let Ok(root) = allowed.canonicalize() else { continue };
            let below = asked.strip_prefix(&root).or_else(|_| asked.strip_prefix(allowed));
            let Ok(below) = below else { continue };
            if data_dir.is_some_and(|data_dir| root.join(below).starts_with(data_dir)) {
                return Err(Error::forbidden(format!(
                    "import uri {:?} is inside the server's own data directory",
                    uri::quote(uri)
                )));
            }
            return Ok((root, names(below)));
        }
        Err(Error::forbidden(format!(
            "import uri {:?} is outside the directories that the operator allows",
            uri::quote(uri)
        )))
    }
}

fn names(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => name.to_str().map(str::to_owned),
            _ => None,
        })
        .collect()
}

/// How messages call an integration.
pub(super) fn name_of(integration: Option<&Integration>) -> String {
    match integration {
        Some(integration) if integration.id.is_empty() => "the default integration".to_owned(),
        Some(integration) => format!("integration {:?}", integration.id),
        None => "no integration (unsigned)".to_owned(),
    }
}

impl Integration {
    fn allows(&self, bucket: &str, base: &[String]) -> bool {
        self.buckets.is_empty()
            || self.buckets.iter().any(|allowed| {
                let mut names = allowed.split('/').filter(|name| !name.is_empty());
                names.next() == Some(bucket)
                    && names.enumerate().all(|(at, name)| base.get(at).is_some_and(|b| b == name))
            })
    }

    /// Whether the settings are sound.
    pub(super) fn validate(&self, allow_private_endpoints: bool) -> Result<()> {
        let refuse =
            |problem: String| Err(Error::invalid(format!("{}: {problem}", name_of(Some(self)))));
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return refuse("it has one half of an access key, expected both or none".to_owned());
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return refuse("it has a session token but no access key".to_owned());
        }
        let region_fits = |region: &String| {
            !region.is_empty()
                && region.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if let Some(region) = self.region.as_ref().filter(|region| !region_fits(region)) {
            return refuse(format!("found the region {region:?}, expected a name like us-east-1"));
        }
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let Ok(url) = reqwest::Url::parse(endpoint) else {
            return refuse(format!("the endpoint {endpoint:?} is no URL"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the endpoint has a user in it, expected keys as settings".to_owned());
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                return refuse(format!(
                    "the endpoint {endpoint} is plain http, which has to be allowed explicitly"
                ));
            }
            other => return refuse(format!("found the endpoint scheme {other:?}, expected https")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("the endpoint has a query or fragment, expected none".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        if address.is_some_and(guard::is_never_a_store) && !allow_private_endpoints {
            return refuse(format!(
                "the endpoint {endpoint} is a link-local or unspecified address, which has to be \
                 allowed explicitly"
            ));
        }
        Ok(())
    }
}
