//! The end of an import that shows its records all at once (`atomic`, or
//! mode `replace`): a decision, stored first, and then one commit for each
//! namespace. Once it is decided nothing takes it back: whatever stops the
//! process, the next one goes on with it.

use std::time::Duration;

use crossbill_core::{Error, ErrorKind};
use crossbill_import::ImportError;
use crossbill_store::killpoint::reach;

use super::job::Job;
use super::ledger::JobLedger;
use crate::env::Env;
use crate::types::ImportMode;

/// How long to wait before a commit is tried again where the store fails.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows what all tasks have staged. Nothing of an import without a record:
/// what it was to replace stays.
pub(super) fn publish(env: &Env, job: &Job, ledger: &JobLedger<'_>) -> Result<(), ImportError> {
    let name = job.name();
    let mut namespaces: Vec<_> = ledger.namespaces.iter().collect();
    namespaces.sort_by_key(|(name, _)| *name);
    let progress = namespaces.iter().filter_map(|(_, found)| found.import_progress(&name));
    let imported: u64 = progress
        .flat_map(|progress| progress.tasks.into_values())
        .map(|counts| counts.imported)
        .sum();
    if imported == 0 {
        return Ok(());
    }
    job.decide()?;
    reach("import.publish_decided");
    let replaces = job.live().record.options.mode == ImportMode::Replace;
    let stop = || job.is_stopped();
    for (_, namespace) in namespaces {
        while let Err(error) = namespace.publish_staged(&name, replaces, &stop) {
            if job.is_stopped() || env.imports.closed_within(AGAIN) {
                return Err(ImportError::Cancelled);
            }
            if error.kind() == ErrorKind::Corrupt {
                let message = format!(
                    "namespace {:?} does not show its records, those before it in name order do: \
                     {error}",
                    namespace.name().as_str()
                );
                return Err(Error::corrupt(message).with_source(error).into());
            }
            tracing::error!(import = name, %error, "an import's records are not shown yet");
        }
        reach("import.published");
    }
    job.restore(ledger.namespaces.values());
    Ok(())
}
