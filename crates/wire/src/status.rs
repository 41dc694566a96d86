//! The one table from an error's kind to its HTTP status, its gRPC code and
//! its name in control-plane bodies.

use crossbill_core::ErrorKind;

/// How one outcome is written on each wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status.
    pub http: u16,
    /// The gRPC code, also the `code` of data-plane bodies.
    pub grpc: i32,
    /// The `error.code` of control-plane bodies.
    pub name: &'static str,
}

const fn status(http: u16, grpc: i32, name: &'static str) -> Status {
    Status { http, grpc, name }
}

impl Status {
    /// The HTTP status of a gRPC answer and of most others.
    pub const OK: u16 = 200;
    /// Whoever asked does not wait any more, and so never sees it.
    pub const CANCELLED: Status = status(499, 1, "CANCELLED");
    /// A method of a gRPC service that is not there.
    pub const NO_METHOD: Status = status(404, 12, "UNIMPLEMENTED");
    /// The method is not one of the route's.
    pub const METHOD_NOT_ALLOWED: Status = status(405, 12, "METHOD_NOT_ALLOWED");
    /// A body in a form that is not read.
    pub const UNSUPPORTED_MEDIA_TYPE: Status = status(415, 3, "INVALID_ARGUMENT");
    /// A control-plane body that is not JSON of the expected type.
    pub const UNPROCESSABLE: Status = status(422, 3, "UNPROCESSABLE_ENTITY");
    /// The request took too long.
    pub const DEADLINE_EXCEEDED: Status = status(504, 4, "DEADLINE_EXCEEDED");

    /// Every row, each once, by HTTP status.
    pub fn all() -> Vec<Status> {
        let own = [
            Self::CANCELLED,
            Self::NO_METHOD,
            Self::METHOD_NOT_ALLOWED,
            Self::UNSUPPORTED_MEDIA_TYPE,
            Self::UNPROCESSABLE,
            Self::DEADLINE_EXCEEDED,
        ];
        let mut all: Vec<_> = ErrorKind::ALL.into_iter().map(Self::of).chain(own).collect();
        all.sort_by_key(|status| (status.http, status.grpc));
        all.dedup();
        all
    }

    /// Whether the same request may do in a moment.
    pub fn is_temporary(self) -> bool {
        matches!(self.http, 429 | 503)
    }

    /// The row of `kind`.
    ///
    /// Too large is `INVALID_ARGUMENT` and not `RESOURCE_EXHAUSTED` over
    /// gRPC, because clients try the latter again. Damaged bytes are
    /// `INTERNAL`, the code that every client knows.
    pub const fn of(kind: ErrorKind) -> Status {
        match kind {
            ErrorKind::Invalid => status(400, 3, "INVALID_ARGUMENT"),
            ErrorKind::Unauthenticated => status(401, 16, "UNAUTHENTICATED"),
            ErrorKind::Forbidden => status(403, 7, "FORBIDDEN"),
            ErrorKind::NotFound => status(404, 5, "NOT_FOUND"),
            ErrorKind::Conflict => status(409, 6, "ALREADY_EXISTS"),
            ErrorKind::FailedPrecondition => status(412, 9, "FAILED_PRECONDITION"),
            ErrorKind::TooLarge => status(413, 3, "INVALID_ARGUMENT"),
            ErrorKind::Exhausted => status(429, 8, "RESOURCE_EXHAUSTED"),
            ErrorKind::DiskFull => status(507, 8, "RESOURCE_EXHAUSTED"),
            ErrorKind::Unsupported => status(501, 12, "UNIMPLEMENTED"),
            ErrorKind::Unavailable => status(503, 14, "UNAVAILABLE"),
            ErrorKind::Upstream => status(502, 14, "UNAVAILABLE"),
            // `Internal`, `Corrupt`, and any kind that is added without a row.
            _ => status(500, 13, "INTERNAL"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_faults_are_server_errors() {
        for kind in [
            ErrorKind::Invalid,
            ErrorKind::NotFound,
            ErrorKind::Conflict,
            ErrorKind::Forbidden,
            ErrorKind::TooLarge,
            ErrorKind::FailedPrecondition,
        ] {
            assert!((400..500).contains(&Status::of(kind).http), "{kind:?}");
        }
        assert_eq!(Status::of(ErrorKind::Corrupt), Status::of(ErrorKind::Internal));
        assert_eq!(Status::of(ErrorKind::Unavailable).http, 503);
    }
}
