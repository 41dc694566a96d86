//! The one error that crosses crate edges: a kind that says what the caller
//! can do about it, and a message that says what was found and expected.
//! Crates keep small typed errors inside and turn them into this one at
//! their edge.

use std::fmt;

/// What kind of thing went wrong, as the caller sees it. The server maps each
/// kind to one HTTP status and one gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is wrong and will be wrong again.
    Invalid,
    /// What the request names does not exist.
    NotFound,
    /// What the request would make exists already.
    Conflict,
    /// No key, or a wrong one.
    Unauthenticated,
    /// The caller or the operator's settings do not allow this.
    Forbidden,
    /// A quota or a bound of this server is used up; later may work.
    Exhausted,
    /// The request's body is over its limit.
    TooLarge,
    /// The server's disk is full; with more room it works.
    DiskFull,
    /// The state of the resource refuses this now.
    FailedPrecondition,
    /// This server does not do this.
    Unsupported,
    /// A dependency did not answer; trying again may work.
    Unavailable,
    /// A service that the operator configured answered what cannot be used.
    Upstream,
    /// Stored bytes are damaged or of an unknown version.
    Corrupt,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [ErrorKind; 14] = [
        ErrorKind::Invalid,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Unauthenticated,
        ErrorKind::Forbidden,
        ErrorKind::Exhausted,
        ErrorKind::TooLarge,
        ErrorKind::DiskFull,
        ErrorKind::FailedPrecondition,
        ErrorKind::Unsupported,
        ErrorKind::Unavailable,
        ErrorKind::Upstream,
        ErrorKind::Corrupt,
        ErrorKind::Internal,
    ];
}

/// The error of every public call.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result with our [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        $($(#[$doc])*
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, message)
        })*
    };
}

impl Error {
    /// An error of `kind` that reads `message` (lowercase, no final stop).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same error with its cause attached for the log.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    constructors! {
        /// A request that is wrong.
        invalid => Invalid,
        /// Something that does not exist.
        not_found => NotFound,
        /// Something that exists already.
        conflict => Conflict,
        /// Something that is not allowed.
        forbidden => Forbidden,
        /// A bound that is used up.
        exhausted => Exhausted,
        /// A disk that is full.
        disk_full => DiskFull,
        /// A state that refuses this now.
        failed_precondition => FailedPrecondition,
        /// Something this server does not do.
        unsupported => Unsupported,
        /// Something that did not answer.
        unavailable => Unavailable,
        /// A configured service whose answer cannot be used.
        upstream => Upstream,
        /// Damaged stored bytes.
        corrupt => Corrupt,
        /// A fault of ours.
        internal => Internal,
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was found and what was expected.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does not compile while a kind has no place here.
    fn place(kind: ErrorKind) -> usize {
        match kind {
            ErrorKind::Invalid => 0,
            ErrorKind::NotFound => 1,
            ErrorKind::Conflict => 2,
            ErrorKind::Unauthenticated => 3,
            ErrorKind::Forbidden => 4,
            ErrorKind::Exhausted => 5,
            ErrorKind::TooLarge => 6,
            ErrorKind::DiskFull => 7,
            ErrorKind::FailedPrecondition => 8,
            ErrorKind::Unsupported => 9,
            ErrorKind::Unavailable => 10,
            ErrorKind::Upstream => 11,
            ErrorKind::Corrupt => 12,
            ErrorKind::Internal => 13,
        }
    }

    #[test]
    fn all_kinds_are_listed() {
        for (position, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(place(kind), position, "{kind:?}");
        }
    }
}
