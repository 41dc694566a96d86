//! The one message of a request, read within its bounds: a byte that says
//! whether it is packed, four of its length, and so many bytes. The length
//! comes first, so that a message over the limit is refused before it is
//! held.

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use crossbill_wire::Status;
use futures::StreamExt as _;
use prost::Message;

use crate::body::{Packing, over};
use crate::call::{Answer, Call, Reply};
use crate::dispatch::{Received, Shared};
use crate::error::ApiError;

/// What stands before a message.
const HEAD_BYTES: usize = 5;

/// How a message is packed where its first byte says that it is.
pub(crate) fn packing(headers: &HeaderMap) -> Result<Packing, ApiError> {
    let Some(value) = headers.get("grpc-encoding") else { return Ok(Packing::Plain) };
    match value.to_str().unwrap_or("") {
        "identity" => Ok(Packing::Plain),
        "gzip" => Ok(Packing::Gzip),
        other => Err(ApiError::unsupported(format!(
            "grpc-encoding is {other:?}, expected gzip or identity"
        ))),
    }
}

/// Reads the message of a request.
pub(crate) async fn receive(
    shared: &Shared,
    packing: Packing,
    body: Body,
) -> Result<Received, ApiError> {
    let bytes_max = shared.config.request_bytes_max;
    let mut stream = body.into_data_stream();
    let mut held = Bytes::new();
    while held.len() < HEAD_BYTES {
        let chunk = next(&mut stream).await?.ok_or_else(cut)?;
        held = if held.is_empty() { chunk } else { Bytes::from([held, chunk].concat()) };
    }
    let head = held.split_to(HEAD_BYTES);
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let packing = match (head[0], packing) {
        (0, _) => Packing::Plain,
        (1, Packing::Gzip) => Packing::Gzip,
        (flag, _) => {
            return Err(ApiError::invalid(format!(
                "the message begins with byte {flag}, expected 0 (or 1 and grpc-encoding: gzip)"
            )));
        }
    };
    if length > bytes_max {
        return Err(over(&length.to_string(), bytes_max));
    }
    let memory = shared.body_memory(length).await?;
    let bytes = rest(&mut stream, held, length).await?;
    Ok(Received { bytes, packing, memory: Some(memory) })
}

/// The message itself, and the end of the request after it. Most messages lie
/// in one piece already, and stay where they are.
async fn rest(stream: &mut BodyDataStream, first: Bytes, length: usize) -> Result<Bytes, ApiError> {
    if first.len() >= length {
        return end(stream, first, length).await;
    }
    let mut held = BytesMut::with_capacity(length);
    held.extend_from_slice(&first);
    while held.len() < length {
        let chunk = next(stream).await?.ok_or_else(cut)?;
        held.extend_from_slice(&chunk);
    }
    end(stream, held.freeze(), length).await
}

async fn end(stream: &mut BodyDataStream, held: Bytes, length: usize) -> Result<Bytes, ApiError> {
    let mut over = held.len() > length;
    while !over && let Some(chunk) = next(stream).await? {
        over = !chunk.is_empty();
    }
    match over {
        true => Err(ApiError::invalid("the request goes on after its message, expected one")),
        false => Ok(held),
    }
}

async fn next(stream: &mut BodyDataStream) -> Result<Option<Bytes>, ApiError> {
    let chunk = stream.next().await.transpose();
    chunk.map_err(|error| ApiError::invalid(format!("request body ended early: {error}")))
}

fn cut() -> ApiError {
    ApiError::invalid("the request ended before its message did")
}

impl Call {
    /// The body as a message.
    pub(crate) fn message<M: Message + Default>(&self) -> Result<M, ApiError> {
        let message = M::decode(&self.body[..]);
        self.check_wanted()?;
        message.map_err(|error| malformed(&error))
    }
}

/// For a body that is no message of the expected type.
pub(crate) fn malformed(error: &prost::DecodeError) -> ApiError {
    ApiError::invalid(format!("request message: {error}"))
}

impl Reply {
    /// `message`, with what stands before it.
    pub(crate) fn message(call: &Call, message: &impl Message) -> Answer {
        let length = message.encoded_len();
        let bytes_max = call.shared.config.answer_bytes_max;
        let short = u32::try_from(length).ok().filter(|_| length <= bytes_max);
        let Some(short) = short else {
            return Err(ApiError::too_large(format!(
                "the answer has {length} bytes, expected at most {bytes_max}: \
                 ask for fewer records, or leave values or metadata out"
            )));
        };
        let mut body = Vec::with_capacity(HEAD_BYTES + length);
        body.push(0);
        body.extend_from_slice(&short.to_be_bytes());
        message
            .encode(&mut body)
            .map_err(|error| ApiError::internal(format!("an answer cannot be written: {error}")))?;
        Ok(Reply::of(Status::OK, "application/grpc", body))
    }
}
