//! One namespace: log, memtables, segments, one manifest.
//!
//! ```text
//! write: queue ─ log (durable) ─ memtable and tombstones ─ answer
//! flush: memtable frozen ─ segment built ─ manifest committed ─ log cut
//! read:  snapshot under the lock, memtables and segments outside it
//! ```
//! Locks, always taken in this order: flush lock, commit lock, state lock.
//! The write queue's leader may wait for a flush; a flush never waits for the
//! queue.

mod adopt;
mod back_up;
mod check;
mod commit;
mod cursor;
mod flush;
mod memtable;
mod merge;
mod read;
mod snapshot;
mod staged;
mod state;
mod text;
mod tiers;
mod tombstones;
mod update;
mod write;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbill_core::limits::RESIDENT_VECTORS_BYTES_MIN;
use crossbill_core::{DocumentFields, Error, IndexShape, Metadata, NamespaceName, Record, Result};
use crossbill_engine::{Segment, TextFields};
use crossbill_store::{
    Documents, Key, MANIFEST_KIND, Manifest, SegmentEntry, StoreError, Versioned, Wal,
};
use parking_lot::{Condvar, Mutex, RwLock};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub(crate) use adopt::stopped;
pub(crate) use back_up::BackedUp;
use commit::Committer;
pub(crate) use cursor::Cursor;
use state::{Found, LiveSegment, State};
pub(crate) use tombstones::check as check_tombstones;
pub(crate) use write::WriteOp;
use write::WriteQueue;

use crate::env::Env;
use crate::parts;

/// Attempts to open a part while the store does not answer.
const PART_ATTEMPTS_MAX: u32 = 5;
/// Wait after the first of them; grows with each.
const PART_WAIT: Duration = Duration::from_millis(5);

/// Bytes of a raw component.
const RAW_BYTES: u64 = 4;

/// What a namespace needs of its index.
pub(crate) struct IndexContext {
    pub(crate) env: Arc<Env>,
    pub(crate) shape: IndexShape,
    /// Which fields hold the vectors, in an index of documents.
    pub(crate) documents: Option<DocumentFields>,
    /// Its fields that are searched as text.
    pub(crate) text: TextFields,
    /// The index's uid.
    pub(crate) uid: String,
    /// `indexes/<uid>`.
    pub(crate) dir: Key,
    /// Writes of the whole index so far.
    pub(crate) lsn: AtomicU64,
    /// Set once the index is deleted: background work leaves it alone.
    pub(crate) closed: AtomicBool,
}

impl IndexContext {
    /// Checks a record against every rule of its index, and rounds its vector
    /// to what the index keeps of it.
    fn accept(&self, record: &mut Record, metadata_bytes_max: usize) -> Result<()> {
        check::accept_record(&self.shape, record, metadata_bytes_max)?;
        self.check_document(record, metadata_bytes_max)
    }

    /// Checks a record of an index of documents against its schema.
    fn check_document(&self, record: &Record, metadata_bytes_max: usize) -> Result<()> {
        let Some(fields) = &self.documents else { return Ok(()) };
        let has_vector = record.sparse.is_some() || !record.values.is_empty();
        let none = Metadata::default();
        let metadata = record.metadata.as_ref().unwrap_or(&none);
        let text = self.text.schema();
        crossbill_core::check_document(fields, text, has_vector, metadata, metadata_bytes_max)
            .map_err(|error| Error::invalid(format!("document {:?}: {error}", record.id)))
    }
}

/// A namespace.
pub(crate) struct Namespace {
    name: NamespaceName,
    context: Arc<IndexContext>,
    dir: Key,
    state: RwLock<State>,
    committer: Mutex<Committer>,
    queue: WriteQueue,
    wal: Mutex<Option<Arc<Wal>>>,
    /// Held by the one flush that runs.
    flushing: Mutex<()>,
    /// Notified (under its lock) when a flush ends; holds the last one's
    /// error.
    flush_ended: (Mutex<Option<String>>, Condvar),
    merging: Mutex<()>,
    /// Whether it waits in the queue of merges.
    merge_asked: AtomicBool,
    this: Weak<Namespace>,
}

/// The directory name of a namespace.
pub(crate) fn directory_name(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Namespace {
    /// A namespace that was never written to. Nothing is stored yet.
    pub(crate) fn new(context: &Arc<IndexContext>, name: &NamespaceName) -> Arc<Self> {
        let state = State::new(context.shape, &context.text, name.as_str());
        Self::with_state(context, name.clone(), state, None)
    }

    fn with_state(
        context: &Arc<IndexContext>,
        name: NamespaceName,
        state: State,
        wal: Option<Arc<Wal>>,
    ) -> Arc<Self> {
        let dir = context.dir.join("namespaces").join(&directory_name(name.as_str()));
        let documents = Documents::new(&context.env.root, dir.join("manifest"), MANIFEST_KIND);
        Arc::new_cyclic(|this| Self {
            name,
            context: Arc::clone(context),
            dir,
            state: RwLock::new(state),
            committer: Mutex::new(Committer::new(documents)),
            queue: WriteQueue::new(),
            wal: Mutex::new(wal),
            flushing: Mutex::new(()),
            flush_ended: (Mutex::new(None), Condvar::new()),
            merging: Mutex::new(()),
            merge_asked: AtomicBool::new(false),
            this: Weak::clone(this),
        })
    }

    /// Opens the namespace kept in `directory`: its manifest, its segments,
    /// and what its log holds beyond them. Nothing where there is no manifest
    /// (its first commit was cut off).
    pub(crate) fn open(context: &Arc<IndexContext>, directory: &str) -> Result<Option<Arc<Self>>> {
        let root = &context.env.root;
        let dir = context.dir.join("namespaces").join(directory);
        let documents: Documents<Manifest> =
            Documents::new(root, dir.join("manifest"), MANIFEST_KIND);
        let Some(Versioned { version, value: mut header }) = documents.load()? else {
            return Ok(None);
        };
        let name = NamespaceName::new(&header.namespace)?;
        if directory_name(name.as_str()) != directory {
            return Err(Error::corrupt(format!(
                "directory {directory} holds namespace {:?}, expected the one it is named after",
                header.namespace
            )));
        }
        let entries = std::mem::take(&mut header.segments);
        let mut live = entries
            .into_par_iter()
            .map(|entry| open_segment(context, entry))
            .collect::<Result<Vec<_>>>()?;
        live.sort_by_key(|segment| segment.entry.seq);
        let (wal, frames) = Wal::open(root, &dir, header.flushed_lsn)?;
        let mut state =
            State { version, live, ..State::new(context.shape, &context.text, name.as_str()) };
        state.applied_lsn = header.flushed_lsn;
        state.header = header;
        for (lsn, payload) in frames {
            state.apply(lsn, crate::ops::decode(&payload)?, &Found::default());
            state.note_frame(lsn, payload.len());
        }
        state.applied_lsn = state.applied_lsn.max(wal.last_lsn());
        context.env.memory_changed(0, state.memory_bytes());
        Ok(Some(Self::with_state(context, name, state, Some(Arc::new(wal)))))
    }

    /// The namespace's name.
    pub(crate) fn name(&self) -> &NamespaceName {
        &self.name
    }

    /// Whether it exists for its users.
    pub(crate) fn exists(&self) -> bool {
        self.state.read().exists()
    }

    /// Log frames so far, ever.
    pub(crate) fn applied_lsn(&self) -> u64 {
        self.state.read().applied_lsn
    }

    /// Parts that it refers to, those of a commit under way and those that
    /// are staged among them.
    pub(crate) fn parts(&self) -> Vec<String> {
        let state = self.state.read();
        let segments = state.live.iter().chain(&state.incoming);
        let shown = segments.map(|segment| segment.entry.part.clone());
        shown.chain(state.header.staged.iter().map(|entry| entry.part.clone())).collect()
    }

    fn env(&self) -> &Env {
        &self.context.env
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let held = self.state.get_mut().memory_bytes();
        self.env().memory_changed(held, 0);
    }
}

/// Opens a committed or published part.
fn open_segment(context: &IndexContext, entry: SegmentEntry) -> Result<LiveSegment> {
    let segment = open_part(context, &entry.part)?;
    if segment.shape() != &context.shape {
        return Err(Error::corrupt(format!(
            "part {} is of shape {:?}, expected {:?} as its index",
            entry.part,
            segment.shape(),
            context.shape
        )));
    }
    if let Some(text) = segment.text()
        && text.fields().schema() != context.text.schema()
    {
        return Err(Error::corrupt(format!(
            "part {} has the text fields {:?}, expected {:?} as its index",
            entry.part,
            text.fields().schema(),
            context.text.schema()
        )));
    }
    LiveSegment::open(entry, segment)
}

/// Opens the part called `name`; tried again where the store does not answer.
fn open_part(context: &IndexContext, name: &str) -> Result<Segment> {
    let key = parts::key_of(&context.uid, name)?;
    let mut attempt = 1;
    let bytes = loop {
        match context.env.root.open_part(&key) {
            Ok(bytes) => break bytes,
            Err(StoreError::Unavailable { .. }) if attempt < PART_ATTEMPTS_MAX => {
                context.env.clock.sleep(PART_WAIT * attempt);
                attempt += 1;
            }
            Err(error) => return Err(error.into()),
        }
    };
    let mut segment =
        Segment::open(bytes).map_err(|error| Error::corrupt(format!("part {name}: {error}")))?;
    let raw = u64::from(segment.rows()) * u64::from(segment.shape().dimension) * RAW_BYTES;
    let allowed = raw / 100 * u64::from(context.env.resident_vectors_percent);
    segment.set_resident_vectors(allowed.max(RESIDENT_VECTORS_BYTES_MIN));
    Ok(segment)
}
