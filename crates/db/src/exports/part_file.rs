//! One file of an export while it is written: records as Parquet, documents as
//! packed JSON lines. Says how much is read at once and when a file is full.

use crossbill_core::limits::{EXPORT_LINES_BYTES, EXPORT_PART_BYTES};
use crossbill_core::{IndexShape, Record, Result};
use crossbill_import::{DocumentLines, RecordTable};
use crossbill_store::{LocalScratch, LocalScratchFile};

use super::layout::{LINES, PARQUET};
use crate::Index;

/// Bytes of vectors, or of documents as JSON, that are read at once.
const PAGE_BYTES: usize = 4 << 20;
/// Least and most records that are.
const PAGE_ROWS: (usize, usize) = (16, 1024);
/// Documents that are read at once while it is not known how long they are.
const FIRST_DOCUMENTS: usize = 4;

/// A file of records or documents.
pub(super) struct PartFile {
    format: Format,
    page_rows: usize,
}

enum Format {
    Records(RecordTable),
    Documents(DocumentLines),
}

impl PartFile {
    /// An empty file for what `index` holds.
    pub(super) fn create(scratch: &LocalScratch, index: &Index) -> Result<Self> {
        let shape = *index.shape();
        Ok(match index.documents() {
            None => Self {
                format: Format::Records(RecordTable::create(scratch, shape)?),
                page_rows: rows_of(&shape),
            },
            Some(fields) => Self {
                format: Format::Documents(DocumentLines::create(scratch, fields.clone())?),
                page_rows: FIRST_DOCUMENTS,
            },
        })
    }

    /// How its name ends.
    pub(super) fn ending(&self) -> &'static str {
        match self.format {
            Format::Records(_) => PARQUET,
            Format::Documents(_) => LINES,
        }
    }

    /// How many records to read at once.
    pub(super) fn page_rows(&self) -> usize {
        self.page_rows
    }

    /// Adds records in their order.
    pub(super) fn add(&mut self, records: &[Record]) -> Result<()> {
        match &mut self.format {
            Format::Records(table) => table.add(records),
            Format::Documents(lines) => {
                let before = lines.bytes();
                lines.add(records)?;
                // What follows is taken to be as long as these were.
                let bytes = (lines.bytes() - before) as usize;
                let each = (bytes / records.len().max(1)).max(1);
                self.page_rows = (PAGE_BYTES / each).clamp(1, PAGE_ROWS.1);
                Ok(())
            }
        }
    }

    /// Records so far.
    pub(super) fn rows(&self) -> u64 {
        match &self.format {
            Format::Records(table) => table.rows(),
            Format::Documents(lines) => lines.rows(),
        }
    }

    /// Whether another file is to be begun.
    pub(super) fn is_full(&self) -> bool {
        match &self.format {
            Format::Records(table) => table.bytes() >= EXPORT_PART_BYTES,
            Format::Documents(lines) => lines.bytes() >= EXPORT_LINES_BYTES,
        }
    }

    /// The finished file.
    pub(super) fn finish(self) -> Result<LocalScratchFile> {
        match self.format {
            Format::Records(table) => table.finish(),
            Format::Documents(lines) => lines.finish(),
        }
    }
}

/// Records of this shape that are read at once.
fn rows_of(shape: &IndexShape) -> usize {
    let (least, most) = PAGE_ROWS;
    (PAGE_BYTES / (4 * shape.dimension as usize).max(1)).clamp(least, most)
}
