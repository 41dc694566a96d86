//! How an import's task becomes part of a namespace: sequence numbers are
//! reserved when the import begins, and each task's segments are added, with
//! its counts, in one commit that also settles who wins each id.
//!
//! The order is that of the reserved numbers, not of the commits: an
//! import's record gives way to anything written after the import began, and
//! replaces anything before. A deletion takes what is there at its moment.

use std::collections::HashMap;
use std::sync::Arc;

use crossbill_core::{Error, Result};
use crossbill_import::{TaskOutcome, TaskSegment};
use crossbill_store::{ImportProgress, SegmentEntry, TaskCounts};
use parking_lot::MutexGuard;
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::commit::{Change, Committer};
use super::state::{LiveSegment, State};
use super::{Namespace, open_segment};
use crate::imports::ManifestPart;

/// Sequence numbers per task: more segments than any task makes.
const NUMBERS_PER_TASK: u64 = 1 << 16;

/// Where a new segment and one that is there already hold the same ids.
pub(super) struct Overlap {
    /// Which new segment.
    pub(super) new: usize,
    pub(super) part: String,
    /// Whether the other one comes first in the order of the namespace.
    older: bool,
    /// Whether the other one is of the same import.
    pub(super) same_import: bool,
    /// (row of the new one, row of the other); only where the other one comes
    /// later.
    pairs: Vec<(u32, u32)>,
    pub(super) new_rows: RoaringBitmap,
    pub(super) other_rows: RoaringBitmap,
}

impl Namespace {
    /// Reserves sequence numbers for an import of `tasks` tasks, behind
    /// everything written before this call. Does nothing where an earlier run
    /// of the import did it. The namespace does not begin to exist by this.
    pub(crate) fn reserve(&self, import: &str, tasks: u32) -> Result<()> {
        if self.import_progress(import).is_some() {
            return Ok(());
        }
        self.flush()?;
        let mut committer = self.committer();
        self.commit(&mut committer, |state| {
            let mut change = Change::of(state);
            let base_seq = state.header.next_seq;
            change.header.next_seq += u64::from(tasks.max(1)) * NUMBERS_PER_TASK;
            let life =
                change.header.life.get_or_insert_with(|| self.env().ids.next_id().to_string());
            let life = Some(life.clone());
            let progress = ImportProgress { base_seq, life, ..ImportProgress::default() };
            change.header.imports.insert(import.to_owned(), progress);
            // Memtables frozen from now on come behind.
            state.header.next_seq = change.header.next_seq;
            Ok(Some(change))
        })
    }

    /// Whether a task was committed here.
    pub(crate) fn has_task(&self, import: &str, ordinal: u32) -> bool {
        let state = self.state.read();
        let progress = state.header.imports.get(import);
        progress.is_some_and(|progress| progress.tasks.contains_key(&ordinal))
    }

    /// How far an import got here.
    pub(crate) fn import_progress(&self, import: &str) -> Option<ImportProgress> {
        self.state.read().header.imports.get(import).cloned()
    }

    /// The segments that hold records of an import.
    pub(crate) fn parts_of_import(&self, import: &str) -> Vec<ManifestPart> {
        let state = self.state.read();
        let entries = state.live.iter().map(|live| &live.entry);
        let own = entries.filter(|entry| entry.import.as_deref() == Some(import));
        let part = |entry: &Arc<SegmentEntry>| ManifestPart {
            namespace: self.name.as_str().to_owned(),
            part: entry.part.clone(),
            task: entry.task,
            rows: entry.rows,
            bytes: entry.bytes,
            checksum: entry.checksum,
        };
        own.map(part).collect()
    }

    /// Names this life of the namespace: what was loaded in an earlier one is
    /// not there.
    pub(crate) fn life(&self) -> Option<String> {
        self.state.read().header.life.clone()
    }

    /// Forgets the progress of an import that has ended. Stored with the next
    /// commit; if that never comes, the next open does it again.
    pub(crate) fn forget_import(&self, import: &str) {
        self.drop_staged(import);
        let no_commit_between = self.committer();
        let known = self.state.write().header.imports.remove(import).is_some();
        drop(no_commit_between);
        if known {
            // Its segments may be merged from now on.
            self.merge_soon();
        }
    }

    /// Imports that this namespace remembers.
    pub(crate) fn remembered_imports(&self) -> Vec<String> {
        self.state.read().header.imports.keys().cloned().collect()
    }

    /// Gets what a task made ready to be added: opens its segments and looks
    /// for ids that others hold too, which takes time with the records. Nothing
    /// else commits here until the answer is dropped. An error once `stop`
    /// says so.
    pub(crate) fn prepare_adoption<'a>(
        &'a self,
        import: &'a str,
        outcome: &'a TaskOutcome,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Adoption<'a>> {
        let committer = self.committer();
        let progress = self.import_progress(import).ok_or_else(|| {
            Error::internal(format!("import {import} has reserved nothing in {}", self.name))
        })?;
        if let Some(counts) = progress.tasks.get(&outcome.ordinal) {
            let counts = *counts;
            return Ok(Adoption { namespace: self, committer, import, outcome, counts, new: None });
        }
        let mut added = Vec::with_capacity(outcome.segments.len());
        for entry in entries(import, outcome, progress.base_seq)? {
            if stop() {
                return Err(stopped());
            }
            added.push(open_segment(&self.context, entry)?);
        }
        let overlaps = {
            let present = self.state.read().live.clone();
            // Not where segments are built: this holds up other commits, and
            // would wait there for whole builds.
            self.env().commit_pool.install(|| overlaps(&added, &present, import, stop))
        };
        if stop() {
            return Err(stopped());
        }
        let mut counts = outcome.counts;
        let replaced = replaced_within_import(&mut added, &overlaps);
        counts.imported = counts.imported.saturating_sub(replaced);
        counts.superseded += replaced;
        let new = Some((added, overlaps));
        Ok(Adoption { namespace: self, committer, import, outcome, counts, new })
    }
}

/// A task's segments as the manifest names them.
pub(super) fn entries(
    import: &str,
    outcome: &TaskOutcome,
    base_seq: u64,
) -> Result<Vec<SegmentEntry>> {
    let first = base_seq + u64::from(outcome.ordinal) * NUMBERS_PER_TASK;
    if outcome.segments.len() as u64 > NUMBERS_PER_TASK {
        return Err(Error::internal(format!(
            "task {} made {} segments, expected at most {NUMBERS_PER_TASK}",
            outcome.ordinal,
            outcome.segments.len()
        )));
    }
    let entry = |(seq, made): (u64, &TaskSegment)| SegmentEntry {
        part: made.part.clone(),
        seq,
        rows: made.rows,
        bytes: made.bytes,
        checksum: made.checksum,
        deleted: None,
        import: Some(import.to_owned()),
        task: Some(outcome.ordinal),
    };
    Ok((first..).zip(&outcome.segments).map(entry).collect())
}

/// What a commit of an import that was stopped ends with.
pub(crate) fn stopped() -> Error {
    Error::failed_precondition("the import was stopped")
}

/// A task's segments, ready to become part of a namespace.
pub(crate) struct Adoption<'a> {
    namespace: &'a Namespace,
    committer: MutexGuard<'a, Committer>,
    import: &'a str,
    outcome: &'a TaskOutcome,
    /// Its counts, replacements between segments included.
    counts: TaskCounts,
    /// Nothing where the task is done already.
    new: Option<(Vec<LiveSegment>, Vec<Overlap>)>,
}

impl Adoption<'_> {
    /// Adds the segments and marks the task done, in one commit; its counts.
    /// Does nothing for a task that is done already.
    pub(crate) fn commit(mut self) -> Result<TaskCounts> {
        let counts = self.counts;
        let Some((mut added, overlaps)) = self.new else { return Ok(counts) };
        let (import, ordinal) = (self.import, self.outcome.ordinal);
        self.namespace.commit(&mut self.committer, |state| {
            let mut change = Change::of(state);
            settle_with_segments(state, &mut added, &overlaps, &mut change);
            settle_with_memtables(state, &mut added, &mut change);
            let tasks = change.header.imports.entry(import.to_owned()).or_default();
            tasks.tasks.insert(ordinal, counts);
            if !added.is_empty() {
                change.header.deleted = false;
            }
            change.incoming = added;
            Ok(Some(change))
        })?;
        Ok(counts)
    }
}

/// Every pair of a new segment and one that comes before it here (present, or
/// new and earlier in the task) that share ids. Not all of them once `stop`
/// says so.
pub(super) fn overlaps(
    added: &[LiveSegment],
    present: &[LiveSegment],
    import: &str,
    stop: &(dyn Fn() -> bool + Sync),
) -> Vec<Overlap> {
    let pairs: Vec<(usize, &LiveSegment)> = (0..added.len())
        .flat_map(|new| present.iter().chain(&added[..new]).map(move |other| (new, other)))
        .collect();
    pairs
        .into_par_iter()
        .filter(|_| !stop())
        .map(|(new, other)| {
            let mut pairs = added[new].segment.common_ids(&other.segment);
            let older = other.entry.seq < added[new].entry.seq;
            let new_rows = pairs.iter().map(|(new, _)| *new).collect();
            let other_rows = pairs.iter().map(|(_, other)| *other).collect();
            if older {
                pairs = Vec::new();
            }
            let same_import = other.entry.import.as_deref() == Some(import);
            let part = other.entry.part.clone();
            Overlap { new, part, older, same_import, pairs, new_rows, other_rows }
        })
        .filter(|overlap| !overlap.new_rows.is_empty())
        .collect()
}

/// Counts the ids of the new segments that an earlier segment of the same
/// import holds, whatever became of them since; buries those of the task's
/// own earlier segments.
fn replaced_within_import(added: &mut [LiveSegment], overlaps: &[Overlap]) -> u64 {
    let mut replaced: HashMap<usize, RoaringBitmap> = HashMap::new();
    for overlap in overlaps.iter().filter(|overlap| overlap.same_import) {
        *replaced.entry(overlap.new).or_default() |= &overlap.new_rows;
        let own = added.iter_mut().find(|live| live.entry.part == overlap.part);
        if let Some(earlier) = own {
            earlier.delete_rows(&overlap.other_rows);
        }
    }
    replaced.values().map(RoaringBitmap::len).sum()
}

pub(super) fn settle_with_segments(
    state: &State,
    added: &mut [LiveSegment],
    overlaps: &[Overlap],
    change: &mut Change,
) {
    for overlap in overlaps {
        let Some(other) = state.live.iter().find(|live| live.entry.part == overlap.part) else {
            continue;
        };
        if overlap.older {
            change.buried.push((overlap.part.clone(), overlap.other_rows.clone()));
        } else {
            let newer_lives = overlap.pairs.iter().filter(|(_, row)| !other.deleted.contains(*row));
            let rows = newer_lives.map(|(new, _)| *new).collect();
            added[overlap.new].delete_rows(&rows);
        }
    }
}

pub(super) fn settle_with_memtables(state: &State, added: &mut [LiveSegment], change: &mut Change) {
    // The memtable was written to after the import began.
    bury_known(added, state.memtable.ids().map(|(id, _)| id));
    let Some(frozen) = &state.frozen else { return };
    let live = frozen.table.ids().filter(|(_, row)| !frozen.deleted.contains(*row));
    if added.first().is_some_and(|first| frozen.seq > first.entry.seq) {
        bury_known(added, live.map(|(id, _)| id));
        return;
    }
    let replaced = live.filter(|(id, _)| added.iter().any(|new| new.find(id).is_some()));
    change.buried_frozen = Some(replaced.map(|(_, row)| row).collect());
}

fn bury_known<'a>(added: &mut [LiveSegment], ids: impl Iterator<Item = &'a str>) {
    let mut rows = vec![RoaringBitmap::new(); added.len()];
    for id in ids {
        for (new, rows) in added.iter().zip(&mut rows) {
            rows.extend(new.find(id));
        }
    }
    added.iter_mut().zip(&rows).for_each(|(new, rows)| new.delete_rows(rows));
}
