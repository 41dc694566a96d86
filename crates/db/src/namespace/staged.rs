//! How an import shows all its records at once: its tasks' segments are kept
//! aside in the manifest, where nobody reads them and no sweep takes them, and
//! one commit at its end makes them part of the namespace.
//!
//! The order is that of all imports: what was written after the import began
//! is newer than its records. An import that replaces also takes away all that
//! was there before it began.

use std::collections::HashMap;

use crossbill_core::{Error, Result};
use crossbill_import::TaskOutcome;
use crossbill_store::SegmentEntry;
use roaring::RoaringBitmap;

use super::adopt::{
    Overlap, entries, overlaps, settle_with_memtables, settle_with_segments, stopped,
};
use super::commit::Change;
use super::state::{LiveSegment, State};
use super::{Namespace, open_segment};

impl Namespace {
    /// Keeps what a task made aside, and marks it done, in one commit. Does
    /// nothing for a task that is done already.
    pub(crate) fn stage(&self, import: &str, outcome: &TaskOutcome) -> Result<()> {
        let mut committer = self.committer();
        let progress = self.import_progress(import).ok_or_else(|| {
            Error::internal(format!("import {import} has reserved nothing in {}", self.name()))
        })?;
        if progress.tasks.contains_key(&outcome.ordinal) {
            return Ok(());
        }
        let made = entries(import, outcome, progress.base_seq)?;
        self.commit(&mut committer, |state| {
            let mut change = Change::of(state);
            change.header.staged.extend(made);
            let progress = change.header.imports.entry(import.to_owned()).or_default();
            progress.unpublished = true;
            progress.tasks.insert(outcome.ordinal, outcome.counts);
            Ok(Some(change))
        })
    }

    /// Shows all that an import has staged here, in one commit; where it
    /// `replaces`, in place of all from before it began. Does nothing where
    /// that is done.
    pub(crate) fn publish_staged(
        &self,
        import: &str,
        replaces: bool,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        if replaces {
            // So that no log brings back what is taken away.
            self.flush()?;
        }
        let mut committer = self.committer();
        let progress = self.import_progress(import).filter(|progress| progress.unpublished);
        let Some(progress) = progress else { return Ok(()) };
        let (staged, present) = {
            let state = self.state.read();
            let is_own = |entry: &&SegmentEntry| entry.import.as_deref() == Some(import);
            let staged: Vec<_> = state.header.staged.iter().filter(is_own).cloned().collect();
            let stays = |live: &&LiveSegment| !replaces || live.entry.seq >= progress.base_seq;
            (staged, state.live.iter().filter(stays).cloned().collect::<Vec<_>>())
        };
        let mut added = Vec::with_capacity(staged.len());
        for entry in staged {
            if stop() {
                return Err(stopped());
            }
            added.push(open_segment(&self.context, entry)?);
        }
        added.sort_by_key(|live| live.entry.seq);
        let overlaps = self.env().commit_pool.install(|| overlaps(&added, &present, import, stop));
        if stop() {
            return Err(stopped());
        }
        let replaced = replaced_by_task(&mut added, &overlaps);
        self.commit(&mut committer, |state| {
            let mut change = Change::of(state);
            settle_with_segments(state, &mut added, &overlaps, &mut change);
            settle_with_memtables(state, &mut added, &mut change);
            if replaces {
                take_away(state, progress.base_seq, &mut change);
                // What earlier imports loaded is not there any more.
                change.header.life = Some(self.env().ids.next_id().to_string());
            }
            change.header.staged.retain(|entry| entry.import.as_deref() != Some(import));
            let life = change.header.life.clone();
            let progress = change.header.imports.entry(import.to_owned()).or_default();
            progress.unpublished = false;
            if replaces {
                progress.life = life;
            }
            for (task, replaced) in &replaced {
                if let Some(counts) = progress.tasks.get_mut(task) {
                    counts.imported = counts.imported.saturating_sub(*replaced);
                    counts.superseded += replaced;
                }
            }
            change.header.deleted &= added.is_empty();
            change.incoming = added;
            Ok(Some(change))
        })
    }

    /// Forgets what an import has staged here: its parts may be swept. Stored
    /// with the next commit; if that never comes, the next open does it again.
    pub(crate) fn drop_staged(&self, import: &str) {
        let no_commit_between = self.committer();
        let mut state = self.state.write();
        state.header.staged.retain(|entry| entry.import.as_deref() != Some(import));
        drop(state);
        drop(no_commit_between);
    }
}

/// How many records of each task an earlier segment of the import holds the id
/// of; buries those of the earlier segments.
fn replaced_by_task(added: &mut [LiveSegment], overlaps: &[Overlap]) -> HashMap<u32, u64> {
    let mut rows: HashMap<usize, RoaringBitmap> = HashMap::new();
    for overlap in overlaps.iter().filter(|overlap| overlap.same_import) {
        *rows.entry(overlap.new).or_default() |= &overlap.new_rows;
        if let Some(earlier) = added.iter_mut().find(|live| live.entry.part == overlap.part) {
            earlier.delete_rows(&overlap.other_rows);
        }
    }
    let mut replaced = HashMap::new();
    for (new, rows) in rows {
        if let Some(task) = added[new].entry.task {
            *replaced.entry(task).or_default() += rows.len();
        }
    }
    replaced
}

/// Takes away everything older than `base_seq`.
fn take_away(state: &State, base_seq: u64, change: &mut Change) {
    let old = state.live.iter().filter(|live| live.entry.seq < base_seq);
    change.removed.extend(old.map(|live| live.entry.part.clone()));
    if let Some(frozen) = state.frozen.as_ref().filter(|frozen| frozen.seq < base_seq) {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..frozen.table.rows().len());
        change.buried_frozen = Some(all);
    }
}
