//! How a command ends: an exit code, or an error with a hint where the cure
//! is known.

use std::fmt;

use crossbill_core::ErrorKind;
use serde_json::json;

/// The exit codes, as `--help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Success = 0,
    /// The command failed.
    Failed = 1,
    /// The command line or a setting is wrong.
    Usage = 2,
    /// An import finished and left records out.
    Rejects = 3,
    /// An import was cancelled.
    Cancelled = 4,
    /// Ctrl-C or SIGTERM ended the command, not the work.
    Interrupted = 130,
}

/// Why a command failed: what was found and expected, and what helps.
#[derive(Debug)]
pub(crate) struct CliError {
    message: String,
    hint: Option<String>,
    exit: Exit,
    kind: Option<ErrorKind>,
}

/// A command's result.
pub(crate) type Result<T> = std::result::Result<T, CliError>;

impl CliError {
    /// A failure (exit code 1).
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit: Exit::Failed, kind: None }
    }

    /// A wrong command line or setting (exit code 2).
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit: Exit::Usage, kind: None }
    }

    /// A failure whose kind is known.
    pub(crate) fn of_kind(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, exit: Exit::Failed, kind: Some(kind) }
    }

    /// The same error with advice below it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What kind of thing went wrong, where the database said so.
    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        self.kind
    }

    /// What went wrong, without the advice.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The code the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The error as `--json` shows it.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.hint {
            Some(hint) => json!({"error": {"message": self.message, "hint": hint}}),
            None => json!({"error": {"message": self.message}}),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint:  {hint}"),
            None => Ok(()),
        }
    }
}

impl From<crossbill_core::Error> for CliError {
    fn from(error: crossbill_core::Error) -> Self {
        Self::of_kind(error.kind(), error.message())
    }
}
