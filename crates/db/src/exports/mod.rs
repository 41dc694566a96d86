//! The exports of an index: started, queued, described, cancelled; run one
//! after the other by a background thread; remembered after they end.
//!
//! ```text
//! start ─ record stored ─ queue ─ run: read in id order ─ part ─ record ─ … ─ manifest ─ finish
//! ```
//! A part is of one moment. The record says which parts are whole and with
//! which id the last of each namespace ends, so that an export that was cut
//! off goes on behind it.

mod calls;
mod job;
mod layout;
mod run;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crossbill_core::{Error, Result};
use crossbill_store::Key;
use parking_lot::Mutex;

use job::ExportRecord;
pub(crate) use job::Job;
pub(crate) use run::run;

use crate::Index;
use crate::namespace::IndexContext;
use crate::types::IndexInfo;

/// An export that waits for its turn.
pub(crate) struct Waiting {
    pub(crate) index: Weak<Index>,
    pub(crate) job: Arc<Job>,
}

/// All exports of one index.
pub(crate) struct Exports {
    dir: Key,
    /// By number; held while a new one is made, so that numbers grow.
    jobs: Mutex<BTreeMap<u64, Arc<Job>>>,
    /// The highest number stored when the index was opened, also where its
    /// record cannot be read.
    last_stored: u64,
}

impl Exports {
    /// Reads the records of all exports so far.
    pub(crate) fn open(context: &Arc<IndexContext>, info: &IndexInfo) -> Result<Self> {
        let root = &context.env.root;
        let dir = context.dir.join("exports");
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
                    tracing::error!(index = %info.name, export = id, %error, "export unusable");
                }
            }
        }
        Ok(Self { dir, jobs: Mutex::new(jobs), last_stored })
    }

    /// Stores `record` under the next number.
    fn add(&self, context: &IndexContext, record: ExportRecord) -> Result<Arc<Job>> {
        let mut jobs = self.jobs.lock();
        let last = jobs.last_key_value().map_or(0, |(id, _)| *id).max(self.last_stored);
        let record = ExportRecord { id: last + 1, ..record };
        let job = Arc::new(Job::create(&context.env.root, &self.dir, record)?);
        jobs.insert(job.id, Arc::clone(&job));
        Ok(job)
    }

    /// The export called `id`.
    fn get(&self, id: &str) -> Result<Arc<Job>> {
        let number = id.parse::<u64>().ok().filter(|number| number.to_string() == id);
        let found = number.and_then(|number| self.jobs.lock().get(&number).cloned());
        found.ok_or_else(|| Error::not_found(format!("export {id:?} not found")))
    }

    /// Every export, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        self.jobs.lock().values().cloned().collect()
    }
}
