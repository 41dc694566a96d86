//! Random long histories of one namespace against the model: upserts,
//! deletions, updates, flushes, merges, imports, crashes and reads. Replay one
//! with `SEED=<number>`; `SEEDS=<number>` runs that many.
#![allow(clippy::unwrap_used, reason = "a test may panic and may wait")]

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use crossbill_core::{
    Filter, IndexName, IndexShape, Metadata, Metric, NamespaceName, RandomIds, Record, Rng, Seed,
    SparseVector, SystemClock, limits,
};
use crossbill_db::{
    Database, DatabaseOptions, ErrorMode, FaultPlan, ImportSettings, ImportStatus, Index, NewIndex,
    Query, QueryBy, Selector, SourcePolicy, StartImport, StoredRecord, Update,
};
use crossbill_sim::Model;
use crossbill_store::{Fault, FaultOp, FaultRule};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

/// Different ids in a history.
const IDS: u64 = 40;
/// Operations of a history; it is checked after every third.
const STEPS: usize = 120;
/// Histories of a run.
const SEEDS: u64 = 20;

struct History {
    dir: TempDir,
    database: Option<Arc<Database>>,
    shape: IndexShape,
    rng: Rng,
    model: Model,
    imports: u32,
    faults: Option<Arc<FaultPlan>>,
}

impl History {
    fn new(seed: u64) -> Self {
        let shape = match seed % 5 {
            0 => IndexShape::dense(3, Metric::Cosine),
            1 => IndexShape::dense(3, Metric::Euclidean),
            2 | 3 => IndexShape::dense(3, Metric::DotProduct),
            _ => IndexShape::sparse(),
        };
        // Half of the histories have a store whose answers get lost at times:
        // every call must still succeed, because each is tried again.
        let lost = |op| FaultRule::new(op, Fault::ErrorAfter, 20);
        let missed = |op| FaultRule::new(op, Fault::ErrorBefore, 20);
        let rules = vec![
            lost(FaultOp::Put),
            missed(FaultOp::Put),
            missed(FaultOp::Get),
            missed(FaultOp::List),
            lost(FaultOp::Delete),
        ];
        let faults = (seed % 2 == 1).then(|| Arc::new(FaultPlan::new(Seed(seed), rules)));
        Self {
            dir: tempfile::tempdir().unwrap(),
            database: None,
            shape,
            rng: Seed(seed).derive("history").rng(),
            model: Model::new(shape),
            imports: 0,
            faults,
        }
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
            memtable_rows: limits::MEMTABLE_ROWS_MAX,
            merge_rate: limits::MERGE_RATE_BYTES,
            source_policy,
            import,
            imports_at_once: 1,
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(RandomIds),
            faults: self.faults.clone(),
            first_port: 5081,
        })
        .unwrap()
    }

    fn source(&self) -> std::path::PathBuf {
        let path = self.dir.path().join("source");
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn index(&mut self) -> Arc<Index> {
        if self.database.is_none() {
            self.database = Some(self.open());
        }
        let database = self.database.as_ref().unwrap();
        if database.index("a").is_err() {
            let new = NewIndex {
                name: IndexName::new("a").unwrap(),
                shape: self.shape,
                tags: BTreeMap::new(),
                deletion_protection: false,
                cloud: "aws".into(),
                region: "us-east-1".into(),
                spec_json: None,
            };
            database.create_index(new).unwrap();
        }
        database.index("a").unwrap()
    }

    fn id(&mut self) -> String {
        format!("id{:02}", self.rng.below(IDS))
    }

    /// One of few values, so that scores tie; never 0.
    fn number(&mut self) -> f32 {
        self.rng.below(9) as f32 - 4.5
    }

    fn metadata(&mut self) -> Metadata {
        let json = format!(r#"{{"kind":"k{}","n":{}}}"#, self.rng.below(3), self.rng.below(10));
        Metadata::from_json(&json).unwrap()
    }

    fn sparse(&mut self) -> SparseVector {
        let first = self.rng.below(6) as u32;
        let second = first + 1 + self.rng.below(3) as u32;
        SparseVector::new(vec![first, second], vec![self.number(), self.number()]).unwrap()
    }

    fn record(&mut self) -> Record {
        let is_sparse = self.shape == IndexShape::sparse();
        let has_sparse = is_sparse || (self.shape.takes_sparse() && self.rng.below(2) == 0);
        Record {
            id: self.id(),
            values: (0..self.shape.dimension).map(|_| self.number()).collect(),
            sparse: has_sparse.then(|| self.sparse()),
            metadata: (self.rng.below(4) > 0).then(|| self.metadata()),
        }
    }

    fn filter(&mut self) -> Filter {
        let json = match self.rng.below(4) {
            0 => r#"{"kind":"k1"}"#.to_owned(),
            1 => r#"{"kind":{"$ne":"k0"}}"#.to_owned(),
            2 => format!(r#"{{"n":{{"$gte":{}}}}}"#, self.rng.below(10)),
            _ => r#"{"n":{"$exists":false}}"#.to_owned(),
        };
        Filter::from_json(&json).unwrap()
    }

    fn step(&mut self) {
        let index = self.index();
        let default = NamespaceName::default_namespace();
        match self.rng.below(20) {
            0..7 => {
                let count = 1 + self.rng.below(8);
                let records: Vec<Record> = (0..count).map(|_| self.record()).collect();
                index.upsert(&default, records.clone()).unwrap();
                self.model.upsert(records);
            }
            7 | 8 => {
                let ids = vec![self.id(), self.id()];
                index.delete(&default, Selector::Ids(ids.clone())).unwrap();
                self.model.records.retain(|id, _| !ids.contains(id));
            }
            9 => {
                let filter = self.filter();
                if index.delete(&default, Selector::Filter(filter.clone())).is_ok() {
                    self.model.delete_matching(&filter);
                }
            }
            10 if self.rng.below(6) == 0 => {
                if index.delete(&default, Selector::All).is_ok() {
                    self.model.records.clear();
                }
            }
            11 | 12 => self.update(&index),
            13..16 => index.flush(&default).unwrap(),
            16 => self.import(&index),
            17 if self.rng.below(8) == 0 => {
                if index.delete_namespace(&default).is_ok() {
                    self.model.records.clear();
                }
            }
            // A crash: nothing is flushed by dropping a database.
            _ => {
                drop(index);
                self.database = None;
            }
        }
    }

    fn update(&mut self, index: &Index) {
        let default = NamespaceName::default_namespace();
        let fields = self.metadata();
        if self.rng.below(3) == 0 {
            let filter = self.filter();
            let matched = index.update_by_filter(&default, &filter, fields.clone(), false).unwrap();
            assert_eq!(matched, self.model.update_matching(&filter, &fields).unwrap());
            return;
        }
        let fresh = self.record();
        let new_values = !fresh.values.is_empty() && self.rng.below(2) == 0;
        let update = Update {
            id: fresh.id,
            values: new_values.then_some(fresh.values),
            sparse: fresh.sparse,
            set_metadata: Some(fields),
        };
        index.update(&default, update.clone()).unwrap();
        self.model.update(update).unwrap();
    }

    fn import(&mut self, index: &Index) {
        if self.shape == IndexShape::sparse() {
            return;
        }
        self.imports += 1;
        let count = 1 + self.rng.below(250);
        let plain = |record| Record { sparse: None, ..record };
        let records: Vec<Record> = (0..count).map(|_| plain(self.record())).collect();
        let directory = self.source().join(self.imports.to_string());
        std::fs::create_dir(&directory).unwrap();
        write_parquet(&directory.join("1.parquet"), &records);
        let start = StartImport {
            uri: format!("file://{}", directory.display()),
            integration: None,
            error_mode: ErrorMode::Abort,
            idempotency_key: None,
            caller: None,
        };
        let id = index.start_import(start).unwrap();
        let view = loop {
            let view = index.describe_import(&id).unwrap();
            if view.status.is_final() {
                break view;
            }
            std::thread::yield_now();
        };
        assert_eq!((view.status, &view.error), (ImportStatus::Completed, &None));
        assert_eq!(view.records_read, count);
        self.model.upsert(records);
    }

    fn check(&mut self) {
        let index = self.index();
        let default = NamespaceName::default_namespace();
        let ids: Vec<String> = self.model.records.keys().cloned().collect();
        assert_eq!(index.list_ids(&default, "", None, 1000).unwrap(), (ids.clone(), false));
        assert_eq!(index.stats().unwrap().total, ids.len() as u64);
        let fetched = index.fetch(&default, &ids).unwrap();
        let expected = self.model.records.values().cloned().map(StoredRecord::from);
        assert_eq!(fetched, expected.collect::<Vec<_>>());
        let filter = self.filter();
        let (page, _) = index.fetch_by_metadata(&default, &filter, 100, None).unwrap();
        let page: Vec<String> = page.into_iter().map(|found| found.id).collect();
        assert_eq!(page, self.model.matching(&filter));
        self.check_query(&index, None);
        self.check_query(&index, Some(filter));
    }

    fn check_query(&mut self, index: &Index, filter: Option<Filter>) {
        let probe = self.record();
        let dense = (self.shape.dimension > 0).then_some(probe.values);
        let sparse = probe.sparse;
        let top_k = 1 + self.rng.below(12) as usize;
        let query = Query {
            by: QueryBy::Vector { dense: dense.clone(), sparse: sparse.clone() },
            top_k,
            filter: filter.clone(),
            include_values: false,
            include_metadata: false,
            effort: None,
        };
        let answer = index.query(&NamespaceName::default_namespace(), &query).unwrap();
        let scores = self.model.scores(dense.as_deref(), sparse.as_ref(), filter.as_ref());
        let best = self.model.best(&scores, top_k);
        assert_eq!(answer.matches.len(), best.len());
        for (found, best) in answer.matches.iter().zip(&best) {
            let own = scores[found.id.as_str()];
            assert!(close(own, found.score), "{}: {own} is told as {}", found.id, found.score);
            assert!(close(*best, found.score), "{best} is nearer than {}", found.score);
        }
    }
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-4 * (1.0 + a.abs())
}

fn write_parquet(path: &std::path::Path, records: &[Record]) {
    let (mut ids, mut metadata) = (StringBuilder::new(), StringBuilder::new());
    let mut values = ListBuilder::new(Float32Builder::new());
    for record in records {
        ids.append_value(&record.id);
        values.values().append_slice(&record.values);
        values.append(true);
        metadata.append_option(record.metadata.as_ref().map(Metadata::to_json));
    }
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(ids.finish()) as ArrayRef),
        ("values", Arc::new(values.finish()) as ArrayRef),
        ("metadata", Arc::new(metadata.finish()) as ArrayRef),
    ])
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    // Several row groups, so that an import has several tasks.
    for start in (0..batch.num_rows()).step_by(100) {
        writer.write(&batch.slice(start, (batch.num_rows() - start).min(100))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().expect("a number"))
}

#[test]
fn the_database_answers_as_the_model_does() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        println!("replay with SEED={seed}");
        let mut history = History::new(seed);
        for step in 0..STEPS {
            history.step();
            if step % 3 == 0 {
                history.check();
            }
        }
        history.database = None;
        history.check();
        let struck = history.faults.as_ref().map_or(0, |faults| faults.struck());
        println!("passed: {} imports, {struck} faults", history.imports);
    }
}
