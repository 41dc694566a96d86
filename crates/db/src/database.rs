//! The database: one data directory, its indexes, its background work.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Clock, Error, IdSource, RequestLimits, Result};
use crossbill_import::ImportSettings;
use crossbill_store::{FaultPlan, Key, Root, RootOptions, SourcePolicy};
use parking_lot::{Mutex, RwLock};

use crate::background::Workers;
use crate::backups::{CopyJob, Failures, keep_schedules, open_backups, run_copy};
use crate::catalog::{Catalog, not_found};
use crate::catalog_state::{CatalogState, Refused};
use crate::env::Env;
use crate::exports;
use crate::imports::{Waiting, clean_up, run};
use crate::parts::delete_index_files;
use crate::priority::{Background, step_back};
use crate::sweep::sweep_parts;
use crate::webhooks::WebhookOptions;
use crate::{Index, IndexChange, IndexEvent, IndexInfo, NewIndex};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// The data directory; made where it is missing.
    pub data: PathBuf,
    /// Bytes of memory that memtables are sized by.
    pub memory_bytes: u64,
    /// Threads for searching, and as many for building.
    pub threads: usize,
    /// Records that a namespace's memtable takes before it is flushed.
    pub memtable_rows: usize,
    /// How many percent of their raw size (4 bytes a component) the full
    /// vectors of a segment may take of the process's memory; the rest is read
    /// from its file each time. At least 8 MiB may.
    pub resident_vectors_percent: u8,
    /// Merges that run at once, in different namespaces. 0: none, as for imports.
    pub merges_at_once: usize,
    /// Bytes a second that merges write at most.
    pub merge_rate: u64,
    /// Where imports may read from.
    pub source_policy: SourcePolicy,
    /// How imports run.
    pub import: ImportSettings,
    /// Imports that run at once; others wait. 0: all wait, for a process that
    /// only asks and may lack what they need to go on.
    pub imports_at_once: usize,
    /// Directories below which exports may write.
    pub export_dirs: Vec<PathBuf>,
    /// Buckets, or directories in them, below which exports may write.
    pub export_uris: Vec<String>,
    /// Exports that run at once; others wait. 0: all wait, as for imports.
    pub exports_at_once: usize,
    /// Whether schedules of backups run: not for a process that only asks.
    pub run_schedules: bool,
    /// Whom to tell of imports that have ended.
    pub webhook: Option<WebhookOptions>,
    /// What a request, or a record of an import, may ask for and hold.
    pub limits: RequestLimits,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where unique ids come from.
    pub ids: Arc<dyn IdSource>,
    /// Faults to inject, for tests.
    pub faults: Option<Arc<FaultPlan>>,
    /// The first data-plane port.
    pub first_port: u16,
}

/// How long the deletion of an index waits for its import to stop.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);
const STOP_STEP: Duration = Duration::from_millis(20);

type Listener = Box<dyn Fn(&IndexEvent) + Send + Sync>;

/// An open database.
pub struct Database {
    pub(crate) env: Arc<Env>,
    pub(crate) first_port: u16,
    /// Held through each change, so that changes come one after another.
    catalog: Mutex<CatalogState>,
    indexes: RwLock<BTreeMap<String, Arc<Index>>>,
    listeners: RwLock<Vec<Listener>>,
    workers: Workers,
    /// The copy of the data directory that is made, or was made last.
    pub(crate) root_copy: Mutex<Option<Arc<CopyJob>>>,
    /// Held while schedules run.
    pub(crate) schedule_failures: Mutex<Failures>,
}

impl Database {
    /// Opens the data directory, replays logs, sweeps what a crash left over
    /// and goes on with unfinished imports.
    pub fn open(options: DatabaseOptions) -> Result<Arc<Database>> {
        let root = Root::open(RootOptions {
            path: options.data.clone(),
            faults: options.faults.clone(),
            ids: Arc::clone(&options.ids),
            clock: Arc::clone(&options.clock),
        })?;
        let catalog = CatalogState::load(&root)?;
        let env = Arc::new(Env::new(root, &options)?);
        let database = Arc::new(Database {
            env: Arc::clone(&env),
            first_port: options.first_port,
            catalog: Mutex::new(catalog),
            indexes: RwLock::new(BTreeMap::new()),
            listeners: RwLock::new(Vec::new()),
            workers: Workers::new(),
            root_copy: Mutex::new(None),
            schedule_failures: Mutex::new(Failures::new()),
        });
        database.open_indexes()?;
        database.start_workers(&options)?;
        if options.run_schedules {
            database.start_schedules()?;
        }
        database.resume_imports();
        database.resume_exports();
        database.resume_merges();
        Ok(database)
    }

    /// Opens all indexes. Only when it is known who refers to which part is
    /// anything deleted.
    fn open_indexes(&self) -> Result<()> {
        let env = &self.env;
        open_backups(env, &self.look(|catalog| catalog.backups.clone()))?;
        let infos = self.list_indexes();
        for info in &infos {
            let index = Index::open(env, info.clone())?;
            if index.has_broken() {
                // Nobody knows which parts of others it needs.
                let origins = self.look(|catalog| catalog.origins(&info.name));
                origins.iter().for_each(|uid| env.parts.block(uid));
            }
            self.insert_index(index);
        }
        self.sweep_indexes(&infos)?;
        self.all_indexes().iter().try_for_each(settle)
    }

    /// Removes the directories of indexes whose deletion was cut off, but for
    /// parts that are still referred to.
    fn sweep_indexes(&self, known: &[IndexInfo]) -> Result<()> {
        let env = &self.env;
        let known: HashSet<&str> = known.iter().map(|info| info.uid.as_str()).collect();
        for uid in env.root.list_dirs(&key("indexes")?)? {
            if !known.contains(uid.as_str()) {
                delete_index_files(&env.root, &env.parts, &uid)?;
            }
        }
        Ok(())
    }

    /// Makes an index known by its name.
    pub(crate) fn insert_index(&self, index: Arc<Index>) {
        self.indexes.write().insert(index.info().name.as_str().to_owned(), index);
    }

    /// What `look` finds in the catalog.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&self.catalog.lock().catalog)
    }

    /// Changes the catalog, durably.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Catalog) -> Result<T>,
    ) -> std::result::Result<T, Refused> {
        self.change_and(change, |_| ())
    }

    /// Changes the catalog, durably, and calls `then` before anybody else can
    /// change it.
    pub(crate) fn change_and<T>(
        &self,
        change: impl FnOnce(&mut Catalog) -> Result<T>,
        then: impl FnOnce(&T),
    ) -> std::result::Result<T, Refused> {
        let mut state = self.catalog.lock();
        let mut catalog = state.catalog.clone();
        let result = change(&mut catalog).map_err(|error| Refused { error, is_certain: true })?;
        state.commit(catalog).map_err(|error| Refused { error, is_certain: false })?;
        then(&result);
        Ok(result)
    }

    fn start_workers(&self, options: &DatabaseOptions) -> Result<()> {
        let env = &self.env;
        self.workers.start(
            "crossbill-flush",
            1,
            &env.flushes,
            || {},
            |namespace| {
                if let Some(namespace) = std::sync::Weak::upgrade(&namespace) {
                    namespace.flush_in_background();
                }
            },
        )?;
        self.workers.start(
            "crossbill-merge",
            options.merges_at_once,
            &env.merges,
            step_back,
            |namespace| {
                if let Some(namespace) = std::sync::Weak::upgrade(&namespace) {
                    namespace.merge_in_background();
                }
            },
        )?;
        if let Some(background) = Background::new().map(Arc::new) {
            let reserve = Arc::clone(&env.reserve);
            let keep = move |()| reserve.keep(&background);
            self.workers.start("crossbill-reserve", 1, env.reserve.wakes(), || {}, keep)?;
        }
        let own = Arc::clone(env);
        let tell = move |()| own.webhooks.run(&own);
        self.workers.start("crossbill-webhook", 1, env.webhooks.wakes(), || {}, tell)?;
        let own = Arc::clone(env);
        let work = move |waiting: Waiting| run(&own, &waiting);
        let at_once = options.imports_at_once;
        self.workers.start("crossbill-import", at_once, &env.imports, step_back, work)?;
        let own = Arc::clone(env);
        let work = move |waiting: exports::Waiting| exports::run(&own, &waiting);
        let at_once = options.exports_at_once;
        self.workers.start("crossbill-export", at_once, &env.exports, step_back, work)?;
        let own = Arc::clone(env);
        let work = move |job: Arc<CopyJob>| run_copy(&own, &job);
        self.workers.start("crossbill-copy", 1, &env.copies, step_back, work)
    }

    fn start_schedules(self: &Arc<Self>) -> Result<()> {
        let (database, queue) = (Arc::downgrade(self), Arc::clone(&self.env.schedules));
        let work = move |()| keep_schedules(&database, &queue);
        self.env.schedules.push(());
        self.workers.start("crossbill-backup", 1, &self.env.schedules, || {}, work)
    }

    /// Looks again at what an earlier process left to merge.
    fn resume_merges(&self) {
        for index in self.indexes.read().values() {
            index.all_namespaces().iter().for_each(|namespace| namespace.merge_soon());
        }
    }

    /// Queues unfinished imports, but for paused ones, in the order they were
    /// started, and those whose end is still to be told.
    fn resume_imports(&self) {
        let mut unfinished: Vec<_> = Vec::new();
        for index in self.indexes.read().values() {
            for job in index.imports().all() {
                let waiting = Waiting { index: index.weak(), job };
                if waiting.job.is_final() {
                    self.env.webhooks.tell(waiting);
                } else if waiting.job.is_active() {
                    let created = waiting.job.view(&*self.env.clock).created_at;
                    unfinished.push((created, waiting));
                }
            }
        }
        unfinished.sort_by_key(|(created, _)| *created);
        unfinished.into_iter().for_each(|(_, waiting)| self.env.imports.push(waiting));
    }

    /// Queues unfinished exports in the order they were started.
    fn resume_exports(&self) {
        let mut unfinished: Vec<_> = Vec::new();
        for index in self.indexes.read().values() {
            for job in index.exports().all().into_iter().filter(|job| !job.is_final()) {
                unfinished.push(exports::Waiting { index: index.weak(), job });
            }
        }
        unfinished.sort_by_key(|waiting| waiting.job.created_at());
        unfinished.into_iter().for_each(|waiting| self.env.exports.push(waiting));
    }

    /// Makes an index. `Conflict` where the name is taken.
    pub fn create_index(&self, new: NewIndex) -> Result<IndexInfo> {
        self.env.limits.check_tags(&new.tags)?;
        let mut state = self.catalog.lock();
        let name = new.name.clone();
        let mut catalog = state.catalog.clone();
        let uid = self.env.ids.next_id().to_string();
        catalog.create(new, uid, self.env.clock.now(), self.first_port)?;
        let info = catalog.get(name.as_str())?;
        let index = Index::open(&self.env, info.clone())?;
        state.commit(catalog)?;
        self.indexes.write().insert(name.as_str().to_owned(), index);
        self.tell(&IndexEvent::Created(info.clone()));
        Ok(info)
    }

    /// All indexes by name.
    pub fn list_indexes(&self) -> Vec<IndexInfo> {
        let state = self.catalog.lock();
        state.catalog.indexes.iter().map(|(name, entry)| entry.info(name)).collect()
    }

    /// One index. `NotFound` where there is none of that name.
    pub fn describe_index(&self, name: &str) -> Result<IndexInfo> {
        self.catalog.lock().catalog.get(name)
    }

    /// Changes an index's settings. `FailedPrecondition` where its opaque
    /// facts are not those any more that the change was made from.
    pub fn configure_index(&self, name: &str, change: IndexChange) -> Result<IndexInfo> {
        let mut state = self.catalog.lock();
        let mut catalog = state.catalog.clone();
        catalog.configure(name, change, &self.env.limits)?;
        let info = catalog.get(name)?;
        state.commit(catalog)?;
        if let Some(index) = self.indexes.read().get(name) {
            index.set_info(info.clone());
        }
        Ok(info)
    }

    /// Deletes an index and all it holds. `Forbidden` where it is protected.
    pub fn delete_index(&self, name: &str) -> Result<()> {
        let mut state = self.catalog.lock();
        let mut catalog = state.catalog.clone();
        let info = catalog.delete(name, self.env.clock.now())?;
        state.commit(catalog)?;
        let index = self.indexes.write().remove(name);
        drop(state);
        self.tell(&IndexEvent::Deleted(info));
        // Deleted from here on; what follows only gives the space back, and
        // the next open does it where this fails.
        let Some(index) = index else { return Ok(()) };
        index.close();
        let jobs = index.imports().all();
        jobs.iter().for_each(|job| job.interrupt());
        let exports = index.exports().all();
        exports.iter().for_each(|job| job.interrupt());
        let mut waited = Duration::ZERO;
        let is_running = || {
            jobs.iter().any(|job| job.is_running()) || exports.iter().any(|job| job.is_running())
        };
        while is_running() && waited < STOP_WAIT_MAX {
            self.env.clock.sleep(STOP_STEP);
            waited += STOP_STEP;
        }
        let env = &self.env;
        env.parts.remove_owner(&index.context().uid);
        if let Err(error) = delete_index_files(&env.root, &env.parts, &index.context().uid) {
            tracing::warn!(index = name, %error, "a deleted index's files stay for now");
        }
        env.parts.release_all(&env.root, &index.context().uid);
        Ok(())
    }

    /// The index of that name, to read and write.
    pub fn index(&self, name: &str) -> Result<Arc<Index>> {
        self.indexes.read().get(name).cloned().ok_or_else(|| not_found(name))
    }

    /// The index with that uid, to read and write.
    pub fn index_by_id(&self, uid: &str) -> Result<Arc<Index>> {
        let indexes = self.indexes.read();
        let found = indexes.values().find(|index| index.info().uid == uid);
        found.cloned().ok_or_else(|| not_found(uid))
    }

    /// The limits in force.
    pub fn limits(&self) -> &RequestLimits {
        &self.env.limits
    }

    /// All indexes, by name.
    pub(crate) fn all_indexes(&self) -> Vec<Arc<Index>> {
        self.indexes.read().values().cloned().collect()
    }

    /// What the tokens of listings are signed with: the data directory's own,
    /// the same after every start.
    pub fn page_key(&self) -> &[u8; 32] {
        &self.env.page_key
    }

    /// Calls `listener` for each index made or deleted from now on, on the
    /// thread that did it and before its call returns.
    pub fn subscribe(&self, listener: Box<dyn Fn(&IndexEvent) + Send + Sync>) {
        self.listeners.write().push(listener);
    }

    pub(crate) fn tell(&self, event: &IndexEvent) {
        self.listeners.read().iter().for_each(|listener| listener(event));
    }

    /// Stops imports at a safe point (they go on at the next open) and ends
    /// all background work. Nothing acknowledged needs this: it is durable
    /// already.
    pub fn shutdown(&self) {
        self.env.imports.close();
        self.env.exports.close();
        self.env.copies.close();
        self.cancel_root_copy();
        self.env.merges.close();
        self.env.flushes.close();
        self.env.reserve.wakes().close();
        self.env.webhooks.wakes().close();
        self.env.schedules.close();
        let indexes: Vec<Arc<Index>> = self.indexes.read().values().cloned().collect();
        for index in &indexes {
            index.imports().all().iter().for_each(|job| job.interrupt());
            index.exports().all().iter().for_each(|job| job.interrupt());
        }
        self.workers.join();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Removes what a crash left over in an index, and finishes what it cut off.
fn settle(index: &Arc<Index>) -> Result<()> {
    sweep_parts(index, "")?;
    let remembered: Vec<String> = index
        .all_namespaces()
        .iter()
        .flat_map(|namespace| namespace.remembered_imports())
        .collect();
    for job in index.imports().all() {
        if job.is_final() && remembered.contains(&job.name()) {
            clean_up(index, &job);
        }
    }
    Ok(())
}

pub(crate) fn key(text: &str) -> Result<Key> {
    Key::new(text).map_err(|error| Error::internal(error.to_string()))
}
