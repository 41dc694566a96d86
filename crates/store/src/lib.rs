//! Bytes at rest: stored objects, documents committed by compare-and-swap,
//! write-ahead logs, memory-mapped parts, and the places imports read from.
//!
//! This crate knows no vectors. Its calls block; the async object store
//! clients inside are driven by a small private runtime. Nothing above it
//! knows how or where a byte is kept.

mod copy;
mod destination;
mod disk;
mod documents;
mod endpoint;
mod envelope;
mod error;
mod faults;
mod key;
pub mod killpoint;
mod manifest;
mod mmap;
mod page_key;
mod root;
mod runtime;
mod scratch;
mod source;
mod wal;
mod webhook;

pub use copy::{
    Added, CopiedFile, CopiedNamespace, CopyManifest, RootCopy, read_manifest as read_copy_manifest,
};
pub use destination::{Destination, DestinationPolicy, OpenDestination};
pub use documents::{CommitError, Documents, Versioned};
pub use endpoint::{Endpoint, EndpointAnswer, EndpointOptions};
pub use error::StoreError;
pub use faults::{Fault, FaultOp, FaultPlan, FaultRule, FaultStore};
pub use key::{Key, KeyError};
pub use manifest::{ImportProgress, MANIFEST_KIND, Manifest, SegmentEntry, TaskCounts};
pub use root::{DocumentFacts, Root, RootFile, RootOptions, RootSnapshot, SnapshotFile};
pub use scratch::{LocalScratch, LocalScratchFile};
pub use source::{
    Integration, Secret, SkippedEntry, Source, SourceError, SourceObject, SourcePolicy, SourceUri,
    StoreKind, StoredIntegrations,
};
pub use wal::{Wal, WalFrames};
pub use webhook::{Webhook, WebhookMessage};
