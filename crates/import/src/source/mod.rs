//! Untrusted files on their way to the decoder: ranged reads with read-ahead,
//! footers, and the sizes a page claims, all within bounds.

pub(crate) mod blocks;
mod footer;
mod format;
mod ipc;
mod levels;
mod lines;
mod npy;
mod pages;
mod thrift;
mod thrift_types;
mod window;

use std::ops::Range;

use bytes::Bytes;
use crossbill_store::{Source, SourceError, SourceObject};

pub(crate) use footer::{panic_text, read_footer};
pub(crate) use format::{Format, Packing};
pub(crate) use ipc::{IpcIndex, IpcPart, message_of, read_ipc_index};
pub(crate) use lines::{Counted, Line, Lines, TooMuch, count_lines, whole_lines};
pub(crate) use npy::{NpyHeader, NpyItem, read_npy_header};
pub(crate) use pages::{BatchLimit, OneRowGroup};

/// Ranged reads of one file: the one thing the decoder needs of a source.
pub(crate) trait RangeRead: Send + Sync {
    /// Bytes of the file.
    fn size(&self) -> u64;
    /// Exactly the bytes of `range`.
    fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError>;
}

/// A file of a source.
pub(crate) struct SourceRead {
    pub(crate) source: Source,
    pub(crate) object: SourceObject,
}

impl RangeRead for SourceRead {
    fn size(&self) -> u64 {
        self.object.size
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        self.source.read(&self.object, range)
    }
}
