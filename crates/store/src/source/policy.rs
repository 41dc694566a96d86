//! What imports may read: the operator's word. A request names a scheme, a
//! bucket and a path; where that is, and with which credentials it is read,
//! is decided here and nowhere else.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Clock, Error, Result, Seed, SystemClock, limits};

use super::integration::{Integration, StoreKind, name_of};
use super::registry::StoredIntegrations;
use super::stores;
use super::uri::{self, ObjectPlace, Parsed, Place, SourceUri};
use crate::FaultPlan;

/// What imports may read. The default allows no local file and reads only
/// public buckets, unsigned.
#[derive(Debug, Clone)]
pub struct SourcePolicy {
    /// Directories below which `file://` may read; empty turns it off.
    pub allow_dirs: Vec<PathBuf>,
    /// The server's own data directory, which is never read.
    pub data_dir: Option<PathBuf>,
    /// A directory within `data_dir` that is read all the same: where a process
    /// that embeds the database lays down what it hands over.
    pub handed_over: Option<PathBuf>,
    /// What is used where a request names no integration, at most one a kind;
    /// for a kind without one, requests are not signed.
    pub defaults: Vec<Integration>,
    /// What a request may name: those of the settings.
    pub integrations: Vec<Integration>,
    /// What a request may name as well: those made while the server runs.
    pub stored: StoredIntegrations,
    /// Endpoints that those made while the server runs may have though they
    /// are plain `http://` or private: scheme, host and port.
    pub allow_endpoints: Vec<String>,
    /// Whether any address may be connected to, link-local ones included.
    pub allow_private_endpoints: bool,
    /// How long transient errors are retried without any progress.
    pub retry_budget: Duration,
    /// The longest pause between two attempts, but for what a server asks for.
    pub retry_pause_max: Duration,
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
            handed_over: None,
            defaults: Vec::new(),
            integrations: Vec::new(),
            stored: StoredIntegrations::default(),
            allow_endpoints: Vec::new(),
            allow_private_endpoints: false,
            retry_budget: Duration::from_secs(600),
            retry_pause_max: Duration::from_secs(20),
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
        for (place, integration) in self.defaults.iter().enumerate() {
            if self.defaults[..place].iter().any(|other| other.kind == integration.kind) {
                let kind = integration.kind.as_str();
                return Err(Error::invalid(format!("two default integrations are of kind {kind}")));
            }
            integration.validate(self.allow_private_endpoints)?;
        }
        for endpoint in &self.allow_endpoints {
            if origin(endpoint).is_none() {
                return Err(Error::invalid(format!(
                    "allowed endpoint {endpoint:?} is no URL, expected one like \
                     http://minio.internal:9000"
                )));
            }
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
            Parsed::Object { place, pattern } => {
                let place = self.object(uri, place, pattern.base(), integration)?;
                (Place::Object(place), pattern)
            }
        };
        let integration = integration.map(str::to_owned);
        Ok(SourceUri { text: uri.to_owned(), integration, place, pattern })
    }

    /// Whether the integration may read the place, whose account it completes.
    fn object(
        &self,
        uri: &str,
        mut place: ObjectPlace,
        base: &[String],
        integration: Option<&str>,
    ) -> Result<ObjectPlace> {
        let chosen = self.integration(place.kind, integration)?;
        let name = || name_of(chosen.as_ref());
        if let Some(other) = chosen.as_ref().map(|i| i.kind).filter(|kind| *kind != place.kind) {
            let (found, expected) = (other.as_str(), place.kind.as_str());
            let problem = format!("{} is of kind {found}, expected kind {expected}", name());
            return Err(uri::refuse(uri, &problem));
        }
        if !chosen.as_ref().is_none_or(|chosen| chosen.allows(&place.bucket, base)) {
            let (uri, name) = (uri::quote(uri), name());
            let what = place.kind.bucket_word();
            return Err(Error::forbidden(format!(
                "import uri {uri:?} is outside the {what}s that {name} may read"
            )));
        }
        let account = chosen.as_ref().and_then(|chosen| chosen.account.as_deref());
        match account {
            Some(account) if place.account.is_empty() => place.account = account.to_owned(),
            Some(account) if place.account != account => {
                let (uri, name) = (uri::quote(uri), name());
                return Err(Error::forbidden(format!(
                    "import uri {uri:?} is in the account {:?}, {name} is for {account:?}",
                    place.account
                )));
            }
            None if place.kind == StoreKind::Azure && place.account.is_empty() => {
                let problem = format!(
                    "it names no account and neither does {}; name an integration that has one, \
                     or write https://ACCOUNT.blob.core.windows.net/{}/",
                    name(),
                    place.bucket
                );
                return Err(uri::refuse(uri, &problem));
            }
            _ => {}
        }
        Ok(place)
    }

    /// The integration named `id`, or the default one of `kind` if there is one.
    pub(super) fn integration(
        &self,
        kind: StoreKind,
        id: Option<&str>,
    ) -> Result<Option<Integration>> {
        let Some(id) = id else {
            return Ok(self.defaults.iter().find(|default| default.kind == kind).cloned());
        };
        if let Some(found) = self.integrations.iter().find(|integration| integration.id == id) {
            return Ok(Some(found.clone()));
        }
        match self.stored.get(id) {
            Some(found) => Ok(Some(self.vouched(found))),
            None => Err(unknown(id)),
        }
    }

    /// An integration that a request made, with the operator's word on its
    /// endpoint.
    fn vouched(&self, mut integration: Integration) -> Integration {
        let own = integration.endpoint.as_deref().and_then(origin);
        let mut allowed = self.allow_endpoints.iter().filter_map(|endpoint| origin(endpoint));
        integration.trusted_endpoint = own.is_some_and(|own| allowed.any(|other| other == own));
        integration
    }

    /// Checks an integration that a request wants to make.
    ///
    /// # Errors
    /// `Invalid`, saying what of it cannot be.
    pub fn check_integration(&self, integration: &Integration) -> Result<()> {
        integration.check_request()?;
        self.vouched(integration.clone()).validate(self.allow_private_endpoints)?;
        stores::check_credentials(integration)
            .map_err(|problem| Error::invalid(format!("{}: {problem}", name_of(Some(integration)))))
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
        if let Some(root) = self.handed_over.as_ref().and_then(|dir| dir.canonicalize().ok())
            && let Ok(below) = asked.strip_prefix(&root)
        {
            let below = names(below);
            return Ok((root, below));
        }
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

/// The error for an integration that does not exist.
pub(super) fn unknown(id: &str) -> Error {
    let shown: String = id.chars().take(limits::QUOTED_CHARS_MAX).collect();
    Error::invalid(format!("integration {shown:?} does not exist"))
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> Option<reqwest::Url> {
    let mut url = reqwest::Url::parse(url).ok().filter(reqwest::Url::has_host)?;
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

fn names(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => name.to_str().map(str::to_owned),
            _ => None,
        })
        .collect()
}
