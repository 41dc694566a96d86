//! The imports of an index: started, queued, described, cancelled; run one
//! after the other by background threads; remembered after they end.
//!
//! ```text
//! start ─ record stored ─ queue ─ run: plan ─ reserve ─ tasks ─ commits ─ finish
//! ```
//! A record is the truth about an import's status; manifests are the truth
//! about which of its tasks are done.

mod calls;
mod clean_up;
mod dry_run;
mod finish;
mod job;
mod ledger;
mod record;
mod rejects;
mod run;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crossbill_core::{Error, Result};
use crossbill_store::Key;
use parking_lot::Mutex;

pub(crate) use clean_up::clean_up;
pub(crate) use job::Job;
use record::ImportRecord;
pub(crate) use run::run;

use crate::Index;
use crate::namespace::{IndexContext, Namespace};
use crate::types::IndexInfo;

/// An import that waits for its turn.
pub(crate) struct Waiting {
    pub(crate) index: Weak<Index>,
    pub(crate) job: Arc<Job>,
}

/// All imports of one index.
pub(crate) struct Imports {
    dir: Key,
    /// By number; held while a new one is made, so that numbers grow.
    jobs: Mutex<BTreeMap<u64, Arc<Job>>>,
    /// The highest number stored when the index was opened, also where its
    /// record cannot be read.
    last_stored: u64,
}

impl Imports {
    /// Reads the records of all imports so far.
    pub(crate) fn open(context: &Arc<IndexContext>, info: &IndexInfo) -> Result<Self> {
        let root = &context.env.root;
        let dir = context.dir.join("imports");
        let mut jobs = BTreeMap::new();
        let mut last_stored = 0;
        for name in root.list_dirs(&dir)? {
            let Ok(id) = name.parse::<u64>() else { continue };
            last_stored = last_stored.max(id);
            match Job::open(root, &dir, id) {
                Ok(Some(job)) => drop(jobs.insert(id, Arc::new(job))),
                // Its start was cut off before it was answered.
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(index = %info.name, import = id, %error, "import unusable");
                }
            }
        }
        Ok(Self { dir, jobs: Mutex::new(jobs), last_stored })
    }

    /// Counts what is committed of unfinished imports, so that they show it
    /// before their turn comes again.
    pub(crate) fn restore(&self, namespaces: &BTreeMap<String, Arc<Namespace>>) {
        for job in self.all().iter().filter(|job| !job.is_final()) {
            job.restore(namespaces.values());
        }
    }

    /// The import called `id`.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Job>> {
        let number = id.parse::<u64>().ok().filter(|number| number.to_string() == id);
        let found = number.and_then(|number| self.jobs.lock().get(&number).cloned());
        found.ok_or_else(|| Error::not_found(format!("import {id:?} not found")))
    }

    /// Every import, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        self.jobs.lock().values().cloned().collect()
    }

    /// Stores a new import under the next number, unless `same` finds one
    /// that this is a repeat of.
    fn add(
        &self,
        context: &IndexContext,
        record: ImportRecord,
        same: impl Fn(&Job) -> bool,
    ) -> Result<(Arc<Job>, bool)> {
        let mut jobs = self.jobs.lock();
        if let Some(earlier) = jobs.values().rev().find(|job| same(job)) {
            return Ok((Arc::clone(earlier), false));
        }
        let last = jobs.keys().next_back().copied().unwrap_or(0);
        let id = last.max(self.last_stored) + 1;
        let record = ImportRecord { id, ..record };
        let job = Arc::new(Job::create(&context.env.root, &self.dir, record)?);
        jobs.insert(id, Arc::clone(&job));
        Ok((job, true))
    }
}
