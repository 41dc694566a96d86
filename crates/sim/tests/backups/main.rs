//! Random histories of several indexes with backups, restores, deletions,
//! flushes, merges, crashes and a failing store, against a plain model.
//!
//! Method: each operation is done to the database and to a copy of the model.
//! Where it succeeds, the copy is the model. Where the store makes it fail,
//! the database is opened anew, and must be as before it or as after it.
//! Everything is compared after each failure and each crash, and at the end
//! everything is deleted in random order: no part may be left. Meanwhile the
//! whole data directory is copied now and then: each copy opens, and each of
//! its namespaces is as it was at some moment since the copy began. Replay one
//! history with `SEED=<number>`; `SEEDS=<number>` runs that many.
#![allow(clippy::unwrap_used, reason = "a test may panic and may wait")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crossbill_core::{
    IndexName, IndexShape, ManualClock, Metric, NamespaceName, RandomIds, Record, RequestLimits,
    Result, Rng, Seed, Timestamp, limits,
};
use crossbill_db::{
    BackupFilter, Database, DatabaseOptions, FaultPlan, ImportSettings, NewBackup, NewIndex,
    RestoreOptions, Selector, SourcePolicy,
};
use crossbill_store::{Fault, FaultOp, FaultRule};

/// Operations of a history.
const STEPS: usize = 90;
/// Histories of a run.
const SEEDS: u64 = 12;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Records by id, by namespace: what an index or a backup holds.
type Content = BTreeMap<String, BTreeMap<String, f32>>;

#[derive(Debug, Clone, Default, PartialEq)]
struct World {
    indexes: BTreeMap<String, Content>,
    backups: BTreeMap<String, Content>,
}

#[derive(Debug, Clone)]
enum Op {
    Create(String),
    Upsert(String, String, Vec<(String, f32)>),
    Delete(String, String, Vec<String>),
    DeleteNamespace(String, String),
    Flush(String, String),
    DeleteIndex(String),
    Backup(String),
    Restore(String, String),
    DeleteBackup(String),
}

fn namespace(name: &str) -> NamespaceName {
    NamespaceName::new(name).unwrap()
}

fn open(data: &Path, faults: Option<Arc<FaultPlan>>) -> Result<Arc<Database>> {
    Database::open(DatabaseOptions {
        data: data.to_owned(),
        memory_bytes: 256 << 20,
        threads: 2,
        memtable_rows: 40,
        resident_vectors_percent: 100,
        merges_at_once: 1,
        merge_rate: limits::MERGE_RATE_BYTES,
        source_policy: SourcePolicy::default(),
        import: ImportSettings::new(1, 64 << 20),
        imports_at_once: 0,
        export_dirs: vec![std::env::temp_dir()],
        export_uris: Vec::new(),
        exports_at_once: 0,
        run_schedules: false,
        webhook: None,
        limits: RequestLimits::default(),
        clock: Arc::new(ManualClock::at(Timestamp(1_800_000_000_000))),
        ids: Arc::new(RandomIds),
        faults,
        first_port: 5081,
    })
}

struct History {
    seed: u64,
    rng: Rng,
    dir: tempfile::TempDir,
    database: Option<Arc<Database>>,
    faults: Option<Arc<FaultPlan>>,
    world: World,
    failed: usize,
    restored: usize,
    /// Where a copy is being made, and the worlds since it began.
    copy: Option<(tempfile::TempDir, Vec<World>)>,
    copied: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Some(open(dir.path(), None).unwrap());
        let rng = Seed(seed).derive("backups").rng();
        let (faults, world) = (None, World::default());
        let (failed, restored, copied, copy) = (0, 0, 0, None);
        Self { seed, rng, dir, database, faults, world, failed, restored, copy, copied }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound as u64) as usize
    }

    fn pick<'a>(&mut self, from: impl Iterator<Item = &'a String>) -> Option<String> {
        let all: Vec<&String> = from.collect();
        if all.is_empty() {
            return None;
        }
        let at = self.below(all.len());
        Some(all[at].clone())
    }

    fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }

    /// An operation that makes sense now.
    fn choose(&mut self) -> Option<Op> {
        let world = self.world.clone();
        let name = NAMES[self.below(NAMES.len())].to_owned();
        let index = self.pick(world.indexes.keys());
        let space = ["x", "y", ""][self.below(3)].to_owned();
        let ids = |history: &mut Self, count: usize| -> Vec<String> {
            (0..count).map(|_| format!("r{:02}", history.below(60))).collect()
        };
        Some(match self.below(100) {
            0..12 if !world.indexes.contains_key(&name) => Op::Create(name),
            0..45 => {
                let count = 1 + self.below(30);
                let mut records: BTreeMap<String, f32> = BTreeMap::new();
                for id in ids(self, count) {
                    records.insert(id, self.below(1000) as f32);
                }
                Op::Upsert(index?, space, records.into_iter().collect())
            }
            45..55 => Op::Delete(index?, space, ids(self, 5)),
            55..58 => Op::DeleteNamespace(index?, space),
            58..68 => Op::Flush(index?, space),
            68..71 => Op::DeleteIndex(index?),
            71..82 if world.backups.len() < 6 => Op::Backup(index?),
            71..92 if !world.indexes.contains_key(&name) => {
                Op::Restore(self.pick(world.backups.keys())?, name)
            }
            _ => Op::DeleteBackup(self.pick(world.backups.keys())?),
        })
    }

    fn run(&self, op: &Op) -> Result<Option<String>> {
        let database = self.database();
        match op {
            Op::Create(name) => {
                database.create_index(NewIndex {
                    name: IndexName::new(name).unwrap(),
                    shape: IndexShape::dense(2, Metric::Euclidean),
                    text: Default::default(),
                    tags: BTreeMap::new(),
                    documents: None,
                    deletion_protection: false,
                    cloud: "aws".into(),
                    region: "us-east-1".into(),
                    spec_json: None,
                })?;
            }
            Op::Upsert(name, space, records) => {
                let record = |(id, value): &(String, f32)| Record {
                    id: id.clone(),
                    values: vec![*value, 1.0],
                    sparse: None,
                    metadata: None,
                };
                let records = records.iter().map(record).collect();
                database.index(name)?.upsert(&namespace(space), records)?;
            }
            Op::Delete(name, space, ids) => {
                let ids = Selector::Ids(ids.clone());
                database.index(name)?.delete(&namespace(space), ids)?;
            }
            Op::DeleteNamespace(name, space) => {
                match database.index(name)?.delete_namespace(&namespace(space)) {
                    Err(error) if error.kind() == crossbill_core::ErrorKind::NotFound => {}
                    other => other?,
                }
            }
            Op::Flush(name, space) => database.index(name)?.flush(&namespace(space))?,
            Op::DeleteIndex(name) => database.delete_index(name)?,
            Op::Backup(name) => {
                return Ok(Some(database.create_backup(name, NewBackup::default())?.id));
            }
            Op::Restore(backup, name) => {
                let name = IndexName::new(name).unwrap();
                let options = RestoreOptions { name, tags: None, deletion_protection: false };
                database.restore_backup(backup, options)?;
            }
            Op::DeleteBackup(id) => database.delete_backup(id)?,
        }
        Ok(None)
    }

    /// The world after `op`; a new backup has `id`.
    fn after(&self, op: &Op, id: Option<String>) -> World {
        let mut world = self.world.clone();
        match op.clone() {
            Op::Create(name) => drop(world.indexes.insert(name, Content::new())),
            Op::Upsert(name, space, records) => {
                let space = namespace(&space).as_str().to_owned();
                world.indexes.get_mut(&name).unwrap().entry(space).or_default().extend(records);
            }
            Op::Delete(name, space, ids) => {
                let index = world.indexes.get_mut(&name).unwrap();
                if let Some(space) = index.get_mut(namespace(&space).as_str()) {
                    space.retain(|id, _| !ids.contains(id));
                }
            }
            Op::DeleteNamespace(name, space) => {
                world.indexes.get_mut(&name).unwrap().remove(namespace(&space).as_str());
            }
            Op::Flush(..) => {}
            Op::DeleteIndex(name) => drop(world.indexes.remove(&name)),
            Op::Backup(name) => {
                let content = world.indexes[&name].clone();
                drop(id.map(|id| world.backups.insert(id, content)));
            }
            Op::Restore(backup, name) => {
                let content = world.backups[&backup].clone();
                world.indexes.insert(name, content);
            }
            Op::DeleteBackup(id) => drop(world.backups.remove(&id)),
        }
        world
    }

    fn step(&mut self) {
        let Some(op) = self.choose() else { return };
        match self.run(&op) {
            Ok(id) => {
                self.restored += usize::from(matches!(op, Op::Restore(..)));
                self.world = self.after(&op, id);
            }
            Err(error) => {
                assert!(self.faults.is_some(), "seed {}: {op:?}: {error}", self.seed);
                self.failed += 1;
                self.reopen();
                let there = self.content();
                let new = there.backups.iter().find(|id| !self.world.backups.contains_key(*id));
                let after = self.after(&op, new.cloned());
                if there.matches(&after) {
                    self.world = after;
                }
                self.check();
            }
        }
    }

    /// A crash: nothing is flushed by it.
    fn reopen(&mut self) {
        if let Some(plan) = self.faults.take() {
            plan.heal();
        }
        drop(self.database.take());
        self.copy = None;
        self.database = Some(open(self.dir.path(), None).unwrap());
    }

    /// Opens the database on a store that fails now and then.
    fn reopen_failing(&mut self) {
        self.reopen();
        let seed = Seed(self.rng.next_u64());
        let rules = [
            (FaultOp::Put, Fault::ErrorBefore, 60),
            (FaultOp::Put, Fault::ErrorAfter, 60),
            (FaultOp::Get, Fault::ErrorBefore, 60),
            (FaultOp::List, Fault::ErrorBefore, 60),
            (FaultOp::Delete, Fault::ErrorBefore, 60),
            (FaultOp::Publish, Fault::ErrorBefore, 60),
            (FaultOp::Publish, Fault::ErrorAfter, 60),
        ];
        // Operations are tried several times; this is how often all fail.
        let rules = rules.map(|(op, fault, rate)| FaultRule::new(op, fault, rate * 5));
        let plan = Arc::new(FaultPlan::new(seed, rules.to_vec()));
        drop(self.database.take());
        self.copy = None;
        self.database = match open(self.dir.path(), Some(Arc::clone(&plan))) {
            Ok(database) => {
                self.faults = Some(plan);
                Some(database)
            }
            Err(_) => {
                plan.heal();
                Some(open(self.dir.path(), None).unwrap())
            }
        };
    }

    /// Begins a copy now and then, and looks at one that is whole.
    fn copy(&mut self) {
        let Some((_, worlds)) = &mut self.copy else {
            if self.below(8) == 0 {
                let place = tempfile::tempdir().unwrap();
                let uri = format!("file://{}", place.path().display());
                self.database().start_root_copy(&uri).unwrap();
                self.copy = Some((place, vec![self.world.clone()]));
            }
            return;
        };
        worlds.push(self.world.clone());
        // Operations are fast beside it: some copies are waited for.
        let is_waited_for = self.below(3) == 0;
        let mut view = self.database().describe_root_copy().unwrap();
        while is_waited_for && !view.status.is_final() {
            std::thread::yield_now();
            view = self.database().describe_root_copy().unwrap();
        }
        if !view.status.is_final() {
            return;
        }
        assert_eq!(view.error, None, "seed {}", self.seed);
        if let Some((_place, worlds)) = self.copy.take() {
            self.check_copy(&view.directory, &worlds);
            self.copied += 1;
        }
    }

    /// A copy that was begun in the first of `worlds` and was whole in the last.
    fn check_copy(&self, directory: &Path, worlds: &[World]) {
        let seed = self.seed;
        let copy = open(directory, None).unwrap();
        let found = content_of(&copy);
        let is_catalog = |world: &&World| {
            let mut backups = found.backups.clone();
            backups.sort();
            found.indexes.keys().eq(world.indexes.keys()) && backups.iter().eq(world.backups.keys())
        };
        let moment = worlds.iter().find(is_catalog);
        assert!(moment.is_some(), "seed {seed}: {found:#?} is at no moment of {worlds:#?}");
        for (name, content) in &found.indexes {
            for space in ["x", "y", ""].map(|space| namespace(space).as_str().to_owned()) {
                // Between the making of a namespace and its first write it is empty.
                let some =
                    |content: &Content| content.get(&space).filter(|of| !of.is_empty()).cloned();
                let of = |world: &World| world.indexes.get(name).and_then(some);
                let copied = some(content);
                let is_known = worlds.iter().any(|world| of(world) == copied);
                assert!(is_known, "seed {seed}: {name}/{space}: {copied:?} at no moment");
            }
        }
        for (number, id) in found.backups.iter().enumerate() {
            let name = IndexName::new(&format!("copied-{number}")).unwrap();
            let options = RestoreOptions { name, tags: None, deletion_protection: false };
            copy.restore_backup(id, options).unwrap();
            let content = content_of(&copy).indexes.remove(&format!("copied-{number}")).unwrap();
            let expected = worlds.iter().find_map(|world| world.backups.get(id)).unwrap();
            assert_eq!(&content, expected, "seed {seed}: backup {id} of a copy");
        }
    }

    /// What the database holds.
    fn content(&self) -> Found {
        content_of(self.database())
    }

    fn check(&self) {
        let found = self.content();
        let seed = self.seed;
        assert!(found.matches(&self.world), "seed {seed}: {found:#?}\nexpected {:#?}", self.world);
    }
    /// Restores every backup once, then deletes everything in random order.
    fn end(&mut self) {
        self.reopen();
        self.check();
        for (number, (id, expected)) in self.world.backups.clone().into_iter().enumerate() {
            let name = format!("end-{number}");
            self.run(&Op::Restore(id, name.clone())).unwrap();
            self.world.indexes.insert(name, expected);
        }
        self.check();
        while !(self.world.indexes.is_empty() && self.world.backups.is_empty()) {
            let world = self.world.clone();
            let op = match self.below(2) {
                0 => self.pick(world.indexes.keys()).map(Op::DeleteIndex),
                _ => self.pick(world.backups.keys()).map(Op::DeleteBackup),
            };
            if let Some(op) = op {
                self.run(&op).unwrap();
                self.world = self.after(&op, None);
                if self.below(4) == 0 {
                    self.reopen();
                }
                self.check();
            }
        }
        self.reopen();
        let left = segments(self.dir.path());
        assert!(left.is_empty(), "seed {}: {left:?}", self.seed);
    }
}

/// What a database holds.
fn content_of(database: &Database) -> Found {
    let mut indexes = BTreeMap::new();
    for info in database.list_indexes() {
        let index = database.index(info.name.as_str()).unwrap();
        let mut content = Content::new();
        for space in index.stats().unwrap().namespaces.keys() {
            let (ids, _) = index.list_ids(&namespace(space), "", None, 1000).unwrap();
            let records = index.fetch(&namespace(space), &ids).unwrap();
            let records = records.into_iter().map(|one| (one.id, one.values[0]));
            content.insert(space.clone(), records.collect());
        }
        indexes.insert(info.name.as_str().to_owned(), content);
    }
    let (backups, _) = database.list_backups(&BackupFilter::default(), None, 100).unwrap();
    Found { indexes, backups: backups.into_iter().map(|backup| backup.id).collect() }
}

/// What a database holds; of backups only which there are.
#[derive(Debug)]
struct Found {
    indexes: BTreeMap<String, Content>,
    backups: Vec<String>,
}

impl Found {
    fn matches(&self, world: &World) -> bool {
        let mut backups = self.backups.clone();
        backups.sort();
        // A namespace that was only read of is there for nobody.
        self.indexes == world.indexes && backups.iter().eq(world.backups.keys())
    }
}

fn segments(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(segments(&path));
        } else if path.extension().is_some_and(|ending| ending == "seg") {
            found.push(path.display().to_string());
        }
    }
    found
}

fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().expect("a number"))
}

#[test]
fn backups_are_what_the_model_says() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let (mut failed, mut restored, mut copied, runs) = (0, 0, 0, seeds.end - seeds.start);
    for seed in seeds {
        println!("replay with SEED={seed}");
        let mut history = History::new(seed);
        for _ in 0..STEPS {
            history.step();
            history.copy();
            match history.below(12) {
                0 => {
                    history.reopen();
                    history.check();
                }
                1 => history.reopen_failing(),
                _ => {}
            }
        }
        history.end();
        failed += history.failed;
        restored += history.restored;
        copied += history.copied;
    }
    println!("{failed} operations failed, {restored} restores, {copied} copies");
    assert!(runs < 8 || failed > 3 && restored > 2, "{failed} failed, {restored} restored");
    assert!(runs < 8 || copied > 10, "{copied} copies");
}
