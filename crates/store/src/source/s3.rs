//! S3 and what speaks its protocol as an import source. Credentials, region
//! and endpoint come from an integration alone, nothing from the process's
//! environment; without keys, requests are not signed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use crossbill_core::limits;
use futures::StreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig};
use parking_lot::Mutex;

use super::guard::{ANSWER, Answer, GuardedConnector, Reach, Refused};
use super::pattern::PathPattern;
use super::policy::{Integration, name_of};
use super::retry::{CANCEL_POLL, Failure, Retry};
use super::{SkippedEntry, SourceError, SourceObject, Wanted};
use crate::runtime::block_on;
use crate::{FaultPlan, FaultStore};

/// An attempt that brought less than this has brought nothing: a server that
/// drips bytes must not hold a task for ever.
const PROGRESS_BYTES_MIN: usize = 64 * 1024;
/// Bytes that are reserved for a range before any has arrived.
const RESERVED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Begins the tag of an object that has no ETag.
const TIME_TAG: &str = "time:";

/// Objects of one bucket.
#[derive(Debug)]
pub(super) struct S3Source {
    store: Arc<dyn ObjectStore>,
    bucket: String,
    base: String,
    pattern: PathPattern,
    /// Where and how, for messages.
    reached: String,
    attempt_timeout: Duration,
}

/// How to reach the store.
#[derive(Debug)]
pub(super) struct S3Settings<'a> {
    pub integration: Option<&'a Integration>,
    pub allow_private_endpoints: bool,
    pub attempt_timeout: Duration,
    pub faults: Option<Arc<FaultPlan>>,
}

impl S3Source {
    pub(super) fn open(
        bucket: &str,
        pattern: PathPattern,
        settings: S3Settings<'_>,
    ) -> Result<Self, SourceError> {
        let integration = settings.integration;
        let region = integration.and_then(|i| i.region.as_deref()).unwrap_or("us-east-1");
        let endpoint = integration.and_then(|i| i.endpoint.as_deref());
        let plain_http = endpoint
            .is_some_and(|url| url.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("http:")));
        let reach = match (settings.allow_private_endpoints, endpoint) {
            (true, _) => Reach::All,
            (false, Some(_)) => Reach::Private,
            (false, None) => Reach::Public,
        };
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_retry(retry)
            .with_allow_http(plain_http)
            .with_http_connector(GuardedConnector {
                reach,
                plain_http,
                read_timeout: settings.attempt_timeout,
            });
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let keys = integration
            .and_then(|i| Some((i.access_key_id.as_ref()?, i.secret_access_key.as_ref()?)));
        builder = match keys {
            Some((id, secret)) => {
                builder.with_access_key_id(id.expose()).with_secret_access_key(secret.expose())
            }
            None => builder.with_skip_signature(true),
        };
        if let Some(token) = integration.and_then(|i| i.session_token.as_ref()) {
            builder = builder.with_token(token.expose());
        }
        let place = endpoint.map_or_else(|| format!("AWS region {region}"), str::to_owned);
        let reached = format!("at {place} with {}", name_of(integration));
        let store = builder.build().map_err(|error| {
            SourceError::Invalid(format!("bucket {bucket} {reached}: {}", cause(&error)))
        })?;
        let mut store: Arc<dyn ObjectStore> = Arc::new(store);
        if let Some(plan) = settings.faults {
            store = Arc::new(FaultStore::new(store, plan));
        }
        let (bucket, base) = (bucket.to_owned(), pattern.base().join("/"));
        let attempt_timeout = settings.attempt_timeout;
        Ok(Self { store, bucket, base, pattern, reached, attempt_timeout })
    }

    pub(super) fn list(
        &self,
        retry: &Retry,
    ) -> Result<(Vec<SourceObject>, Vec<SkippedEntry>), SourceError> {
        let what = || format!("listing {} {}", self.shown(""), self.reached);
        let mut found = Vec::new();
        let listed = retry.run(&what, || block_on(self.list_onwards(&mut found, retry)));
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
                (Ok(object), _) => Ok((vec![object], vec![])),
                (Err(SourceError::NotFound(_)), Some(forbidden)) => Err(forbidden),
                (Err(SourceError::NotFound(_)), None) => Err(SourceError::NotFound(format!(
                    "nothing lies at {} {}",
                    self.shown(""),
                    self.reached
                ))),
                (Err(error), _) => Err(error),
            };
        }
        remove_directory_markers(&mut found);
        found.retain(|object| self.pattern.matches(&object.path));
        Ok((found, vec![]))
    }

    /// Lists what comes after what was found already.
    async fn list_onwards(
        &self,
        found: &mut Vec<SourceObject>,
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
            let next = self.attempt(retry, async { stream.next().await.transpose() }).await;
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
            if found.len() > limits::SOURCE_OBJECTS_MAX {
                return Err(Failure::Permanent(super::too_many(&self.shown(""))));
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
            block_on(self.attempt(retry, self.store.head(&location)))
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
                    return Ok(Err(Failure::transient("got more bytes than were asked for")));
                }
                buffer.extend_from_slice(&chunk);
            }
            Ok(Ok(()))
        };
        self.attempt(retry, receive).await??;
        if buffer.len() < wanted.length() {
            let problem = format!("got {} of {} bytes", buffer.len(), wanted.length());
            return Err(Failure::transient(problem));
        }
        Ok(())
    }

    /// Runs one request with its time limit, and explains its failure.
    async fn attempt<T>(
        &self,
        retry: &Retry,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failure> {
        let answer = Arc::new(Mutex::new(Answer::default()));
        let limited = tokio::time::timeout(self.attempt_timeout, request);
        let scoped = ANSWER.scope(Arc::clone(&answer), limited);
        let outcome = tokio::select! {
            outcome = scoped => outcome,
            () = cancelled(retry) => {
                let what = format!("waiting for {}", self.shown(""));
                return Err(Failure::Permanent(SourceError::Cancelled(what)));
            }
        };
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.explain(&error, &answer.lock())),
            Err(_) => {
                let seconds = self.attempt_timeout.as_secs_f32();
                Err(Failure::transient(format!("no complete answer in {seconds} s")))
            }
        }
    }

    /// What a failed request means: by the server's status where it gave one.
    fn explain(&self, error: &object_store::Error, answer: &Answer) -> Failure {
        let place = format!("{} {}", self.shown(""), self.reached);
        let code = answer.code.as_deref().unwrap_or("no code");
        let Some(status) = answer.status else { return self.explain_without_status(error) };
        let said = format!("the store answered {status} ({code})");
        let error = match status {
            401 | 403 => SourceError::Forbidden(format!("{place}: {said}")),
            404 if code == "NoSuchBucket" => SourceError::NotFound(format!(
                "bucket {} does not exist {}",
                self.bucket, self.reached
            )),
            404 => SourceError::NotFound(format!("{place}: {said}")),
            412 | 416 => SourceError::Changed(format!(
                "{place}: an object changed while it was being imported: {said}"
            )),
            _ if answer.region.is_some() && (300..=400).contains(&status) => {
                SourceError::Invalid(format!(
                    "bucket {} is in region {}, it was looked for {}",
                    self.bucket,
                    answer.region.as_deref().unwrap_or_default(),
                    self.reached
                ))
            }
            300..=399 => {
                SourceError::Invalid(format!("{place}: {said}, and imports follow no redirect"))
            }
            408 | 409 | 425 | 429 => {
                let retry_after = answer.retry_after;
                return Failure::Transient { problem: said, retry_after, progressed: false };
            }
            // Throttling and slow requests come as 400 from some stores.
            400 if matches!(code, "RequestTimeout" | "SlowDown" | "Throttling") => {
                return Failure::transient(said);
            }
            400..=499 => SourceError::Invalid(format!("{place}: {said}")),
            _ => {
                let retry_after = answer.retry_after;
                return Failure::Transient { problem: said, retry_after, progressed: false };
            }
        };
        Failure::Permanent(error)
    }

    fn explain_without_status(&self, error: &object_store::Error) -> Failure {
        let place = format!("{} {}", self.shown(""), self.reached);
        let problem = cause(error);
        let refused = causes(error).any(|cause| cause.is::<Refused>());
        if refused {
            return Failure::Permanent(SourceError::Forbidden(format!("{place}: {problem}")));
        }
        match error {
            object_store::Error::Precondition { .. } => Failure::Permanent(SourceError::Changed(
                format!("{place}: an object changed while it was being imported"),
            )),
            object_store::Error::InvalidPath { .. } => Failure::Permanent(SourceError::Invalid(
                format!("{place}: a key in it cannot be addressed: {problem}"),
            )),
            object_store::Error::NotFound { .. } => {
                Failure::Permanent(SourceError::NotFound(format!("{place}: {problem}")))
            }
            _ if problem.contains("certificate") => {
                Failure::Permanent(SourceError::Invalid(format!("{place}: {problem}")))
            }
            _ => Failure::transient(problem),
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

    fn shown(&self, path: &str) -> String {
        let mut shown = format!("s3://{}", self.bucket);
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

/// What pins a version of an object.
fn tag(meta: &ObjectMeta) -> String {
    match &meta.e_tag {
        Some(tag) => tag.clone(),
        None => format!("{TIME_TAG}{}", meta.last_modified.timestamp()),
    }
}

fn same_version(expected: &str, meta: &ObjectMeta) -> bool {
    match (expected.strip_prefix(TIME_TAG), &meta.e_tag) {
        (Some(time), _) => time == meta.last_modified.timestamp().to_string(),
        (None, Some(found)) => found == expected,
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

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The innermost cause: what people can act on.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests;
