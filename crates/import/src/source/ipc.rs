//! Where the record batches and dictionaries of an Arrow IPC file lie: from
//! its footer, or, in a stream, message by message. Bodies are not read here.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Block, Endianness, Message, MessageHeader, MetadataVersion};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use crossbill_core::limits::{
    ARROW_MESSAGE_BYTES_MAX, ARROW_MESSAGES_MAX, PARQUET_FOOTER_BYTES_MAX,
};

use super::{RangeRead, panic_text};
use crate::failure::FileFailure;
use crate::reject::codes;

const MAGIC: &[u8] = b"ARROW1";
const MAGIC_FEATHER_1: &[u8] = b"FEA1";
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Footer length and magic.
const TRAILER_BYTES: u64 = 10;
/// Magic, padding, and a trailer.
const FILE_BYTES_MIN: u64 = 8 + TRAILER_BYTES;

/// What an Arrow file holds, in order.
pub(crate) struct IpcIndex {
    pub(crate) schema: SchemaRef,
    pub(crate) version: MetadataVersion,
    pub(crate) parts: Vec<IpcPart>,
}

/// A message with a body.
#[derive(Clone, Copy)]
pub(crate) struct IpcPart {
    /// Where it lies.
    pub(crate) block: Block,
    /// Rows of a record batch; none of a dictionary.
    pub(crate) rows: Option<u64>,
}

impl IpcPart {
    /// The bytes of its head and body.
    pub(crate) fn range(&self) -> Range<u64> {
        let start = self.block.offset() as u64;
        start..start + self.block.metaDataLength() as u64 + self.block.bodyLength() as u64
    }
}

/// Finds the parts of `file`.
pub(crate) fn read_ipc_index(file: &dyn RangeRead) -> Result<IpcIndex, FileFailure> {
    // The library checks what it reads; this is for what it forgets.
    let read = catch_unwind(AssertUnwindSafe(|| read(file)));
    read.unwrap_or_else(|panic| Err(damaged(&panic_text(&*panic))))
}

fn read(file: &dyn RangeRead) -> Result<IpcIndex, FileFailure> {
    let size = file.size();
    let head = file.read(0..size.min(8))?;
    if head.starts_with(MAGIC_FEATHER_1) {
        let reason = "a Feather file of version 1, expected version 2 (Arrow IPC)";
        return Err(FileFailure::bad(codes::FILE_FORMAT, reason));
    }
    if head.starts_with(MAGIC) {
        return read_file(file);
    }
    let is_stream = head.starts_with(&CONTINUATION) || (head.len() == 8 && head[3] == 0);
    if !is_stream {
        let found = head[..head.len().min(MAGIC.len())].escape_ascii();
        let reason = format!(
            "not an Arrow file: it begins with \"{found}\", expected \"ARROW1\" or a stream"
        );
        return Err(FileFailure::bad(codes::FILE_FORMAT, reason));
    }
    read_stream(file)
}

fn read_file(file: &dyn RangeRead) -> Result<IpcIndex, FileFailure> {
    let size = file.size();
    let truncated = |reason: String| FileFailure::bad(codes::FILE_TRUNCATED, reason);
    if size < FILE_BYTES_MIN {
        let reason = format!("it has {size} bytes, expected at least {FILE_BYTES_MIN}");
        return Err(truncated(reason));
    }
    let trailer = file.read(size - TRAILER_BYTES..size)?;
    if &trailer[4..] != MAGIC {
        let found = trailer[4..].escape_ascii();
        return Err(truncated(format!(
            "it begins as an Arrow file but ends with \"{found}\", expected \"ARROW1\": it was cut \
             off or is still being written"
        )));
    }
    let length = i32::from_le_bytes([trailer[0], trailer[1], trailer[2], trailer[3]]);
    let Ok(length) = u64::try_from(length) else {
        return Err(damaged(&format!("its footer claims {length} bytes")));
    };
    if length > size - FILE_BYTES_MIN {
        let reason = format!("its footer claims {length} bytes, but the file has {size} in all");
        return Err(truncated(reason));
    }
    if length > PARQUET_FOOTER_BYTES_MAX as u64 {
        let reason =
            format!("its footer has {length} bytes, expected at most {PARQUET_FOOTER_BYTES_MAX}");
        return Err(FileFailure::bad(codes::FILE_LIMIT, reason));
    }
    let end = size - TRAILER_BYTES - length;
    let bytes = file.read(end..end + length)?;
    let footer = arrow_ipc::root_as_footer(&bytes).map_err(|error| damaged(&error.to_string()))?;
    let schema = footer.schema().ok_or_else(|| damaged("its footer has no schema"))?;
    let schema = schema_of(schema)?;
    let dictionaries = footer.dictionaries().iter().flatten().copied().collect::<Vec<_>>();
    let batches = footer.recordBatches().iter().flatten().copied().collect::<Vec<_>>();
    check_count(dictionaries.len() + batches.len())?;
    check_apart(dictionaries.iter().chain(&batches), end)?;
    let mut parts = Vec::with_capacity(dictionaries.len() + batches.len());
    for block in dictionaries {
        check_block(&block, end)?;
        parts.push(IpcPart { block, rows: None });
    }
    for block in batches {
        check_block(&block, end)?;
        let start = block.offset() as u64;
        let head = file.read(start..start + block.metaDataLength() as u64)?;
        let message = message_of(&head)?;
        parts.push(IpcPart { block, rows: Some(rows_of(&message, &block)?) });
    }
    Ok(IpcIndex { schema, version: footer.version(), parts })
}

fn read_stream(file: &dyn RangeRead) -> Result<IpcIndex, FileFailure> {
    let mut at = 0;
    let mut index: Option<IpcIndex> = None;
    while let Some((head, end)) = stream_head(file, at)? {
        let message = message_of(&head)?;
        let body = message.bodyLength();
        let after = u64::try_from(body).ok().and_then(|body| end.checked_add(body));
        let Some(after) = after.filter(|after| *after <= file.size()) else {
            let reason = format!(
                "a message at byte {at} claims a body of {body} bytes, but the file ends at {}",
                file.size()
            );
            return Err(FileFailure::bad(codes::FILE_TRUNCATED, reason));
        };
        match (message.header_type(), &mut index) {
            (MessageHeader::Schema, None) => {
                let schema = message.header_as_schema();
                let schema = schema_of(schema.ok_or_else(|| damaged("it has no schema"))?)?;
                index = Some(IpcIndex { schema, version: message.version(), parts: Vec::new() });
            }
            (MessageHeader::DictionaryBatch | MessageHeader::RecordBatch, Some(index)) => {
                let block = Block::new(at as i64, (end - at) as i32, body);
                let is_batch = message.header_type() == MessageHeader::RecordBatch;
                let rows = is_batch.then(|| rows_of(&message, &block)).transpose()?;
                index.parts.push(IpcPart { block, rows });
                check_count(index.parts.len())?;
            }
            (other, _) => {
                let what =
                    format!("a message at byte {at} is {other:?}, which is not expected there");
                return Err(damaged(&what));
            }
        }
        at = after;
    }
    index.ok_or_else(|| damaged("it has no schema"))
}

/// The head of the message at `at`, with the bytes before it that say how
/// long it is, and where its body begins; none at the stream's end.
fn stream_head(file: &dyn RangeRead, at: u64) -> Result<Option<(Bytes, u64)>, FileFailure> {
    let size = file.size();
    if at == size {
        return Ok(None);
    }
    let cut = || {
        let reason = format!("the message at byte {at} is cut off: the file ends at {size}");
        FileFailure::bad(codes::FILE_TRUNCATED, reason)
    };
    let fixed = file.read(at..size.min(at + 8))?;
    let word = |from: usize| -> Option<i32> {
        let word = fixed.get(from..from + 4)?;
        Some(i32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    };
    let is_new = fixed.starts_with(&CONTINUATION);
    let length = word(if is_new { 4 } else { 0 }).ok_or_else(cut)?;
    if length == 0 {
        return Ok(None);
    }
    let before = if is_new { 8 } else { 4 };
    let end = u64::try_from(length).map(|length| at + before + length);
    let Ok(end) = end else {
        return Err(damaged(&format!("the message at byte {at} claims {length} bytes")));
    };
    if end > size {
        return Err(cut());
    }
    check_head(end - at)?;
    Ok(Some((file.read(at..end)?, end)))
}

/// The message in `head`, behind its length.
pub(crate) fn message_of(head: &[u8]) -> Result<Message<'_>, FileFailure> {
    let before = if head.starts_with(&CONTINUATION) { 8 } else { 4 };
    let body = head.get(before..).unwrap_or_default();
    arrow_ipc::root_as_message(body).map_err(|error| damaged(&error.to_string()))
}

fn schema_of(schema: arrow_ipc::Schema<'_>) -> Result<SchemaRef, FileFailure> {
    if schema.endianness() != Endianness::Little {
        let reason = "it is written for big-endian machines, expected little-endian";
        return Err(FileFailure::bad(codes::FILE_FORMAT, reason));
    }
    try_fb_to_schema(schema).map(Arc::new).map_err(|error| damaged(&error.to_string()))
}

fn rows_of(message: &Message<'_>, block: &Block) -> Result<u64, FileFailure> {
    // A row takes a bit at least, however well it is packed.
    const ROWS_PER_BYTE_MAX: u64 = 4096;
    let batch = message.header_as_record_batch();
    let rows = batch.ok_or_else(|| damaged("a record batch is no record batch"))?.length();
    let most = (block.bodyLength() as u64).saturating_mul(ROWS_PER_BYTE_MAX);
    u64::try_from(rows).ok().filter(|rows| *rows <= most).ok_or_else(|| {
        damaged(&format!("a record batch of {} bytes claims {rows} rows", block.bodyLength()))
    })
}

fn check_block(block: &Block, data_end: u64) -> Result<(), FileFailure> {
    let parts = (
        u64::try_from(block.offset()),
        u64::try_from(block.metaDataLength()),
        u64::try_from(block.bodyLength()),
    );
    let end = match parts {
        (Ok(start), Ok(head), Ok(body)) if head >= 8 => {
            check_head(head)?;
            start.checked_add(head).and_then(|end| end.checked_add(body))
        }
        _ => None,
    };
    if end.is_none_or(|end| end > data_end) {
        return Err(damaged(&format!(
            "its footer says that a part has {} + {} bytes at byte {}, but the data ends at \
             {data_end}",
            block.metaDataLength(),
            block.bodyLength(),
            block.offset()
        )));
    }
    Ok(())
}

/// Parts on top of each other would make a small file a large one.
fn check_apart<'a>(blocks: impl Iterator<Item = &'a Block>, end: u64) -> Result<(), FileFailure> {
    let bytes = |block: &Block| {
        let positive = |length: i64| u64::try_from(length).unwrap_or(0);
        positive(block.metaDataLength().into()).saturating_add(positive(block.bodyLength()))
    };
    let total = blocks.map(bytes).fold(0, u64::saturating_add);
    if total > end {
        return Err(damaged(&format!(
            "its footer lists parts of {total} bytes, but the data ends at {end}: some lie on top \
             of each other"
        )));
    }
    Ok(())
}

fn check_head(length: u64) -> Result<(), FileFailure> {
    if length > ARROW_MESSAGE_BYTES_MAX {
        let reason = format!(
            "a message's head has {length} bytes, expected at most {ARROW_MESSAGE_BYTES_MAX}"
        );
        return Err(FileFailure::bad(codes::FILE_LIMIT, reason));
    }
    Ok(())
}

fn check_count(found: usize) -> Result<(), FileFailure> {
    if found > ARROW_MESSAGES_MAX {
        let reason = format!("it has {found} parts, expected at most {ARROW_MESSAGES_MAX}");
        return Err(FileFailure::bad(codes::FILE_LIMIT, reason));
    }
    Ok(())
}

fn damaged(what: &str) -> FileFailure {
    FileFailure::bad(codes::FILE_DECODE, format!("it is damaged: {what}"))
}
