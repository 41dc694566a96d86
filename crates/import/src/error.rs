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
    /// It is held: some tasks were not begun.
    #[error("the import was paused")]
    Paused,
    /// In abort mode: the first record or file, in source order, that broke a
    /// rule.
    #[error("{}", .0.message)]
    Rejected(Box<Reject>),
    /// More errors than the import may have.
    #[error("{0}")]
    TooManyErrors(Box<Overrun>),
    /// The source, the store or the machine failed; says which.
    #[error("{0}")]
    Failed(#[from] Error),
}

/// How an import came to have more errors than it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found {} error{}, expected at most {errors_max} (maxErrors)",
    self.errors_max.saturating_add(1),
    if self.errors_max == 0 { "" } else { "s" }
)]
pub struct Overrun {
    /// Errors that it may have.
    pub errors_max: u64,
    /// The task with the one too many, none where it is a file of the plan.
    /// Nothing of the task is committed, but its rejects up to that one count.
    pub task: Option<u32>,
    /// The first reject of that task.
    pub first_reject: Option<Reject>,
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
            ImportError::Cancelled | ImportError::Paused => ErrorKind::FailedPrecondition,
            ImportError::Rejected(_) | ImportError::TooManyErrors(_) => ErrorKind::Invalid,
            ImportError::Failed(error) => error.kind(),
        }
    }
}
