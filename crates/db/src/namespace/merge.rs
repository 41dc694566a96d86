//! Small segments become one: fewer places to search, and the rows that no
//! longer count are left out.
//!
//! Segments of about the same size are merged eight at a time, so that a
//! record is rewritten a few times in all. Never across the sequence numbers
//! that a running import has reserved: its records must still find who was
//! there before them and who came after.

use crossbill_core::{RecordBatch, Result};
use roaring::RoaringBitmap;

use super::Namespace;
use super::commit::Change;
use super::flush::DROPPED;
use super::state::{LiveSegment, State};

/// Segments of one size that are merged into one.
const FAN_IN: usize = 8;
/// Rows up to which a segment counts as of the smallest size.
const SMALLEST_ROWS: u64 = 10_000;
/// A merged segment gets no more rows than this.
const MERGED_ROWS_MAX: u64 = 1_000_000;
const BATCH_ROWS: usize = 512;

impl Namespace {
    /// Merges until nothing is left to merge. `cancelled` is asked between.
    pub(crate) fn merge_in_background(&self, cancelled: &dyn Fn() -> bool) {
        let closed = || self.context.closed.load(std::sync::atomic::Ordering::Acquire);
        while !cancelled() && !closed() {
            match self.merge_once() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(namespace = %self.name, %error, "segments were not merged");
                    return;
                }
            }
        }
    }

    /// Merges one group, if there is one to merge.
    pub(crate) fn merge_once(&self) -> Result<bool> {
        let _one_at_a_time = self.merging.lock();
        let inputs = pick(&self.state.read());
        let Some(seq) = inputs.iter().map(|input| input.entry.seq).max() else {
            return Ok(false);
        };
        let (built, rows) = self.build_merged(&inputs, seq)?;
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
        Ok(true)
    }

    fn build_merged(
        &self,
        inputs: &[LiveSegment],
        seq: u64,
    ) -> Result<(Option<LiveSegment>, Vec<Vec<u32>>)> {
        let mut builder = self.builder(seq)?;
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
        let segment = self.publish_segment(builder, seq, &self.env().build_pool)?;
        Ok((Some(segment), rows))
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

/// The segments to merge next: eight of one size, or one that is mostly dead.
fn pick(state: &State) -> Vec<LiveSegment> {
    let reserved: Vec<u64> =
        state.header.imports.values().map(|progress| progress.base_seq).collect();
    let running = |import: &str| state.header.imports.contains_key(import);
    let movable = state.live.iter().filter(|live| {
        let import = live.entry.import.as_deref();
        !import.is_some_and(running)
    });
    let movable: Vec<&LiveSegment> = movable.collect();
    if let Some(dead) = movable.iter().find(|live| live.live() * 2 < u64::from(live.entry.rows)) {
        return vec![(*dead).clone()];
    }
    // Nothing moves from before an import's numbers to behind them.
    let side = |live: &LiveSegment| reserved.iter().filter(|base| **base <= live.entry.seq).count();
    let small = movable.iter().filter(|live| live.entry.import.is_none());
    let small: Vec<&LiveSegment> = small.copied().collect();
    for first in &small {
        let alike = small
            .iter()
            .filter(|live| size_class(live) == size_class(first) && side(live) == side(first));
        let group: Vec<LiveSegment> = alike.take(FAN_IN).map(|live| (*live).clone()).collect();
        let rows: u64 = group.iter().map(LiveSegment::live).sum();
        if group.len() == FAN_IN && rows <= MERGED_ROWS_MAX {
            return group;
        }
    }
    Vec::new()
}

fn size_class(live: &LiveSegment) -> u32 {
    let mut class = 0;
    let mut rows = live.live();
    while rows > SMALLEST_ROWS {
        rows /= FAN_IN as u64;
        class += 1;
    }
    class
}
