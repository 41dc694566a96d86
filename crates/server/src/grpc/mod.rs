//! gRPC beside REST, on the same ports and through the same `dispatch`: which
//! requests speak it, how long they may take, and how an answer or an error is
//! written. Every method takes one message and gives one, so what there is to
//! the protocol is five bytes before each and a status behind
//! (docs/decisions/0013-grpc.md).

pub(crate) mod message;
pub(crate) mod methods;

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Version, header, request};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};

use crate::call::{Answer, Reply};
use crate::error::ApiError;
use crate::routes::Protocol;

const CONTENT_TYPE: &str = "application/grpc";
/// Characters of a message that goes into a header.
const MESSAGE_CHARS_MAX: usize = 2000;

/// What a request speaks. gRPC needs the trailers of HTTP/2.
pub(crate) fn spoken(parts: &request::Parts) -> Protocol {
    let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let format = kind.strip_prefix(CONTENT_TYPE.as_bytes());
    // `application/grpc-web` is another protocol, `application/grpc+json`
    // another format.
    let ours = format.is_some_and(|format| {
        matches!(format, b"" | b"+proto")
            || format.starts_with(b";")
            || format.starts_with(b"+proto;")
    });
    match ours && parts.version == Version::HTTP_2 {
        true => Protocol::Grpc,
        false => Protocol::Rest,
    }
}

/// How long the caller will wait, where it says so: up to eight digits and a
/// unit.
pub(crate) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let text = value.to_str().unwrap_or("");
    let wrong = || {
        ApiError::invalid(format!(
            "grpc-timeout is {text:?}, expected up to 8 digits and one of H M S m u n"
        ))
    };
    let (digits, unit) = text.split_at_checked(text.len().wrapping_sub(1)).ok_or_else(wrong)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return Err(wrong()),
    }))
}

/// The answer: a message and the status behind it, or the status alone.
pub(crate) fn render(id: &str, answer: Answer) -> Response {
    let mut response = match answer {
        Ok(reply) => whole(reply),
        Err(error) => refusal(&error),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-pinecone-request-id", id);
    }
    response
}

fn whole(reply: Reply) -> Response {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Full::new(Bytes::from(reply.body));
    let body = message.with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    if let Some((names, lsn)) = reply.lsn {
        for name in names {
            response.headers_mut().insert(name, HeaderValue::from(lsn));
        }
    }
    response
}

fn refusal(error: &ApiError) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(error.status.grpc));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(&error.message)) {
        headers.insert("grpc-message", message);
    }
    if error.status.is_temporary() {
        headers.insert("grpc-retry-pushback-ms", HeaderValue::from_static("1000"));
    }
    response
}

/// Text as `grpc-message` carries it: whatever is not printable ASCII, and `%`
/// itself, byte by byte in hex.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars().take(MESSAGE_CHARS_MAX) {
        match character {
            ' '..='~' if character != '%' => encoded.push(character),
            _ => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(encoded, "%{byte:02X}");
                }
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn only_grpc_over_http2_is_grpc() {
        let spoken = |kind: &str, version| {
            let request = Request::builder().header(header::CONTENT_TYPE, kind).version(version);
            spoken(&request.body(()).unwrap().into_parts().0)
        };
        for kind in ["application/grpc", "application/grpc+proto", "application/grpc;x=1"] {
            assert_eq!(spoken(kind, Version::HTTP_2), Protocol::Grpc, "{kind}");
            assert_eq!(spoken(kind, Version::HTTP_11), Protocol::Rest, "{kind}");
        }
        for kind in ["application/grpc-web", "application/grpc+json", "application/json", ""] {
            assert_eq!(spoken(kind, Version::HTTP_2), Protocol::Rest, "{kind}");
        }
    }

    #[test]
    fn timeouts_are_read() {
        let timeout = |text: &str| {
            let headers = HeaderMap::from_iter([(
                header::HeaderName::from_static("grpc-timeout"),
                HeaderValue::from_str(text).unwrap(),
            )]);
            timeout(&headers).map_err(|error| error.message)
        };
        assert_eq!(timeout("2H"), Ok(Some(Duration::from_secs(7200))));
        assert_eq!(timeout("99999999M"), Ok(Some(Duration::from_secs(5_999_999_940))));
        assert_eq!(timeout("5S"), Ok(Some(Duration::from_secs(5))));
        assert_eq!(timeout("20000000u"), Ok(Some(Duration::from_secs(20))));
        assert_eq!(timeout("7m"), Ok(Some(Duration::from_millis(7))));
        assert_eq!(timeout("1n"), Ok(Some(Duration::from_nanos(1))));
        for bad in ["", "S", "5", "5s", "-5S", "123456789S", "5 S", "ü", "5SS"] {
            let error = timeout(bad);
            assert!(error.is_err(), "{bad}: {error:?}");
        }
    }

    #[test]
    fn messages_are_encoded() {
        assert_eq!(percent_encoded("a b: \"50%\"\nü"), "a b: \"50%25\"%0A%C3%BC");
        assert_eq!(percent_encoded(&"x".repeat(5000)).len(), MESSAGE_CHARS_MAX);
    }
}
