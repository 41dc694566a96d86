//! The body of an error answer, one shape for both planes.
//!
//! The Python clients read `error.message`, the TypeScript one a top-level
//! `message`, and data-plane clients `code`; a body that carries them all
//! reads well in each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Status;

/// `error` in an error body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    /// Such as `NOT_FOUND`.
    pub code: String,
    /// What was found and what was expected.
    pub message: String,
}

/// An error answer's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The HTTP status; on the control plane only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The gRPC code; on the data plane only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The message, where TypeScript reads it.
    pub message: String,
    /// The code's name and the message, where Python reads them.
    pub error: ErrorDetail,
    /// Always empty; on the data plane only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<[(); 0]>,
}

impl ErrorBody {
    /// The control plane's form.
    pub fn control(status: Status, message: &str) -> Self {
        Self {
            status: Some(status.http),
            code: None,
            message: message.to_owned(),
            error: ErrorDetail { code: status.name.to_owned(), message: message.to_owned() },
            details: None,
        }
    }

    /// The data plane's form.
    pub fn data(status: Status, message: &str) -> Self {
        Self {
            status: None,
            code: Some(status.grpc),
            details: Some([]),
            ..Self::control(status, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbill_core::ErrorKind;

    use super::*;

    #[test]
    fn each_plane_has_its_form() {
        let status = Status::of(ErrorKind::NotFound);
        assert_eq!(
            serde_json::to_string(&ErrorBody::control(status, "m")).unwrap(),
            r#"{"status":404,"message":"m","error":{"code":"NOT_FOUND","message":"m"}}"#
        );
        assert_eq!(
            serde_json::to_string(&ErrorBody::data(status, "m")).unwrap(),
            r#"{"code":5,"message":"m","error":{"code":"NOT_FOUND","message":"m"},"details":[]}"#
        );
    }
}
