//! The data root.
#![allow(clippy::todo, missing_docs)]
use std::path::PathBuf; use std::sync::Arc;
use bytes::Bytes;
use crossbill_core::{Clock, IdSource};
use crate::{FaultPlan, Key, LocalScratch, LocalScratchFile, PartBytes, StoreError};
/// How a root is opened.
#[derive(Debug, Clone)]
pub struct RootOptions { pub path: PathBuf, pub faults: Option<Arc<FaultPlan>>, pub ids: Arc<dyn IdSource>, pub clock: Arc<dyn Clock> }
/// A data root.
#[derive(Debug, Clone)]
pub struct Root(Arc<()>);
impl Root {
    pub fn open(_options: RootOptions) -> Result<Root, StoreError> { let _ = Root(Arc::new(())).0; todo!() }
    pub fn get(&self, _key: &Key) -> Result<Option<Bytes>, StoreError> { todo!() }
    pub fn put_new(&self, _key: &Key, _bytes: Bytes) -> Result<(), StoreError> { todo!() }
    /// Objects below `prefix` (any depth) with their bytes, in key order.
    pub fn list(&self, _prefix: &Key) -> Result<Vec<(Key, u64)>, StoreError> { todo!() }
    pub fn list_dirs(&self, _prefix: &Key) -> Result<Vec<String>, StoreError> { todo!() }
    pub fn delete(&self, _key: &Key) -> Result<(), StoreError> { todo!() }
    pub fn delete_prefix(&self, _prefix: &Key) -> Result<(), StoreError> { todo!() }
    pub fn scratch(&self) -> &LocalScratch { todo!() }
    pub fn publish(&self, _file: LocalScratchFile, _key: &Key) -> Result<u64, StoreError> { todo!() }
    pub fn open_part(&self, _key: &Key) -> Result<PartBytes, StoreError> { todo!() }
    pub fn disk_free(&self) -> Result<u64, StoreError> { todo!() }
    pub fn ids(&self) -> &Arc<dyn IdSource> { todo!() }
    pub fn clock(&self) -> &Arc<dyn Clock> { todo!() }
}
