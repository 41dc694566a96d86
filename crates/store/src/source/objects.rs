//! Object stores as an import source: listing, and ranges of exactly the
//! objects that were listed, whichever store it is. How a store is reached
//! and with which keys is the business of [`super::stores`].

mod write;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use crossbill_core::limits;
use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use parking_lot::Mutex;

use super::answers::{Reached, explain};
use super::guard::{ANSWER, Answer};
use super::pattern::PathPattern;
use super::retry::{CANCEL_POLL, Failure, Retry};
use super::{SkippedEntry, SourceError, SourceObject, Wanted};
use crate::runtime::block_on;
use crate::{FaultPlan, FaultStore};

pub(crate) use write::Body;

/// An attempt that brought less than this has brought nothing: a server that
/// drips bytes must not hold a task for ever.
const PROGRESS_BYTES_MIN: usize = 64 * 1024;
/// Bytes that are reserved for a range before any has arrived.
const RESERVED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Objects that a look at a pattern goes through.
const PEEKED_OBJECTS_MAX: usize = 10_000;
/// Begins the tag of an object that has no ETag.
const TIME_TAG: &str = "time:";

/// Objects of one bucket.
#[derive(Debug)]
pub(super) struct ObjectSource {
    store: Arc<dyn ObjectStore>,
    base: String,
    pattern: PathPattern,
    /// Where and how, for messages.
    reached: Reached,
    attempt_timeout: Duration,
}

impl ObjectSource {
    /// What `pattern` means in a bucket that `store` answers for.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        pattern: PathPattern,
        reached: Reached,
        attempt_timeout: Duration,
        faults: Option<Arc<FaultPlan>>,
    ) -> Self {
        let store = match faults {
            Some(plan) => Arc::new(FaultStore::new(store, plan)),
            None => store,
        };
        let base = pattern.base().join("/");
        Self { store, base, pattern, reached, attempt_timeout }
    }

    /// Where the objects are and how they are reached.
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.shown(""), self.reached)
    }

    pub(super) fn list(
        &self,
        retry: &Retry,
    ) -> Result<(Vec<SourceObject>, Vec<SkippedEntry>), SourceError> {
        let mut found = self.list_up_to(limits::SOURCE_OBJECTS_MAX, retry)?;
        if found.len() > limits::SOURCE_OBJECTS_MAX {
            return Err(super::too_many(&self.shown("")));
        }
        remove_directory_markers(&mut found);
        found.retain(|object| self.pattern.matches(&object.path));
        Ok((found, vec![]))
    }

    /// At least the first `max` + 1 objects, as far as there are so many, or
    /// fewer where the listing begins with many that are not meant.
    pub(super) fn peek(&self, max: usize, retry: &Retry) -> Result<Vec<SourceObject>, SourceError> {
        let look = if self.pattern.is_literal() { max } else { PEEKED_OBJECTS_MAX };
        let mut found = self.list_up_to(look, retry)?;
        remove_directory_markers(&mut found);
        found.retain(|object| self.pattern.matches(&object.path));
        Ok(found)
    }

    /// All objects below the base, or a few more than `max` of them.
    fn list_up_to(&self, max: usize, retry: &Retry) -> Result<Vec<SourceObject>, SourceError> {
        let what = || format!("listing {} {}", self.shown(""), self.reached);
        let mut found = Vec::new();
        let listed = retry.run(&what, || block_on(self.list_onwards(&mut found, max, retry)));
        let may_be_one =
            !self.base.is_empty() && self.pattern.is_literal() && !self.pattern.is_directory();
        let forbidden = match listed {
            Ok(()) => None,
            Err(error @ SourceError::Forbidden(_)) if may_be_one => Some(error),
            Err(error) => return Err(error),
        };
        if found.is_empty() && may_be_one {
            // Perhaps it is one object, which keys that may not list can read.
            return match (self.head(retry), forbidden) {
                (Ok(object), _) => Ok(vec![object]),
                (Err(SourceError::NotFound(_)), Some(forbidden)) => Err(forbidden),
                (Err(SourceError::NotFound(_)), None) => Err(SourceError::NotFound(format!(
                    "nothing lies at {} {}",
                    self.shown(""),
                    self.reached
                ))),
                (Err(error), _) => Err(error),
            };
        }
        Ok(found)
    }

    /// Lists what comes after what was found already.
    async fn list_onwards(
        &self,
        found: &mut Vec<SourceObject>,
        max: usize,
        retry: &Retry,
    ) -> Result<(), Failure> {
        let before = found.len();
        let prefix = self.location("")?;
        let prefix = (!self.base.is_empty()).then_some(&prefix);
        let mut stream = match found.last() {
            None => self.store.list(prefix),
            Some(last) => self.store.list_with_offset(prefix, &self.location(&last.path)?),
        };
        loop {
            let next = self.attempt("", retry, async { stream.next().await.transpose() }).await;
            let meta = match next.map_err(|f| f.after_progress(found.len() > before))? {
                Some(meta) => meta,
                None => break,
            };
            if let Some(path) = self.relative(meta.location.as_ref()) {
                found.push(SourceObject {
                    path: path.to_owned(),
                    size: meta.size,
                    etag: tag(&meta),
                });
            }
            if found.len() > max {
                break;
            }
        }
        // Stores list in key order, as a resumed listing needs; directory
        // buckets and some look-alikes do not.
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found.dedup_by(|a, b| a.path == b.path);
        Ok(())
    }

    /// The one object that the URI names.
    fn head(&self, retry: &Retry) -> Result<SourceObject, SourceError> {
        let what = || format!("looking for {} {}", self.shown(""), self.reached);
        let meta = retry.run(&what, || {
            let location = self.location("")?;
            block_on(self.attempt("", retry, self.store.head(&location)))
        })?;
        Ok(super::alone(&self.base, meta.size, &tag(&meta)))
    }

    pub(super) fn read(&self, wanted: &Wanted<'_>, retry: &Retry) -> Result<Bytes, SourceError> {
        let what = || format!("reading {} {}", self.shown(wanted.path), self.reached);
        let mut buffer = BytesMut::with_capacity(wanted.length().min(RESERVED_BYTES_MAX));
        retry.run(&what, || {
            let before = buffer.len();
            let read = block_on(self.read_onwards(wanted, &mut buffer, retry));
            read.map_err(|f| f.after_progress(buffer.len() >= before + PROGRESS_BYTES_MIN))
        })?;
        Ok(buffer.freeze())
    }

    /// Reads what is not in `buffer` yet.
    async fn read_onwards(
        &self,
        wanted: &Wanted<'_>,
        buffer: &mut BytesMut,
        retry: &Retry,
    ) -> Result<(), Failure> {
        if buffer.len() == wanted.length() {
            // All came, and then the answer broke all the same: who knows
            // what is right of it.
            buffer.clear();
        }
        let location = self.location(wanted.path)?;
        let rest = wanted.range.start + buffer.len() as u64..wanted.range.end;
        let pinned = Some(wanted.tag).filter(|tag| !tag.starts_with(TIME_TAG));
        let options = GetOptions::new().with_range(Some(rest.clone())).with_if_match(pinned);
        let receive = async {
            let result = self.store.get_opts(&location, options).await?;
            if result.meta.size != wanted.size || !same_version(wanted.tag, &result.meta) {
                return Ok(Err(self.changed(wanted, &result.meta)));
            }
            if result.range != rest {
                let problem = format!("asked for bytes {rest:?}, got {:?}", result.range);
                return Ok(Err(Failure::transient(problem)));
            }
            let mut stream = result.into_stream();
            while let Some(chunk) = stream.next().await {
                let chunk = chunk?;
                if chunk.len() > wanted.length() - buffer.len() {
                    // Who knows which of them were right: begin anew.
                    buffer.clear();
                    return Ok(Err(Failure::transient("got more bytes than were asked for")));
                }
                buffer.extend_from_slice(&chunk);
            }
            Ok(Ok(()))
        };
        self.attempt(wanted.path, retry, receive).await??;
        if buffer.len() < wanted.length() {
            let problem = format!("got {} of {} bytes", buffer.len(), wanted.length());
            return Err(Failure::transient(problem));
        }
        Ok(())
    }

    /// Runs one request for `path` with its time limit, and explains its failure.
    async fn attempt<T>(
        &self,
        path: &str,
        retry: &Retry,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failure> {
        let answer = Arc::new(Mutex::new(Answer::default()));
        let limited = tokio::time::timeout(self.attempt_timeout, request);
        let scoped = ANSWER.scope(Arc::clone(&answer), limited);
        let outcome = tokio::select! {
            outcome = scoped => outcome,
            () = cancelled(retry) => {
                let what = format!("waiting for {}", self.shown(path));
                return Err(Failure::Permanent(SourceError::Cancelled(what)));
            }
        };
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                Err(explain(&error, &answer.lock(), &self.shown(path), &self.reached))
            }
            Err(_) => {
                let seconds = self.attempt_timeout.as_secs_f32();
                Err(Failure::transient(format!("no complete answer in {seconds} s")))
            }
        }
    }

    fn changed(&self, wanted: &Wanted<'_>, now: &ObjectMeta) -> Failure {
        Failure::Permanent(SourceError::Changed(format!(
            "{} changed while it was being imported: found version {} of {} bytes, \
             expected {} of {}",
            self.shown(wanted.path),
            tag(now),
            now.size,
            wanted.tag,
            wanted.size
        )))
    }

    /// The key of `path`, which is relative to the base.
    fn location(&self, path: &str) -> Result<Path, Failure> {
        let parts = [self.base.as_str(), path];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Path::parse(parts.join("/")).map_err(|error| {
            let message = format!("{}: {error}", self.shown(path));
            Failure::Permanent(SourceError::Invalid(message))
        })
    }

    fn relative<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.base.is_empty() {
            return Some(key);
        }
        key.strip_prefix(self.base.as_str())?.strip_prefix('/')
    }

    pub(super) fn shown(&self, path: &str) -> String {
        let mut shown = self.reached.root.clone();
        for part in [self.base.as_str(), path].into_iter().filter(|part| !part.is_empty()) {
            shown.push('/');
            shown.push_str(part);
        }
        shown
    }
}

/// Ends when somebody cancels; never, where nobody can.
async fn cancelled(retry: &Retry) {
    if retry.cancel.is_none() {
        std::future::pending::<()>().await;
    }
    while !retry.is_cancelled() {
        tokio::time::sleep(CANCEL_POLL).await;
    }
}

/// What pins a version of an object: its ETag as HTTP writes it. Listings of
/// some stores leave out the quotes that their answers to reads have.
fn tag(meta: &ObjectMeta) -> String {
    match &meta.e_tag {
        Some(tag) if tag.starts_with('"') || tag.starts_with("W/\"") => tag.clone(),
        Some(tag) => format!("\"{tag}\""),
        None => format!("{TIME_TAG}{}", meta.last_modified.timestamp()),
    }
}

fn same_version(expected: &str, meta: &ObjectMeta) -> bool {
    match (expected.strip_prefix(TIME_TAG), &meta.e_tag) {
        (Some(time), _) => time == meta.last_modified.timestamp().to_string(),
        (None, Some(_)) => tag(meta) == expected,
        // The store checked it for us.
        (None, None) => true,
    }
}

/// Removes empty objects that stand for directories (`name/`), as consoles
/// and old tools make them. `objects` is sorted.
fn remove_directory_markers(objects: &mut Vec<SourceObject>) {
    let paths: Vec<String> = objects.iter().map(|object| object.path.clone()).collect();
    objects.retain(|object| {
        let below = format!("{}/", object.path);
        let next = paths.partition_point(|path| *path < below);
        let has_children = paths.get(next).is_some_and(|path| path.starts_with(&below));
        !(object.size == 0 && (object.path.is_empty() || has_children))
    });
}

#[cfg(test)]
mod tests;
