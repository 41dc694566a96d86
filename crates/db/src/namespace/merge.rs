//! Small segments become one: fewer places to search, and the rows that no
//! longer count are left out. What is merged when is in `tiers`.
//!
//! Never across the sequence numbers that a running import has reserved: its
//! records must still find who was there before them and who came after.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbill_core::limits::{EXACT_ROWS_MAX, SEGMENT_ROWS_MAX};
use crossbill_core::{Error, RecordBatch, Result};
use crossbill_engine::{BuiltSegment, SegmentBuilder};
use roaring::RoaringBitmap;

use super::Namespace;
use super::commit::Change;
use super::flush::DROPPED;
use super::state::{LiveSegment, State};
use super::tiers::{Size, Tiers, is_wasteful};
use crate::env::Env;
use crate::metrics::{Failure, timed};
use crate::pace::{PacedScratch, Stop};

/// Segments of about one size that are merged.
const FAN_IN: usize = 4;
/// Rows up to which a segment counts as of the smallest size.
const SMALLEST_ROWS: u64 = 1000;
const BATCH_ROWS: usize = 512;
/// Bytes of memory for a row while it is sorted and indexed, beside its codes
/// and what the segment's tables take.
const ROW_BYTES: u64 = 80;
/// Of the free space of a disk a merge takes all but one part in this many.
const SPACE_KEPT: u64 = 10;

impl Namespace {
    /// Asks the background for a look at the segments.
    pub(crate) fn merge_soon(&self) {
        if !self.merge_asked.swap(true, Ordering::AcqRel) {
            self.env().merges.push(self.this.clone());
        }
    }

    /// Asks for a merge where many rows of a segment are dead.
    pub(super) fn merge_if_wasteful(&self) {
        let state = self.state.read();
        let wasteful =
            |live: &LiveSegment| is_wasteful(u64::from(live.segment.rows()), live.live());
        if state.live.iter().any(wasteful) {
            drop(state);
            self.merge_soon();
        }
    }

    /// Does one merge, if there is one to do, and asks for the next: so that
    /// one busy namespace does not keep the others waiting.
    pub(crate) fn merge_in_background(self: &Arc<Self>) {
        self.merge_asked.store(false, Ordering::Release);
        let (merges, context) = (Arc::clone(&self.env().merges), Arc::clone(&self.context));
        let stop: Stop =
            Arc::new(move || merges.is_closed() || context.closed.load(Ordering::Acquire));
        if stop() {
            return;
        }
        match self.merge_once(&stop) {
            Ok(true) => self.merge_soon(),
            Ok(false) => {}
            Err(_) if stop() => {}
            Err(error) => {
                self.env().metrics.note_failure(Failure::Merge);
                tracing::error!(namespace = %self.name, %error, "segments were not merged");
            }
        }
    }

    /// Merges one group, if there is one to merge. Fails when `stop` says so.
    pub(crate) fn merge_once(&self, stop: &Stop) -> Result<bool> {
        let _one_at_a_time = self.merging.lock();
        let inputs = self.pick(&self.state.read());
        let Some(seq) = inputs.iter().map(|input| input.entry.seq).max() else {
            return Ok(false);
        };
        self.check_space(&inputs)?;
        let Env { metrics, clock, .. } = self.env();
        let (built, rows) =
            timed(&**clock, &metrics.merge, || self.build_merged(&inputs, seq, stop))?;
        let mut committer = self.committer();
        self.commit(&mut committer, |state| {
            let mut change = Change::of(state);
            change.removed = inputs.iter().map(|input| input.entry.part.clone()).collect();
            if let Some(mut segment) = built {
                segment.delete_rows(&died_since(state, &inputs, &rows));
                change.incoming.push(segment);
            }
            Ok(Some(change))
        })?;
        drop(committer);
        let (parts, live) = (inputs.len(), inputs.iter().map(LiveSegment::live).sum::<u64>());
        metrics.merged_rows.inc_by(live);
        tracing::debug!(namespace = %self.name, parts, rows = live, "merged segments");
        Ok(true)
    }

    fn check_space(&self, inputs: &[LiveSegment]) -> Result<()> {
        let needed: u64 = inputs.iter().map(|input| input.entry.bytes).sum();
        let free = self.env().root.disk_free()?;
        if needed > free - free / SPACE_KEPT {
            return Err(Error::exhausted(format!(
                "merging takes about {needed} bytes of disk, found {free} free"
            )));
        }
        Ok(())
    }

    fn build_merged(
        &self,
        inputs: &[LiveSegment],
        seq: u64,
        stop: &Stop,
    ) -> Result<(Option<LiveSegment>, Vec<Vec<u32>>)> {
        let env = self.env();
        let space = PacedScratch {
            inner: env.root.scratch().clone(),
            pace: Arc::clone(&env.merge_pace),
            stop: Arc::clone(stop),
        };
        let mut builder: SegmentBuilder<PacedScratch> = self.builder(seq, &space)?;
        let mut rows = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut mapped = vec![DROPPED; input.segment.rows() as usize];
            let mut batch = RecordBatch::default();
            for row in (0..input.segment.rows()).filter(|row| !input.deleted.contains(*row)) {
                mapped[row as usize] = builder.rows() + batch.len() as u32;
                batch.push(input.segment.record(row));
                if batch.len() == BATCH_ROWS {
                    builder.push(&std::mem::take(&mut batch))?;
                }
            }
            builder.push(&batch)?;
            rows.push(mapped);
        }
        if builder.rows() == 0 {
            return Ok((None, rows));
        }
        let left = env.merge_memory_max.saturating_sub(builder.memory_bytes() as u64);
        let built = builder.finish(&env.build_pool, left, &|| false)?;
        let BuiltSegment { file, rows: total, live_rows, bytes, checksum } = built;
        let built = BuiltSegment { file: file.inner, rows: total, live_rows, bytes, checksum };
        Ok((Some(self.publish_segment(built, seq)?), rows))
    }

    /// The segments to merge next.
    fn pick(&self, state: &State) -> Vec<LiveSegment> {
        let imports = &state.header.imports;
        let reserved: Vec<u64> = imports.values().map(|progress| progress.base_seq).collect();
        let movable = |live: &&LiveSegment| {
            let import = live.entry.import.as_deref();
            !import.is_some_and(|import| imports.contains_key(import))
        };
        let movable: Vec<&LiveSegment> = state.live.iter().filter(movable).collect();
        let sizes: Vec<Size> = movable.iter().map(|live| self.size(live, &reserved)).collect();
        let tiers = Tiers {
            fan_in: FAN_IN,
            smallest_rows: SMALLEST_ROWS,
            exact_rows: u64::from(EXACT_ROWS_MAX),
            rows_max: u64::from(SEGMENT_ROWS_MAX),
            memory_max: self.env().merge_memory_max,
        };
        let picked = tiers.pick(&sizes).unwrap_or_default();
        picked.into_iter().map(|number| movable[number].clone()).collect()
    }

    fn size(&self, live: &LiveSegment, reserved: &[u64]) -> Size {
        let dimension = u64::from(self.context.shape.dimension);
        let (rows, count) = (u64::from(live.segment.rows()), live.live());
        let tables = live.entry.bytes.saturating_sub(rows * dimension * 4);
        Size {
            rows,
            live: count,
            memory: tables + count * (dimension / 8 + ROW_BYTES),
            // Nothing moves from before an import's numbers to behind them.
            group: reserved.iter().filter(|base| **base <= live.entry.seq).count(),
        }
    }
}

/// Rows of the merged segment whose record was deleted or replaced while it
/// was built.
fn died_since(state: &State, inputs: &[LiveSegment], rows: &[Vec<u32>]) -> RoaringBitmap {
    let mut died = RoaringBitmap::new();
    for (input, rows) in inputs.iter().zip(rows) {
        let now = state.live.iter().find(|live| live.entry.part == input.entry.part);
        match now {
            Some(now) => {
                let fresh = &*now.deleted - &*input.deleted;
                died.extend(fresh.iter().map(|row| rows[row as usize]));
            }
            // A commit left it out because no row of it counted any more.
            None => died.extend(rows.iter().copied()),
        }
    }
    died.remove(DROPPED);
    died
}
