//! Why a whole file, or the rest of one, cannot be imported.

use crossbill_store::SourceError;

use crate::reject::{Reject, codes};

/// Why a file cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FileFailure {
    /// The file is bad: one error of the import, with a stable code and a
    /// reason that does not name the file.
    #[error("{reason}")]
    Bad {
        /// One of [`codes`].
        code: &'static str,
        /// What was found and expected.
        reason: String,
    },
    /// The source failed; whether that is the file's fault depends.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl FileFailure {
    /// A bad file.
    pub(crate) fn bad(code: &'static str, reason: impl Into<String>) -> Self {
        FileFailure::Bad { code, reason: reason.into() }
    }

    /// The same, where the file is bad because it is over a limit.
    pub(crate) fn of_a_limit(self) -> Self {
        match self {
            FileFailure::Bad { reason, .. } => FileFailure::bad(codes::FILE_LIMIT, reason),
            source => source,
        }
    }

    /// The code and reason where the file itself is at fault (bad, vanished,
    /// changed); otherwise the source's error, which fails the import.
    pub(crate) fn of_the_file(self) -> Result<(&'static str, String), SourceError> {
        match self {
            FileFailure::Bad { code, reason } => Ok((code, reason)),
            FileFailure::Source(SourceError::NotFound(reason)) => {
                Ok((codes::FILE_VANISHED, reason))
            }
            FileFailure::Source(SourceError::Changed(reason)) => Ok((codes::FILE_CHANGED, reason)),
            FileFailure::Source(error) => Err(error),
        }
    }
}

/// The reject of the file at `path`.
pub(crate) fn file_reject(path: &str, row_group: Option<u32>, code: &str, reason: &str) -> Reject {
    let place = row_group.map(|number| format!(" row group {number}:")).unwrap_or_default();
    Reject {
        file: path.to_owned(),
        row_group,
        row: None,
        id: None,
        code: code.to_owned(),
        column: None,
        message: format!("{path}:{place} {reason}"),
        record: None,
    }
}
