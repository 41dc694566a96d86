//! Queries while everything else goes on: one thread writes, memtables are
//! flushed and segments merged in the background all the time, others query.
//! Each answer says which write it has seen last, and must be the one of
//! exactly that state.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbill_core::limits::MERGE_RATE_BYTES;
use crossbill_core::{
    IndexShape, Metric, NamespaceName, RandomIds, RequestLimits, Rng, Seed, SystemClock,
};
use crossbill_db::{Database, DatabaseOptions, ImportSettings, Index, QueryAnswer, SourcePolicy};
use crossbill_sim::Model;

use crate::check::{Ask, ask, check, check_answer};
use crate::generate::Generator;

/// Writes of a run.
const WRITES: usize = 600;
const READERS: u64 = 2;
/// Runs.
const SEEDS: u64 = 3;

fn open(data: &std::path::Path, shape: IndexShape) -> (Arc<Database>, Arc<Index>) {
    let database = Database::open(DatabaseOptions {
        data: data.to_owned(),
        memory_bytes: 64 << 20,
        threads: 2,
        memtable_rows: 30,
        resident_vectors_percent: 100,
        merges_at_once: 1,
        merge_rate: MERGE_RATE_BYTES,
        source_policy: SourcePolicy::default(),
        import: ImportSettings::new(1, 16 << 20),
        imports_at_once: 1,
        export_dirs: Vec::new(),
        export_uris: Vec::new(),
        exports_at_once: 1,
        run_schedules: false,
        webhook: None,
        limits: RequestLimits::default(),
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds),
        faults: None,
        first_port: 5081,
    })
    .unwrap();
    let index = crate::index(&database, shape);
    (database, index)
}

fn read(index: &Index, mut generator: Generator, ended: &AtomicBool) -> Vec<(Ask, QueryAnswer)> {
    let mut answers = Vec::new();
    while !ended.load(Ordering::Acquire) {
        let filter = (generator.below(2) == 0).then(|| generator.filter());
        let ask = ask(&mut generator, filter);
        let answer = index.query(&NamespaceName::default_namespace(), &ask.query).unwrap();
        answers.push((ask, answer));
    }
    answers
}

#[test]
fn every_answer_is_that_of_one_state() {
    for seed in crate::seeds(SEEDS) {
        println!("writes of SEED={seed}");
        let shape = match seed % 3 {
            0 => IndexShape::dense(3, Metric::Euclidean),
            1 => IndexShape::dense(3, Metric::DotProduct),
            _ => IndexShape::dense(3, Metric::Euclidean).of_documents(),
        };
        let directory = tempfile::tempdir().unwrap();
        let rng = |name: &str| -> Rng { Seed(seed).derive(name).rng() };
        let mut generator = Generator { rng: rng("writer"), shape, ids: 100 };
        let mut model = Model::new(shape);
        let mut answered = 0;
        // Twice, so that what the first run left is opened and written on.
        for round in 0..2 {
            let (database, index) = open(directory.path(), shape);
            check(&index, &model, &mut generator);
            let mut states = HashMap::from([(index.lsn(), model.clone())]);
            let ended = AtomicBool::new(false);
            let answers: Vec<_> = std::thread::scope(|scope| {
                let readers: Vec<_> = (0..READERS)
                    .map(|number| {
                        let rng = rng(&format!("reader {round} {number}"));
                        let generator = Generator { rng, ..generator.clone() };
                        let (index, ended) = (&*index, &ended);
                        scope.spawn(move || read(index, generator, ended))
                    })
                    .collect();
                for _ in 0..WRITES {
                    let write = generator.write();
                    write.apply_to(&mut model);
                    write.apply(&index).unwrap();
                    states.insert(index.lsn(), model.clone());
                }
                ended.store(true, Ordering::Release);
                readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
            });
            for (ask, answer) in &answers {
                check_answer(answer, ask, &states[&answer.lsn]);
            }
            answered += answers.len();
            drop((index, database));
        }
        println!("passed: {answered} answers");
    }
}
