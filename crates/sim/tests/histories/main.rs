//! Random long histories of one namespace against the model: writes of every
//! kind, flushes, merges, imports, crashes and reads; some of them in the
//! middle of others. Replay one with `SEED=<number>`; `SEEDS=<number>` runs
//! that many.
#![allow(clippy::unwrap_used, reason = "a test may panic and may wait")]

mod check;
mod concurrent;
mod files;
mod generate;
mod history;

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbill_core::{DocumentFields, IndexName, IndexShape, TextSchema};
use crossbill_db::{Database, Index, NewIndex};
use crossbill_sim::text_schema;
use history::History;

/// Operations of a history; it is checked after every third.
const STEPS: usize = 120;
/// Histories of a run.
const SEEDS: u64 = 15;
/// Histories of an index of documents in a run.
const DOCUMENT_SEEDS: u64 = 8;

/// The fields of documents' vectors.
const DENSE: &str = "embedding";
const SPARSE: &str = "terms";

fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().expect("a number"))
}

/// The index that all histories are of, made where it is missing.
fn index(database: &Database, shape: IndexShape) -> Arc<Index> {
    if database.index("a").is_err() {
        let fields = DocumentFields {
            dense: (shape.dimension > 0).then(|| DENSE.to_owned()),
            sparse: Some(SPARSE.to_owned()),
        };
        let new = NewIndex {
            name: IndexName::new("a").unwrap(),
            shape,
            text: if shape.documents { text_schema() } else { TextSchema::default() },
            tags: BTreeMap::new(),
            documents: shape.documents.then_some(fields),
            deletion_protection: false,
            cloud: "aws".into(),
            region: "us-east-1".into(),
            spec_json: None,
        };
        database.create_index(new).unwrap();
    }
    database.index("a").unwrap()
}

/// The seeds that the environment asks for, or `usual` of them.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(usual),
    }
}

/// Runs one history to its end; what it had.
fn run(mut history: History) -> String {
    for step in 0..STEPS {
        history.step();
        if step % 3 == 0 {
            history.check();
        }
    }
    history.crash();
    history.check();
    history.counts()
}

#[test]
fn the_database_answers_as_the_model_does() {
    for seed in seeds(SEEDS) {
        println!("replay with SEED={seed}");
        println!("passed: {}", run(History::of_vectors(seed)));
    }
}

#[test]
fn documents_are_found_as_the_model_finds_them() {
    for seed in seeds(DOCUMENT_SEEDS) {
        println!("documents, replay with SEED={seed}");
        println!("passed: {}", run(History::of_documents(seed)));
    }
}
