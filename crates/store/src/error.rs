//! What can go wrong with stored bytes, and what that means to callers.

use std::io;

use crossbill_core::{Error, ErrorKind, is_disk_full};

/// An error of the data root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The object to be created exists.
    #[error("object {key} exists already")]
    Exists {
        /// The object's key.
        key: String,
    },
    /// The object does not exist.
    #[error("object {key} does not exist")]
    NotFound {
        /// The object's key.
        key: String,
    },
    /// Stored bytes are damaged, missing or of an unknown version.
    #[error("{file} is damaged: {problem}")]
    Corrupt {
        /// The file or object.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// Another process owns the data directory.
    #[error("data directory {path} is in use by another process{holder}; each needs its own")]
    Locked {
        /// The data directory.
        path: String,
        /// What the lock file says of the other process, or nothing.
        holder: String,
    },
    /// The store did not do it; whether it took effect may be unknown.
    #[error("{operation} {key}: {problem}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// The object or file.
        key: String,
        /// What came back.
        problem: String,
    },
    /// The disk, or the part of it that this process may use, is full. Nothing
    /// took effect that anybody sees.
    #[error("the disk is full: {operation} {key}: {problem}")]
    Full {
        /// What was tried.
        operation: &'static str,
        /// The object or file.
        key: String,
        /// What came back.
        problem: String,
    },
    /// More than a limit allows.
    #[error("{what} of {found} bytes is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its bytes.
        found: u64,
        /// The bytes allowed.
        limit: u64,
    },
}

impl StoreError {
    pub(crate) fn io(operation: &'static str, key: impl ToString, error: &io::Error) -> Self {
        Self::failed(operation, key, error.to_string(), is_disk_full(error))
    }

    /// What an operation of the disk ended with.
    pub(crate) fn failed(
        operation: &'static str,
        key: impl ToString,
        problem: String,
        is_full: bool,
    ) -> Self {
        let key = key.to_string();
        match is_full {
            true => Self::Full { operation, key, problem },
            false => Self::Unavailable { operation, key, problem },
        }
    }

    pub(crate) fn corrupt(file: impl ToString, problem: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_string(), problem: problem.into() }
    }

    pub(crate) fn object(
        operation: &'static str,
        key: impl ToString,
        error: object_store::Error,
    ) -> Self {
        let key = key.to_string();
        match error {
            object_store::Error::AlreadyExists { .. } => Self::Exists { key },
            object_store::Error::NotFound { .. } => Self::NotFound { key },
            other => {
                Self::failed(operation, key, other.to_string(), is_caused_by_full_disk(&other))
            }
        }
    }
}

/// Whether any of the errors behind `error` says that the disk is full.
fn is_caused_by_full_disk(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(is_disk_full)
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Exists { .. } => ErrorKind::Conflict,
            StoreError::NotFound { .. } => ErrorKind::NotFound,
            StoreError::Corrupt { .. } => ErrorKind::Corrupt,
            StoreError::Locked { .. } => ErrorKind::FailedPrecondition,
            StoreError::Unavailable { .. } => ErrorKind::Unavailable,
            StoreError::Full { .. } => ErrorKind::DiskFull,
            StoreError::TooLarge { .. } => ErrorKind::TooLarge,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_one_that_fails() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let kind = |error: StoreError| Error::from(error).kind();
        assert_eq!(kind(StoreError::io("writing", "x", &full())), ErrorKind::DiskFull);
        let other = io::Error::other("smoke");
        assert_eq!(kind(StoreError::io("writing", "x", &other)), ErrorKind::Unavailable);
        let object = |error: io::Error| {
            let error = object_store::Error::Generic { store: "disk", source: Box::new(error) };
            StoreError::object("creating", "x", error)
        };
        assert_eq!(kind(object(full())), ErrorKind::DiskFull);
        assert_eq!(kind(object(other)), ErrorKind::Unavailable);
        let message = StoreError::io("writing", "x", &full()).to_string();
        assert!(message.starts_with("the disk is full: writing x: "), "{message}");
    }
}
