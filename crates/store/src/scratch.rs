//! Temporary files under the root, deleted when dropped.
#![allow(clippy::todo)]
use std::io;
use crossbill_core::{ScratchFile, ScratchSpace};
/// Makes temporary files.
#[derive(Debug, Clone)]
pub struct LocalScratch;
/// A temporary file.
#[derive(Debug)]
pub struct LocalScratchFile;
impl ScratchSpace for LocalScratch {
    type File = LocalScratchFile;
    fn create(&self, _label: &str) -> io::Result<LocalScratchFile> { todo!() }
}
impl ScratchFile for LocalScratchFile {
    fn append(&mut self, _bytes: &[u8]) -> io::Result<()> { todo!() }
    fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> io::Result<()> { todo!() }
    fn write_at(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<()> { todo!() }
    fn len(&self) -> u64 { todo!() }
}
