//! Imports that may have so many errors and no more.

use crossbill_db::{ErrorMode, ImportOptions, ImportStatus, ImportView, Index, RecordText, Reject};

use crate::fixtures::{Place, index, line, plane, start_with, wait, write_parquet};

/// Files of 300 rows in tasks of 100; every 25th row is bad, and one file.
fn place() -> Place {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in ["a", "b", "d"] {
        let mut rows = line(file, 300);
        rows.iter_mut().step_by(25).for_each(|row| row.1 = vec![1.0]);
        let rows: Vec<_> =
            rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
        write_parquet(&place.source().join(format!("{file}.parquet")), &rows);
    }
    std::fs::write(place.source().join("c.parquet"), b"this is no Parquet at all").unwrap();
    place
}

fn bounded(index: &Index, uri: &str, errors_max: u64) -> ImportView {
    let options =
        ImportOptions { errors_max: Some(errors_max), ..ImportOptions::from(ErrorMode::Continue) };
    wait(index, &start_with(index, uri, options))
}

fn rejects(index: &Index, id: &str) -> Vec<Reject> {
    let (rejects, total) = index.import_rejects(id, 0, 1000, RecordText::Shown).unwrap();
    assert_eq!(rejects.len() as u64, total);
    rejects
}

#[test]
fn the_same_record_is_one_too_many_whatever_the_workers() {
    let place = place();
    let mut seen = Vec::new();
    for workers in [1, 2, 4] {
        let mut options = place.options();
        options.import.workers = workers;
        options.data = place.dir.path().join(format!("data-{workers}"));
        let database = crossbill_db::Database::open(options.clone()).unwrap();
        let index = index(&database, plane());
        // The bad file, 4 rows of each of the first two tasks, 1 of the third.
        let view = bounded(&index, &place.uri(), 9);
        assert_eq!(view.status, ImportStatus::Failed);
        let error = view.error.clone().unwrap();
        assert!(error.starts_with("found 10 errors, expected at most 9 (maxErrors)"), "{error}");
        assert!(error.contains("; the first: a.parquet: row group 0, row 0"), "{error}");
        assert_eq!((view.records_imported, view.records_rejected), (192, 9));
        let kept = rejects(&index, &view.id);
        assert_eq!((kept.len(), kept[9].row), (10, Some(200)));
        // History says the same after a restart.
        drop((index, database));
        let database = crossbill_db::Database::open(options).unwrap();
        let index = database.index("a").unwrap();
        assert_eq!(index.describe_import(&view.id).unwrap(), view);
        assert_eq!(rejects(&index, &view.id), kept);
        assert_eq!(index.stats().unwrap().total, 192);
        seen.push((error, kept));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn as_many_errors_as_allowed_are_no_failure_and_files_count_too() {
    let place = place();
    let database = place.open();
    let index = index(&database, plane());
    let view = bounded(&index, &place.uri(), 37);
    assert_eq!((view.status, view.records_rejected), (ImportStatus::Completed, 36), "{view:?}");
    assert_eq!(rejects(&index, &view.id).len(), 37);
    let view = bounded(&index, &place.uri(), 36);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Failed, 8 * 96), "{view:?}");
    assert_eq!(rejects(&index, &view.id).len(), 37);
    let view = bounded(&index, &place.uri(), 0);
    let error = view.error.unwrap();
    assert!(error.starts_with("found 1 error, expected at most 0"), "{error}");
    assert!(error.contains("c.parquet"), "{error}");
    assert_eq!((view.records_read, rejects(&index, &view.id).len()), (0, 1));
}
