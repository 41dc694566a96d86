//! What a failed request to an object store means: whether it may work when
//! tried again, and in which words the user hears of it.

use std::fmt;

use super::SourceError;
use super::guard::{Answer, Refused};
use super::integration::StoreKind;
use super::retry::Failure;

/// Where a bucket is and how it is reached, for messages.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    pub kind: StoreKind,
    /// The bucket as the user's URI begins, such as `s3://lake`.
    pub root: String,
    /// Such as `at AWS region us-east-1 with integration "lake"`.
    pub how: String,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.how)
    }
}

/// Codes with which stores say that the credentials are at fault, whatever
/// the status beside them.
const REFUSALS: &[&str] = &[
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "PublicAccessNotPermitted",
    "AuthenticationFailed",
];
/// Codes of a bucket that is not there.
const NO_BUCKET: &[&str] = &["NoSuchBucket", "ContainerNotFound"];
/// Codes of throttling and slow requests that some stores send with 400.
const PATIENCE: &[&str] = &["RequestTimeout", "SlowDown", "Throttling", "OperationTimedOut"];

/// What a failed request for `shown` means: by the server's status where it
/// gave one.
pub(super) fn explain(
    error: &object_store::Error,
    answer: &Answer,
    shown: &str,
    reached: &Reached,
) -> Failure {
    let place = format!("{shown} {reached}");
    let Some(status) = answer.status else { return without_status(error, &place) };
    let code = answer.code.as_deref().unwrap_or("no code");
    let said = format!("the store answered {status} ({code})");
    let transient = || Failure::Transient {
        problem: said.clone(),
        retry_after: answer.retry_after,
        progressed: false,
    };
    Failure::Permanent(match status {
        401 | 403 => SourceError::Forbidden(format!("{place}: {said}")),
        400..=499 if REFUSALS.contains(&code) => SourceError::Forbidden(format!("{place}: {said}")),
        404 if NO_BUCKET.contains(&code) => {
            let (what, root) = (reached.kind.bucket_word(), &reached.root);
            SourceError::NotFound(format!("{what} {root} does not exist {reached}"))
        }
        404 => SourceError::NotFound(format!("{place}: {said}")),
        412 | 416 => SourceError::Changed(format!(
            "{place}: an object changed while it was being imported: {said}"
        )),
        _ if answer.region.is_some() && (300..=400).contains(&status) => {
            let region = answer.region.as_deref().unwrap_or_default();
            let root = &reached.root;
            SourceError::Invalid(format!(
                "bucket {root} is in region {region}, it was looked for {reached}"
            ))
        }
        300..=399 => {
            SourceError::Invalid(format!("{place}: {said}, and imports follow no redirect"))
        }
        408 | 409 | 425 | 429 => return transient(),
        400 if PATIENCE.contains(&code) => return transient(),
        400..=499 => SourceError::Invalid(format!("{place}: {said}")),
        _ => return transient(),
    })
}

fn without_status(error: &object_store::Error, place: &str) -> Failure {
    let problem = cause(error);
    if causes(error).any(|cause| cause.is::<Refused>()) {
        return Failure::Permanent(SourceError::Forbidden(format!("{place}: {problem}")));
    }
    Failure::Permanent(match error {
        object_store::Error::Precondition { .. } => {
            SourceError::Changed(format!("{place}: an object changed while it was being imported"))
        }
        object_store::Error::InvalidPath { .. } => {
            SourceError::Invalid(format!("{place}: a key in it cannot be addressed: {problem}"))
        }
        object_store::Error::NotFound { .. } => {
            SourceError::NotFound(format!("{place}: {problem}"))
        }
        _ if problem.contains("certificate") => SourceError::Invalid(format!("{place}: {problem}")),
        _ => return Failure::transient(problem),
    })
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The innermost cause: what people can act on.
pub(super) fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
