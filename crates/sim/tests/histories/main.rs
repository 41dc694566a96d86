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

use crossbill_core::{IndexName, IndexShape};
use crossbill_db::{Database, Index, NewIndex};
use history::History;

/// Operations of a history; it is checked after every third.
const STEPS: usize = 120;
/// Histories of a run.
const SEEDS: u64 = 15;

fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().expect("a number"))
}

/// The index that all histories are of, made where it is missing.
fn index(database: &Database, shape: IndexShape) -> Arc<Index> {
    if database.index("a").is_err() {
        let new = NewIndex {
            name: IndexName::new("a").unwrap(),
            shape,
            text: Default::default(),
            tags: BTreeMap::new(),
            documents: None,
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

#[test]
fn the_database_answers_as_the_model_does() {
    for seed in seeds(SEEDS) {
        println!("replay with SEED={seed}");
        let mut history = History::new(seed);
        for step in 0..STEPS {
            history.step();
            if step % 3 == 0 {
                history.check();
            }
        }
        history.crash();
        history.check();
        println!("passed: {}", history.counts());
    }
}
