//! Where imports read from.
#![allow(clippy::todo, missing_docs)]
use std::{ops::Range, path::PathBuf, sync::{Arc, atomic::AtomicBool}, time::Duration};
use bytes::Bytes;
use crossbill_core::{Clock, Seed, SystemClock, Error};
use crate::FaultPlan;
/// A value that is never shown.
#[derive(Clone)]
pub struct Secret(String);
impl Secret { pub fn new(text: impl Into<String>) -> Self { Self(text.into()) } pub(crate) fn expose(&self) -> &str { &self.0 } }
impl std::fmt::Debug for Secret { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("Secret(***)") } }
/// A place imports may read from, with its credentials.
#[derive(Debug, Clone, Default)]
pub struct Integration { pub id: String, pub endpoint: Option<String>, pub region: Option<String>, pub access_key_id: Option<Secret>, pub secret_access_key: Option<Secret>, pub session_token: Option<Secret>, pub allow_http: bool, pub buckets: Vec<String> }
/// What imports may read. Build it with `..SourcePolicy::default()`: the default allows no file and knows no integration.
#[derive(Debug, Clone)]
pub struct SourcePolicy {
    pub allow_dirs: Vec<PathBuf>,
    /// The server's own data directory: never importable. `Database::open` sets it.
    pub data_dir: Option<PathBuf>,
    pub default_integration: Option<Integration>, pub integrations: Vec<Integration>,
    pub allow_private_endpoints: bool,
    /// How long transient errors are retried without any progress.
    pub retry_budget: Duration,
    pub clock: Arc<dyn Clock>, pub seed: Seed, pub faults: Option<Arc<FaultPlan>>,
}
impl Default for SourcePolicy { fn default() -> Self { Self { allow_dirs: vec![], data_dir: None, default_integration: None, integrations: vec![], allow_private_endpoints: false, retry_budget: Duration::from_secs(600), clock: Arc::new(SystemClock::new()), seed: Seed(0), faults: None } } }
impl SourcePolicy {
    /// Whether the operator's settings themselves are sound.
    pub fn validate(&self) -> Result<(), Error> { todo!() }
    pub fn check(&self, _uri: &str, _integration: Option<&str>) -> Result<SourceUri, Error> { todo!() }
    pub fn open(&self, _uri: &SourceUri) -> Result<Source, SourceError> { todo!() }
}
/// A checked import URI. Displays as the user wrote it.
#[derive(Debug, Clone)]
pub struct SourceUri { text: String, integration: Option<String> }
impl SourceUri { pub fn integration(&self) -> Option<&str> { self.integration.as_deref() } pub fn as_str(&self) -> &str { &self.text } }
/// An opened source; cheap to clone.
#[derive(Debug, Clone)]
pub struct Source;
impl Source {
    /// The same source, whose calls end with [`SourceError::Cancelled`] within a moment of `flag` becoming true.
    #[must_use]
    pub fn with_cancel(self, _flag: Arc<AtomicBool>) -> Self { todo!() }
    /// Sorted by path.
    pub fn list(&self) -> Result<Vec<SourceObject>, SourceError> { todo!() }
    /// As `list`, with what was passed over because it is no plain file (links, pipes), for warnings.
    pub fn list_with_skipped(&self) -> Result<(Vec<SourceObject>, Vec<SkippedEntry>), SourceError> { todo!() }
    pub fn read(&self, _object: &SourceObject, _range: Range<u64>) -> Result<Bytes, SourceError> { let _ = Secret::expose; todo!() }
}
/// One file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceObject { pub path: String, pub size: u64, pub etag: String }
/// An entry that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedEntry { pub path: String, pub reason: &'static str }
/// What went wrong with a source; each message names the place and what was tried.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    #[error("{0}")] NotFound(String),
    #[error("{0}")] Forbidden(String),
    #[error("{0}")] Changed(String),
    /// Transient errors went on until the retry budget was used up.
    #[error("{0}")] Unavailable(String),
    #[error("{0}")] Invalid(String),
    #[error("reading {0} was cancelled")] Cancelled(String),
}
impl From<SourceError> for Error { fn from(_error: SourceError) -> Self { todo!() } }
