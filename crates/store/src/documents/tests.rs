//! Documents under races and faults: no acknowledged commit is lost, none
//! counts twice, and damage is named.

use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::faults::{Fault, FaultOp, FaultPlan, FaultRule};
use crate::{Manifest, RootOptions};
use crossbill_core::{RandomIds, Seed, SystemClock};

fn open(path: &std::path::Path, faults: Option<Arc<FaultPlan>>) -> Root {
    Root::open(RootOptions {
        path: path.to_owned(),
        faults,
        ids: Arc::new(RandomIds),
        clock: Arc::new(SystemClock::new()),
    })
    .unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[test]
fn versions_follow_each_other_and_old_ones_are_pruned() {
    let directory = tempfile::tempdir().unwrap();
    let root = open(directory.path(), None);
    let documents = Documents::<Manifest>::new(&root, key("m"), MANIFEST_KIND);
    assert_eq!(documents.load().unwrap(), None);
    let mut value = Manifest { namespace: "ä/..".into(), ..Manifest::default() };
    for base in 0..10 {
        value.next_seq = base;
        assert_eq!(documents.commit(base, &value).unwrap(), base + 1);
    }
    for base in [0, 3, 9, 11] {
        let refused = documents.commit(base, &value).unwrap_err();
        assert!(matches!(refused, CommitError::Conflict { newest: 10, .. }), "{refused}");
    }
    std::fs::write(directory.path().join("m/00000000000000000003.json#1"), "half").unwrap();
    documents.prune(1).unwrap();
    let files = std::fs::read_dir(directory.path().join("m")).unwrap().count();
    assert_eq!(files as u64, KEPT_MIN);
    assert_eq!(documents.load().unwrap(), Some(Versioned { version: 10, value }));
}

#[test]
fn a_damaged_newest_version_is_an_error_that_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let root = open(directory.path(), None);
    let documents = Documents::<u64>::new(&root, key("c"), "counter");
    documents.commit(0, &1).unwrap();
    documents.commit(1, &2).unwrap();
    let newest = directory.path().join("c/00000000000000000002.json");
    let good = std::fs::read(&newest).unwrap();
    let older = std::fs::read(directory.path().join("c/00000000000000000001.json")).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 4;
    for bad in [flipped, good[..good.len() - 1].to_vec(), Vec::new(), older] {
        std::fs::write(&newest, bad).unwrap();
        let error = documents.load().unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { file, .. }
            if file == "c/00000000000000000002.json"),
            "{error}"
        );
    }
    std::fs::write(&newest, good).unwrap();
    assert_eq!(documents.load().unwrap().unwrap().value, 2);
}

#[test]
fn a_bit_flipped_on_the_way_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let rule = FaultRule::once(FaultOp::Get, Fault::FlippedBit, "", 1);
    let root = open(directory.path(), Some(Arc::new(FaultPlan::new(Seed(1), vec![rule]))));
    let documents = Documents::<u64>::new(&root, key("c"), "counter");
    documents.commit(0, &7).unwrap();
    assert_eq!(documents.load().unwrap().unwrap().value, 7);
}

/// Threads add their own numbers to one shared set by compare-and-swap while
/// operations fail before and after their effect. Every acknowledged number
/// must be in the set, once; versions must count the additions exactly.
fn race(seed: u64, threads: u64, rounds: u64, per_mille: u32) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let rules = [
        (FaultOp::Put, Fault::ErrorBefore),
        (FaultOp::Put, Fault::ErrorAfter),
        (FaultOp::Put, Fault::Delay(Duration::from_millis(1))),
        (FaultOp::Get, Fault::ErrorBefore),
        (FaultOp::Get, Fault::ShortBody),
        (FaultOp::List, Fault::ErrorBefore),
        (FaultOp::List, Fault::ErrorAfter),
        (FaultOp::Delete, Fault::ErrorAfter),
    ]
    .map(|(op, fault)| FaultRule::new(op, fault, per_mille));
    let plan = Arc::new(FaultPlan::new(Seed(seed), rules.to_vec()));
    let root = open(directory.path(), Some(Arc::clone(&plan)));
    let add = |documents: &Documents<Vec<u64>>, number: u64| loop {
        let Ok(loaded) = documents.load() else { continue };
        let (base, mut value) = loaded.map_or((0, vec![]), |l| (l.version, l.value));
        if value.contains(&number) {
            break; // An earlier try whose outcome was unknown did happen.
        }
        value.push(number);
        if documents.commit(base, &value).is_ok() {
            break;
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let documents = Documents::<Vec<u64>>::new(&root, key("set"), "set");
            scope.spawn(move || {
                for round in 0..rounds {
                    add(&documents, thread * rounds + round);
                    let _ = documents.prune(1);
                }
            });
        }
    });
    plan.heal();
    let documents = Documents::<Vec<u64>>::new(&root, key("set"), "set");
    let Versioned { version, value } = documents.load().unwrap().unwrap();
    let unique: BTreeSet<u64> = value.iter().copied().collect();
    assert_eq!(unique.len(), value.len(), "seed {seed}: an addition counted twice: {value:?}");
    assert_eq!(unique.len() as u64, threads * rounds, "seed {seed}: an addition is lost");
    assert_eq!(version, threads * rounds, "seed {seed}: versions count additions");
    plan.struck()
}

#[test]
fn no_update_is_lost_in_a_race() {
    for seed in 0..3 {
        race(seed, 8, 12, 0);
    }
}

#[test]
fn no_update_is_lost_in_a_race_with_faults() {
    let struck: u64 = (0..4).map(|seed| race(seed, 6, 8, 60)).sum();
    assert!(struck > 100, "only {struck} faults struck");
}
