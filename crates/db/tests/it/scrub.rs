//! The scrub of a data directory that holds every kind of stored file: clean
//! as it is, also beside its owner, and every damage to any file is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbill_core::{IndexShape, Metric, RandomIds, SystemClock};
use crossbill_db::doctor::{ScrubOptions, ScrubReport, Severity, scrub};
use crossbill_db::{
    Database, ErrorMode, Frequency, Integration, NewBackup, NewSchedule, RestoreOptions, Selector,
    StartExport, StoreKind,
};

use crate::fixtures::{
    Place, Row, by_vector, ids, import, index, namespace, new_index, plane, record, sparse,
    write_parquet,
};

pub(crate) fn check(data: &Path) -> ScrubReport {
    let options = ScrubOptions {
        data: data.to_owned(),
        rate: u64::MAX,
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds),
    };
    let mut last = (0, 0);
    let report = scrub(&options, &mut |done, total| {
        assert!(done >= last.0 && done <= total, "{done} of {total} after {last:?}");
        last = (done, total);
    });
    assert_eq!(last.0, last.1);
    report.unwrap()
}

/// Every kind of file that a data directory may hold.
pub(crate) fn fill(place: &Place) -> Arc<Database> {
    let source = place.source().join("1.parquet");
    let rows: Vec<(String, Vec<f32>)> =
        (0..30).map(|n| (format!("i{n}"), vec![n as f32, 1.0])).collect();
    let mut rows: Vec<Row<'_>> =
        rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
    rows.push(("", vec![1.0, 1.0], None));
    rows.push(("bad", vec![1.0], None));
    write_parquet(&source, &rows);
    let database = place.open();
    let index = index(&database, plane());
    let (main, other) = (namespace(""), namespace("other"));
    let put = |name, id: &str, x: f32| {
        index.upsert(name, vec![record(id, &[x, 2.0], r#"{"a":"b","n":1}"#)]).unwrap();
    };
    (0..20).for_each(|n| put(&main, &format!("m{n}"), n as f32));
    index.flush(&main).unwrap();
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!((view.records_imported, view.records_rejected), (30, 2), "{view:?}");
    index.delete(&main, Selector::Ids(vec!["m3".into(), "i4".into()])).unwrap();
    index.flush(&main).unwrap();
    put(&other, "o", 1.0);
    let backup = database.create_backup("a", NewBackup::default()).unwrap();
    let name = crossbill_core::IndexName::new("restored").unwrap();
    let options = RestoreOptions { name, tags: None, deletion_protection: false };
    database.restore_backup(&backup.id, options).unwrap();
    let schedule = NewSchedule {
        name: "nightly".to_owned(),
        frequency: Frequency::Daily,
        expire_after_days: 3,
        keep_last: None,
    };
    database.create_backup_schedule("a", schedule).unwrap();
    let start = StartExport {
        uri: format!("file://{}/exported", place.dir.path().display()),
        integration: None,
        namespace: None,
    };
    let id = index.start_export(start).unwrap();
    while !index.describe_export(&id).unwrap().status.is_final() {
        std::thread::yield_now();
    }
    database.create_index(new_index("terms", IndexShape::sparse())).unwrap();
    let terms = database.index("terms").unwrap();
    let mut record = record("t", &[], "");
    record.sparse = Some(sparse(&[(1, 0.5), (9, 2.0)]));
    terms.upsert(&main, vec![record]).unwrap();
    terms.flush(&main).unwrap();
    let half = IndexShape::dense(4, Metric::Cosine);
    database.create_index(new_index("cosine", half)).unwrap();
    let integration = Integration {
        id: "minio".to_owned(),
        kind: StoreKind::S3,
        buckets: vec!["b".to_owned()],
        ..Integration::default()
    };
    database.create_integration(integration).unwrap();
    // What only a log holds.
    put(&main, "tail", 7.0);
    put(&main, "tail-2", 8.0);
    database
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

pub(crate) fn all_files(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(data, &mut found);
    found.sort();
    found
}

#[test]
fn what_is_whole_is_clean_also_beside_its_owner() {
    let place = Place::new();
    let database = fill(&place);
    let report = check(&place.data());
    assert!(report.is_live);
    assert_eq!(report.findings, [], "beside the owner");
    drop(database);
    let before: BTreeMap<PathBuf, Vec<u8>> = all_files(&place.data())
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let report = check(&place.data());
    assert!(!report.is_live);
    assert_eq!(report.findings, []);
    assert!(report.segments >= 4 && report.frames >= 2, "{report:?}");
    assert!(report.documents >= 20 && report.namespaces >= 5, "{report:?}");
    assert_eq!((report.reject_tables, report.problems), (1, 0), "{report:?}");
    let after: BTreeMap<PathBuf, Vec<u8>> = all_files(&place.data())
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    assert!(before == after, "a scrub changed something");
}

/// Places to flip a bit at: both ends, the middle, and a few between.
fn offsets(length: usize) -> Vec<usize> {
    let step = (length / 23).max(1);
    let mut found: Vec<usize> = (0..length).step_by(step).collect();
    found.push(length - 1);
    found
}

#[test]
fn every_flipped_bit_is_told() {
    let place = Place::new();
    drop(fill(&place));
    let data = place.data();
    for path in all_files(&data) {
        let name = path.strip_prefix(&data).unwrap().to_str().unwrap().to_owned();
        // A table of rejects has no checksum of its own: what decodes is not told.
        if name == "lock" || name.ends_with(".parquet") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for at in offsets(bytes.len()) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, &flipped).unwrap();
            let report = check(&data);
            assert!(!report.findings.is_empty(), "byte {at} of {name}: nothing was told");
            let about: Vec<&str> = report.findings.iter().map(|one| one.place.as_str()).collect();
            let parts: Vec<&str> = name.split('/').collect();
            let told = about.iter().any(|place| {
                parts.len() < 3 || name.starts_with(*place) || place.starts_with(parts[0])
            });
            assert!(told, "byte {at} of {name}: {about:?}");
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(check(&data).findings, [], "all bits are back");
}

#[test]
fn missing_parts_and_what_is_left_over_are_told() {
    let place = Place::new();
    drop(fill(&place));
    let data = place.data();
    let all = all_files(&data);
    let parts: Vec<&PathBuf> =
        all.iter().filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    for part in &parts {
        let away = place.dir.path().join("away");
        fs::rename(part, &away).unwrap();
        let report = check(&data);
        assert!(report.problems >= 1, "{part:?}");
        let found = &report.findings[0];
        assert_eq!(found.severity, Severity::Problem);
        assert!(found.found.contains("missing") && found.found.contains(" needs it"), "{found:?}");
        assert!(part.ends_with(&found.place), "{found:?}");
        fs::rename(&away, part).unwrap();
    }
    // Cut short.
    let whole = fs::read(parts[0]).unwrap();
    fs::write(parts[0], &whole[..whole.len() / 2]).unwrap();
    assert!(check(&data).problems >= 1);
    fs::write(parts[0], &whole).unwrap();
    // What a crash leaves, and what somebody else put there.
    let beside = parts[0].with_file_name("0123456789abcdef.seg");
    fs::write(&beside, &whole).unwrap();
    fs::write(data.join("catalog/00000000000000000099.json#7"), "half").unwrap();
    fs::create_dir_all(data.join("indexes/gone/parts")).unwrap();
    fs::write(data.join("indexes/gone/parts/x.seg"), &whole).unwrap();
    fs::write(data.join("notes.txt"), "mine").unwrap();
    let report = check(&data);
    assert_eq!((report.problems, report.warnings), (0, 4), "{report:?}");
    let text = format!("{:?}", report.findings);
    for word in ["0123456789abcdef", "#7", "indexes/gone", "notes.txt", "none of Crossbill's"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // The next open deletes what it made itself, and all reads as before.
    let database = place.open();
    assert!(!beside.exists() && !data.join("indexes/gone").exists());
    assert_eq!(
        ids(&database.index("restored").unwrap(), "other", &by_vector(&[1.0, 2.0], 1)),
        ["o"]
    );
    drop(database);
    assert_eq!(check(&data).warnings, 2, "the file and the half-written document");
}

#[test]
fn a_scrub_beside_writes_and_merges_finds_nothing() {
    let place = Place::new();
    let database = fill(&place);
    let index = database.index("a").unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0.. {
                if done.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
                let name = namespace(["", "other", "third"][round % 3]);
                let put = |n: usize| record(&format!("r{round}-{n}"), &[n as f32, 1.0], "");
                index.upsert(&name, (0..5).map(put).collect()).unwrap();
                index.flush(&name).unwrap();
            }
        });
        for _ in 0..15 {
            assert_eq!(check(&place.data()).findings, []);
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        writer.join().unwrap();
    });
}
