//! The import calls of an index.

use crossbill_core::limits::IMPORT_QUEUE_MAX;
use crossbill_core::{Error, Result, Timestamp};
use crossbill_import::{RecordText, Reject};
use crossbill_store::TaskCounts;

use super::Waiting;
use super::job::Job;
use super::record::ImportRecord;
use crate::Index;
use crate::types::{ImportStatus, ImportView, StartImport};

/// How long a repeated start is taken for a retry, in milliseconds.
const RETRY_WINDOW_MS: i64 = 60_000;

impl Index {
    /// Starts an import and gives its id. Checks the form of the request
    /// only; never touches the source.
    pub fn start_import(&self, start: StartImport) -> Result<String> {
        self.check_open()?;
        let env = &self.context().env;
        check_length("uri", &start.uri, env.limits.import_uri_chars)?;
        if let Some(integration) = &start.integration {
            check_length("integration id", integration, env.limits.integration_id_chars)?;
        }
        env.policy.check(&start.uri, start.integration.as_deref())?;
        if env.imports.len() >= IMPORT_QUEUE_MAX {
            return Err(Error::exhausted(format!(
                "{IMPORT_QUEUE_MAX} imports wait already, expected fewer; try again later"
            )));
        }
        let now = env.clock.now();
        let record =
            ImportRecord { webhook: env.webhooks.state_of_new(), ..new_record(&start, now) };
        let (job, is_new) =
            self.imports().start(self.context(), record, |job| is_repeat(job, &start, now))?;
        if is_new {
            env.imports.push(Waiting { index: self.weak(), job: job.clone() });
        }
        Ok(job.name())
    }

    /// One import. `NotFound` where there is none.
    pub fn describe_import(&self, id: &str) -> Result<ImportView> {
        self.check_open()?;
        Ok(self.imports().get(id)?.view(&*self.context().env.clock))
    }

    /// Imports, newest first, with ids below `before`; whether there are more.
    pub fn list_imports(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<ImportView>, bool)> {
        self.check_open()?;
        let clock = &*self.context().env.clock;
        let newest_first = self.imports().all().into_iter().rev();
        let below = newest_first.filter(|job| before.is_none_or(|before| job.id < before));
        let mut jobs: Vec<_> = below.take(limit.saturating_add(1)).collect();
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        Ok((jobs.iter().map(|job| job.view(clock)).collect(), more))
    }

    /// Cancels an import: described as Cancelled from the next call on. No
    /// effect on one that has ended, or has begun to show all at once what it
    /// imported.
    pub fn cancel_import(&self, id: &str) -> Result<()> {
        self.check_open()?;
        let job = self.imports().get(id)?;
        job.cancel(self.context().env.clock.now())?;
        // One that is decided goes on.
        if job.is_final() && !job.is_running() {
            super::clean_up(self, &job);
        }
        self.context().env.webhooks.tell(Waiting { index: self.weak(), job });
        Ok(())
    }

    /// Holds an import until it is resumed, also across restarts: its tasks
    /// under way are finished, no more are begun, and it keeps no other one
    /// waiting. `FailedPrecondition` where it has ended.
    pub fn pause_import(&self, id: &str) -> Result<()> {
        self.check_open()?;
        self.imports().get(id)?.pause()
    }

    /// Goes on with a paused import, behind those that wait already.
    /// `FailedPrecondition` where it has ended.
    pub fn resume_import(&self, id: &str) -> Result<()> {
        self.check_open()?;
        let job = self.imports().get(id)?;
        if job.resume()? {
            self.context().env.imports.push(Waiting { index: self.weak(), job });
        }
        Ok(())
    }

    /// Rejected records from `offset` on, and how many there are in all.
    pub fn import_rejects(
        &self,
        id: &str,
        offset: u64,
        limit: usize,
        text: RecordText,
    ) -> Result<(Vec<Reject>, u64)> {
        self.check_open()?;
        let log = super::rejects::log(self, &*self.imports().get(id)?)?;
        Ok((log.page(offset, limit, text)?, log.total()))
    }
}

/// Checks how long a text of a request is.
pub(crate) fn check_length(what: &str, text: &str, chars_max: usize) -> Result<()> {
    let found = text.chars().count();
    if found == 0 || found > chars_max {
        return Err(Error::invalid(format!(
            "{what} has {found} characters, expected 1 to {chars_max}"
        )));
    }
    Ok(())
}

fn new_record(start: &StartImport, now: Timestamp) -> ImportRecord {
    ImportRecord {
        id: 0,
        uri: start.uri.clone(),
        integration: start.integration.clone(),
        options: start.options.clone(),
        idempotency_key: start.idempotency_key.clone(),
        caller: start.caller.clone(),
        created_at: now,
        status: ImportStatus::Pending,
        percent: 0.0,
        paused: false,
        decided: false,
        webhook: None,
        end: None,
    }
}

/// Whether `start` is most likely the start of `job` again, sent because its
/// answer was lost.
fn is_repeat(job: &Job, start: &StartImport, now: Timestamp) -> bool {
    let live = job.live();
    let record = &live.record;
    if start.idempotency_key.is_some() || record.idempotency_key.is_some() {
        return start.idempotency_key == record.idempotency_key;
    }
    !record.status.is_final()
        && live.counts == TaskCounts::default()
        && now.0 - record.created_at.0 < RETRY_WINDOW_MS
        && record.uri == start.uri
        && record.integration == start.integration
        && record.options == start.options
        && record.caller == start.caller
}
