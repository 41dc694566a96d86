//! Reading a request's body within its bounds: so many bytes as sent, so many
//! once inflated, whatever the headers claim.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use crossbill_wire::Status;
use flate2::read::MultiGzDecoder;
use futures::StreamExt;

use crate::error::ApiError;

/// Bytes of a refused body that are still read and thrown away, so that a
/// client that sends before it reads gets to see the refusal.
const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
}

/// How the headers say the body is packed.
pub(crate) fn packing(headers: &HeaderMap) -> Result<Packing, ApiError> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Packing::Plain) };
    match value.to_str().unwrap_or("").trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Packing::Plain),
        "gzip" | "x-gzip" => Ok(Packing::Gzip),
        other => Err(ApiError::with_status(
            Status::UNSUPPORTED_MEDIA_TYPE,
            format!("content-encoding is {other:?}, expected gzip or identity"),
        )),
    }
}

/// Bytes the headers announce, where they do.
pub(crate) fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The refusal of a body over its limit.
pub(crate) fn over(found: &str, bytes_max: usize) -> ApiError {
    ApiError::too_large(format!("request body has {found} bytes, expected at most {bytes_max}"))
}

/// Reads the body as sent.
pub(crate) async fn collect(
    body: Body,
    announced: Option<usize>,
    bytes_max: usize,
) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let mut held = BytesMut::with_capacity(announced.unwrap_or(0).min(bytes_max));
    let mut total = 0_usize;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk
            .map_err(|error| ApiError::invalid(format!("request body ended early: {error}")))?;
        total = total.saturating_add(chunk.len());
        if total <= bytes_max {
            held.extend_from_slice(&chunk);
        } else if total > DISCARDED_BYTES_MAX {
            break;
        }
    }
    match total > bytes_max {
        true => {
            let found = announced.unwrap_or(total);
            Err(over(&format!("{found}"), bytes_max))
        }
        false => Ok(held.freeze()),
    }
}

/// Reads a body that is not wanted.
pub(crate) async fn discard(body: Body) {
    let mut stream = body.into_data_stream();
    let mut total = 0_usize;
    while let Some(Ok(chunk)) = stream.next().await {
        total = total.saturating_add(chunk.len());
        if total > DISCARDED_BYTES_MAX {
            return;
        }
    }
}

/// Unpacks the body.
pub(crate) fn inflate(
    packing: Packing,
    packed: Bytes,
    bytes_max: usize,
) -> Result<Bytes, ApiError> {
    if packing == Packing::Plain {
        return Ok(packed);
    }
    let mut inflated = Vec::new();
    // One byte more than allowed tells "too long" from "just right".
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(&packed[..])
        .take(limit)
        .read_to_end(&mut inflated)
        .map_err(|error| ApiError::invalid(format!("request body is not valid gzip: {error}")))?;
    match inflated.len() > bytes_max {
        true => Err(over(&format!("more than {bytes_max}"), bytes_max)),
        false => Ok(inflated.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn inflating_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        let error = inflate(Packing::Gzip, bomb.clone(), 1000).unwrap_err();
        assert_eq!(error.message, "request body has more than 1000 bytes, expected at most 1000");
        assert_eq!(inflate(Packing::Gzip, bomb, 10_000_000).unwrap().len(), 10_000_000);
        let error = inflate(Packing::Gzip, Bytes::from_static(b"{}"), 1000).unwrap_err();
        assert!(error.message.contains("not valid gzip"), "{}", error.message);
    }

    #[tokio::test]
    async fn bodies_are_counted_as_they_arrive() {
        let read = |claimed| collect(Body::from("12345"), claimed, 5);
        assert_eq!(read(None).await.unwrap(), "12345");
        assert_eq!(read(Some(1)).await.unwrap(), "12345");
        let error = collect(Body::from("123456"), None, 5).await.unwrap_err();
        assert_eq!(error.message, "request body has 6 bytes, expected at most 5");
    }

    #[test]
    fn only_known_packings_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(packing(&headers).unwrap(), Packing::Plain);
        headers.insert(header::CONTENT_ENCODING, "GZIP".parse().unwrap());
        assert_eq!(packing(&headers).unwrap(), Packing::Gzip);
        headers.insert(header::CONTENT_ENCODING, "br".parse().unwrap());
        assert_eq!(packing(&headers).unwrap_err().status.http, 415);
    }
}
