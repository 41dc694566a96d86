//! Dry runs: they report what the import that follows reports, and change
//! nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crossbill_core::Seed;
use crossbill_db::{ErrorMode, ImportOptions, ImportStatus, ImportView, Index, RecordText, Reject};

use crate::fixtures::{
    LongImport, Place, index, line, long_import, plane, record, start_with, wait, write_parquet,
};

fn run(index: &Index, uri: &str, options: &ImportOptions, dry_run: bool) -> ImportView {
    wait(index, &start_with(index, uri, ImportOptions { dry_run, ..options.clone() }))
}

fn rejects(index: &Index, id: &str) -> Vec<Reject> {
    let (rejects, total) = index.import_rejects(id, 0, 1000, RecordText::Whole).unwrap();
    assert_eq!(rejects.len() as u64, total);
    rejects
}

/// What a view says of the records, and why. Where it failed, how many files
/// were read beyond depends on the moment.
fn said(view: &ImportView) -> impl PartialEq + std::fmt::Debug {
    (
        (view.status, view.error.clone(), view.warnings.clone()),
        (view.records_read, view.records_imported, view.records_superseded),
        (view.records_rejected, view.records_total, view.bytes_read, view.bytes_total),
        (view.error.is_none().then_some(view.files_done), view.files_total),
    )
}

/// Every file below `dir` but those of imports, with its length.
fn files(dir: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                if entry.file_name() != "imports" {
                    waiting.push(entry.path());
                }
            } else {
                found.insert(entry.path(), entry.metadata().unwrap().len());
            }
        }
    }
    found
}

/// Files in two namespaces, with ids that come again, bad records, and now
/// and then a bad file.
fn fill(place: &Place, seed: u64) {
    let mut rng = Seed(seed).rng();
    for (number, name) in ["a/1", "a/2", "b/1", "b/2", "3"].into_iter().enumerate() {
        let mut rows = line("x", 150 + rng.below(200) as usize);
        for row in &mut rows {
            match rng.below(40) {
                0 => row.1 = vec![1.0],
                1 => row.0.clear(),
                2..=6 => row.0 = format!("x{:05}", rng.below(100)),
                _ => {}
            }
        }
        let rows: Vec<_> =
            rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
        write_parquet(&place.source().join(format!("{name}.parquet")), &rows);
        if rng.below(4) == 0 {
            let broken = place.source().join(format!("a/broken-{number}.parquet"));
            std::fs::write(broken, b"this is no Parquet at all").unwrap();
        }
    }
}

#[test]
fn a_dry_run_says_what_the_import_says_and_writes_nothing() {
    for seed in 0..12 {
        let mut place = Place::new();
        place.task_rows = [100, 262_144][seed as usize % 2];
        fill(&place, seed);
        let mut options = ImportOptions::from(ErrorMode::Continue);
        match seed % 4 {
            2 => options.error_mode = ErrorMode::Abort,
            3 => options.errors_max = Some(seed * 3),
            _ => {}
        }
        let database = place.open();
        let index = index(&database, plane());
        let before = vec![record("x00001", &[-5.0, 0.0], "")];
        index.upsert(&crate::fixtures::namespace("a"), before).unwrap();
        let (stats, stored) = (index.stats().unwrap(), files(&place.data()));
        let dry = run(&index, &place.uri(), &options, true);
        assert_eq!(index.stats().unwrap(), stats, "seed {seed}");
        assert_eq!(files(&place.data()), stored, "seed {seed}");
        let kept = rejects(&index, &dry.id);
        let real = run(&index, &place.uri(), &options, false);
        assert_eq!(said(&dry), said(&real), "seed {seed}");
        assert_eq!(kept, rejects(&index, &real.id), "seed {seed}");
        assert_eq!(dry.estimate.is_some(), dry.status == ImportStatus::Completed, "seed {seed}");
        // History tells the two apart, and says the same after a restart.
        drop((index, database));
        let database = place.open();
        let index = database.index("a").unwrap();
        assert_eq!(index.describe_import(&dry.id).unwrap(), dry, "seed {seed}");
        assert_eq!(rejects(&index, &dry.id), kept, "seed {seed}");
        assert!(dry.options.dry_run && !real.options.dry_run);
    }
}

#[test]
fn an_estimate_names_what_the_import_then_takes() {
    let place = Place::new();
    crate::fixtures::write_line(&place.source().join("1.parquet"), "x", 20_000);
    let database = place.open();
    let index = index(&database, plane());
    let options = ImportOptions::from(ErrorMode::Continue);
    let estimate = run(&index, &place.uri(), &options, true).estimate.unwrap();
    assert!(estimate.disk_free_bytes > 0 && estimate.seconds >= 0.0, "{estimate:?}");
    run(&index, &place.uri(), &options, false);
    let parts = files(&place.data().join("indexes").join(index.info().uid).join("parts"));
    let taken: u64 = parts.values().sum();
    assert!(
        estimate.disk_bytes >= taken && estimate.disk_bytes < taken * 4,
        "{estimate:?}, {taken}"
    );
}

#[test]
fn a_dry_run_that_is_cut_off_begins_again_and_one_that_is_cancelled_ends() {
    // An import of the same files in many tasks, of which nothing is needed.
    let LongImport { place, database, index, id } = long_import();
    index.cancel_import(&id).unwrap();
    let stats = index.stats().unwrap();
    let dry = ImportOptions { dry_run: true, ..ImportOptions::from(ErrorMode::Continue) };
    let cut_off = start_with(&index, &place.uri(), dry.clone());
    while index.describe_import(&cut_off).unwrap().records_imported == 0 {
        std::thread::yield_now();
    }
    drop((index, database));
    let database = place.open();
    let index = database.index("a").unwrap();
    let view = wait(&index, &cut_off);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 18_000));
    let id = start_with(&index, &place.uri(), dry);
    while index.describe_import(&id).unwrap().records_imported == 0 {
        std::thread::yield_now();
    }
    index.cancel_import(&id).unwrap();
    assert_eq!(wait(&index, &id).status, ImportStatus::Cancelled);
    assert_eq!(index.stats().unwrap(), stats);
}
