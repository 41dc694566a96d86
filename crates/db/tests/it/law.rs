//! Read = imported + superseded + rejected, in every state of an import and at
//! every moment, whatever is done to it. Plain threads ask without pause while
//! a seeded hand pauses, resumes, cancels, and drops the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbill_core::{Rng, Seed};
use crossbill_db::{
    ErrorMode, ImportMode, ImportOptions, ImportStatus, ImportView, Index, RecordText,
};

use crate::fixtures::{
    Place, index, line, namespace, plane, record, start_with, wait, write_parquet,
};

fn check_law(view: &ImportView) {
    let parts = view.records_imported + view.records_superseded + view.records_rejected;
    assert_eq!(view.records_read, parts, "{view:?}");
    assert!(view.records_total.is_none_or(|total| view.records_read <= total), "{view:?}");
}

/// Asks for the import until it ends or `stop` is raised: the law holds, and
/// nothing goes back.
fn watch(index: &Index, id: &str, stop: &AtomicBool) -> u64 {
    let mut before: Option<ImportView> = None;
    let mut looks = 0;
    while !stop.load(Ordering::SeqCst) {
        let Ok(view) = index.describe_import(id) else { return looks };
        check_law(&view);
        if let Some(before) = &before {
            assert!(view.records_read >= before.records_read, "{before:?} then {view:?}");
            assert!(view.percent_complete >= before.percent_complete, "{before:?} then {view:?}");
            assert!(!before.status.is_final() || view == *before, "{before:?} then {view:?}");
        }
        looks += 1;
        let done = view.status.is_final();
        before = Some(view);
        if done {
            break;
        }
        std::thread::yield_now();
    }
    looks
}

/// Rows that replace each other, rows that are bad, and a bad file.
fn source(rng: &mut Rng) -> Place {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..8 {
        let mut rows = line("x", 300);
        for (id, values) in &mut rows {
            match rng.below(20) {
                0 => values.clear(),
                1..8 => *id = format!("f{file}-{id}"),
                _ => {}
            }
        }
        let rows: Vec<_> =
            rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
        let path = format!("{}/{file}.parquet", if file < 4 { "a" } else { "b" });
        write_parquet(&place.source().join(path), &rows);
    }
    std::fs::write(place.source().join("a/bad.parquet"), b"this is no Parquet at all").unwrap();
    place
}

/// One history: what is done to the import is drawn from the seed, when it
/// happens is left to the machine.
fn history(seed: u64) {
    let mut rng = Seed(seed).derive("law").rng();
    let place = source(&mut rng);
    let mut options = ImportOptions::from(match rng.below(4) {
        0 => ErrorMode::Abort,
        _ => ErrorMode::Continue,
    });
    if options.error_mode == ErrorMode::Continue && rng.below(3) == 0 {
        options.errors_max = Some(rng.below(120));
    }
    options.atomic = rng.below(3) == 0;
    if rng.below(3) == 0 {
        options.mode = ImportMode::Replace;
    }
    let mut id = None;
    let mut read = 0;
    for _ in 0..2 + rng.below(3) {
        let database = place.open();
        let index = index(&database, plane());
        let id = id.get_or_insert_with(|| {
            index.upsert(&namespace("a"), vec![record("old", &[1.0, 1.0], "")]).unwrap();
            start_with(&index, &place.uri(), options.clone())
        });
        let first = index.describe_import(id).unwrap();
        check_law(&first);
        assert!(first.records_read >= read, "a restart forgot: {first:?} after {read}");
        let stop = Arc::new(AtomicBool::new(false));
        std::thread::scope(|scope| {
            let watchers: Vec<_> =
                (0..2).map(|_| scope.spawn(|| watch(&index, id, &stop))).collect();
            for _ in 0..rng.below(4) {
                for _ in 0..rng.below(3000) {
                    std::thread::yield_now();
                }
                // Refused where it has ended; that is looked at elsewhere.
                let _ = match rng.below(8) {
                    0 => index.cancel_import(id),
                    1..4 => index.pause_import(id),
                    _ => index.resume_import(id),
                };
            }
            stop.store(true, Ordering::SeqCst);
            for watcher in watchers {
                watcher.join().unwrap();
            }
        });
        read = index.describe_import(id).unwrap().records_read;
    }
    let database = place.open();
    let index = index(&database, plane());
    let id = id.unwrap();
    let _ = index.resume_import(&id);
    let view = wait(&index, &id);
    check_law(&view);
    let (_, entries) = index.import_rejects(&id, 0, 1, RecordText::Shown).unwrap();
    assert!(entries >= view.records_rejected, "every reject is found: {view:?}");
    let total = index.stats().unwrap().total;
    let is_whole = view.status == ImportStatus::Completed;
    let kept = u64::from(!is_whole || options.mode != ImportMode::Replace);
    assert_eq!(total, view.records_imported + kept, "{view:?}");
    if !is_whole && (options.atomic || options.mode == ImportMode::Replace) {
        assert_eq!((view.records_imported, view.records_superseded), (0, 0), "{view:?}");
    }
    if view.status == ImportStatus::Completed {
        assert_eq!(view.records_total, Some(view.records_read), "{view:?}");
    }
}

#[test]
fn read_is_imported_and_superseded_and_rejected_at_every_moment() {
    let seeds: Vec<u64> = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..25).collect(),
    };
    for seed in seeds {
        println!("SEED={seed}");
        history(seed);
    }
}

#[test]
fn a_paused_import_stays_paused_and_holds_nobody_up() {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..40 {
        let rows = line(&format!("f{file:02}-"), 300);
        let rows: Vec<_> =
            rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
        write_parquet(&place.source().join(format!("long/{file:02}.parquet")), &rows);
    }
    write_parquet(&place.source().join("short/1.parquet"), &[("s", vec![1.0, 2.0], None)]);
    let database = place.open();
    let first = index(&database, plane());
    let uri = |name: &str| format!("{}/{name}", place.uri());
    let mode = || ImportOptions::from(ErrorMode::Continue);
    let long = start_with(&first, &uri("long"), mode());
    while first.describe_import(&long).unwrap().records_imported == 0 {
        std::thread::yield_now();
    }
    first.pause_import(&long).unwrap();
    let view = first.describe_import(&long).unwrap();
    assert_eq!((view.status, view.is_paused), (ImportStatus::InProgress, true));
    // The next one runs though only one may at a time.
    let short = start_with(&first, &uri("short"), mode());
    assert_eq!(wait(&first, &short).status, ImportStatus::Completed);
    let held = first.describe_import(&long).unwrap();
    assert_eq!(held.phase, "paused");
    assert!(held.records_imported < 12_000, "{held:?}");
    assert_eq!(held.records_under_way, 0, "what was begun was finished: {held:?}");
    // One that never ran: it is Pending, and stays so.
    first.pause_import(&long).unwrap();
    drop((first, database));
    let database = place.open();
    let again = database.index("a").unwrap();
    let seen = again.describe_import(&long).unwrap();
    assert_eq!((seen.status, seen.is_paused), (ImportStatus::InProgress, true));
    assert_eq!(seen.records_read, held.records_read);
    let waiting = start_with(&again, &uri("long"), mode());
    again.pause_import(&waiting).unwrap();
    again.resume_import(&waiting).unwrap();
    again.resume_import(&waiting).unwrap();
    again.pause_import(&waiting).unwrap();
    again.cancel_import(&waiting).unwrap();
    assert_eq!(wait(&again, &waiting).status, ImportStatus::Cancelled);
    let error = again.pause_import(&waiting).unwrap_err();
    assert!(error.message().ends_with("has ended, it is Cancelled"), "{error}");
    again.resume_import(&long).unwrap();
    let view = wait(&again, &long);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 12_000));
    assert_eq!(again.describe_namespace(&namespace("")).unwrap().record_count, 12_001);
}
