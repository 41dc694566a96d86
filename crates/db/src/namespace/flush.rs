//! From a full memtable to a segment: freeze, build, publish the part, commit
//! the manifest, cut the log.

use std::sync::Arc;

use crossbill_core::limits::{EXACT_ROWS_MAX, MEMTABLE_BYTES_MAX};
use crossbill_core::{RecordBatch, Result, ScratchSpace, Seed};
use crossbill_engine::{BuiltSegment, SegmentBuilder, SegmentOptions};
use crossbill_store::killpoint::reach;
use crossbill_store::{LocalScratchFile, SegmentEntry};
use roaring::RoaringBitmap;

use super::commit::Change;
use super::state::{Frozen, LiveSegment};
use super::{Namespace, open_part};
use crate::env::Env;
use crate::metrics::{Failure, timed};
use crate::parts;

/// Records copied at a time from a memtable or segment into a builder.
pub(super) const BATCH_ROWS: usize = 512;

/// A segment that was built and published but not yet committed.
pub(super) struct Built {
    pub(super) segment: LiveSegment,
    /// For each source row the built row, or `DROPPED`.
    pub(super) rows: Vec<u32>,
}

/// The built row of a source row that was left out.
pub(super) const DROPPED: u32 = u32::MAX;

impl Namespace {
    /// Moves everything written before this call into segments.
    pub(crate) fn flush(&self) -> Result<()> {
        // What an earlier flush left frozen, then what is in the memtable.
        self.flush_once()?;
        self.flush_once()
    }

    /// What the background does when asked for a flush.
    pub(crate) fn flush_in_background(&self) {
        if self.context.closed.load(std::sync::atomic::Ordering::Acquire) {
            return;
        }
        let result = self.flush_once();
        if let Err(error) = &result {
            self.env().metrics.note_failure(Failure::Flush);
            tracing::error!(namespace = %self.name, %error, "a memtable was not flushed");
        }
        self.note_flush_end(result.err().map(|error| error.to_string()));
        self.merge_soon();
    }

    fn note_flush_end(&self, error: Option<String>) {
        let (last_error, ended) = &self.flush_ended;
        *last_error.lock() = error;
        ended.notify_all();
    }

    /// Flushes the frozen memtable, or freezes and flushes the current one.
    fn flush_once(&self) -> Result<()> {
        let _one_at_a_time = self.flushing.lock();
        let frozen = {
            let mut state = self.state.write();
            state.freeze();
            state.frozen.clone()
        };
        let Some(frozen) = frozen else { return Ok(()) };
        reach("flush.started");
        let Env { metrics, clock, .. } = self.env();
        let built = timed(&**clock, &metrics.flush, || self.build_frozen(&frozen))?;
        reach("flush.part_published");
        let mut committer = self.committer();
        self.commit(&mut committer, |state| {
            let Some(current) = state.frozen.clone() else { return Ok(None) };
            let mut change = Change::of(state);
            change.flushed_lsn = Some(frozen.lsn);
            if let Some(Built { mut segment, rows }) = built {
                let died = current.deleted.iter().map(|row| rows[row as usize]);
                let died: RoaringBitmap = died.filter(|row| *row != DROPPED).collect();
                segment.delete_rows(&died);
                change.incoming.push(segment);
            }
            Ok(Some(change))
        })?;
        drop(committer);
        reach("flush.committed");
        self.note_flush_end(None);
        self.cut_log(frozen.lsn);
        Ok(())
    }

    /// Drops log files that hold nothing after `lsn`. Failing to costs only
    /// space until the next time.
    pub(super) fn cut_log(&self, lsn: u64) {
        let wal = self.wal.lock().clone();
        if let Some(wal) = wal
            && let Err(error) = wal.truncate(lsn)
        {
            tracing::warn!(namespace = %self.name, %error, "the log was not cut");
        }
    }

    fn build_frozen(&self, frozen: &Frozen) -> Result<Option<Built>> {
        if frozen.live() == 0 {
            return Ok(None);
        }
        let (table, dead) = (Arc::clone(&frozen.table), Arc::clone(&frozen.deleted));
        let rows = table.rows().len();
        let live = (0..rows).filter(|row| !dead.contains(*row));
        let records = live.map(|row| (row, table.rows().record(row)));
        let mut builder = self.builder(frozen.seq, self.env().root.scratch())?;
        let mut mapped = vec![DROPPED; rows as usize];
        let mut batch = RecordBatch::default();
        for (row, record) in records {
            mapped[row as usize] = builder.rows() + batch.len() as u32;
            batch.push(record);
            if batch.len() == BATCH_ROWS {
                builder.push(&std::mem::take(&mut batch))?;
            }
        }
        builder.push(&batch)?;
        // Small, and writers may wait for it: not behind the builds of imports.
        let built =
            builder.finish(&self.env().commit_pool, MEMTABLE_BYTES_MAX as u64, &|| false)?;
        let segment = self.publish_segment(built, frozen.seq)?;
        Ok(Some(Built { segment, rows: mapped }))
    }

    /// A builder for a segment with sequence number `seq`.
    pub(super) fn builder<S: ScratchSpace>(
        &self,
        seq: u64,
        space: &S,
    ) -> Result<SegmentBuilder<S>> {
        let options = SegmentOptions { seed: Seed(seq), exact_rows_max: EXACT_ROWS_MAX };
        let builder = SegmentBuilder::new(self.context.shape, options, space)?;
        Ok(builder.with_text(&self.context.text))
    }

    /// Stores a built segment's part and opens it.
    pub(super) fn publish_segment(
        &self,
        built: BuiltSegment<LocalScratchFile>,
        seq: u64,
    ) -> Result<LiveSegment> {
        self.publish_segment_as(built, seq, self.env().ids.next_id().to_string())
    }

    /// As [`Namespace::publish_segment`], under a name given out before.
    pub(super) fn publish_segment_as(
        &self,
        built: BuiltSegment<LocalScratchFile>,
        seq: u64,
        part: String,
    ) -> Result<LiveSegment> {
        let key = parts::key_of(&self.context.uid, &part)?;
        self.env().root.publish(built.file, &key)?;
        let segment = open_part(&self.context, &part)?;
        let entry = SegmentEntry {
            part,
            seq,
            rows: built.rows,
            bytes: built.bytes,
            checksum: built.checksum,
            deleted: None,
            import: None,
            task: None,
        };
        LiveSegment::open(entry, segment)
    }
}
