//! One import in this process: its stored record, its progress, and the gate
//! that orders its commits and its cancellation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbill_core::{Error, Result, Timestamp};
use crossbill_import::{ImportError, ImportWatch, Plan, Reject, TaskOutcome, TaskSpec};
use crossbill_store::{Documents, Key, Root, TaskCounts, Versioned};
use parking_lot::{Mutex, MutexGuard};

use super::ledger::{add, staged};
use super::record::{ImportEnd, ImportRecord, PLAN_KIND, RECORD_KIND};
use super::view::Rate;
use crate::jobs;
use crate::namespace::Namespace;
use crate::types::{ImportEstimate, ImportStatus};
use crate::webhooks::WebhookState;

/// What changes while an import lives.
pub(super) struct Live {
    pub(super) record: ImportRecord,
    version: u64,
    documents: Documents<ImportRecord>,
    /// Of all committed tasks.
    pub(super) counts: TaskCounts,
    /// The first reject of each task committed in this run.
    pub(super) first_rejects: BTreeMap<u32, Reject>,
    pub(super) plan: Option<Arc<Plan>>,
    /// Of a dry run: what the import would take, once that is known.
    pub(super) estimate: Option<ImportEstimate>,
    /// What the run has to say beside the plan.
    pub(super) warnings: Vec<String>,
    /// Whether it is in the queue, or a thread runs it.
    is_active: bool,
    /// The tasks committed so far, as long as it has not ended.
    pub(super) committed: Option<BTreeSet<u32>>,
}

/// An import.
pub(crate) struct Job {
    pub(super) id: u64,
    pub(super) dir: Key,
    /// Held during each commit and while the import is ended, so that nothing
    /// is committed after a cancellation was answered. Taken before `live`.
    pub(super) gate: Mutex<()>,
    live: Mutex<Live>,
    pub(super) watch: ImportWatch,
    /// Held while its manifest is looked for and written.
    pub(super) manifest: Mutex<()>,
    /// Tells source reads to stop.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) rate: Mutex<Rate>,
    /// Whether a thread is running it.
    running: AtomicBool,
}

impl Job {
    /// Stores the record of a new import.
    pub(super) fn create(root: &Root, imports: &Key, record: ImportRecord) -> Result<Self> {
        let dir = imports.join(&record.id.to_string());
        let documents = Documents::new(root, dir.join("record"), RECORD_KIND);
        let version = documents.commit(0, &record)?;
        crossbill_store::killpoint::reach("import.record_written");
        Ok(Self::with_record(dir, record, version, documents))
    }

    /// Reads a stored record.
    pub(super) fn open(root: &Root, imports: &Key, id: u64) -> Result<Option<Self>> {
        let dir = imports.join(&id.to_string());
        let documents = Documents::new(root, dir.join("record"), RECORD_KIND);
        let stored = documents.load()?;
        Ok(stored
            .map(|Versioned { version, value }| Self::with_record(dir, value, version, documents)))
    }

    fn with_record(
        dir: Key,
        record: ImportRecord,
        version: u64,
        documents: Documents<ImportRecord>,
    ) -> Self {
        let counts = record.end.as_ref().map(|end| end.counts).unwrap_or_default();
        let watch = ImportWatch::default();
        watch.hold(record.paused);
        Self {
            id: record.id,
            dir,
            live: Mutex::new(Live {
                is_active: !record.paused,
                estimate: None,
                warnings: Vec::new(),
                record,
                version,
                documents,
                counts,
                first_rejects: BTreeMap::new(),
                plan: None,
                committed: None,
            }),
            gate: Mutex::new(()),
            watch,
            manifest: Mutex::new(()),
            stop: Arc::new(AtomicBool::new(false)),
            rate: Mutex::new(Rate::default()),
            running: AtomicBool::new(false),
        }
    }

    /// The import's id as callers see it.
    pub(crate) fn name(&self) -> String {
        self.id.to_string()
    }

    /// What changes; locked for short.
    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock()
    }

    /// Whether it has ended.
    pub(crate) fn is_final(&self) -> bool {
        self.live().record.status.is_final()
    }

    /// Counts what earlier processes committed of it, and says which tasks.
    pub(super) fn restore<'a>(
        &self,
        namespaces: impl Iterator<Item = &'a Arc<Namespace>>,
    ) -> BTreeSet<u32> {
        let (mut counts, mut committed) = (TaskCounts::default(), BTreeSet::new());
        for namespace in namespaces {
            let progress = namespace.import_progress(&self.name()).unwrap_or_default();
            for (task, done) in progress.tasks {
                add(&mut counts, &if progress.unpublished { staged(&done) } else { done });
                committed.insert(task);
            }
        }
        let mut live = self.live();
        live.counts = counts;
        live.committed = Some(committed.clone());
        committed
    }

    /// Holds it from now on, across restarts: tasks under way are finished,
    /// no more are begun.
    pub(super) fn pause(&self) -> Result<()> {
        let mut live = self.live();
        if live.record.decided && !live.record.status.is_final() {
            return Ok(());
        }
        if !live.record.paused {
            live.update(|record| record.paused = true)?;
        }
        self.watch.hold(true);
        Ok(())
    }

    /// Decides that its staged records are shown. From then on it can be
    /// neither cancelled nor paused.
    pub(super) fn decide(&self) -> std::result::Result<(), ImportError> {
        let mut live = self.live();
        if live.record.decided {
            return Ok(());
        }
        if self.is_stopped() || live.record.status.is_final() {
            return Err(ImportError::Cancelled);
        }
        if live.record.paused {
            return Err(ImportError::Paused);
        }
        Ok(live.update(|record| record.decided = true)?)
    }

    /// Whether that is decided.
    pub(super) fn is_decided(&self) -> bool {
        self.live().record.decided
    }

    /// Lets it go again; whether the caller is to queue it.
    pub(super) fn resume(&self) -> Result<bool> {
        let mut live = self.live();
        live.update(|record| record.paused = false)?;
        self.watch.hold(false);
        Ok(!std::mem::replace(&mut live.is_active, true))
    }

    /// Whether it is in the queue, or a thread runs it.
    pub(crate) fn is_active(&self) -> bool {
        self.live().is_active
    }

    /// Whether the thread at hand is to go on with it. Where it is paused it
    /// loses its place: resuming it queues it again.
    pub(super) fn keeps_its_turn(&self) -> bool {
        let mut live = self.live();
        live.is_active = !live.record.paused;
        live.is_active
    }

    /// Stops the work without ending the import: it goes on at the next open.
    pub(crate) fn interrupt(&self) {
        self.watch.cancel();
        self.stop.store(true, Ordering::Release);
    }

    /// Notes that a thread runs it, until the answer is dropped.
    pub(super) fn running(&self) -> Running<'_> {
        self.running.store(true, Ordering::SeqCst);
        Running(self)
    }

    /// Whether a thread runs it.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// Whether it has ended and somebody is to be told so.
    pub(crate) fn is_to_be_told(&self) -> bool {
        let live = self.live();
        live.record.status.is_final() && live.record.webhook == Some(WebhookState::Due)
    }

    /// Notes how telling of its end went.
    pub(crate) fn note_webhook(&self, state: WebhookState) -> Result<()> {
        let mut live = self.live();
        let record = ImportRecord { webhook: Some(state), ..live.record.clone() };
        live.store(record)
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Cancels it. An import that has ended stays as it is, but one that
    /// failed before it read anything becomes Cancelled: its caller may not
    /// have known yet.
    pub(crate) fn cancel(&self, now: Timestamp) -> Result<()> {
        {
            let live = self.live();
            let is_final = live.record.status.is_final();
            if live.record.decided && !is_final {
                return Ok(());
            }
            if !is_final {
                self.interrupt();
            }
        }
        let _no_commit = self.gate.lock();
        let mut live = self.live();
        let failed_unread = live.record.status == ImportStatus::Failed
            && live.plan.is_none()
            && live.record.end.as_ref().is_some_and(|end| end.rows_total.is_none());
        if live.record.status.is_final() && !failed_unread {
            return Ok(());
        }
        let end = if failed_unread {
            ImportEnd { finished_at: Some(now), ..ImportEnd::default() }
        } else {
            self.end(&live, now)
        };
        live.finish(ImportStatus::Cancelled, end, self.percent())
    }

    /// How it would end now.
    pub(super) fn end(&self, live: &Live, now: Timestamp) -> ImportEnd {
        let progress = self.watch.progress();
        let plan = live.plan.as_deref();
        ImportEnd {
            finished_at: Some(now),
            counts: live.counts,
            rows_total: plan.map(|plan| plan.rows_total),
            bytes_total: plan.map(|plan| plan.bytes_total),
            files_total: plan.map(|plan| plan.files.len() as u64),
            files_done: progress.files_done,
            files_skipped: plan.map_or(0, |plan| plan.files_skipped),
            error: None,
            warnings: plan
                .map(|plan| plan.warnings.clone())
                .unwrap_or_default()
                .into_iter()
                .chain(live.warnings.iter().cloned())
                .collect(),
            reject: None,
            overrun_task: None,
            dry_tasks: live
                .record
                .options
                .dry_run
                .then(|| live.committed.as_ref().map_or(0, |tasks| tasks.len() as u32)),
            estimate: live.estimate,
        }
    }

    /// Notes a task that is committed, whose part of the records is `counts`.
    /// The caller holds the gate.
    pub(super) fn note(&self, task: &TaskSpec, outcome: &TaskOutcome, counts: &TaskCounts) {
        let percent = self.percent();
        let mut live = self.live();
        add(&mut live.counts, counts);
        live.committed.get_or_insert_default().insert(task.ordinal);
        if let Some(reject) = &outcome.first_reject {
            live.first_rejects.insert(task.ordinal, reject.clone());
        }
        // Only so that a restart does not show less; the commit stands.
        if let Err(error) = live.update(|record| record.percent = percent) {
            tracing::warn!(import = task.import, %error, "progress was not stored");
        }
        tracing::info!(
            import = task.import,
            task = task.ordinal,
            namespace = task.namespace,
            imported = counts.imported,
            rejected = counts.rejected,
            "task committed"
        );
    }

    /// Marks it as running; an error where it has ended.
    pub(super) fn begin(&self) -> Result<()> {
        self.watch.begin();
        let mut live = self.live();
        if live.record.status == ImportStatus::Pending {
            live.update(|record| record.status = ImportStatus::InProgress)?;
        }
        Ok(())
    }

    /// The stored plan, if there is one.
    pub(super) fn load_plan(&self, root: &Root) -> Result<Option<Plan>> {
        Ok(self.plans(root).load()?.map(|stored| stored.value))
    }

    /// What it is now.
    pub(crate) fn status(&self) -> ImportStatus {
        self.live().record.status
    }

    /// Stores the plan that this and every later run follows.
    pub(super) fn store_plan(&self, root: &Root, plan: &Plan) -> Result<()> {
        self.plans(root).commit(0, plan)?;
        crossbill_store::killpoint::reach("import.planned");
        Ok(())
    }

    fn plans(&self, root: &Root) -> Documents<Plan> {
        Documents::new(root, self.dir.join("plan"), PLAN_KIND)
    }
}

impl Live {
    /// Changes the stored record; refused once the import has ended.
    pub(super) fn update(&mut self, change: impl FnOnce(&mut ImportRecord)) -> Result<()> {
        if self.record.status.is_final() {
            return Err(Error::failed_precondition(format!(
                "import {} has ended, it is {}",
                self.record.id,
                self.record.status.as_str()
            )));
        }
        let mut record = self.record.clone();
        change(&mut record);
        self.store(record)
    }

    /// Ends the import. The caller has checked that it may.
    pub(super) fn finish(
        &mut self,
        status: ImportStatus,
        end: ImportEnd,
        percent: f64,
    ) -> Result<()> {
        let mut record = self.record.clone();
        record.status = status;
        record.paused = false;
        record.percent = if status == ImportStatus::Completed { 100.0 } else { percent };
        record.end = Some(end);
        self.store(record)
    }

    fn store(&mut self, record: ImportRecord) -> Result<()> {
        jobs::store(&self.documents, &mut self.version, &mut self.record, record)
    }
}

/// Says that a thread runs a job.
pub(super) struct Running<'a>(&'a Job);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::SeqCst);
    }
}
