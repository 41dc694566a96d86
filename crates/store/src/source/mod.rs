//! Where imports read from: local directories that the operator allows, and
//! buckets of object stores. A source lists its files once and reads ranges of exactly the
//! files it listed: one that changed is an error, never other bytes.

mod answers;
mod guard;
mod integration;
mod local;
mod objects;
mod pattern;
mod policy;
mod registry;
mod retry;
mod stores;
mod uri;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use crossbill_core::{Error, ErrorKind, limits};

pub(crate) use guard::{GuardedConnector, Reach};
pub use integration::{Integration, Secret, StoreKind};
pub(crate) use pattern::PathPattern;
pub use policy::SourcePolicy;
pub use registry::StoredIntegrations;
pub use uri::SourceUri;
pub(crate) use uri::{ObjectPlace, Parsed, parse, quote, refuse};

use local::LocalSource;
pub(crate) use objects::Body;
use objects::ObjectSource;
use retry::Retry;
use stores::Access;
use uri::Place;

/// An opened source. Clones share it.
#[derive(Debug, Clone)]
pub struct Source {
    kind: Kind,
    retry: Retry,
}

#[derive(Debug, Clone)]
enum Kind {
    Local(Arc<LocalSource>),
    Object(Arc<ObjectSource>),
}

/// A file of a source, at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceObject {
    /// Its path below the directory that the URI names (or that the URI's
    /// glob begins in), with `/` between names; of a single file its name.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// What pins its version.
    pub etag: String,
}

impl SourceObject {
    /// What pins its content: the same whichever URI it was found with.
    pub fn version(&self) -> &str {
        self.etag.strip_prefix(ALONE).unwrap_or(&self.etag)
    }
}

/// Something in a source that is no file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedEntry {
    /// Its path, as in [`SourceObject`].
    pub path: String,
    /// Why it was passed over.
    pub reason: &'static str,
}

/// What went wrong with a source. Each message says where, and with which
/// integration it was tried.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The bucket, directory or file does not exist (any more).
    #[error("{0}")]
    NotFound(String),
    /// The store or the system refuses access.
    #[error("{0}")]
    Forbidden(String),
    /// A file is no longer the version that was listed.
    #[error("{0}")]
    Changed(String),
    /// Transient errors went on until the retry budget was used up.
    #[error("{0}")]
    Unavailable(String),
    /// It will not work as asked or as configured.
    #[error("{0}")]
    Invalid(String),
    /// The flag given to [`Source::with_cancel`] was raised.
    #[error("{0}: cancelled")]
    Cancelled(String),
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        let kind = match &error {
            SourceError::NotFound(_) => ErrorKind::NotFound,
            SourceError::Forbidden(_) => ErrorKind::Forbidden,
            SourceError::Changed(_) | SourceError::Cancelled(_) => ErrorKind::FailedPrecondition,
            SourceError::Unavailable(_) => ErrorKind::Unavailable,
            SourceError::Invalid(_) => ErrorKind::Invalid,
        };
        Error::new(kind, error.to_string())
    }
}

impl SourcePolicy {
    /// Opens what [`SourcePolicy::check`] let pass. Object stores are not
    /// contacted yet.
    pub fn open(&self, uri: &SourceUri) -> Result<Source, SourceError> {
        let pattern = uri.pattern.clone();
        let kind = match &uri.place {
            Place::File { root, base } => {
                let (data_dir, faults) = (self.data_dir.as_deref(), self.faults.clone());
                Kind::Local(Arc::new(LocalSource::open(root, base, pattern, data_dir, faults)?))
            }
            Place::Object(place) => {
                let invalid = |error: Error| SourceError::Invalid(error.to_string());
                let chosen = self.integration(place.kind, uri.integration.as_deref());
                let chosen = chosen.map_err(invalid)?;
                let allow_private = self.allow_private_endpoints;
                if let Some(chosen) = &chosen {
                    chosen.validate(allow_private).map_err(invalid)?;
                }
                let access = Access::new(chosen.as_ref(), allow_private, self.attempt_timeout);
                let (store, reached) = stores::connect(place, &access)?;
                let (timeout, faults) = (self.attempt_timeout, self.faults.clone());
                Kind::Object(Arc::new(ObjectSource::new(store, pattern, reached, timeout, faults)))
            }
        };
        let clock = Arc::clone(&self.clock);
        let retry = Retry::new(clock, self.seed, self.retry_budget, self.retry_pause_max);
        Ok(Source { kind, retry })
    }
}

impl Source {
    /// The same source, whose calls end with [`SourceError::Cancelled`] within
    /// a fifth of a second of `flag` becoming true, waiting or not.
    #[must_use]
    pub fn with_cancel(mut self, flag: Arc<AtomicBool>) -> Self {
        self.retry.cancel = Some(flag);
        self
    }

    /// The files that the URI means, sorted by path.
    pub fn list(&self) -> Result<Vec<SourceObject>, SourceError> {
        self.list_with_skipped().map(|(objects, _)| objects)
    }

    /// As [`Source::list`], and what was passed over because it is no regular
    /// file (a link, a pipe), for warnings.
    pub fn list_with_skipped(&self) -> Result<(Vec<SourceObject>, Vec<SkippedEntry>), SourceError> {
        match &self.kind {
            Kind::Local(source) => source.list(&self.retry),
            Kind::Object(source) => source.list(&self.retry),
        }
    }

    /// The first files that the URI means, at most `max`, and whether there
    /// are more; of those that a listing begins with, for a look at a source.
    pub fn peek(&self, max: usize) -> Result<(Vec<SourceObject>, bool), SourceError> {
        let mut found = match &self.kind {
            Kind::Local(source) => source.list(&self.retry)?.0,
            Kind::Object(source) => source.peek(max, &self.retry)?,
        };
        let more = found.len() > max;
        found.truncate(max);
        Ok((found, more))
    }

    /// Where a listed file lies: the same for every URI that means it.
    pub fn location(&self, object: &SourceObject) -> String {
        let path = if object.etag.starts_with(ALONE) { "" } else { &object.path };
        match &self.kind {
            Kind::Local(source) => source.shown(path),
            Kind::Object(source) => source.shown(path),
        }
    }

    /// Where it is and, for an object store, with what it is reached; for
    /// messages.
    pub fn place(&self) -> String {
        match &self.kind {
            Kind::Local(source) => source.place(),
            Kind::Object(source) => source.place(),
        }
    }

    /// The bucket's client, for writing; none for local files.
    pub(crate) fn writer(&self) -> Option<ObjectWriter<'_>> {
        match &self.kind {
            Kind::Local(_) => None,
            Kind::Object(store) => Some(ObjectWriter { store, retry: &self.retry }),
        }
    }

    /// Bytes `range` of a listed file. Transient errors are retried and
    /// broken streams resumed.
    ///
    /// # Errors
    /// `Changed` where the file is not the listed version any more, `Invalid`
    /// where it has no such range.
    pub fn read(&self, object: &SourceObject, range: Range<u64>) -> Result<Bytes, SourceError> {
        if range.start > range.end || range.end > object.size {
            return Err(SourceError::Invalid(format!(
                "bytes {} to {} of {} were asked for, it has {}",
                range.start, range.end, object.path, object.size
            )));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let (path, tag) = match object.etag.strip_prefix(ALONE) {
            Some(tag) => ("", tag),
            None => (object.path.as_str(), object.etag.as_str()),
        };
        let wanted = Wanted { path, tag, size: object.size, range };
        match &self.kind {
            Kind::Local(source) => source.read(&wanted, &self.retry),
            Kind::Object(source) => source.read(&wanted, &self.retry),
        }
    }
}

/// Writes below the place that a URI names.
pub(crate) struct ObjectWriter<'a> {
    store: &'a ObjectSource,
    retry: &'a Retry,
}

impl ObjectWriter<'_> {
    /// Whether nothing lies there yet.
    pub(crate) fn is_empty(&self) -> Result<bool, SourceError> {
        self.store.is_empty(self.retry)
    }

    /// Writes an object, in place of what an earlier try left there.
    pub(crate) fn write(&self, path: &str, body: &dyn Body) -> Result<(), SourceError> {
        self.store.write(path, body, self.retry)
    }
}

/// Begins the tag of a file that is itself what the URI names. Its path is
/// its name, which a file below a directory of that name may have as well.
const ALONE: &str = "alone:";

/// The one file of a URI that names a file.
fn alone(base: &str, size: u64, tag: &str) -> SourceObject {
    let path = base.rsplit('/').next().unwrap_or_default().to_owned();
    SourceObject { path, size, etag: format!("{ALONE}{tag}") }
}

/// A range of one version of a file.
#[derive(Debug)]
struct Wanted<'a> {
    /// Below the base of the URI's pattern; empty for the base itself.
    path: &'a str,
    tag: &'a str,
    size: u64,
    range: Range<u64>,
}

impl Wanted<'_> {
    /// How many bytes are wanted.
    fn length(&self) -> usize {
        usize::try_from(self.range.end - self.range.start)
            .expect("callers ask for ranges that fit their memory")
    }
}

fn too_many(place: &str) -> SourceError {
    SourceError::Invalid(format!(
        "{place} holds more than {} files and directories",
        limits::SOURCE_OBJECTS_MAX
    ))
}

#[cfg(test)]
mod tests;
