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
mod part_file;
mod run;

use crossbill_core::Result;
use crossbill_store::{Key, Root};

pub(crate) use job::Job;
pub(crate) use layout::file_of;
pub(crate) use run::run;

use crate::jobs::{self, Jobs};
use crate::namespace::IndexContext;
use crate::types::IndexInfo;

/// An export that waits for its turn.
pub(crate) type Waiting = jobs::Waiting<Job>;
/// All exports of one index.
pub(crate) type Exports = Jobs<Job>;

/// Checks that the record of an export reads, for whoever opens no database.
pub(crate) fn check(root: &Root, exports: &Key, id: u64) -> Result<()> {
    Job::open(root, exports, id).map(|_| ())
}

/// Reads the records of all exports so far.
pub(crate) fn open(context: &IndexContext, info: &IndexInfo) -> Result<Exports> {
    Jobs::open(context, info, "export", Job::open)
}
