//! Lines of a file, packed or not, through bounded reads: counted once for
//! the plan, then read again piece by piece. Unpacking stops at a multiple of
//! what the file has packed, and no line is held beyond its limit.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::sync::Arc;

use crossbill_core::limits::{JSON_LINE_BYTES_MAX, UNPACKED_BYTES_FREE, UNPACKED_RATIO_MAX};
use parquet::file::reader::ChunkReader;

use super::blocks::{BlockReader, Blocks};
use super::format::Packing;
use crate::LineSpan;

const BUFFER_BYTES: usize = 256 << 10;
/// A frame of zstd asks for a window of at most this many bits.
const ZSTD_WINDOW_BITS_MAX: u32 = 25;
/// The mark that some editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Its bytes, without the line's end.
    Bytes(&'a [u8]),
    /// It is longer than a line may be.
    TooLong,
}

/// Reads lines.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    /// Unpacked bytes that are left to read.
    left: u64,
    /// The line that comes next, from 1.
    number: u64,
    line: Vec<u8>,
}

/// A file unpacks to too much.
#[derive(Debug, thiserror::Error)]
#[error(
    "it unpacks to more than {bytes_max} bytes, expected at most {UNPACKED_RATIO_MAX} times its size"
)]
pub(crate) struct TooMuch {
    bytes_max: u64,
}

impl Lines {
    /// The lines of `span`; of a packed file it counts unpacked bytes.
    pub(crate) fn open(
        blocks: &Arc<Blocks>,
        packing: Packing,
        span: &LineSpan,
    ) -> io::Result<Self> {
        let start = if packing == Packing::Plain { span.start } else { 0 };
        let mut input = open(blocks, packing, start)?;
        let mut left = span.end - start;
        if start == 0 {
            left -= skip_mark(&mut *input)?.min(left);
        }
        Ok(Self { input, left, number: span.first_line, line: Vec::new() })
    }

    /// The next line that is not blank, and its number in the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        loop {
            let number = self.number;
            let Some(is_whole) = self.read()? else { return Ok(None) };
            self.number += 1;
            if !is_whole {
                return Ok(Some((number, Line::TooLong)));
            }
            if !is_blank(&self.line) {
                // Borrowed anew: the loop cannot give away what it may clear.
                return Ok(Some((number, Line::Bytes(&self.line))));
            }
        }
    }

    /// Reads one line; whether it fits its limit, none at the end.
    fn read(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut any, mut fits) = (false, true);
        while self.left > 0 {
            let found = self.input.fill_buf()?;
            if found.is_empty() {
                break;
            }
            any = true;
            let found = &found
                [..usize::try_from(self.left).map_or(found.len(), |left| left.min(found.len()))];
            let end = memchr::memchr(b'\n', found);
            let taken = end.unwrap_or(found.len());
            fits &= self.line.len() + taken <= JSON_LINE_BYTES_MAX;
            if fits {
                self.line.extend_from_slice(&found[..taken]);
            }
            let used = taken + usize::from(end.is_some());
            self.input.consume(used);
            self.left -= used as u64;
            if end.is_some() {
                break;
            }
        }
        Ok(any.then_some(fits))
    }
}

/// What counting the lines of a file found.
pub(crate) struct Counted {
    /// Spans of about the wanted size, with the lines in them that are not
    /// blank.
    pub(crate) spans: Vec<(LineSpan, u64)>,
    /// The first bytes, unpacked.
    pub(crate) head: Vec<u8>,
}

/// Counts the lines of a file, and keeps its first `head_bytes`. Spans end
/// with a line; a packed file is one span.
pub(crate) fn count_lines(
    blocks: &Arc<Blocks>,
    packing: Packing,
    span_bytes: u64,
    head_bytes: usize,
) -> io::Result<Counted> {
    let mut input = open(blocks, packing, 0)?;
    let mark = skip_mark(&mut *input)?;
    let span_bytes = if packing == Packing::Plain { span_bytes } else { u64::MAX };
    let mut counter = Counter {
        at: mark,
        span: LineSpan { start: 0, end: 0, first_line: 1 },
        line: 1,
        ..Counter::default()
    };
    let mut head = Vec::new();
    loop {
        let found = input.fill_buf()?;
        if found.is_empty() {
            break;
        }
        let wanted = head_bytes - head.len();
        head.extend_from_slice(&found[..wanted.min(found.len())]);
        counter.count(found, span_bytes);
        let length = found.len();
        input.consume(length);
    }
    Ok(Counted { spans: counter.finish(), head })
}

/// Where counting stands.
#[derive(Default)]
struct Counter {
    spans: Vec<(LineSpan, u64)>,
    at: u64,
    span: LineSpan,
    rows: u64,
    line: u64,
    /// Whether the line at hand has more than space in it.
    has_text: bool,
}

impl Counter {
    fn count(&mut self, mut found: &[u8], span_bytes: u64) {
        while !found.is_empty() {
            let end = memchr::memchr(b'\n', found);
            let (text, rest) = found.split_at(end.map_or(found.len(), |end| end + 1));
            self.has_text |= !is_blank(text);
            self.at += text.len() as u64;
            found = rest;
            if end.is_some() {
                self.end_line();
                if self.at - self.span.start >= span_bytes {
                    self.end_span();
                }
            }
        }
    }

    fn end_line(&mut self) {
        self.rows += u64::from(std::mem::take(&mut self.has_text));
        self.line += 1;
    }

    fn end_span(&mut self) {
        let next = LineSpan { start: self.at, end: self.at, first_line: self.line };
        let span = LineSpan { end: self.at, ..std::mem::replace(&mut self.span, next) };
        self.spans.push((span, std::mem::take(&mut self.rows)));
    }

    fn finish(mut self) -> Vec<(LineSpan, u64)> {
        if self.at > self.span.start {
            self.end_line();
            self.end_span();
        }
        self.spans
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn open(blocks: &Arc<Blocks>, packing: Packing, start: u64) -> io::Result<Box<dyn BufRead + Send>> {
    let packed = BlockReader(Arc::clone(blocks)).get_read(start).map_err(io::Error::other)?;
    let packed = BufReader::with_capacity(BUFFER_BYTES, packed);
    let unpacked: Box<dyn Read + Send> = match packing {
        Packing::Plain => return Ok(Box::new(packed)),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_BITS_MAX)?;
            Box::new(decoder)
        }
    };
    let size = parquet::file::reader::Length::len(&BlockReader(Arc::clone(blocks)));
    let bytes_max = size.saturating_mul(UNPACKED_RATIO_MAX).max(UNPACKED_BYTES_FREE);
    let bounded = Bounded { inner: unpacked, left: bytes_max, bytes_max };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, bounded)))
}

/// Passes the mark over; gives its length.
fn skip_mark(input: &mut dyn BufRead) -> io::Result<u64> {
    let is_marked = input.fill_buf()?.starts_with(BYTE_ORDER_MARK);
    let length = if is_marked { BYTE_ORDER_MARK.len() } else { 0 };
    input.consume(length);
    Ok(length as u64)
}

/// Fails where more comes out than may.
struct Bounded {
    inner: Box<dyn Read + Send>,
    left: u64,
    bytes_max: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| io::Error::other(TooMuch { bytes_max: self.bytes_max }))?;
        Ok(count)
    }
}

/// Where the first bytes of a file end within whole lines.
pub(crate) fn whole_lines(head: &[u8], is_all: bool) -> Range<usize> {
    let end = if is_all { head.len() } else { memchr::memrchr(b'\n', head).map_or(0, |at| at + 1) };
    0..end
}
