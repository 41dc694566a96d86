//! The load history: an import with `skip_loaded` reads what is new, and all
//! that is not known to be there as it is.

use std::path::Path;

use crossbill_db::{ErrorMode, ImportOptions, ImportStatus, ImportView, Index, Selector};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use crate::fixtures::{
    LongImport, Place, import, index, line, long_import, namespace, plane, start_with, wait,
    write_line, write_parquet,
};

fn skipping() -> ImportOptions {
    ImportOptions { skip_loaded: true, ..ImportOptions::from(ErrorMode::Continue) }
}

fn load_new(index: &Index, uri: &str) -> ImportView {
    wait(index, &start_with(index, uri, skipping()))
}

/// Damages the second row group of a file.
fn damage(path: &Path) {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let (start, _) = reader.metadata().row_group(1).column(1).byte_range();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[start as usize..start as usize + 8].fill(0xff);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_directory_that_grows_is_imported_at_the_price_of_what_is_new() {
    let place = Place::new();
    let file = |name: &str| place.source().join(name);
    write_line(&file("a/1.parquet"), "x", 120);
    write_line(&file("b/1.parquet"), "y", 130);
    let database = place.open();
    let index = index(&database, plane());
    // The history is of every import, also of one that asks for nothing.
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!((view.records_read, view.files_skipped), (250, 0));
    write_line(&file("a/2.parquet"), "z", 7);
    let view = load_new(&index, &place.uri());
    assert_eq!((view.status, view.records_read), (ImportStatus::Completed, 7));
    assert_eq!((view.files_skipped, view.files_total), (2, Some(1)));
    // The same files by another URI, and one of them alone.
    let view = load_new(&index, &format!("{}/**/*.parquet", place.uri()));
    assert_eq!(
        (view.status, view.records_read, view.files_skipped),
        (ImportStatus::Completed, 0, 3)
    );
    let view = load_new(&index, &format!("{}/a/1.parquet", place.uri()));
    assert_eq!((view.records_read, view.files_skipped), (120, 0), "into another namespace");
    // After a restart, and when a file has changed.
    drop((index, database));
    write_line(&file("b/1.parquet"), "w", 5);
    let database = place.open();
    let index = database.index("a").unwrap();
    let view = load_new(&index, &place.uri());
    assert_eq!((view.records_read, view.files_skipped), (5, 2));
    let again = load_new(&index, &place.uri());
    assert_eq!((again.status, again.files_skipped), (ImportStatus::Completed, 3));
    drop((index, database));
    let database = place.open();
    assert_eq!(database.index("a").unwrap().describe_import(&again.id).unwrap(), again);
    // Who does not ask reads all.
    let index = database.index("a").unwrap();
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!((view.records_read, view.files_skipped), (132, 0));
    assert_eq!(index.stats().unwrap().total, 120 + 130 + 7 + 5 + 120);
}

#[test]
fn only_what_was_loaded_to_the_end_counts() {
    let mut place = Place::new();
    place.task_rows = 100;
    let file = |name: &str| place.source().join(name);
    for name in ["1", "2", "4"] {
        write_line(&file(&format!("{name}.parquet")), name, 300);
    }
    damage(&file("2.parquet"));
    std::fs::write(file("3.parquet"), b"this is no Parquet at all").unwrap();
    // Rejected records are no reason to read a file again.
    let mut rows = line("5-", 250);
    rows[120].1 = vec![1.0];
    let rows: Vec<_> =
        rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
    write_parquet(&file("5.parquet"), &rows);
    let database = place.open();
    let index = index(&database, plane());
    // It fails at the bad record of the last file: that file is not whole.
    let options = ImportOptions { error_mode: ErrorMode::Abort, ..skipping() };
    std::fs::rename(file("2.parquet"), file("2.later")).unwrap();
    std::fs::rename(file("3.parquet"), file("3.later")).unwrap();
    let view = wait(&index, &start_with(&index, &place.uri(), options));
    assert_eq!((view.status, view.records_imported), (ImportStatus::Failed, 700), "{view:?}");
    std::fs::rename(file("2.later"), file("2.parquet")).unwrap();
    std::fs::rename(file("3.later"), file("3.parquet")).unwrap();
    let view = load_new(&index, &place.uri());
    assert_eq!((view.status, view.files_skipped), (ImportStatus::Completed, 2), "{view:?}");
    assert_eq!((view.records_read, view.records_rejected), (550, 101), "{view:?}");
    // The broken ones are tried again each time.
    let view = load_new(&index, &place.uri());
    assert_eq!((view.files_skipped, view.records_read), (3, 300), "{view:?}");
    write_line(&file("2.parquet"), "2", 300);
    let view = load_new(&index, &place.uri());
    assert_eq!((view.files_skipped, view.records_imported), (3, 300));
    assert_eq!(load_new(&index, &place.uri()).files_skipped, 4);
}

#[test]
fn a_dry_run_says_what_is_new_and_loads_nothing() {
    let place = Place::new();
    write_line(&place.source().join("1.parquet"), "x", 20);
    let database = place.open();
    let index = index(&database, plane());
    let dry = ImportOptions { dry_run: true, ..skipping() };
    let run = || wait(&index, &start_with(&index, &place.uri(), dry.clone()));
    assert_eq!((run().records_imported, run().files_skipped), (20, 0));
    assert_eq!(load_new(&index, &place.uri()).records_imported, 20);
    assert_eq!((run().records_imported, run().files_skipped), (0, 1));
}

#[test]
fn what_is_deleted_as_a_whole_is_loaded_again() {
    let place = Place::new();
    write_line(&place.source().join("a/1.parquet"), "x", 20);
    write_line(&place.source().join("b/1.parquet"), "y", 30);
    let database = place.open();
    let index = index(&database, plane());
    assert_eq!(load_new(&index, &place.uri()).records_imported, 50);
    index.delete_namespace(&namespace("a")).unwrap();
    assert_eq!(load_new(&index, &place.uri()).records_imported, 20);
    index.delete(&namespace("b"), Selector::All).unwrap();
    index.delete(&namespace("a"), Selector::Ids(vec!["x00001".into()])).unwrap();
    drop((index, database));
    let database = place.open();
    let index = database.index("a").unwrap();
    let view = load_new(&index, &place.uri());
    assert_eq!((view.records_imported, view.files_skipped), (30, 1));
    assert_eq!(load_new(&index, &place.uri()).files_skipped, 2);
    // An index of the same name knows nothing of the one before it.
    database.delete_index("a").unwrap();
    let index = crate::fixtures::index(&database, plane());
    assert_eq!(load_new(&index, &place.uri()).records_imported, 50);
}

#[test]
fn what_a_cancelled_import_committed_is_not_read_again() {
    let LongImport { place, database, index, id } = long_import();
    // While more and more of the first files are there.
    while index.describe_import(&id).unwrap().records_imported < 3_000 {
        std::thread::yield_now();
    }
    index.cancel_import(&id).unwrap();
    let cancelled = index.describe_import(&id).unwrap();
    let view = load_new(&index, &place.uri());
    assert_eq!(view.status, ImportStatus::Completed);
    assert_eq!(view.files_skipped, cancelled.records_imported / 300, "{cancelled:?}");
    assert_eq!(view.records_read, 18_000 - 300 * view.files_skipped);
    assert_eq!(index.stats().unwrap().total, 18_000);
    drop((index, database));
    let database = place.open();
    assert_eq!(load_new(&database.index("a").unwrap(), &place.uri()).files_skipped, 60);
}

#[test]
fn an_import_whose_namespace_was_emptied_under_it_counts_for_nothing() {
    let LongImport { place, database: _open, index, id } = long_import();
    index.delete_namespace(&namespace("")).unwrap();
    let view = wait(&index, &id);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 18_000));
    assert!(index.stats().unwrap().total < 18_000);
    let view = load_new(&index, &place.uri());
    assert_eq!((view.files_skipped, view.records_imported), (0, 18_000));
    assert_eq!(index.stats().unwrap().total, 18_000);
}
