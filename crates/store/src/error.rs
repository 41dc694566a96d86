//! What can go wrong with stored bytes, and what that means to callers.

use std::io;

use crossbill_core::{Error, ErrorKind};

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
        Self::Unavailable { operation, key: key.to_string(), problem: error.to_string() }
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
            other => Self::Unavailable { operation, key, problem: other.to_string() },
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Exists { .. } => ErrorKind::Conflict,
            StoreError::NotFound { .. } => ErrorKind::NotFound,
            StoreError::Corrupt { .. } => ErrorKind::Corrupt,
            StoreError::Locked { .. } => ErrorKind::FailedPrecondition,
            StoreError::Unavailable { .. } => ErrorKind::Unavailable,
            StoreError::TooLarge { .. } => ErrorKind::TooLarge,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}
