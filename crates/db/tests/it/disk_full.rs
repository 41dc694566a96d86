//! A disk without room, wherever it is noticed: the import at hand fails with
//! both figures, or a write is refused, and nothing else happens. The real
//! thing is in tests/e2e/test_disk_full.py.

use std::sync::Arc;

use crossbill_core::{ErrorKind, Seed};
use crossbill_db::{ErrorMode, FaultPlan, ImportStatus};
use crossbill_store::{Fault, FaultOp, FaultRule};

use crate::fixtures::{Place, all_ids, import, index, namespace, plane, record, write_line};

fn full(op: FaultOp, key: &str, skip: u64, times: u64) -> FaultRule {
    let key_contains = key.to_owned();
    FaultRule { op, key_contains, skip, times, per_mille: 1000, fault: Fault::Full }
}

#[test]
fn an_import_fails_with_both_figures_and_leaves_nothing_else() {
    for (op, key, skip, times) in [
        (FaultOp::ScratchWrite, "segment", 20, 1),
        (FaultOp::Publish, "parts/imp-", 7, 1),
        // A commit is tried five times.
        (FaultOp::Put, "manifest", 9, 5),
    ] {
        let mut place = Place::new();
        place.task_rows = 100;
        place.faults = Some(Arc::new(FaultPlan::new(Seed(1), vec![full(op, key, skip, times)])));
        write_line(&place.source().join("1.parquet"), "x", 2000);
        let database = place.open();
        let index = index(&database, plane());
        let view = import(&index, &place.uri(), ErrorMode::Continue);
        assert_eq!(view.status, ImportStatus::Failed, "{op:?}: {view:?}");
        let error = view.error.unwrap();
        assert!(error.starts_with("the disk is full: "), "{op:?}: {error}");
        assert!(error.contains("the rest of the import needs about "), "{op:?}: {error}");
        assert!(error.ends_with(" free"), "{op:?}: {error}");
        assert!(view.records_imported < 2000, "{op:?}: {}", view.records_imported);
        assert_eq!(all_ids(&index, "").len() as u64, view.records_imported, "{op:?}");
        // The next one finds room, and makes up for what is missing.
        let view = import(&index, &place.uri(), ErrorMode::Continue);
        assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 2000), "{op:?}");
        // Merges may still be writing; once they are over nothing is left.
        drop((index, database));
        let scratch = std::fs::read_dir(place.data().join("scratch")).unwrap().count();
        assert_eq!(scratch, 0, "{op:?}: files that nobody deleted");
        assert!(place.data().join("indexes").exists(), "{op:?}");
        let database = place.open();
        assert_eq!(all_ids(&database.index("a").unwrap(), "").len(), 2000, "{op:?}");
    }
}

#[test]
fn a_write_is_refused_and_the_next_one_that_finds_room_is_not() {
    let mut place = Place::new();
    let rules = vec![full(FaultOp::WalWrite, "", 1, 2)];
    place.faults = Some(Arc::new(FaultPlan::new(Seed(1), rules)));
    let database = place.open();
    let index = index(&database, plane());
    let put = |id: &str| index.upsert(&namespace(""), vec![record(id, &[1.0, 2.0], "")]);
    put("a").unwrap();
    for id in ["b", "c"] {
        let error = put(id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
        assert!(error.message().starts_with("the disk is full: "), "{error}");
    }
    put("d").unwrap();
    assert_eq!(all_ids(&index, ""), ["a", "d"]);
    drop((index, database));
    assert_eq!(all_ids(&place.open().index("a").unwrap(), ""), ["a", "d"]);
}
