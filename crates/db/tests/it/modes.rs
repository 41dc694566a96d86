//! Imports whose records are seen all at once: `atomic`, and mode `replace`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crossbill_db::{
    Database, ErrorMode, ImportMode, ImportOptions, ImportStatus, ImportView, Index, RecordText,
    Selector,
};

use crate::fixtures::{
    Place, all_ids, index, line, namespace, plane, record, start_with, wait, write_line,
    write_parquet,
};

fn atomic() -> ImportOptions {
    ImportOptions { atomic: true, ..ErrorMode::Continue.into() }
}

fn replace() -> ImportOptions {
    ImportOptions { mode: ImportMode::Replace, ..ErrorMode::Continue.into() }
}

fn load(index: &Index, place: &Place, options: ImportOptions) -> ImportView {
    wait(index, &start_with(index, &place.uri(), options))
}

fn value(index: &Index, id: &str) -> f32 {
    index.fetch(&namespace("a"), &[id.to_owned()]).unwrap()[0].values[0]
}

/// A long source of two namespaces, and an index that holds the record `old`
/// and one that the source replaces.
fn scene() -> (Place, Arc<Database>, Arc<Index>) {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..30 {
        let name = if file < 20 { "a" } else { "b" };
        let path = place.source().join(format!("{name}/{file:02}.parquet"));
        write_line(&path, &format!("f{file:02}-"), 300);
    }
    let database = place.open();
    let index = index(&database, plane());
    let before = ["old", "f00-00007"].map(|id| record(id, &[-1.0, 0.0], ""));
    index.upsert(&namespace("a"), before.to_vec()).unwrap();
    (place, database, index)
}

/// Starts it and waits until some of its tasks are staged, then holds it.
fn held(index: &Index, place: &Place, options: ImportOptions) -> String {
    let id = start_with(index, &place.uri(), options);
    while index.describe_import(&id).unwrap().records_under_way == 0 {
        std::thread::yield_now();
    }
    index.pause_import(&id).unwrap();
    while index.describe_import(&id).unwrap().phase != "paused" {
        std::thread::yield_now();
    }
    id
}

fn parts(place: &Place, index: &Index) -> usize {
    let dir = place.data().join("indexes").join(&index.info().uid).join("parts");
    std::fs::read_dir(dir).map_or(0, |entries| entries.count())
}

#[test]
fn nothing_is_seen_before_the_end_and_then_all_of_it() {
    for options in [atomic(), replace()] {
        let (place, database, index) = scene();
        let id = held(&index, &place, options.clone());
        let view = index.describe_import(&id).unwrap();
        assert_eq!((view.records_imported, view.records_read), (0, 0), "{view:?}");
        assert_eq!(all_ids(&index, "a"), ["f00-00007", "old"]);
        // What is written after it began is newer than its records.
        let late = |id: &str| record(id, &[-2.0, 0.0], "");
        index.upsert(&namespace("a"), vec![late("f00-00001"), late("late")]).unwrap();
        drop((index, database));
        let database = place.open();
        let index = database.index("a").unwrap();
        assert_eq!(all_ids(&index, "a"), ["f00-00001", "f00-00007", "late", "old"]);
        index.upsert(&namespace("a"), vec![late("f00-00002")]).unwrap();
        index.resume_import(&id).unwrap();
        let view = wait(&index, &id);
        assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 9000));
        let kept = usize::from(options.atomic);
        assert_eq!(all_ids(&index, "a").len(), 6001 + kept);
        assert_eq!(all_ids(&index, "a").contains(&"old".to_owned()), options.atomic);
        assert_eq!(all_ids(&index, "b").len(), 3000);
        let values = ["f00-00001", "f00-00002", "f00-00003", "f00-00007", "late"];
        assert_eq!(values.map(|id| value(&index, id)), [-2.0, -2.0, 3.0, 7.0, -2.0]);
        // And so it is on disk.
        drop((index, database));
        let database = place.open();
        let index = database.index("a").unwrap();
        assert_eq!(all_ids(&index, "a").len(), 6001 + kept);
        assert_eq!(values.map(|id| value(&index, id)), [-2.0, -2.0, 3.0, 7.0, -2.0]);
        assert_eq!(index.describe_import(&id).unwrap(), view);
    }
}

#[test]
fn a_cancelled_one_leaves_nothing_behind() {
    for options in [atomic(), replace()] {
        let (place, database, index) = scene();
        index.flush(&namespace("a")).unwrap();
        let before = parts(&place, &index);
        let id = held(&index, &place, options);
        assert!(parts(&place, &index) > before, "its segments are stored");
        index.cancel_import(&id).unwrap();
        let view = index.describe_import(&id).unwrap();
        assert_eq!((view.status, view.records_imported), (ImportStatus::Cancelled, 0));
        assert_eq!(all_ids(&index, "a"), ["f00-00007", "old"]);
        assert_eq!(index.stats().unwrap().total, 2);
        assert_eq!(parts(&place, &index), before);
        let found = index.import_manifest(&id, 0, 100).unwrap();
        assert_eq!((found.head.parts, found.head.counts.imported), (0, 0));
        drop((index, database));
        let database = place.open();
        let index = database.index("a").unwrap();
        assert_eq!(index.stats().unwrap().total, 2);
        assert_eq!(parts(&place, &index), before);
        // Nothing of it stands in the way of the next one.
        let view = load(&index, &place, atomic());
        assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 9000));
        assert_eq!(index.stats().unwrap().total, 9001);
    }
}

#[test]
fn a_failed_one_leaves_nothing_behind() {
    let (place, _database, index) = scene();
    let mut rows = line("bad", 150);
    rows[140].1 = vec![1.0];
    let rows: Vec<_> = rows.iter().map(|(id, at)| (id.as_str(), at.clone(), None)).collect();
    write_parquet(&place.source().join("b/99.parquet"), &rows);
    for options in [atomic(), replace()] {
        let abort = ImportOptions { error_mode: ErrorMode::Abort, ..options.clone() };
        let view = load(&index, &place, abort);
        assert_eq!((view.status, view.records_imported), (ImportStatus::Failed, 0), "{view:?}");
        let bounded = ImportOptions { errors_max: Some(0), ..options };
        let view = load(&index, &place, bounded);
        assert_eq!((view.status, view.records_imported), (ImportStatus::Failed, 0), "{view:?}");
        assert_eq!(index.import_rejects(&view.id, 0, 9, RecordText::Shown).unwrap().1, 1);
        assert_eq!(index.stats().unwrap().total, 2);
        assert_eq!(all_ids(&index, "a"), ["f00-00007", "old"]);
    }
}

#[test]
fn an_import_of_nothing_but_rejects_takes_nothing_away() {
    let place = Place::new();
    write_parquet(&place.source().join("a/1.parquet"), &[("x", vec![1.0], None)]);
    let database = place.open();
    let index = index(&database, plane());
    index.upsert(&namespace("a"), vec![record("old", &[1.0, 0.0], "")]).unwrap();
    let view = load(&index, &place, replace());
    assert_eq!((view.status, view.records_rejected), (ImportStatus::Failed, 1));
    assert_eq!(all_ids(&index, "a"), ["old"]);
}

#[test]
fn the_last_of_an_id_wins_as_in_any_import() {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..4 {
        let rows = line("x", 250);
        let rows: Vec<_> = rows
            .iter()
            .skip(file * 30)
            .map(|(id, at)| (id.as_str(), vec![at[0], file as f32], None))
            .collect();
        write_parquet(&place.source().join(format!("a/{file}.parquet")), &rows);
    }
    let database = place.open();
    let index = index(&database, plane());
    let usual = load(&index, &place, ErrorMode::Continue.into());
    let fetch = |index: &Index| {
        let ids = all_ids(index, "a");
        index.fetch(&namespace("a"), &ids).unwrap().into_iter().map(|one| one.values).collect()
    };
    let expected: Vec<Vec<f32>> = fetch(&index);
    for options in [replace(), atomic()] {
        let view = load(&index, &place, options.clone());
        assert_eq!(view.records_imported, usual.records_imported);
        assert_eq!(view.records_superseded, usual.records_superseded);
        assert_eq!(fetch(&index), expected);
        index.delete(&namespace("a"), Selector::All).unwrap();
        let view = load(&index, &place, options);
        assert_eq!(view.records_imported, usual.records_imported);
        assert_eq!(fetch(&index), expected, "into an empty namespace");
    }
}

#[test]
fn what_was_replaced_is_loaded_again() {
    let place = Place::new();
    write_line(&place.source().join("a/1.parquet"), "x", 20);
    let database = place.open();
    let index = index(&database, plane());
    load(&index, &place, ErrorMode::Continue.into());
    std::fs::rename(place.source().join("a/1.parquet"), place.dir.path().join("1")).unwrap();
    write_line(&place.source().join("a/2.parquet"), "y", 30);
    load(&index, &place, replace());
    let ids: BTreeSet<_> = all_ids(&index, "a").into_iter().map(|id| id[..1].to_owned()).collect();
    assert_eq!(ids, BTreeSet::from(["y".to_owned()]));
    std::fs::rename(place.dir.path().join("1"), place.source().join("a/1.parquet")).unwrap();
    let skipping = ImportOptions { skip_loaded: true, ..ErrorMode::Continue.into() };
    let view = load(&index, &place, skipping);
    assert_eq!((view.files_skipped, view.records_imported), (1, 20));
}
