//! Arrow IPC, file or stream: record batches, each read whole and handed on
//! in slices. What a batch claims is checked before anything is allocated for
//! it; one that is larger than its share of the import's memory is refused.

use std::sync::Arc;

use arrow_array::RecordBatch as ArrowBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::FileDecoder;
use bytes::Bytes;
use crossbill_core::IndexShape;

use super::convert::Converter;
use super::{BATCH_ROWS_MAX, Flow, Group, Output, Reading, Survey, failure, guarded, portion};
use crate::TaskPiece;
use crate::columns::{Columns, FoundColumn};
use crate::failure::FileFailure;
use crate::mapping::ColumnMapping;
use crate::reject::codes;
use crate::source::blocks::{BlockOptions, Blocks, ReadError};
use crate::source::{IpcIndex, IpcPart, RangeRead, message_of, read_ipc_index};

/// What a record batch may take however small the budget is.
const PART_BYTES_MIN: u64 = 64 << 20;
/// The length that says that a buffer is not packed although others are.
const NOT_PACKED: i64 = -1;

/// What the footer, or the heads of the messages, say.
pub(super) fn survey(
    file: &dyn RangeRead,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Survey, FileFailure> {
    let index = read_ipc_index(file)?;
    let columns = resolve(&index, shape, mapping)?;
    let group = |part: &IpcPart| {
        let bytes = part.range().end - part.range().start;
        Some(Group::new(part.rows?, bytes))
    };
    Ok(Survey { groups: index.parts.iter().filter_map(group).collect(), ignored: columns.ignored })
}

fn resolve(
    index: &IpcIndex,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Columns, FileFailure> {
    Columns::resolve(&found_columns(index), shape, mapping)
}

fn found_columns(index: &IpcIndex) -> Vec<FoundColumn> {
    let fields = index.schema.fields().iter();
    fields
        .map(|field| FoundColumn {
            name: field.name().clone(),
            kind: Ok(field.data_type().clone()),
        })
        .collect()
}

/// All columns of the file.
pub(super) fn columns(file: &dyn RangeRead) -> Result<Vec<FoundColumn>, FileFailure> {
    Ok(found_columns(&read_ipc_index(file)?))
}

/// Decodes the piece's record batches.
pub(super) fn decode(
    file: Box<dyn RangeRead>,
    piece: &TaskPiece,
    reading: &Reading<'_>,
    output: &mut Output<'_>,
) -> Result<(), FileFailure> {
    let index = read_ipc_index(&*file)?;
    let columns = resolve(&index, reading.shape, reading.mapping)?;
    let wanted = index.parts.iter().map(IpcPart::range).collect();
    let options = BlockOptions::within(reading.budget.block_bytes, 1);
    let mut roots: Vec<usize> = columns.roots().collect();
    roots.sort_unstable();
    roots.dedup();
    let opened = OpenFile {
        blocks: Blocks::new(file, options, wanted, Arc::clone(reading.ahead)),
        converter: Converter::new(
            &piece.file,
            columns,
            reading.mapping.prefix_of(&piece.file.path),
        ),
        bytes_max: PART_BYTES_MIN.max(2 * reading.budget.block_bytes as u64),
        batch_bytes: reading.budget.batch_bytes,
    };
    let decoder = FileDecoder::new(Arc::clone(&index.schema), index.version).with_projection(roots);
    opened.piece(piece, &index, decoder, output)
}

struct OpenFile {
    blocks: Arc<Blocks>,
    converter: Converter,
    /// Bytes of one part, packed or unpacked.
    bytes_max: u64,
    batch_bytes: usize,
}

impl OpenFile {
    fn piece(
        &self,
        piece: &TaskPiece,
        index: &IpcIndex,
        mut decoder: FileDecoder,
        output: &mut Output<'_>,
    ) -> Result<(), FileFailure> {
        let mut number = 0;
        let mut first_row = piece.first_row;
        // Dictionaries are kept until the piece ends.
        let mut held = 0;
        for part in &index.parts {
            let Some(rows) = part.rows else {
                let (bytes, unpacked) = self.part(part, held)?;
                held += unpacked;
                guarded(&self.blocks, || {
                    let read = decoder.read_dictionary(&part.block, &Buffer::from(bytes));
                    read.map_err(|error| error.to_string())
                })?;
                continue;
            };
            if number >= piece.first_row_group + piece.row_groups {
                break;
            }
            if number >= piece.first_row_group && rows > 0 {
                output.row_group = Some(number);
                let batch = self.batch(&decoder, part, rows, held)?;
                if self.give(&batch, part, number, first_row, output)? == Flow::Stop {
                    break;
                }
                first_row += rows;
            }
            number += 1;
        }
        Ok(())
    }

    fn batch(
        &self,
        decoder: &FileDecoder,
        part: &IpcPart,
        rows: u64,
        held: u64,
    ) -> Result<ArrowBatch, FileFailure> {
        let (bytes, _) = self.part(part, held)?;
        let batch = guarded(&self.blocks, || {
            let read = decoder.read_record_batch(&part.block, &Buffer::from(bytes));
            let batch = read.map_err(|error| error.to_string())?;
            batch.ok_or_else(|| "a record batch is missing".to_owned())
        })?;
        if batch.num_rows() as u64 != rows {
            let text = format!("it has {} rows here, expected {rows}", batch.num_rows());
            return Err(failure(&self.blocks, &text));
        }
        Ok(batch)
    }

    /// The bytes of a part, and how many its buffers unpack to.
    fn part(&self, part: &IpcPart, held: u64) -> Result<(Bytes, u64), FileFailure> {
        let range = part.range();
        let length = range.end - range.start;
        self.check_bytes(length.saturating_add(held))?;
        let bytes =
            self.blocks.bytes(range.start, length as usize).map_err(|error| match error {
                ReadError::Source(error) => FileFailure::Source(error),
                ReadError::End => failure(&self.blocks, &error.to_string()),
            })?;
        let unpacked = unpacked_bytes(&bytes, part)?;
        self.check_bytes(unpacked.saturating_add(held))?;
        Ok((bytes, unpacked))
    }

    fn check_bytes(&self, bytes: u64) -> Result<(), FileFailure> {
        if bytes > self.bytes_max {
            let reason = format!(
                "a record batch takes {bytes} bytes, expected at most {} (by the import's memory): \
                 write batches of fewer rows",
                self.bytes_max
            );
            return Err(FileFailure::bad(codes::FILE_LIMIT, reason));
        }
        Ok(())
    }

    fn give(
        &self,
        batch: &ArrowBatch,
        part: &IpcPart,
        number: u32,
        first_row: u64,
        output: &mut Output<'_>,
    ) -> Result<Flow, FileFailure> {
        let rows = batch.num_rows();
        let (packed, taken) =
            (part.range().end - part.range().start, batch.get_array_memory_size());
        let fitting = self.batch_bytes / (taken / rows.max(1)).max(64);
        let step = fitting.clamp(1, BATCH_ROWS_MAX);
        for first in (0..rows).step_by(step) {
            let slice = batch.slice(first, step.min(rows - first));
            let mut converted = guarded(&self.blocks, || self.converter.convert(&slice))?;
            converted.place(Some(number), first_row + first as u64);
            let share = |row: usize| portion(packed, row as u64, rows as u64);
            converted.packed_bytes = share(first + slice.num_rows()) - share(first);
            if output.give(converted) == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Go)
    }
}

/// What the buffers of a part say that they unpack to.
fn unpacked_bytes(bytes: &Bytes, part: &IpcPart) -> Result<u64, FileFailure> {
    let head = part.block.metaDataLength() as usize;
    let message = message_of(bytes.get(..head).unwrap_or_default())?;
    let body = bytes.get(head..).unwrap_or_default();
    let batch = match part.rows {
        Some(_) => message.header_as_record_batch(),
        None => message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()),
    };
    let damaged =
        |what: &str| FileFailure::bad(codes::FILE_DECODE, format!("it is damaged: {what}"));
    let batch = batch.ok_or_else(|| damaged("a record batch has no description"))?;
    let is_packed = batch.compression().is_some();
    let mut total = 0_u64;
    for buffer in batch.buffers().iter().flatten() {
        let range = usize::try_from(buffer.offset())
            .ok()
            .zip(usize::try_from(buffer.length()).ok())
            .and_then(|(start, length)| Some(start..start.checked_add(length)?));
        let stored = range.and_then(|range| body.get(range));
        let stored = stored.ok_or_else(|| damaged("a buffer lies outside its record batch"))?;
        let claimed = match stored.first_chunk::<8>() {
            Some(claimed) if is_packed => i64::from_le_bytes(*claimed),
            _ => NOT_PACKED,
        };
        total = total.saturating_add(match claimed {
            NOT_PACKED => stored.len() as u64,
            claimed => u64::try_from(claimed)
                .map_err(|_| damaged(&format!("a buffer claims {claimed} bytes unpacked")))?,
        });
    }
    Ok(total)
}
