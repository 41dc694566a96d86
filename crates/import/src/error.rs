//! Why an import or one of its tasks did not succeed.

use crossbill_core::{Error, ErrorKind};

use crate::Reject;

/// Why a task made nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The import was cancelled, or an earlier task of it failed.
    #[error("the import was cancelled")]
    Cancelled,
    /// In abort mode: the first record or file, in source order, that broke a
    /// rule.
    #[error("{}", .0.message)]
    Rejected(Box<Reject>),
    /// The source, the store or the machine failed; says which.
    #[error("{0}")]
    Failed(#[from] Error),
}

/// Why an import did not complete. What its ledger committed before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It was cancelled.
    #[error("the import was cancelled")]
    Cancelled,
    /// In abort mode: the first record or file, in source order, that broke a
    /// rule.
    #[error("{}", .0.message)]
    Rejected(Box<Reject>),
    /// The source, the store or the machine failed; says which.
    #[error("{0}")]
    Failed(#[from] Error),
}

impl From<TaskError> for ImportError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Cancelled => ImportError::Cancelled,
            TaskError::Rejected(reject) => ImportError::Rejected(reject),
            TaskError::Failed(error) => ImportError::Failed(error),
        }
    }
}

impl ImportError {
    /// What kind of error this is for the caller of the import.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ImportError::Cancelled => ErrorKind::FailedPrecondition,
            ImportError::Rejected(_) => ErrorKind::Invalid,
            ImportError::Failed(error) => error.kind(),
        }
    }
}
