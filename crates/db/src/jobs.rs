//! What an index remembers by number and runs in the background: its imports
//! and its exports. May not know what either does.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crossbill_core::{Error, Result};
use crossbill_store::{Documents, Key, Root};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Index;
use crate::namespace::IndexContext;
use crate::types::IndexInfo;

/// How many times a change of a record is tried while the store fails.
const ATTEMPTS_MAX: usize = 3;

/// A job that waits for its turn.
pub(crate) struct Waiting<J> {
    pub(crate) index: Weak<Index>,
    pub(crate) job: Arc<J>,
}

impl<J> Clone for Waiting<J> {
    fn clone(&self) -> Self {
        Self { index: Weak::clone(&self.index), job: Arc::clone(&self.job) }
    }
}

/// All jobs of one kind of one index.
pub(crate) struct Jobs<J> {
    /// What messages call one: `import`, `export`.
    kind: &'static str,
    dir: Key,
    /// By number; held while a new one is made, so that numbers grow.
    jobs: Mutex<BTreeMap<u64, Arc<J>>>,
    /// The highest number stored when the index was opened, also where its
    /// record cannot be read.
    last_stored: u64,
}

impl<J> Jobs<J> {
    /// Reads the records of all so far, each with `read`.
    pub(crate) fn open(
        context: &IndexContext,
        info: &IndexInfo,
        kind: &'static str,
        read: impl Fn(&Root, &Key, u64) -> Result<Option<J>>,
    ) -> Result<Self> {
        let root = &context.env.root;
        let dir = context.dir.join(&format!("{kind}s"));
        let mut jobs = BTreeMap::new();
        let mut last_stored = 0;
        for name in root.list_dirs(&dir)? {
            let Ok(id) = name.parse::<u64>() else { continue };
            last_stored = last_stored.max(id);
            match read(root, &dir, id) {
                Ok(Some(job)) => drop(jobs.insert(id, Arc::new(job))),
                // Its start was cut off before it was answered.
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(index = %info.name, kind, id, %error, "record unusable");
                }
            }
        }
        Ok(Self { kind, dir, jobs: Mutex::new(jobs), last_stored })
    }

    /// The one called `id`.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<J>> {
        let number = id.parse::<u64>().ok().filter(|number| number.to_string() == id);
        let found = number.and_then(|number| self.jobs.lock().get(&number).cloned());
        found.ok_or_else(|| Error::not_found(format!("{} {id:?} not found", self.kind)))
    }

    /// Every one, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<J>> {
        self.jobs.lock().values().cloned().collect()
    }

    /// Makes one with the next number, unless `same` finds one that this is a
    /// repeat of; whether it is new.
    pub(crate) fn add(
        &self,
        same: impl Fn(&J) -> bool,
        create: impl FnOnce(&Key, u64) -> Result<J>,
    ) -> Result<(Arc<J>, bool)> {
        let mut jobs = self.jobs.lock();
        if let Some(earlier) = jobs.values().rev().find(|job| same(job)) {
            return Ok((Arc::clone(earlier), false));
        }
        let last = jobs.keys().next_back().copied().unwrap_or(0);
        let id = last.max(self.last_stored) + 1;
        let job = Arc::new(create(&self.dir, id)?);
        jobs.insert(id, Arc::clone(&job));
        Ok((job, true))
    }
}

/// Stores `newer` in place of `record`, which is of `version`.
pub(crate) fn store<R: Serialize + DeserializeOwned + Clone + PartialEq>(
    documents: &Documents<R>,
    version: &mut u64,
    record: &mut R,
    newer: R,
) -> Result<()> {
    let mut last = None;
    for _ in 0..ATTEMPTS_MAX {
        match documents.commit(*version, &newer) {
            Ok(committed) => {
                (*version, *record) = (committed, newer);
                return Ok(());
            }
            Err(error) => last = Some(Error::from(error)),
        }
        // Only this process writes here: a newer version is an attempt of
        // ours whose answer was lost.
        if let Ok(Some(stored)) = documents.load() {
            *version = stored.version;
            if stored.value == newer {
                *record = newer;
                return Ok(());
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::internal("a record was stored no time")))
}
