//! The log's line for each request.

use axum::http::Method;

use crate::call::Answer;
use crate::error::ApiError;

/// One line a request: never the query, the body or a header, which may hold
/// what nobody else should read.
pub(crate) fn note(method: &Method, path: &str, id: &str, took_us: u64, answer: &Answer) {
    match answer {
        Ok(reply) => {
            tracing::debug!(%method, path, status = reply.status, took_us, request_id = id, "answered");
        }
        Err(error) if error.status.http < 500 || error.status.http == 501 => {
            tracing::info!(
                %method, path, status = error.status.http, took_us, request_id = id,
                error = %error.message, "refused"
            );
        }
        Err(error) => {
            let causes = causes(error);
            tracing::error!(
                %method, path, status = error.status.http, took_us, request_id = id,
                error = %error.message, causes, "failed"
            );
        }
    }
}

/// The errors below the one that is answered.
fn causes(error: &ApiError) -> String {
    let mut below = error.cause.as_ref().and_then(std::error::Error::source);
    let mut causes = Vec::new();
    while let Some(cause) = below {
        causes.push(cause.to_string());
        below = cause.source();
    }
    causes.join(": ")
}
