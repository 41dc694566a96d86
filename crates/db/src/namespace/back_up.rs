//! What a backup of a namespace refers to: all that it held at one moment, as
//! a manifest of its own. Nothing is copied but the few records that were
//! written between the flush and that moment.

use crossbill_core::limits::MEMTABLE_BYTES_MAX;
use crossbill_core::{RecordBatch, Result};
use crossbill_store::killpoint::reach;
use crossbill_store::{Manifest, SegmentEntry};

use super::Namespace;
use super::flush::BATCH_ROWS;
use super::snapshot::Snapshot;
use super::state::LiveSegment;
use super::tombstones;
use crate::parts::shared_name;

/// A namespace as a backup keeps it.
pub(crate) struct BackedUp {
    /// Names its parts as another index would.
    pub(crate) manifest: Manifest,
    /// Live records.
    pub(crate) records: u64,
}

impl Namespace {
    /// The namespace with every write that was acknowledged before this call;
    /// nothing where it does not exist. The parts that it names are held for
    /// `holder`, also where this fails. Writes and queries go on.
    pub(crate) fn back_up(&self, holder: &str) -> Result<Option<BackedUp>> {
        if !self.exists() {
            return Ok(None);
        }
        self.flush()?;
        let looked = {
            // No commit may take a part away before it is held.
            let _no_commit = self.committer();
            let looked = self.snapshot(|state| state.header.clone());
            if let Some((snapshot, _)) = &looked {
                let live = snapshot.segments.iter().filter(|live| live.live() > 0);
                let parts = live.map(|live| shared_name(&self.context.uid, &live.entry.part));
                self.env().parts.hold(holder, parts);
            }
            looked
        };
        let Some((snapshot, header)) = looked else { return Ok(None) };
        reach("backup.held");
        let live = snapshot.segments.iter().filter(|live| live.live() > 0);
        let mut records: u64 = live.clone().map(LiveSegment::live).sum();
        let mut segments: Vec<SegmentEntry> = live.map(|live| self.shared_entry(live)).collect();
        if let Some(rest) = self.keep_tables(&snapshot, header.next_seq, holder)? {
            records += rest.live();
            segments.push(self.shared_entry(&rest));
        }
        let manifest = Manifest {
            namespace: self.name.as_str().to_owned(),
            next_seq: header.next_seq + 1,
            segments,
            filterable: header.filterable,
            ..Manifest::default()
        };
        Ok(Some(BackedUp { manifest, records }))
    }

    /// A segment as a namespace without a past would name it: of no import,
    /// and with the dead rows of this moment from before its first frame.
    fn shared_entry(&self, live: &LiveSegment) -> SegmentEntry {
        let dead = &*live.deleted - live.segment.superseded();
        SegmentEntry {
            part: shared_name(&self.context.uid, &live.entry.part),
            deleted: (!dead.is_empty()).then(|| tombstones::encode(0, &dead)),
            import: None,
            task: None,
            ..(*live.entry).clone()
        }
    }

    /// The records that are in memory, as a part that only `holder` refers to;
    /// nothing where there are none.
    fn keep_tables(
        &self,
        snapshot: &Snapshot,
        seq: u64,
        holder: &str,
    ) -> Result<Option<LiveSegment>> {
        let mut builder = self.builder(seq, self.env().root.scratch())?;
        for (rows, dead) in &snapshot.tables {
            let mut batch = RecordBatch::default();
            for row in (0..rows.len()).filter(|row| !dead.contains(*row)) {
                batch.push(rows.record(row));
                if batch.len() == BATCH_ROWS {
                    builder.push(&std::mem::take(&mut batch))?;
                }
            }
            builder.push(&batch)?;
        }
        if builder.rows() == 0 {
            return Ok(None);
        }
        let memory = MEMTABLE_BYTES_MAX as u64;
        let built = builder.finish(&self.env().commit_pool, memory, &|| false)?;
        let part = self.env().ids.next_id().to_string();
        // Before it is there, so that no sweep takes it.
        self.env().parts.hold(holder, [shared_name(&self.context.uid, &part)]);
        Ok(Some(self.publish_segment_as(built, seq, part)?))
    }
}
