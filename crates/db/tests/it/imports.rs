//! Imports of directories of Parquet: who wins, what is counted, what stops.

use crossbill_core::ErrorKind;
use crossbill_db::{ErrorMode, ImportStatus, Selector, StartImport};

use crate::fixtures::{
    LongImport, Place, all_ids, by_vector, ids, import, index, long_import, namespace, plane,
    record, start, wait, write_line, write_parquet,
};

#[test]
fn subdirectories_become_namespaces() {
    let place = Place::new();
    write_line(&place.source().join("films/1.parquet"), "f", 250);
    write_line(&place.source().join("books/1.parquet"), "b", 30);
    write_line(&place.source().join("root.parquet"), "r", 3);
    let database = place.open();
    let index = index(&database, plane());
    let id = start(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!(id, "1");
    let view = wait(&index, &id);
    assert_eq!((view.status, view.error.as_deref()), (ImportStatus::Completed, None));
    assert_eq!((view.records_imported, view.records_total), (283, Some(283)));
    assert_eq!((view.files_done, view.files_total), (3, Some(3)));
    assert!(view.finished_at.is_some());
    let stats = index.stats().unwrap();
    let counts: Vec<_> = stats.namespaces.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(counts, [("__default__", 3), ("books", 30), ("films", 250)]);
    assert_eq!(ids(&index, "films", &by_vector(&[200.2, 0.0], 2)), ["f00200", "f00201"]);
    drop((index, database));
    let database = place.open();
    let index = database.index("a").unwrap();
    assert_eq!(index.describe_import("1").unwrap(), view, "history survives a restart");
    assert_eq!(index.stats().unwrap().total, 283);
    assert_eq!(index.import_rejects("1", 0, 10).unwrap(), (vec![], 0));
}

#[test]
fn the_last_of_an_id_wins_across_rows_files_and_tasks() {
    let mut place = Place::new();
    place.task_rows = 100;
    let path = |name: &str| place.source().join(name);
    let mut rows: Vec<(String, Vec<f32>)> = (0..300)
        .map(|number| (format!("x{:03}", number % 120), vec![number as f32, 0.0]))
        .collect();
    rows.push(("x000".into(), vec![-1.0, 0.0]));
    let rows: Vec<_> =
        rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
    write_parquet(&path("1.parquet"), &rows);
    write_parquet(
        &path("2.parquet"),
        &[("x001", vec![-2.0, 0.0], None), ("y", vec![0.5, 0.0], None)],
    );
    let database = place.open();
    let index = index(&database, plane());
    let view = import(&index, &place.uri(), ErrorMode::Abort);
    assert_eq!(view.status, ImportStatus::Completed, "{view:?}");
    assert_eq!((view.records_read, view.records_imported), (303, 121));
    assert_eq!((view.records_superseded, view.records_rejected), (182, 0));
    assert_eq!(index.stats().unwrap().total, 121);
    let fetch = |id: &str| index.fetch(&namespace(""), &[id.to_owned()]).unwrap()[0].values[0];
    assert_eq!((fetch("x000"), fetch("x001"), fetch("x002")), (-1.0, -2.0, 242.0));
    assert_eq!(fetch("x100"), 220.0);
}

#[test]
fn an_import_into_records_is_an_upsert() {
    let place = Place::new();
    write_line(&place.source().join("1.parquet"), "x", 150);
    let database = place.open();
    let index = index(&database, plane());
    let default = namespace("");
    let old = |id: &str| record(id, &[-5.0, 0.0], r#"{"old":true}"#);
    index.upsert(&default, vec![old("x00001"), old("own")]).unwrap();
    index.flush(&default).unwrap();
    index.upsert(&default, vec![old("x00002")]).unwrap();
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!((view.records_imported, view.records_superseded), (150, 0));
    assert_eq!(index.stats().unwrap().total, 151);
    let found = index.fetch(&default, &["x00001".into(), "x00002".into(), "own".into()]).unwrap();
    let values: Vec<f32> = found.iter().map(|found| found.values[0]).collect();
    assert_eq!(values, [1.0, 2.0, -5.0]);
    index.upsert(&default, vec![old("x00003")]).unwrap();
    drop((index, database));
    let database = place.open();
    let index = database.index("a").unwrap();
    assert_eq!(index.fetch(&default, &["x00003".into()]).unwrap()[0].values, [-5.0, 0.0]);
    // Again: all of it is replaced, nothing is doubled.
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!((view.id.as_str(), view.records_imported), ("2", 150));
    assert_eq!(index.stats().unwrap().total, 151);
    assert_eq!(index.fetch(&default, &["x00003".into()]).unwrap()[0].values, [3.0, 0.0]);
}

#[test]
fn writes_made_during_an_import_win() {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..20 {
        write_line(
            &place.source().join(format!("{file:02}.parquet")),
            &format!("f{file:02}-"),
            400,
        );
    }
    let database = place.open();
    let index = index(&database, plane());
    let default = namespace("");
    let id = start(&index, &place.uri(), ErrorMode::Continue);
    let begun = || index.describe_import(&id).unwrap().records_imported > 0;
    while !begun() {
        std::thread::yield_now();
    }
    // Some of these are imported already, some are not yet.
    let mine: Vec<String> = (0..20).map(|file| format!("f{file:02}-00007")).collect();
    for (number, mine) in mine.iter().enumerate() {
        index.upsert(&default, vec![record(mine, &[0.0, 99.0], "")]).unwrap();
        if number == 10 {
            index.flush(&default).unwrap();
        }
    }
    let view = wait(&index, &id);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 8000));
    let check = |index: &crossbill_db::Index| {
        assert_eq!(index.stats().unwrap().total, 8000);
        for found in index.fetch(&default, &mine).unwrap() {
            assert_eq!(found.values, [0.0, 99.0], "{}", found.id);
        }
        assert_eq!(all_ids(index, "").len(), 8000);
    };
    check(&index);
    drop(index);
    drop(database);
    check(&place.open().index("a").unwrap());
}

#[test]
fn bad_records_are_skipped_and_kept_or_end_it() {
    let mut place = Place::new();
    place.task_rows = 100;
    let mut rows: Vec<(String, Vec<f32>)> = crate::fixtures::line("x", 250);
    rows[120].1 = vec![1.0];
    rows[130].0 = String::new();
    let rows: Vec<_> =
        rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
    write_parquet(&place.source().join("good/1.parquet"), &rows);
    std::fs::write(place.source().join("good/2.parquet"), b"this is no Parquet at all").unwrap();
    let database = place.open();
    let index = index(&database, plane());
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!(view.status, ImportStatus::Completed, "{view:?}");
    assert_eq!((view.records_imported, view.records_rejected), (248, 2));
    assert!(view.warnings.iter().any(|warning| warning.contains("2.parquet")), "{view:?}");
    let (rejects, total) = index.import_rejects(&view.id, 0, 10).unwrap();
    assert_eq!((rejects.len(), total), (3, 3));
    assert!(rejects.iter().any(|reject| reject.row == Some(120) && reject.code == "E_DIMENSION"));
    let (page, _) = index.import_rejects(&view.id, 2, 10).unwrap();
    assert_eq!(page, rejects[2..]);

    let view = import(&index, &place.uri(), ErrorMode::Abort);
    assert_eq!(view.status, ImportStatus::Failed);
    assert!(view.error.as_deref().unwrap().contains("x00120"), "{view:?}");
    assert_eq!((view.records_imported, view.records_rejected), (100, 1), "{view:?}");
    let (rejects, total) = index.import_rejects(&view.id, 0, 10).unwrap();
    assert_eq!((rejects[0].row, total), (Some(120), 1));
    drop((index, database));
    let database = place.open();
    assert_eq!(database.index("a").unwrap().describe_import(&view.id).unwrap(), view);
}

#[test]
fn an_import_of_nothing_good_fails() {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, plane());
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Failed, 0));
    assert!(view.error.is_some(), "{view:?}");
    // Its caller may not know yet that it failed.
    index.cancel_import(&view.id).unwrap();
    let view = index.describe_import(&view.id).unwrap();
    assert_eq!((view.status, view.error), (ImportStatus::Cancelled, None));

    write_parquet(
        &place.source().join("1.parquet"),
        &[("a", vec![1.0], None), ("b", vec![], None)],
    );
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!((view.status, view.records_rejected), (ImportStatus::Failed, 2));
    assert!(view.error.as_deref().unwrap().contains("expected"), "{view:?}");
    index.cancel_import(&view.id).unwrap();
    assert_eq!(index.describe_import(&view.id).unwrap().status, ImportStatus::Failed);
    assert_eq!(index.stats().unwrap().total, 0);
    assert!(index.describe_namespace(&namespace("")).is_err(), "not a record, not a namespace");
}

#[test]
fn starts_are_checked_by_form_and_repeats_are_recognised() {
    let place = Place::new();
    write_line(&place.source().join("1.parquet"), "x", 5);
    let database = place.open();
    let index = index(&database, plane());
    let begin = |uri: &str, key: Option<&str>, caller: &str| {
        index.start_import(StartImport {
            uri: uri.into(),
            integration: None,
            error_mode: ErrorMode::Continue,
            mapping: Default::default(),
            idempotency_key: key.map(str::to_owned),
            caller: Some(caller.into()),
        })
    };
    for bad in ["", "ftp://host/x", "file:///etc", &format!("file:///{}", "x".repeat(1500))] {
        let error = begin(bad, None, "me").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Forbidden), "{error}");
    }
    let first = begin(&place.uri(), Some("k"), "me").unwrap();
    wait(&index, &first);
    assert_eq!(begin(&place.uri(), Some("k"), "me").unwrap(), first, "a key is for ever");
    let second = begin(&place.uri(), None, "me").unwrap();
    assert_ne!(second, first);
    wait(&index, &second);
    let third = begin(&place.uri(), None, "me").unwrap();
    assert_ne!(third, second, "the second has ended");
    wait(&index, &third);
    let (newest, more) = index.list_imports(None, 2).unwrap();
    let listed: Vec<_> = newest.iter().map(|view| view.id.as_str()).collect();
    assert_eq!((listed, more), (vec!["3", "2"], true));
    let (oldest, more) = index.list_imports(Some(2), 2).unwrap();
    assert_eq!((oldest.len(), oldest[0].id.as_str(), more), (1, "1", false));
    for unknown in ["4", "x", "01", ""] {
        assert_eq!(index.describe_import(unknown).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(index.cancel_import(unknown).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn cancelling_keeps_what_is_committed_and_leaves_nothing_else() {
    let LongImport { place, database, index, id: running } = long_import();
    write_line(&place.source().join("one/1.parquet"), "one", 5);
    let waiting = start(&index, &format!("{}/one", place.uri()), ErrorMode::Continue);
    assert_eq!(index.describe_import(&waiting).unwrap().status, ImportStatus::Pending);
    index.cancel_import(&waiting).unwrap();
    assert_eq!(index.describe_import(&waiting).unwrap().status, ImportStatus::Cancelled);
    index.cancel_import(&running).unwrap();
    let view = index.describe_import(&running).unwrap();
    assert_eq!((view.status, view.error.as_deref()), (ImportStatus::Cancelled, None));
    assert_eq!(index.stats().unwrap().total, view.records_imported);
    assert!((1..18_000).contains(&view.records_imported), "{view:?}");
    index.cancel_import(&running).unwrap();
    assert_eq!(index.describe_import(&running).unwrap(), view, "no effect");
    // Another one runs after it; by then the leftovers are gone.
    import(&index, &format!("{}/one", place.uri()), ErrorMode::Continue);
    assert_eq!(index.stats().unwrap().total, view.records_imported + 5);
    let parts = place.data().join("indexes").join(index.info().uid).join("parts");
    let parts = std::fs::read_dir(parts).unwrap().count();
    // One more while segments are merged.
    let tasks = view.records_imported / 100 + 1;
    assert!(parts as u64 <= tasks + 1, "{parts} parts for {tasks} tasks");
    drop((index, database));
    let database = place.open();
    assert_eq!(database.index("a").unwrap().stats().unwrap().total, view.records_imported + 5);
}

#[test]
fn deleting_what_an_import_writes_to_is_safe() {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..40 {
        write_line(
            &place.source().join(format!("ns/{file:02}.parquet")),
            &format!("f{file:02}-"),
            200,
        );
    }
    let database = place.open();
    let index = index(&database, plane());
    let id = start(&index, &place.uri(), ErrorMode::Continue);
    while index.describe_import(&id).unwrap().records_imported == 0 {
        std::thread::yield_now();
    }
    index.delete(&namespace("ns"), Selector::All).unwrap();
    index.delete_namespace(&namespace("ns")).unwrap();
    let view = wait(&index, &id);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 8000));
    let left = index.stats().unwrap().total;
    assert!(left < 8000, "what was there at the deletion is gone");
    drop((index, database));
    let database = place.open();
    let reopened = database.index("a").unwrap();
    assert_eq!(reopened.stats().unwrap().total, left);
    let id = start(&reopened, &place.uri(), ErrorMode::Continue);
    database.delete_index("a").unwrap();
    assert_eq!(reopened.describe_import(&id).unwrap_err().kind(), ErrorKind::NotFound);
}
