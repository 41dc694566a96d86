//! Documents.
#![allow(clippy::todo, missing_docs)]
use std::marker::PhantomData;
use serde::{Serialize, de::DeserializeOwned};
use crate::{Key, Root, StoreError};
/// A stored document: versions made by compare-and-swap.
#[derive(Debug, Clone)]
pub struct Documents<T>(PhantomData<fn() -> T>);
/// A document as it was at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> { pub version: u64, pub value: T }
/// Why a commit did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another writer was first: load, decide again, commit again.
    #[error("version {base} is not the newest")]
    Conflict { base: u64 },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
impl From<CommitError> for crossbill_core::Error { fn from(_error: CommitError) -> Self { todo!() } }
impl<T: Serialize + DeserializeOwned + Clone> Documents<T> {
    pub fn new(_root: &Root, _prefix: Key, _kind: &'static str) -> Self { todo!() }
    pub fn load(&self) -> Result<Option<Versioned<T>>, StoreError> { todo!() }
    pub fn commit(&self, _base: u64, _value: &T) -> Result<u64, CommitError> { todo!() }
    pub fn prune(&self, _keep_newest: usize) -> Result<(), StoreError> { todo!() }
}
