//! An error on its way out: its row of the status table, its message, and
//! its body in the shape of the plane that was asked.

use crossbill_core::{Error, ErrorKind};
use crossbill_wire::{ErrorBody, Status, TokenError};

use crate::routes::Plane;

/// What a route's function fails with.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: Status,
    pub(crate) message: String,
    /// The methods that the path takes, where the one asked is not among them
    /// and the router does not know.
    pub(crate) allow: Option<&'static str>,
    /// The error below, for the log.
    pub(crate) cause: Option<Error>,
}

impl ApiError {
    /// An error with a row that no kind has.
    pub(crate) fn with_status(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None, cause: None }
    }

    fn of_kind(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::with_status(Status::of(kind), message)
    }

    /// A request that is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Invalid, message)
    }

    /// Something that does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::NotFound, message)
    }

    /// Something that is not allowed.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Forbidden, message)
    }

    /// A body over its limit.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::TooLarge, message)
    }

    /// Something this server does not do.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Unsupported, message)
    }

    /// A bound that is used up now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Unavailable, message)
    }

    /// A fault of ours.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Internal, message)
    }

    /// No key, or a wrong one; says the same for both.
    pub(crate) fn unauthenticated() -> Self {
        Self::of_kind(ErrorKind::Unauthenticated, "Invalid API key.")
    }

    /// The body, in the shape of `plane`.
    pub(crate) fn body(&self, plane: Plane) -> Vec<u8> {
        let body = match plane {
            Plane::Control | Plane::Both => ErrorBody::control(self.status, &self.message),
            Plane::Data => ErrorBody::data(self.status, &self.message),
        };
        serde_json::to_vec(&body).expect("a struct of text and numbers is always JSON")
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self {
            status: Status::of(error.kind()),
            message: error.message().to_owned(),
            allow: None,
            cause: Some(error),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        Error::from(error).into()
    }
}
