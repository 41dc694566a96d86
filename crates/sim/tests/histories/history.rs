//! One history: a database in a directory of its own, the model beside it,
//! and the steps that both take.
//!
//! Some writes are done in the middle of a flush or merge: the fault plan
//! tells of each operation on the store before it is done, and a write that
//! was made ready is done there, on a thread of its own. Crashes come between
//! steps and, through the same plan, after any number of operations within
//! one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbill_core::limits::MERGE_RATE_BYTES;
use crossbill_core::{
    IndexShape, ManualClock, Metric, NamespaceName, RandomIds, Record, RequestLimits, Seed,
    Timestamp,
};
use crossbill_db::{
    Database, DatabaseOptions, ErrorMode, FaultPlan, ImportSettings, ImportStatus, Index,
    SourcePolicy, StartImport,
};
use crossbill_sim::Model;
use crossbill_store::{Fault, FaultOp, FaultRule};
use tempfile::TempDir;

use crate::check::check;
use crate::files::{write_documents, write_parquet};
use crate::generate::{Generator, Write};

/// A write that waits for its moment, and what should be read right after it.
struct Midway {
    /// Operations on the store that pass before it.
    after: u64,
    write: Write,
    /// Whether it can be done while another thread commits.
    in_commits: bool,
    index: Arc<Index>,
    model: Model,
    generator: Generator,
    /// Told once it is done; dropped where it failed.
    done: Sender<()>,
}

/// How long a write is waited for that was begun midway.
const MIDWAY_MAX: Duration = Duration::from_secs(60);

pub(crate) struct History {
    dir: TempDir,
    database: Option<Arc<Database>>,
    generator: Generator,
    model: Model,
    plan: Arc<FaultPlan>,
    midway: Arc<Mutex<Option<Midway>>>,
    midways: u64,
    crashes: u64,
    imports: u32,
}

impl History {
    /// One of an index of vectors.
    pub(crate) fn of_vectors(seed: u64) -> Self {
        let shape = match seed % 5 {
            0 => IndexShape::dense(3, Metric::Cosine),
            1 => IndexShape::dense(3, Metric::Euclidean),
            2 | 3 => IndexShape::dense(3, Metric::DotProduct),
            _ => IndexShape::sparse(),
        };
        Self::new(seed, shape)
    }

    /// One of an index of documents with texts, a sparse vector and in most
    /// histories a dense one.
    pub(crate) fn of_documents(seed: u64) -> Self {
        let shape = match seed % 4 {
            0 => IndexShape::dense(3, Metric::Cosine),
            1 => IndexShape::dense(3, Metric::Euclidean),
            2 => IndexShape::dense(3, Metric::DotProduct),
            _ => IndexShape::sparse(),
        };
        Self::new(seed, shape.of_documents())
    }

    fn new(seed: u64, shape: IndexShape) -> Self {
        let midway = Arc::new(Mutex::new(None));
        let waiting = Arc::clone(&midway);
        let plan = FaultPlan::new(Seed(seed), faults(seed))
            .watched(move |op, key| do_midway(&waiting, op, key));
        Self {
            dir: tempfile::tempdir().unwrap(),
            database: None,
            generator: Generator {
                rng: Seed(seed).derive("history").rng(),
                shape,
                ids: if seed.is_multiple_of(3) { 150 } else { 40 },
            },
            model: Model::new(shape),
            plan: Arc::new(plan),
            midway,
            midways: 0,
            crashes: 0,
            imports: 0,
        }
    }

    pub(crate) fn counts(&self) -> String {
        format!(
            "{} imports, {} writes midway, {} crashes midway, {} faults",
            self.imports,
            self.midways,
            self.crashes,
            self.plan.struck()
        )
    }

    fn open(&self) -> Arc<Database> {
        let mut import = ImportSettings::new(2, 64 << 20);
        import.task_rows = 100;
        let source_policy =
            SourcePolicy { allow_dirs: vec![self.source()], ..SourcePolicy::default() };
        Database::open(DatabaseOptions {
            data: self.dir.path().join("data"),
            memory_bytes: 64 << 20,
            threads: 2,
            // What happens when is for the history alone to say: it asks for
            // flushes, which merge too.
            memtable_rows: usize::MAX,
            resident_vectors_percent: 100,
            merges_at_once: 0,
            merge_rate: MERGE_RATE_BYTES,
            source_policy,
            import,
            imports_at_once: 1,
            export_dirs: Vec::new(),
            export_uris: Vec::new(),
            exports_at_once: 1,
            run_schedules: false,
            webhook: None,
            limits: RequestLimits::default(),
            clock: Arc::new(ManualClock::at(Timestamp(1_795_000_000_000))),
            ids: Arc::new(RandomIds),
            faults: Some(Arc::clone(&self.plan)),
            first_port: 5081,
        })
        .unwrap()
    }

    fn source(&self) -> PathBuf {
        let path = self.dir.path().join("source");
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn index(&mut self) -> Arc<Index> {
        if self.database.is_none() {
            self.database = Some(self.open());
        }
        crate::index(self.database.as_ref().unwrap(), self.generator.shape)
    }

    pub(crate) fn check(&mut self) {
        let index = self.index();
        check(&index, &self.model, &mut self.generator);
    }

    /// Nothing is flushed by dropping a database.
    pub(crate) fn crash(&mut self) {
        self.database = None;
    }

    pub(crate) fn step(&mut self) {
        let index = self.index();
        match self.generator.below(20) {
            0..10 => {
                let write = self.generator.write();
                write.apply(&index).unwrap();
                write.apply_to(&mut self.model);
            }
            10..13 => index.flush(&NamespaceName::default_namespace()).unwrap(),
            13..15 => self.flush_and_write(&index),
            15 => self.crash_in_a_flush(index),
            16 => self.crash_in_a_write(index),
            17 => self.import(index),
            18 if self.generator.below(8) == 0 => {
                if index.delete_namespace(&NamespaceName::default_namespace()).is_ok() {
                    self.model.records.clear();
                }
            }
            _ => {
                drop(index);
                self.crash();
                self.check();
            }
        }
    }

    /// Flushes and merges, and writes in the middle of it.
    fn flush_and_write(&mut self, index: &Arc<Index>) {
        let write = self.generator.write();
        let mut model = self.model.clone();
        write.apply_to(&mut model);
        // The first write of a namespace makes it, which is a commit.
        let exists = index.describe_namespace(&NamespaceName::default_namespace()).is_ok();
        let (done, is_done) = channel();
        *self.midway.lock().unwrap() = Some(Midway {
            after: self.generator.below(40),
            in_commits: write.needs_no_commit() && exists,
            write,
            index: Arc::clone(index),
            model: model.clone(),
            generator: self.generator.clone(),
            done,
        });
        index.flush(&NamespaceName::default_namespace()).unwrap();
        if self.midway.lock().unwrap().take().is_none() {
            // It may have come before an operation of another thread, such as
            // the last ones of an import that is described as completed.
            is_done.recv_timeout(MIDWAY_MAX).expect("the write midway succeeds");
            self.model = model;
            self.midways += 1;
            self.check();
        }
    }

    fn crash_in_a_flush(&mut self, index: Arc<Index>) {
        self.plan.die_after(self.generator.below(40));
        let flushed = index.flush(&NamespaceName::default_namespace());
        drop(index);
        self.crash();
        if self.plan.revive() {
            self.crashes += 1;
        } else {
            flushed.unwrap();
        }
        self.check();
    }

    /// A write that was not acknowledged may be there afterwards or not, but
    /// never half of it.
    fn crash_in_a_write(&mut self, index: Arc<Index>) {
        let write = self.generator.write();
        self.plan.die_after(self.generator.below(4));
        let written = write.apply(&index);
        drop(index);
        self.crash();
        let died = self.plan.revive();
        let mut after = self.model.clone();
        write.apply_to(&mut after);
        match written {
            Ok(()) => self.model = after,
            Err(error) => {
                assert!(died, "{error}");
                self.crashes += 1;
                let index = self.index();
                let default = NamespaceName::default_namespace();
                let ids: Vec<String> = after.records.keys().cloned().collect();
                let now = index.fetch(&default, &ids).unwrap();
                let there = after.records.values().cloned().map(Into::into).collect::<Vec<_>>();
                if now == there && index.stats().unwrap().total == ids.len() as u64 {
                    self.model = after;
                }
            }
        }
        self.check();
    }

    fn import(&mut self, index: Arc<Index>) {
        if self.generator.shape == IndexShape::sparse() {
            return;
        }
        self.imports += 1;
        let count = 1 + self.generator.below(250);
        let directory = self.source().join(self.imports.to_string());
        std::fs::create_dir(&directory).unwrap();
        let mut records: Vec<Record> = (0..count).map(|_| self.generator.record()).collect();
        let (error_mode, bad) = if self.generator.shape.documents {
            (ErrorMode::Continue, write_documents(&directory, &records))
        } else {
            records.iter_mut().for_each(|record| record.sparse = None);
            write_parquet(&directory.join("1.parquet"), &records);
            (ErrorMode::Abort, 0)
        };
        let start = StartImport {
            uri: format!("file://{}", directory.display()),
            integration: None,
            options: error_mode.into(),
            idempotency_key: None,
            caller: None,
        };
        let id = index.start_import(start).unwrap();
        let mut index = index;
        if self.generator.below(3) == 0 {
            // The process ends at some moment of it.
            for _ in 0..self.generator.below(2000) {
                std::thread::yield_now();
            }
            drop(index);
            self.crash();
            self.crashes += 1;
            index = self.index();
        }
        let view = loop {
            let view = index.describe_import(&id).unwrap();
            if view.status.is_final() {
                break view;
            }
            std::thread::yield_now();
        };
        assert_eq!((view.status, &view.error), (ImportStatus::Completed, &None));
        assert_eq!((view.records_read, view.records_rejected), (count + bad, bad));
        self.model.upsert(records);
    }
}

/// Half of the histories have a store whose answers get lost at times: every
/// call must still succeed, because each is tried again.
fn faults(seed: u64) -> Vec<FaultRule> {
    if seed.is_multiple_of(2) {
        return Vec::new();
    }
    let lost = |op| FaultRule::new(op, Fault::ErrorAfter, 20);
    let missed = |op| FaultRule::new(op, Fault::ErrorBefore, 20);
    vec![
        lost(FaultOp::Put),
        missed(FaultOp::Put),
        missed(FaultOp::Get),
        missed(FaultOp::List),
        lost(FaultOp::Delete),
    ]
}

/// Does the waiting write, where its moment has come.
fn do_midway(waiting: &Mutex<Option<Midway>>, op: FaultOp, key: &str) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let ready = {
        let mut waiting = waiting.lock().unwrap();
        let Some(midway) = &mut *waiting else { return };
        midway.after = midway.after.saturating_sub(1);
        // What is committed has to be waited for.
        let possible = midway.in_commits || matches!(op, FaultOp::Publish | FaultOp::ScratchWrite);
        if midway.after > 0 || !possible { None } else { waiting.take() }
    };
    let Some(mut midway) = ready else { return };
    let name = format!("midway-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let key = key.to_owned();
    let work = move || {
        midway.write.apply(&midway.index).unwrap();
        check(&midway.index, &midway.model, &mut midway.generator);
        drop(midway.index);
        let _ = midway.done.send(());
    };
    // Another thread, because this one may be driving the store's tasks.
    let done = std::thread::Builder::new().name(name).spawn(work).unwrap().join();
    assert!(done.is_ok(), "a write before {op:?} of {key}");
}
