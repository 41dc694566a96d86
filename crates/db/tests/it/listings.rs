//! Listings under concurrent writes: whatever is written between two pages,
//! what was there throughout comes exactly once, and nothing comes that never
//! was there.
//!
//! Method: a seeded history begins with records that stay and records that
//! come and go. It reads a listing page by page, and between pages inserts,
//! overwrites, deletes and flushes at random; a plain set is the model.

use std::collections::BTreeSet;

use crossbill_core::{Filter, Rng, Seed};
use crossbill_db::{Index, Selector};

use crate::fixtures::{Place, index, namespace, plane, record};

const HISTORIES: u64 = 40;
const IDS: u64 = 60;

/// What a listing may and must give.
struct Model {
    /// There from the first page to the last.
    steady: BTreeSet<String>,
    /// There at some moment since the first page.
    seen: BTreeSet<String>,
}

fn id(number: u64) -> String {
    format!("r{number:03}")
}

fn put(index: &Index, place: &str, id: &str, rng: &mut Rng) {
    let value = rng.unit_f32();
    index.upsert(&namespace(place), vec![record(id, &[value, 1.0], r#"{"in":true}"#)]).unwrap();
}

/// A few writes between two pages.
fn write(index: &Index, place: &str, model: &mut Model, rng: &mut Rng) {
    for _ in 0..rng.below(6) {
        let id = id(rng.below(IDS));
        match rng.below(8) {
            0 => index.flush(&namespace(place)).unwrap(),
            1..=3 if !model.steady.contains(&id) => {
                index.delete(&namespace(place), Selector::Ids(vec![id])).map(|_| ()).unwrap();
            }
            _ => {
                put(index, place, &id, rng);
                model.seen.insert(id);
            }
        }
    }
}

/// Begins a history: half of what is there stays.
fn begin(index: &Index, place: &str, rng: &mut Rng) -> Model {
    let mut model = Model { steady: BTreeSet::new(), seen: BTreeSet::new() };
    for number in 0..IDS {
        if rng.below(3) == 0 {
            continue;
        }
        put(index, place, &id(number), rng);
        model.seen.insert(id(number));
        if rng.below(2) == 0 {
            model.steady.insert(id(number));
        }
    }
    model
}

fn check(seed: u64, listed: &[String], model: &Model) {
    assert!(listed.is_sorted(), "seed {seed}: {listed:?}");
    let set: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(set.len(), listed.len(), "seed {seed}: something came twice: {listed:?}");
    let skipped: Vec<_> = model.steady.difference(&set).collect();
    assert!(skipped.is_empty(), "seed {seed}: skipped {skipped:?}");
    let invented: Vec<_> = set.difference(&model.seen).collect();
    assert!(invented.is_empty(), "seed {seed}: never there: {invented:?}");
}

#[test]
fn ids_are_listed_once_whatever_is_written_meanwhile() {
    let database = Place::new();
    let opened = database.open();
    let index = index(&opened, plane());
    for seed in 0..HISTORIES {
        let mut rng = Seed(seed).derive("ids").rng();
        let place = format!("n{seed}");
        let mut model = begin(&index, &place, &mut rng);
        let (mut listed, mut after) = (Vec::new(), None::<String>);
        loop {
            let limit = 1 + rng.below(7) as usize;
            let page = index.list_ids(&namespace(&place), "r", after.as_deref(), limit).unwrap();
            listed.extend(page.0);
            if !page.1 {
                break;
            }
            after = listed.last().cloned();
            write(&index, &place, &mut model, &mut rng);
        }
        check(seed, &listed, &model);
    }
}

#[test]
fn matching_records_are_listed_once_whatever_is_written_meanwhile() {
    let database = Place::new();
    let opened = database.open();
    let index = index(&opened, plane());
    let filter = Filter::from_json(r#"{"in":true}"#).unwrap();
    for seed in 0..HISTORIES {
        let mut rng = Seed(seed).derive("matching").rng();
        let place = format!("n{seed}");
        let mut model = begin(&index, &place, &mut rng);
        let (mut listed, mut after) = (Vec::new(), None::<String>);
        loop {
            let limit = 1 + rng.below(7) as usize;
            let place = namespace(&place);
            let (records, next) =
                index.fetch_by_metadata(&place, &filter, limit, after.as_deref()).unwrap();
            listed.extend(records.into_iter().map(|record| record.id));
            after = next;
            if after.is_none() {
                break;
            }
            write(&index, place.as_str(), &mut model, &mut rng);
        }
        check(seed, &listed, &model);
    }
}

#[test]
fn namespaces_are_listed_once_whatever_is_written_meanwhile() {
    let database = Place::new();
    let opened = database.open();
    let index = index(&opened, plane());
    for seed in 0..HISTORIES / 4 {
        let mut rng = Seed(seed).derive("namespaces").rng();
        let name = |number: u64| format!("s{seed}-{number:02}");
        let mut model = Model { steady: BTreeSet::new(), seen: BTreeSet::new() };
        for number in 0..12 {
            put(&index, &name(number), "a", &mut rng);
            model.seen.insert(name(number));
            if number % 2 == 0 {
                model.steady.insert(name(number));
            }
        }
        let (mut listed, mut after) = (Vec::new(), None::<String>);
        loop {
            let limit = 1 + rng.below(4) as usize;
            let prefix = format!("s{seed}-");
            let page = index.list_namespaces(&prefix, after.as_deref(), limit).unwrap();
            listed.extend(page.namespaces.into_iter().map(|info| info.name));
            if !page.more {
                break;
            }
            after = listed.last().cloned();
            let name = name(rng.below(16));
            match rng.below(2) {
                0 if !model.steady.contains(&name) => {
                    // It may be gone already.
                    let _ = index.delete_namespace(&namespace(&name));
                }
                _ => {
                    put(&index, &name, "b", &mut rng);
                    model.seen.insert(name);
                }
            }
        }
        check(seed, &listed, &model);
    }
}
