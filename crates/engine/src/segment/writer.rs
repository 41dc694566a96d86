//! Writes sections one after another to a scratch file, each aligned and
//! hashed as its bytes pass, and the footer at the end. Knows no contents.

use std::io;

use crossbill_core::ScratchFile;

use super::layout::{ALIGNMENT, Entry, HEADER_BYTES, Kind, footer, header};

/// Bytes gathered before they are handed to the file.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes of dense vectors that share one checksum.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

/// The dense vectors, which stream to the file while records still arrive;
/// and their checksum per block.
#[derive(Debug, Default)]
pub(super) struct VectorColumn {
    blocks: Vec<u32>,
    /// The checksum and length of the block that is not full yet.
    open: (u32, usize),
    bytes: u64,
}

impl VectorColumn {
    /// Appends `bytes` to `file` and hashes them.
    pub(super) fn append(&mut self, file: &mut impl ScratchFile, bytes: &[u8]) -> io::Result<()> {
        file.append(bytes)?;
        self.bytes += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (crc, held) = self.open;
            let (block, after) = rest.split_at(rest.len().min(BLOCK_BYTES - held));
            self.open = (crc32c::crc32c_append(crc, block), held + block.len());
            if self.open.1 == BLOCK_BYTES {
                self.blocks.push(self.open.0);
                self.open = (0, 0);
            }
            rest = after;
        }
        Ok(())
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<u32>()
    }

    /// The section's entry, and the checksums of its blocks, the last one of
    /// which may be short.
    pub(super) fn finish(mut self) -> (Entry, Vec<u32>) {
        if self.open.1 > 0 {
            self.blocks.push(self.open.0);
        }
        let entry = Entry {
            kind: Kind::Vectors as u32,
            version: Kind::Vectors.version(),
            offset: HEADER_BYTES as u64,
            length: self.bytes,
            crc: combined(&self.blocks, self.bytes),
        };
        (entry, self.blocks)
    }
}

/// The checksum of `bytes` bytes whose blocks hash to `blocks`.
pub(super) fn combined(blocks: &[u32], bytes: u64) -> u32 {
    let mut rest = bytes;
    blocks.iter().fold(0, |crc, &block| {
        let length = rest.min(BLOCK_BYTES as u64);
        rest -= length;
        crc32c::crc32c_combine(crc, block, length as usize)
    })
}

/// A segment file after its vectors.
pub(super) struct FileWriter<F> {
    file: F,
    buffer: Vec<u8>,
    entries: Vec<Entry>,
    /// Checksum and start of the section that is being written.
    crc: u32,
    start: u64,
}

impl<F: ScratchFile> FileWriter<F> {
    /// Writes the header to an empty file.
    pub(super) fn write_header(file: &mut F) -> io::Result<()> {
        file.append(&header())
    }

    /// Goes on after the vectors, where there are any.
    pub(super) fn after(file: F, vectors: Option<Entry>) -> Self {
        Self {
            file,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            entries: vectors.into_iter().collect(),
            crc: 0,
            start: 0,
        }
    }

    /// The file, for reading what was written before.
    pub(super) fn file(&self) -> &F {
        &self.file
    }

    /// Writes one section; `fill` puts its bytes.
    pub(super) fn section<E: From<io::Error>>(
        &mut self,
        kind: Kind,
        fill: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.align()?;
        (self.start, self.crc) = (self.file.len(), 0);
        fill(self)?;
        self.flush()?;
        self.entries.push(Entry {
            kind: kind as u32,
            version: kind.version(),
            offset: self.start,
            length: self.file.len() - self.start,
            crc: self.crc,
        });
        Ok(())
    }

    /// Adds bytes to the section that is being written.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() > BUFFER_BYTES {
            return self.file.append(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes of the section so far.
    pub(super) fn position(&self) -> u64 {
        self.file.len() + self.buffer.len() as u64 - self.start
    }

    /// Zeros up to a multiple of 8 from the section's start.
    pub(super) fn pad_to_8(&mut self) -> io::Result<()> {
        let over = (self.position() % 8) as usize;
        self.put(&[0; 8][..(8 - over) % 8])
    }

    /// Writes the footer: the file, its length and its checksum.
    pub(super) fn finish(mut self) -> io::Result<(F, u64, u32)> {
        self.align()?;
        let (bytes, crc) = footer(&self.entries, self.file.len());
        self.file.append(&bytes)?;
        let length = self.file.len();
        Ok((self.file, length, crc))
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.append(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn align(&mut self) -> io::Result<()> {
        let over = self.file.len() % ALIGNMENT;
        let missing = (ALIGNMENT - over) % ALIGNMENT;
        self.file.append(&[0; ALIGNMENT as usize][..missing as usize])
    }
}
