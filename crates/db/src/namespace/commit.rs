//! The one way a namespace's manifest changes: prepare under the state lock,
//! commit by compare-and-swap, publish under the state lock.
//!
//! Operations go on being applied while the commit is under way; they reach
//! the incoming segments too, and the committed tombstones say up to which
//! frame they are complete, so that a replay finds exactly the rest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Error, Result};
use crossbill_store::{CommitError, Documents, Manifest};
use parking_lot::MutexGuard;
use roaring::RoaringBitmap;

use super::state::{Frozen, LiveSegment, State};
use super::{Namespace, tombstones};
use crate::parts;

/// Attempts of one commit while the store fails.
const ATTEMPTS_MAX: u32 = 5;
/// Wait before the second attempt; doubles.
const ATTEMPT_WAIT: Duration = Duration::from_millis(20);
/// Old versions are pruned each time the version is a multiple of this.
const PRUNE_EVERY: u64 = 16;
/// Versions kept.
const VERSIONS_KEPT: usize = 4;

/// The right to commit, and what is known of the last attempt.
pub(super) struct Committer {
    documents: Documents<Manifest>,
    /// The outcome of the last attempt is unknown: look before the next.
    unsettled: bool,
}

impl Committer {
    pub(super) fn new(documents: Documents<Manifest>) -> Self {
        Self { documents, unsettled: false }
    }

    /// Commits `manifest` on top of `base`; the version it became. Only this
    /// process writes here, so whatever stands above `base` is an earlier
    /// attempt of ours whose answer was lost, and may be built upon.
    fn put(&mut self, mut base: u64, manifest: &Manifest, namespace: &Namespace) -> Result<u64> {
        let mut wait = ATTEMPT_WAIT;
        let mut last = None;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                namespace.env().clock.sleep(wait);
                wait *= 2;
            }
            if self.unsettled {
                match self.documents.load() {
                    Ok(Some(found)) if attempt > 0 && found.value == *manifest => {
                        self.unsettled = false;
                        return Ok(found.version);
                    }
                    Ok(found) => base = found.map_or(0, |found| found.version),
                    Err(error) => {
                        last = Some(Error::from(error));
                        continue;
                    }
                }
            }
            match self.documents.commit(base, manifest) {
                Ok(version) => {
                    self.unsettled = false;
                    return Ok(version);
                }
                Err(error) => {
                    self.unsettled = true;
                    let permanent = matches!(
                        &error,
                        CommitError::Store(crossbill_store::StoreError::TooLarge { .. })
                    );
                    last = Some(Error::from(error));
                    if permanent {
                        break;
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::internal("a commit was attempted no time")))
    }
}

/// What a commit changes.
#[derive(Default)]
pub(super) struct Change {
    /// Segments that are added. Their `deleted` must be complete as of the
    /// state that `prepare` saw.
    pub(super) incoming: Vec<LiveSegment>,
    /// Parts that are left out.
    pub(super) removed: HashSet<String>,
    /// Further rows of present segments that no longer count, by part.
    pub(super) buried: Vec<(String, RoaringBitmap)>,
    /// Rows of the frozen memtable that no longer count.
    pub(super) buried_frozen: Option<RoaringBitmap>,
    /// Everything up to this frame is in segments now: the frozen memtable is
    /// dropped.
    pub(super) flushed_lsn: Option<u64>,
    /// The manifest without segments as it is to be.
    pub(super) header: Manifest,
}

/// What a commit leaves behind, to be given back outside of the state lock:
/// freeing a memtable or unmapping a part takes its time.
struct Gone {
    /// Parts that no manifest names any more.
    parts: Vec<String>,
    _flushed: Option<Frozen>,
    _segments: Vec<LiveSegment>,
}

impl Change {
    /// A change that so far changes nothing.
    pub(super) fn of(state: &State) -> Self {
        Self { header: state.header.clone(), ..Self::default() }
    }
}

impl Namespace {
    /// Waits for the right to commit.
    pub(super) fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock()
    }

    /// Commits what `prepare` makes of the state (nothing: no commit). When
    /// this returns an error, readers see what they saw before; whether a
    /// later open sees the commit is then unknown.
    pub(super) fn commit(
        &self,
        committer: &mut Committer,
        prepare: impl FnOnce(&mut State) -> Result<Option<Change>>,
    ) -> Result<()> {
        let (mut change, mut kept, lsn, base) = {
            let mut state = self.state.write();
            let Some(change) = prepare(&mut state)? else { return Ok(()) };
            let removed = &change.removed;
            let kept = state.live.iter().filter(|live| !removed.contains(&live.entry.part));
            let kept: Vec<LiveSegment> = kept.cloned().collect();
            state.incoming = change.incoming.clone();
            (change, kept, state.applied_lsn, state.version)
        };
        let seen: Vec<Arc<RoaringBitmap>> =
            kept.iter().map(|live| Arc::clone(&live.deleted)).collect();
        let buried = std::mem::take(&mut change.buried);
        for live in &mut kept {
            for (part, rows) in &buried {
                if *part == live.entry.part {
                    live.delete_rows(rows);
                }
            }
        }
        let mut incoming = change.incoming.clone();
        kept.iter_mut().chain(&mut incoming).for_each(|live| note_tombstones(live, lsn));
        let mut manifest = change.header.clone();
        if let Some(flushed) = change.flushed_lsn {
            manifest.flushed_lsn = flushed;
        }
        manifest.segments = kept
            .iter()
            .chain(&incoming)
            .filter(|live| live.live() > 0)
            .map(|live| (*live.entry).clone())
            .collect();
        manifest.segments.sort_by_key(|entry| entry.seq);
        let committed = committer.put(base, &manifest, self);
        let mut state = self.state.write();
        let version = match committed {
            Ok(version) => version,
            Err(error) => {
                state.incoming.clear();
                return Err(error);
            }
        };
        let gone = self.publish(&mut state, version, manifest, change, (kept, seen), incoming);
        drop(state);
        let Gone { parts, .. } = gone;
        self.drop_parts(parts);
        if version.is_multiple_of(PRUNE_EVERY)
            && let Err(error) = committer.documents.prune(VERSIONS_KEPT)
        {
            tracing::warn!(namespace = %self.name, %error, "old manifests were not pruned");
        }
        Ok(())
    }

    /// Makes a committed manifest the state.
    fn publish(
        &self,
        state: &mut State,
        version: u64,
        mut manifest: Manifest,
        change: Change,
        (kept, seen): (Vec<LiveSegment>, Vec<Arc<RoaringBitmap>>),
        incoming: Vec<LiveSegment>,
    ) -> Gone {
        // Sequence numbers may have been given out (freezing) meanwhile.
        let next_seq = manifest.next_seq.max(state.header.next_seq);
        let in_manifest: HashSet<String> =
            std::mem::take(&mut manifest.segments).into_iter().map(|entry| entry.part).collect();
        state.header = Manifest { next_seq, ..manifest };
        state.version = version;
        let mut was = std::mem::take(&mut state.live);
        was.append(&mut state.incoming);
        let now: HashMap<&str, &LiveSegment> =
            was.iter().map(|live| (live.entry.part.as_str(), live)).collect();
        let written = kept.into_iter().zip(seen.into_iter().map(Some));
        let written = written.chain(incoming.into_iter().map(|live| (live, None)));
        for (mut live, seen) in written {
            if !in_manifest.contains(&live.entry.part) {
                continue;
            }
            let current = now.get(live.entry.part.as_str());
            let current = current.expect("only a commit removes segments, and this is the commit");
            let unchanged = seen.is_some_and(|seen| Arc::ptr_eq(&seen, &current.deleted));
            if !unchanged {
                live.delete_rows(&current.deleted);
            }
            state.live.push(live);
        }
        state.live.sort_by_key(|live| live.entry.seq);
        let mut flushed = None;
        if change.flushed_lsn.is_some() {
            let held = state.memory_bytes();
            flushed = state.frozen.take();
            self.env().memory_changed(held, state.memory_bytes());
        } else if let (Some(frozen), Some(rows)) = (&mut state.frozen, change.buried_frozen) {
            *Arc::make_mut(&mut frozen.deleted) |= rows;
        }
        let parts = was.iter().map(|live| &live.entry.part);
        let parts = parts.filter(|part| !in_manifest.contains(*part)).cloned().collect();
        Gone { parts, _flushed: flushed, _segments: was }
    }

    /// Deletes parts that no manifest names any more, but for those that a
    /// backup or another index still refers to. Readers that hold one keep
    /// its mapping.
    fn drop_parts(&self, gone: Vec<String>) {
        let (env, uid) = (self.env(), self.context.uid.as_str());
        for part in gone {
            if parts::is_foreign(&part) {
                env.parts.release(&env.root, uid, &part);
                continue;
            }
            if env.parts.is_kept(uid, &part) {
                continue;
            }
            crossbill_store::killpoint::reach("sweep.before_delete");
            let deleted = parts::key_of(uid, &part).and_then(|key| Ok(env.root.delete(&key)?));
            if let Err(error) = deleted {
                tracing::warn!(part, %error, "a part was not deleted; the next start does it");
            }
        }
    }

    /// Makes sure that what the store holds is what this process believes,
    /// so that unreferenced parts can be told.
    pub(crate) fn settle(&self) -> Result<()> {
        self.settle_with(&mut self.committer())
    }

    /// As [`Namespace::settle`], for whoever holds the right to commit.
    pub(super) fn settle_with(&self, committer: &mut Committer) -> Result<()> {
        if committer.unsettled {
            self.commit(committer, |state| Ok(Some(Change::of(state))))?;
        }
        Ok(())
    }
}

/// Writes the tombstones of `live` into its entry if they are newer than the
/// entry's; from then on they count as committed.
fn note_tombstones(live: &mut LiveSegment, lsn: u64) {
    let fresh = live.since_lsn == 0 && live.entry.deleted.is_none();
    if !fresh && Arc::ptr_eq(&live.deleted, &live.committed) {
        return;
    }
    let own = &*live.deleted - live.segment.superseded();
    Arc::make_mut(&mut live.entry).deleted = Some(tombstones::encode(lsn, &own));
    live.committed = Arc::clone(&live.deleted);
    live.since_lsn = lsn;
}
