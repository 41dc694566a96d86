//! Write-ahead log.
#![allow(clippy::todo, missing_docs)]
use bytes::Bytes;
use crate::{Key, Root, StoreError};
/// A namespace's write-ahead log.
#[derive(Debug)]
pub struct Wal;
impl Wal {
    /// Opens the log in `<dir>/wal`; gives frames with an lsn above `after_lsn`.
    pub fn open(_root: &Root, _dir: &Key, _after_lsn: u64) -> Result<(Wal, Vec<(u64, Bytes)>), StoreError> { todo!() }
    /// Durable when it returns; gives the frame's lsn.
    pub fn append(&self, _payload: &[u8]) -> Result<u64, StoreError> { todo!() }
    pub fn truncate(&self, _through_lsn: u64) -> Result<(), StoreError> { todo!() }
    pub fn last_lsn(&self) -> u64 { todo!() }
}
