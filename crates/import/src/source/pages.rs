//! Pages on their way to the decoder, each checked before anything is
//! allocated for it: sizes within limits, no more values than the footer
//! promised, no more of them in a batch than memory allows. Codecs that unpack
//! without a bound are unpacked here, up to the size the page declared.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use crossbill_core::limits::PARQUET_PAGE_BYTES_MAX;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::Compression;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::ReaderProperties;
use parquet::file::serialized_reader::SerializedPageReader;

use super::blocks::{BlockReader, Blocks};
use super::thrift::{PageHead, ThriftError, page_head};
use super::window::{Leaf, Window};

/// Bytes of one page's header.
const PAGE_HEADER_BYTES_MAX: u64 = 16 << 20;

/// One row group of a file, as the Arrow reader wants it.
pub(crate) struct OneRowGroup {
    pub(crate) blocks: Arc<Blocks>,
    pub(crate) metadata: Arc<ParquetMetaData>,
    pub(crate) number: usize,
    pub(crate) limit: BatchLimit,
}

/// How much a batch may take.
#[derive(Debug, Clone)]
pub(crate) struct BatchLimit {
    /// Rows of a batch.
    pub(crate) rows: usize,
    /// Rows of the row group passed over before the first batch.
    pub(crate) first_row: u64,
    /// Bytes that one column of a batch may take.
    pub(crate) bytes_max: u64,
    /// Raised where decoding failed because a batch would take more.
    pub(crate) exceeded: Arc<AtomicBool>,
    /// Raised where decoding failed because a page is too large.
    pub(crate) page_too_large: Arc<AtomicBool>,
}

impl OneRowGroup {
    fn group(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.number)
    }
}

impl RowGroups for OneRowGroup {
    fn num_rows(&self) -> usize {
        usize::try_from(self.group().num_rows()).unwrap_or(0)
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let chunk = self.group().column(column);
        let leaf = Leaf::of(self.group().schema_descr().column(column).as_ref());
        let pages = GuardedPages::new(&self.blocks, chunk, self.num_rows(), leaf, &self.limit)?;
        Ok(Box::new(OneChunk(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.group()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

/// The pages of one column chunk.
struct GuardedPages {
    inner: SerializedPageReader<BlockReader>,
    blocks: Arc<Blocks>,
    /// Where the next page begins.
    at: u64,
    /// Where the chunk ends.
    end: u64,
    /// The next page, once it is checked: its header and its end.
    next: Option<(PageHead, u64)>,
    /// Values the footer promises that no page has had yet.
    values_left: i64,
    unpack: Option<Unpack>,
    is_hadoop_lz4: bool,
    window: Window,
    limit: BatchLimit,
}

impl GuardedPages {
    fn new(
        blocks: &Arc<Blocks>,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        leaf: Leaf,
        limit: &BatchLimit,
    ) -> Result<Self> {
        let (start, length) = chunk.byte_range();
        let unpack = Unpack::of(chunk.compression());
        let blocks = Arc::clone(blocks);
        let reader = Arc::new(BlockReader(Arc::clone(&blocks)));
        let inner = if unpack.is_some() {
            let plain = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED);
            SerializedPageReader::new(reader, &plain.build()?, rows, None)?
        } else {
            // Where LZ4 pages are not as the format wants them, the library
            // would try frames, and those unpack without a bound.
            let properties = ReaderProperties::builder().set_backward_compatible_lz4(false).build();
            let properties = Arc::new(properties);
            SerializedPageReader::new_with_properties(reader, chunk, rows, None, properties)?
        };
        let end = start + length;
        let values_left = chunk.num_values();
        let window = Window::new(leaf, limit.rows, limit.first_row, limit.bytes_max);
        let is_hadoop_lz4 = chunk.compression() == Compression::LZ4;
        let (at, next, limit) = (start, None, limit.clone());
        Ok(Self { inner, blocks, at, end, next, values_left, unpack, is_hadoop_lz4, window, limit })
    }

    /// Checks the next page once.
    fn check(&mut self) -> Result<()> {
        if self.next.is_some() {
            return Ok(());
        }
        let mut at = self.at;
        while at < self.end {
            let head = self.head(at)?;
            let end = self.check_sizes(at, &head)?;
            if head.is_index {
                at = end;
                continue;
            }
            self.values_left -= i64::from(head.values);
            if head.values < 0 || self.values_left < 0 {
                return Err(bad(format!(
                    "a page at byte {at} claims {} values, {} more than its column has",
                    head.values, -self.values_left
                )));
            }
            self.next = Some((head, end));
            break;
        }
        Ok(())
    }

    fn check_sizes(&self, at: u64, head: &PageHead) -> Result<u64> {
        let sizes = (u64::try_from(head.packed_bytes), u64::try_from(head.unpacked_bytes));
        let (Ok(packed), Ok(unpacked)) = sizes else {
            return Err(bad(format!(
                "a page at byte {at} claims {} bytes, {} unpacked",
                head.packed_bytes, head.unpacked_bytes
            )));
        };
        let end = at + head.header_bytes as u64 + packed;
        if end > self.end {
            return Err(bad(format!(
                "a page at byte {at} ends at {end}, but its column ends at {}",
                self.end
            )));
        }
        if unpacked.max(packed) > PARQUET_PAGE_BYTES_MAX as u64 {
            self.limit.page_too_large.store(true, Ordering::Release);
            return Err(bad(format!(
                "a page at byte {at} has {unpacked} bytes unpacked, expected at most \
                 {PARQUET_PAGE_BYTES_MAX}"
            )));
        }
        Ok(end)
    }

    fn head(&self, at: u64) -> Result<PageHead> {
        let left = (self.end - at).min(PAGE_HEADER_BYTES_MAX);
        let mut window = 1024_u64;
        loop {
            let length = window.min(left);
            let bytes = self
                .blocks
                .bytes(at, length as usize)
                .map_err(|error| ParquetError::External(Box::new(error)))?;
            match page_head(&bytes) {
                Ok(head) => return Ok(head),
                Err(ThriftError::End) if length < left => window *= 16,
                Err(error) => {
                    return Err(bad(format!("the page header at byte {at} is damaged: {error}")));
                }
            }
        }
    }

    fn step(&mut self) -> Option<PageHead> {
        let (head, end) = self.next.take()?;
        self.at = end;
        Some(head)
    }
}

fn bad(reason: String) -> ParquetError {
    ParquetError::General(reason)
}

impl Iterator for GuardedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for GuardedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.check()?;
        let page = self.inner.get_next_page().map_err(|error| match self.is_hadoop_lz4 {
            true => bad(format!("{error} (LZ4 is read as Hadoop packs it or raw, not as frames)")),
            false => error,
        })?;
        let head = self.step();
        let page = match (page, head, self.unpack) {
            (Some(page), Some(head), Some(unpack)) => {
                Some(unpack.page(page, head.unpacked_bytes as usize)?)
            }
            (page, _, _) => page,
        };
        if let Some(page) = &page {
            self.window.count(page).map_err(|error| {
                self.limit.exceeded.store(true, Ordering::Release);
                bad(error.to_string())
            })?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.check()?;
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.check()?;
        if let Some(head) = self.step() {
            let rows = head.rows.unwrap_or(head.values);
            self.window.skip(u64::try_from(rows).unwrap_or(0));
        }
        self.inner.skip_next_page()
    }
}

/// Codecs whose own decoder would unpack as much as it is given.
#[derive(Debug, Clone, Copy)]
enum Unpack {
    Gzip,
    Brotli,
}

impl Unpack {
    fn of(compression: Compression) -> Option<Self> {
        match compression {
            Compression::GZIP(_) => Some(Unpack::Gzip),
            Compression::BROTLI(_) => Some(Unpack::Brotli),
            _ => None,
        }
    }

    /// `packed` unpacked, behind the plain bytes `before`; `length` bytes in
    /// all.
    fn bytes(self, before: &[u8], packed: &[u8], length: usize) -> Result<Bytes> {
        const BUFFER_BYTES: usize = 64 << 10;
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(before);
        let expected = length.saturating_sub(before.len());
        // An empty page has no packed bytes at all, not even a header.
        if expected > 0 {
            let limit = expected as u64 + 1;
            match self {
                Unpack::Gzip => {
                    flate2::read::MultiGzDecoder::new(packed).take(limit).read_to_end(&mut out)
                }
                Unpack::Brotli => brotli::Decompressor::new(packed, BUFFER_BYTES.min(expected))
                    .take(limit)
                    .read_to_end(&mut out),
            }?;
        }
        if out.len() != length {
            return Err(bad(format!(
                "a page unpacks to {} bytes or more, its header says {length}",
                out.len()
            )));
        }
        Ok(Bytes::from(out))
    }

    fn page(self, page: Page, length: usize) -> Result<Page> {
        Ok(match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            } => Page::DataPage {
                buf: self.bytes(&[], &buf, length)?,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            },
            Page::DictionaryPage { buf, num_values, encoding, is_sorted } => Page::DictionaryPage {
                buf: self.bytes(&[], &buf, length)?,
                num_values,
                encoding,
                is_sorted,
            },
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed: true,
                statistics,
            } => {
                let levels = def_levels_byte_len as usize + rep_levels_byte_len as usize;
                if levels > buf.len() {
                    return Err(bad("a page's levels are longer than the page".to_owned()));
                }
                Page::DataPageV2 {
                    buf: self.bytes(&buf[..levels], &buf[levels..], length)?,
                    num_values,
                    encoding,
                    num_nulls,
                    num_rows,
                    def_levels_byte_len,
                    rep_levels_byte_len,
                    is_compressed: true,
                    statistics,
                }
            }
            plain @ Page::DataPageV2 { .. } => plain,
        })
    }
}
