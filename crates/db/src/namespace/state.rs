//! What a namespace holds in memory, and the one way an operation changes it.
//!
//! Invariant: each id is live in at most one place (memtable, frozen memtable
//! or one segment), so a read never has to ask which copy is the newest.
//!
//! Does no I/O; the lock around it is the caller's.

use std::sync::Arc;

use crossbill_core::{Error, IndexShape, Result};
use crossbill_engine::{Segment, TextFields};
use crossbill_store::{Manifest, SegmentEntry};
use roaring::RoaringBitmap;

use super::memtable::Memtable;
use super::tombstones;
use crate::ops::Op;

/// A segment of the current manifest and the rows of it that no longer count.
#[derive(Clone)]
pub(crate) struct LiveSegment {
    /// As last committed.
    pub(crate) entry: Arc<SegmentEntry>,
    pub(crate) segment: Arc<Segment>,
    /// Deleted and superseded rows. Copied when changed under a reader.
    pub(crate) deleted: Arc<RoaringBitmap>,
    /// What the committed entry says of them; another pointer than `deleted`
    /// means that there is more to commit.
    pub(crate) committed: Arc<RoaringBitmap>,
    /// Operations up to this one are in `committed`.
    pub(crate) since_lsn: u64,
}

impl LiveSegment {
    /// A segment as its manifest entry describes it.
    pub(crate) fn open(entry: SegmentEntry, segment: Segment) -> Result<Self> {
        let found = (segment.rows(), segment.checksum());
        if found != (entry.rows, entry.checksum) {
            return Err(Error::corrupt(format!(
                "part {} has {} rows and checksum {:08x}, expected {} and {:08x} as its manifest says",
                entry.part, found.0, found.1, entry.rows, entry.checksum
            )));
        }
        let (since_lsn, mut rows) = match &entry.deleted {
            Some(text) => tombstones::decode(text)
                .map_err(|problem| Error::corrupt(format!("part {}: {problem}", entry.part)))?,
            None => (0, RoaringBitmap::new()),
        };
        rows |= segment.superseded();
        let deleted = Arc::new(rows);
        let committed = Arc::clone(&deleted);
        let (entry, segment) = (Arc::new(entry), Arc::new(segment));
        Ok(Self { entry, segment, deleted, committed, since_lsn })
    }

    /// Rows that count.
    pub(crate) fn live(&self) -> u64 {
        u64::from(self.segment.rows()) - self.deleted.len()
    }

    /// The live row of `id`.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.segment.find(id).filter(|row| !self.deleted.contains(*row))
    }

    /// Marks rows.
    pub(crate) fn delete_rows(&mut self, rows: &RoaringBitmap) {
        if !rows.is_subset(&self.deleted) {
            *Arc::make_mut(&mut self.deleted) |= rows;
        }
    }

    fn delete_id(&mut self, id: &str) {
        if let Some(row) = self.find(id) {
            Arc::make_mut(&mut self.deleted).insert(row);
        }
    }

    fn delete_all(&mut self) {
        Arc::make_mut(&mut self.deleted).insert_range(0..self.segment.rows());
    }
}

/// A full memtable while it becomes a segment.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub(crate) table: Arc<Memtable>,
    /// Rows that no longer count, as of now.
    pub(crate) deleted: Arc<RoaringBitmap>,
    /// The sequence number its segment will have.
    pub(crate) seq: u64,
    /// The last operation in it.
    pub(crate) lsn: u64,
}

impl Frozen {
    /// Rows that count.
    pub(crate) fn live(&self) -> u64 {
        u64::from(self.table.rows().len()) - self.deleted.len()
    }

    /// The live row of `id`.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.table.find(id).filter(|row| !self.deleted.contains(*row))
    }
}

/// Where the ids that a frame puts or deletes stand in segments: looked up
/// before the state is locked, because that may read the disk.
#[derive(Default)]
pub(crate) struct Found(Vec<(Arc<Segment>, RoaringBitmap)>);

impl Found {
    /// Looks for the ids of `ops` in `segments`.
    pub(crate) fn look(segments: &[LiveSegment], ops: &[Op]) -> Self {
        let ids = || {
            ops.iter().flat_map(|op| match op {
                Op::Put(record) => std::slice::from_ref(&record.id).iter(),
                Op::Delete(ids) => ids.iter(),
                Op::DeleteRows(..) | Op::Clear => <&[String]>::default().iter(),
            })
        };
        let look = |live: &LiveSegment| {
            let rows = ids().filter_map(|id| live.find(id)).collect();
            (Arc::clone(&live.segment), rows)
        };
        Self(segments.iter().map(look).collect())
    }

    /// The rows in `segment`; nothing where nobody has looked.
    fn rows(&self, segment: &Arc<Segment>) -> Option<&RoaringBitmap> {
        let found = self.0.iter().find(|(looked_at, _)| Arc::ptr_eq(looked_at, segment));
        found.map(|(_, rows)| rows)
    }
}

/// All that a namespace holds.
pub(crate) struct State {
    pub(crate) shape: IndexShape,
    /// The fields that are searched as text.
    pub(crate) text: TextFields,
    /// The manifest's version; 0 where there is none yet.
    pub(crate) version: u64,
    /// The manifest without its segments (they are in `live`).
    pub(crate) header: Manifest,
    /// In order of their sequence numbers.
    pub(crate) live: Vec<LiveSegment>,
    /// Segments of a commit under way: operations reach them already, readers
    /// do not.
    pub(crate) incoming: Vec<LiveSegment>,
    pub(crate) memtable: Memtable,
    pub(crate) frozen: Option<Frozen>,
    /// The last operation applied.
    pub(crate) applied_lsn: u64,
    /// Bytes of the log that the next flush will make superfluous.
    pub(crate) logged_bytes: usize,
}

impl State {
    /// A namespace that was never written to.
    pub(crate) fn new(shape: IndexShape, text: &TextFields, name: &str) -> Self {
        let header = Manifest {
            namespace: name.to_owned(),
            next_seq: 1,
            deleted: true,
            ..Manifest::default()
        };
        Self {
            shape,
            version: 0,
            header,
            live: Vec::new(),
            incoming: Vec::new(),
            text: text.clone(),
            memtable: Memtable::new(shape, text),
            frozen: None,
            applied_lsn: 0,
            logged_bytes: 0,
        }
    }

    /// Whether the namespace exists for its users.
    pub(crate) fn exists(&self) -> bool {
        self.version > 0 && !self.header.deleted
    }

    /// Notes that all operations of frame `lsn`, of `bytes`, were applied.
    pub(crate) fn note_frame(&mut self, lsn: u64, bytes: usize) {
        self.applied_lsn = lsn;
        self.logged_bytes += bytes;
    }

    /// Live records.
    pub(crate) fn count(&self) -> u64 {
        self.memtable.live()
            + self.frozen.as_ref().map_or(0, Frozen::live)
            + self.live.iter().map(LiveSegment::live).sum::<u64>()
    }

    /// Bytes of memory that its memtables hold.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memtable.bytes() + self.frozen.as_ref().map_or(0, |frozen| frozen.table.bytes())
    }

    /// Bytes of all segments.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.live.iter().map(|live| live.entry.bytes).sum()
    }

    /// Applies the operations of a durable frame. `found` says where its ids
    /// stand, for the segments that somebody has looked at already.
    pub(crate) fn apply(&mut self, lsn: u64, ops: Vec<Op>, found: &Found) {
        for live in self.segments_before(lsn) {
            let looked_up = found.rows(&live.segment);
            if let Some(rows) = looked_up {
                live.delete_rows(rows);
            }
            for op in &ops {
                match op {
                    Op::Put(record) if looked_up.is_none() => live.delete_id(&record.id),
                    Op::Delete(ids) if looked_up.is_none() => {
                        ids.iter().for_each(|id| live.delete_id(id));
                    }
                    Op::Put(_) | Op::Delete(_) => {}
                    Op::DeleteRows(part, rows) if *part == live.entry.part => {
                        live.delete_rows(rows)
                    }
                    // Of a segment that a later commit left out, which knew
                    // of this operation.
                    Op::DeleteRows(..) => {}
                    Op::Clear => live.delete_all(),
                }
            }
        }
        for op in ops {
            self.apply_in_memory(op);
        }
    }

    fn apply_in_memory(&mut self, op: Op) {
        match op {
            Op::Put(record) => {
                self.bury_frozen(&record.id);
                self.memtable.put(record);
            }
            Op::Delete(ids) => {
                for id in &ids {
                    self.bury_frozen(id);
                    self.memtable.remove(id);
                }
            }
            Op::DeleteRows(..) => {}
            Op::Clear => {
                self.memtable.clear();
                if let Some(frozen) = &mut self.frozen {
                    let rows = frozen.table.rows().len();
                    Arc::make_mut(&mut frozen.deleted).insert_range(0..rows);
                }
            }
        }
    }

    fn bury_frozen(&mut self, id: &str) {
        if let Some(frozen) = &mut self.frozen
            && let Some(row) = frozen.find(id)
        {
            Arc::make_mut(&mut frozen.deleted).insert(row);
        }
    }

    /// Segments whose committed tombstones do not know operation `lsn` yet.
    /// In normal running these are all; while a log is replayed, a segment
    /// that was committed after an operation must not feel it again.
    fn segments_before(&mut self, lsn: u64) -> impl Iterator<Item = &mut LiveSegment> {
        self.live.iter_mut().chain(&mut self.incoming).filter(move |live| live.since_lsn < lsn)
    }

    /// Sets the memtable aside to become a segment, if anything was written
    /// and none is set aside already. It may be empty: then the flush only
    /// commits tombstones and shortens the log.
    pub(crate) fn freeze(&mut self) {
        if self.frozen.is_some() || self.logged_bytes == 0 {
            return;
        }
        self.logged_bytes = 0;
        let table = std::mem::replace(&mut self.memtable, Memtable::new(self.shape, &self.text));
        let seq = self.header.next_seq;
        self.header.next_seq += 1;
        self.frozen = Some(Frozen {
            deleted: Arc::clone(table.dead()),
            table: Arc::new(table),
            seq,
            lsn: self.applied_lsn,
        });
    }
}
