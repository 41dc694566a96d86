//! What a crash or a failing disk leaves: everything acknowledged, nothing
//! twice. A dropped database is a crash: nothing is flushed by it.

use std::sync::Arc;

use crossbill_core::Seed;
use crossbill_db::{Database, ErrorMode, FaultPlan, ImportStatus, Selector};
use crossbill_store::{Fault, FaultOp, FaultRule};

use crate::fixtures::{
    LongImport, Place, all_ids, import, index, long_import, namespace, plane, record, start, wait,
    write_line, write_parquet,
};

fn plan(rules: Vec<FaultRule>) -> Option<Arc<FaultPlan>> {
    Some(Arc::new(FaultPlan::new(Seed(7), rules)))
}

#[test]
fn acknowledged_writes_survive() {
    let place = Place::new();
    let default = namespace("");
    let mut expected = Vec::new();
    for round in 0..6 {
        let database = place.open();
        let index = index(&database, plane());
        assert_eq!(all_ids(&index, ""), expected);
        let id = format!("r{round}");
        index.upsert(&default, vec![record(&id, &[1.0, 2.0], "")]).unwrap();
        expected.push(id);
        if round == 2 {
            index.flush(&default).unwrap();
        }
        if round == 4 {
            index.delete(&default, Selector::Ids(vec!["r1".into(), "r3".into()])).unwrap();
            expected.retain(|id| id != "r1" && id != "r3");
        }
    }
    let database = place.open();
    assert_eq!(all_ids(&database.index("a").unwrap(), ""), expected);
}

#[test]
fn an_import_goes_on_where_it_was() {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..30 {
        write_line(
            &place.source().join(format!("{file:02}.parquet")),
            &format!("f{file:02}-"),
            250,
        );
    }
    let mut id = None;
    let mut seen = 0;
    for _ in 0..8 {
        let database = place.open();
        let index = index(&database, plane());
        let id = id.get_or_insert_with(|| start(&index, &place.uri(), ErrorMode::Continue));
        let before = index.describe_import(id).unwrap();
        assert!(before.status.is_final() || !before.status.is_final() && seen <= 7500);
        while !index.describe_import(id).unwrap().status.is_final()
            && index.describe_import(id).unwrap().records_imported <= seen
        {
            std::thread::yield_now();
        }
        let view = index.describe_import(id).unwrap();
        assert!(view.records_imported >= seen, "{view:?} after {seen}");
        seen = view.records_imported;
    }
    let database = place.open();
    let index = index(&database, plane());
    let view = wait(&index, &id.unwrap());
    assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 7500), "{view:?}");
    assert_eq!(view.records_superseded, 0);
    assert_eq!(all_ids(&index, "").len(), 7500);
    assert_eq!(index.stats().unwrap().total, 7500);
}

/// A deletion takes what is there at its moment. Replayed after a crash, it
/// must not take what an import brought later.
#[test]
fn deletions_during_an_import_are_replayed_where_they_belong() {
    for all in [false, true] {
        let mut place = Place::new();
        place.task_rows = 100;
        let file = |number: usize| format!("f{number:02}-");
        for number in 0..20 {
            let path = place.source().join(format!("{number:02}.parquet"));
            write_line(&path, &file(number), 250);
        }
        let database = place.open();
        let index = index(&database, plane());
        let id = start(&index, &place.uri(), ErrorMode::Continue);
        while index.describe_import(&id).unwrap().records_imported == 0 {
            std::thread::yield_now();
        }
        let some: Vec<String> = (0..20).map(|number| file(number) + "00007").collect();
        for _ in 0..3 {
            let selector = if all { Selector::All } else { Selector::Ids(some.clone()) };
            index.delete(&namespace(""), selector).unwrap();
            index.upsert(&namespace(""), vec![record("mine", &[0.0, 1.0], "")]).unwrap();
        }
        let view = wait(&index, &id);
        assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 5000));
        let left = all_ids(&index, "");
        assert!((2..5001).contains(&left.len()), "{} of 5001 are left", left.len());
        drop((index, database));
        let database = place.open();
        let now = all_ids(&database.index("a").unwrap(), "");
        assert!(now == left, "{} are left after the crash, {} before", now.len(), left.len());
    }
}

#[test]
fn a_failed_log_refuses_the_write_and_recovers() {
    for op in [FaultOp::WalWrite, FaultOp::WalSync] {
        for fault in [Fault::ErrorBefore, Fault::ErrorAfter] {
            let mut place = Place::new();
            place.faults = plan(vec![FaultRule::once(op, fault, "", 3)]);
            let database = place.open();
            let index = index(&database, plane());
            let put = |id: &str| index.upsert(&namespace(""), vec![record(id, &[1.0, 2.0], "")]);
            put("a").unwrap();
            put("b").unwrap();
            assert!(put("c").is_err());
            put("d").unwrap();
            put("e").unwrap();
            let now = all_ids(&index, "");
            let without_c: Vec<_> = now.iter().filter(|id| *id != "c").collect();
            assert_eq!(without_c, ["a", "b", "d", "e"]);
            drop((index, database));
            place.faults = None;
            let database = place.open();
            assert_eq!(all_ids(&database.index("a").unwrap(), ""), now, "{op:?} {fault:?}");
        }
    }
}

#[test]
fn a_store_that_fails_at_any_operation_loses_nothing() {
    let mut strikes = 0;
    for (op, fault) in [
        (FaultOp::Put, Fault::ErrorBefore),
        (FaultOp::Put, Fault::ErrorAfter),
        (FaultOp::Get, Fault::ErrorBefore),
        (FaultOp::List, Fault::ErrorBefore),
        (FaultOp::Delete, Fault::ErrorAfter),
        (FaultOp::Publish, Fault::ErrorBefore),
        (FaultOp::Publish, Fault::ErrorAfter),
        (FaultOp::ScratchWrite, Fault::ErrorBefore),
    ] {
        for seed in 0..3 {
            let mut place = Place::new();
            place.task_rows = 100;
            for file in 0..4 {
                let path = place.source().join(format!("{file}.parquet"));
                write_line(&path, &format!("f{file}-"), 250);
            }
            let rules = vec![FaultRule::new(op, fault, 250)];
            place.faults = Some(Arc::new(FaultPlan::new(Seed(seed), rules)));
            let mut acknowledged = Vec::new();
            let mut import = None;
            if let Ok(database) = Database::open(place.options()) {
                let made = database.create_index(crate::fixtures::new_index("a", plane()));
                if made.is_ok() {
                    let index = database.index("a").unwrap();
                    let begun = crossbill_db::StartImport {
                        uri: place.uri(),
                        integration: None,
                        error_mode: ErrorMode::Continue,
                        mapping: Default::default(),
                        idempotency_key: None,
                        caller: None,
                    };
                    import = index.start_import(begun).ok();
                    for number in 0..20 {
                        let id = format!("w{number}");
                        let put = vec![record(&id, &[1.0, 2.0], "")];
                        if index.upsert(&namespace(""), put).is_ok() {
                            acknowledged.push(id);
                        }
                        let _ = index.flush(&namespace(""));
                    }
                    let settled = |id: &String| index.describe_import(id).unwrap();
                    for _ in 0..200 {
                        if import.as_ref().is_none_or(|id| settled(id).status.is_final()) {
                            break;
                        }
                        std::thread::sleep(std::time::Duration::from_millis(5));
                    }
                }
            }
            strikes += place.faults.take().unwrap().struck();
            let database = place.open();
            let index = index(&database, plane());
            let written = all_ids(&index, "");
            for id in &acknowledged {
                assert!(written.contains(id), "{id} is lost: {op:?} {fault:?} seed {seed}");
            }
            let mut imported = 0;
            if let Some(id) = import {
                imported = wait(&index, &id).records_imported;
            }
            let ids = all_ids(&index, "");
            let own = ids.iter().filter(|id| id.starts_with('f')).count() as u64;
            assert_eq!(own, imported, "{op:?} {fault:?} seed {seed}");
            assert_eq!(index.stats().unwrap().total, ids.len() as u64);
        }
    }
    assert!(strikes > 100, "only {strikes} faults struck");
}

#[test]
fn shutting_down_interrupts_an_import() {
    let LongImport { place, database, index, id } = long_import();
    database.shutdown();
    let view = index.describe_import(&id).unwrap();
    assert_eq!(view.status, ImportStatus::InProgress, "{view:?}");
    drop((index, database));
    let database = place.open();
    let view = wait(&database.index("a").unwrap(), &id);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 18_000));
}

#[test]
fn rejects_stay_where_only_some_namespaces_have_forgotten_their_import() {
    let place = Place::new();
    let rows = |id: &'static str| [(id, vec![1.0, 0.0], None), ("bad", vec![f32::NAN, 0.0], None)];
    write_parquet(&place.source().join("first/a/1.parquet"), &rows("x"));
    write_parquet(&place.source().join("first/b/1.parquet"), &rows("y"));
    write_parquet(&place.source().join("second/c/1.parquet"), &rows("z"));
    let database = place.open();
    let index = index(&database, plane());
    let view = import(&index, &format!("{}/first", place.uri()), ErrorMode::Continue);
    assert_eq!((view.status, view.records_rejected), (ImportStatus::Completed, 2));
    let expected = index.import_rejects(&view.id, 0, 10).unwrap();
    assert_eq!(expected.1, 2);
    // One import at a time: what the first left over is cleaned up now.
    import(&index, &format!("{}/second", place.uri()), ErrorMode::Continue);
    // That one namespace forgot the import is stored by its next commit; the
    // other one has none before the crash.
    index.upsert(&namespace("a"), vec![record("new", &[0.0, 1.0], "{}")]).unwrap();
    index.flush(&namespace("a")).unwrap();
    drop((index, database));
    let database = place.open();
    let index = database.index("a").unwrap();
    assert_eq!(index.import_rejects(&view.id, 0, 10).unwrap(), expected);
}
