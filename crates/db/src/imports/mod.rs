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
mod loaded;
mod manifest;
mod preview;
mod publish;
mod record;
mod rejects;
mod run;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbill_core::{Error, Result};
use crossbill_import::{RecordText, RejectLog};
use crossbill_store::{Key, Root};

pub(crate) use calls::check_length;
pub(crate) use clean_up::clean_up;
pub(crate) use job::Job;
pub use manifest::{
    FileState, ImportManifest, ImportManifestPage, ManifestFile, ManifestPart, RejectCount,
};
use record::ImportRecord;
pub(crate) use run::run;

use crate::jobs::{self, Jobs};
use crate::namespace::{IndexContext, Namespace};
use crate::types::IndexInfo;

/// Rejects that are looked through at once.
const REJECTS_PAGE: usize = 1000;

/// An import that waits for its turn.
pub(crate) type Waiting = jobs::Waiting<Job>;
/// All imports of one index.
pub(crate) type Imports = Jobs<Job>;

/// Reads the records of all imports so far.
pub(crate) fn open(context: &IndexContext, info: &IndexInfo) -> Result<Imports> {
    Jobs::open(context, info, "import", Job::open)
}

/// Checks that the record and the plan of an import read, for whoever opens
/// no database.
pub(crate) fn check(root: &Root, imports: &Key, id: u64) -> Result<()> {
    if let Some(job) = Job::open(root, imports, id)? {
        job.load_plan(root)?;
    }
    Ok(())
}

/// Whether an import has ended, for whoever opens no database.
pub(crate) fn has_ended(root: &Root, imports: &Key, id: u64) -> Result<bool> {
    Ok(Job::open(root, imports, id)?.is_some_and(|job| job.is_final()))
}

/// Checks that a table of rejects reads to its end.
pub(crate) fn check_rejects(root: &Root, key: &Key) -> Result<()> {
    let log = RejectLog::open(root, &[], std::slice::from_ref(key))?;
    let mut offset = 0;
    while offset < log.total() {
        let page = log.page(offset, REJECTS_PAGE, RecordText::Shown)?;
        if page.is_empty() {
            return Err(Error::corrupt(format!("{key} ends before its last row")));
        }
        offset += page.len() as u64;
    }
    Ok(())
}

impl Jobs<Job> {
    /// Counts what is committed of unfinished imports, so that they show it
    /// before their turn comes again.
    pub(crate) fn restore(&self, namespaces: &BTreeMap<String, Arc<Namespace>>) {
        for job in self.all().iter().filter(|job| !job.is_final()) {
            job.restore(namespaces.values());
        }
    }

    /// An import that has not ended and reads with this integration.
    pub(crate) fn unfinished_with(&self, integration: &str) -> Option<String> {
        let uses = |job: &&Arc<Job>| {
            !job.is_final() && job.live().record.integration.as_deref() == Some(integration)
        };
        self.all().iter().find(uses).map(|job| job.name())
    }

    /// Stores a new import, unless `same` finds one that this is a repeat of.
    fn start(
        &self,
        context: &IndexContext,
        record: ImportRecord,
        same: impl Fn(&Job) -> bool,
    ) -> Result<(Arc<Job>, bool)> {
        self.add(same, |dir, id| Job::create(&context.env.root, dir, ImportRecord { id, ..record }))
    }
}
