//! NumPy arrays: vectors of one length, whose ids are made of their rows'
//! numbers.

use std::sync::Arc;

use arrow_buffer::ScalarBuffer;
use crossbill_core::{IndexShape, VectorType};

use super::columns::{DenseColumn, IdColumn};
use super::{BATCH_ROWS_MAX, Flow, Group, Output, Reading, RowBatch, Survey, failure};
use crate::TaskPiece;
use crate::columns::ColumnNames;
use crate::failure::FileFailure;
use crate::mapping::ColumnMapping;
use crate::reject::codes;
use crate::source::blocks::{BlockOptions, Blocks};
use crate::source::{NpyHeader, NpyItem, RangeRead, read_npy_header};

/// Bytes that a task may begin at a multiple of.
const GROUP_BYTES: u64 = 32 << 20;

/// What the header says.
pub(super) fn survey(
    file: &dyn RangeRead,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<Survey, FileFailure> {
    let header = open(file, shape, mapping)?;
    let group = group_rows(&header);
    let groups = (0..header.rows).step_by(group as usize).map(|first| {
        let rows = group.min(header.rows - first);
        Group::new(rows, rows * header.row_bytes())
    });
    Ok(Survey { groups: groups.collect(), ignored: Vec::new() })
}

fn open(
    file: &dyn RangeRead,
    shape: &IndexShape,
    mapping: &ColumnMapping,
) -> Result<NpyHeader, FileFailure> {
    if shape.vector_type != VectorType::Dense {
        let reason = "a NumPy array holds dense vectors, but the index takes sparse ones";
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    }
    let named = [&mapping.id, &mapping.values, &mapping.sparse_values];
    if named.iter().any(|name| name.is_some()) || mapping.metadata.is_some() {
        let reason = "a NumPy array has no columns that could be mapped; its ids are the rows' \
                      numbers, behind \"idPrefix\" where that is given";
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    }
    let header = read_npy_header(file)?;
    if header.dimension != shape.dimension {
        let reason = format!(
            "its vectors have {} components, expected {} as in the index",
            header.dimension, shape.dimension
        );
        return Err(FileFailure::bad(codes::FILE_SCHEMA, reason));
    }
    Ok(header)
}

fn group_rows(header: &NpyHeader) -> u64 {
    (GROUP_BYTES / header.row_bytes().max(1)).max(1)
}

/// Decodes the piece's rows.
pub(super) fn decode(
    file: Box<dyn RangeRead>,
    piece: &TaskPiece,
    reading: &Reading<'_>,
    output: &mut Output<'_>,
) -> Result<(), FileFailure> {
    let header = open(&*file, reading.shape, reading.mapping)?;
    let row_bytes = header.row_bytes();
    if piece.first_row.checked_add(piece.rows).is_none_or(|end| end > header.rows) {
        let reason = format!("its header now has {} rows, had more", header.rows);
        return Err(FileFailure::bad(codes::FILE_CHANGED, reason));
    }
    let start = header.bytes + piece.first_row * row_bytes;
    let wanted = start..start + piece.rows * row_bytes;
    let options = BlockOptions::within(reading.budget.block_bytes, 1);
    let blocks = Blocks::new(file, options, vec![wanted.clone()], Arc::clone(reading.ahead));
    let fitting = reading.budget.batch_bytes / (4 * header.dimension as usize).max(1);
    let batch_rows = fitting.clamp(1, BATCH_ROWS_MAX) as u64;
    let prefix: Arc<str> = reading.mapping.prefix_of(&piece.file.path).unwrap_or_default().into();
    let (file, names) = (Arc::new(piece.file.clone()), Arc::new(ColumnNames::usual()));
    for first in (0..piece.rows).step_by(batch_rows as usize) {
        let rows = batch_rows.min(piece.rows - first) as usize;
        let length = rows * row_bytes as usize;
        let bytes = blocks
            .bytes(wanted.start + first * row_bytes, length)
            .map_err(|error| failure(&blocks, &error.to_string()))?;
        let values = floats(&bytes, header.item);
        let mut batch = RowBatch {
            file: Arc::clone(&file),
            names: Arc::clone(&names),
            row_group: None,
            first_row: 0,
            rows,
            packed_bytes: length as u64,
            ids: IdColumn::numbered(&prefix),
            values: Some(DenseColumn::even(values, rows, header.dimension as usize)),
            sparse: None,
            metadata: None,
            lines: None,
            faults: Vec::new(),
        };
        batch.place(None, piece.first_row + first);
        if output.give(batch) == Flow::Stop {
            break;
        }
    }
    Ok(())
}

fn floats(bytes: &[u8], item: NpyItem) -> ScalarBuffer<f32> {
    fn each<const N: usize>(
        bytes: &[u8],
        big_endian: bool,
        read: impl Fn([u8; N]) -> f32,
    ) -> ScalarBuffer<f32> {
        let (items, _) = bytes.as_chunks::<N>();
        let one = |item: &[u8; N]| {
            let mut item = *item;
            if big_endian {
                item.reverse();
            }
            read(item)
        };
        items.iter().map(one).collect()
    }
    match item.bytes {
        2 => each(bytes, item.big_endian, |item| half::f16::from_le_bytes(item).to_f32()),
        4 => each(bytes, item.big_endian, f32::from_le_bytes),
        // Out of f32's range becomes infinite, which the rules refuse.
        _ => each(bytes, item.big_endian, |item| f64::from_le_bytes(item) as f32),
    }
}
