//! Copies of the whole data directory: whole, also while it is written to;
//! incremental; gone on with; never taken for whole when they are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbill_core::{ErrorKind, Seed};
use crossbill_db::{Database, FaultPlan, ImportStatus, NewBackup, RootCopyView, Selector};
use crossbill_store::{Fault, FaultOp, FaultRule, read_copy_manifest};

use crate::fixtures::{
    Place, all_ids, by_vector, ids, index, namespace, plane, record, start, wait, write_line,
};
use crate::scrub::{all_files, check, fill};

fn copies(place: &Place) -> PathBuf {
    place.dir.path().join("copies")
}

fn uri(place: &Place) -> String {
    format!("file://{}", copies(place).display())
}

fn ended(database: &Database) -> RootCopyView {
    loop {
        let view = database.describe_root_copy().unwrap();
        if view.status.is_final() {
            return view;
        }
        std::thread::yield_now();
    }
}

fn begun(database: &Database) {
    while database.describe_root_copy().unwrap().bytes == 0 {
        std::thread::yield_now();
    }
}

fn copy(database: &Database, place: &Place) -> RootCopyView {
    database.start_root_copy(&uri(place)).unwrap();
    let view = ended(database);
    assert_eq!(view.status, ImportStatus::Completed, "{view:?}");
    assert_eq!(view.bytes_copied + view.bytes_reused, view.bytes, "{view:?}");
    view
}

/// The copy opened as a data directory of its own.
fn open(place: &Place, directory: &Path) -> Arc<Database> {
    let mut options = place.options();
    options.data = directory.to_owned();
    options.faults = None;
    Database::open(options).unwrap()
}

fn content(database: &Database) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for info in database.list_indexes() {
        let index = database.index(info.name.as_str()).unwrap();
        for name in index.stats().unwrap().namespaces.keys() {
            found.insert(format!("{}/{name}", info.name), all_ids(&index, name));
        }
    }
    found
}

#[test]
fn a_copy_holds_everything_and_is_a_data_directory() {
    let place = Place::new();
    let database = fill(&place);
    let before = content(&database);
    let view = copy(&database, &place);
    assert_eq!(view.bytes_reused, 0);
    // What comes after is not in it.
    let index = database.index("a").unwrap();
    index.upsert(&namespace(""), vec![record("late", &[9.0, 9.0], "")]).unwrap();
    database.delete_index("cosine").unwrap();
    let report = check(&view.directory);
    assert_eq!(report.findings, [], "{report:?}");
    let scratch = fs::read_dir(place.data().join("scratch")).unwrap().count();
    assert_eq!(scratch, 0, "links stay");
    let twin = open(&place, &view.directory);
    assert_eq!(content(&twin), before);
    let (mine, theirs) = (database.list_indexes(), twin.list_indexes());
    assert_eq!(theirs.len(), mine.len() + 1);
    let backups =
        |database: &Database| database.list_backups(&Default::default(), None, 10).unwrap().0;
    assert_eq!(backups(&twin), backups(&database));
    assert_eq!(twin.list_integrations(), database.list_integrations());
    assert_eq!(twin.page_key(), database.page_key());
    let imports =
        |database: &Database| database.index("a").unwrap().list_imports(None, 10).unwrap().0;
    assert_eq!(imports(&twin), imports(&database));
    // It goes its own way.
    let own = twin.index("a").unwrap();
    own.upsert(&namespace(""), vec![record("own", &[3.0, 3.0], "")]).unwrap();
    own.flush(&namespace("")).unwrap();
    assert!(!all_ids(&index, "").contains(&"own".to_owned()));
    use std::os::unix::fs::PermissionsExt as _;
    for (name, mode) in [("integrations.json", 0o600), ("page-key.json", 0o600), ("", 0o700)] {
        let found = view.directory.join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
}

#[test]
fn a_second_copy_links_what_the_first_one_has() {
    let place = Place::new();
    let database = fill(&place);
    let first = copy(&database, &place);
    let index = database.index("a").unwrap();
    index.upsert(&namespace(""), vec![record("new", &[4.0, 4.0], "")]).unwrap();
    index.flush(&namespace("")).unwrap();
    // Two in a millisecond would have one name.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let second = copy(&database, &place);
    assert!(second.bytes_reused > 0, "{second:?}");
    assert_ne!(first.directory, second.directory);
    for one in [&first, &second] {
        assert_eq!(check(&one.directory).findings, []);
        let manifest = read_copy_manifest(&one.directory).unwrap().unwrap();
        for file in &manifest.files {
            let bytes = fs::read(one.directory.join(&file.path)).unwrap();
            assert_eq!((bytes.len() as u64, crc32c::crc32c(&bytes)), (file.bytes, file.crc32c));
        }
        let mut named: BTreeSet<PathBuf> =
            manifest.files.iter().map(|file| one.directory.join(&file.path)).collect();
        named.insert(one.directory.join("root-copy.json"));
        assert_eq!(all_files(&one.directory).into_iter().collect::<BTreeSet<_>>(), named);
    }
    // Damage to any file of a copy is told, tables of rejects included.
    for path in all_files(&second.directory) {
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 16;
        // In place of the shared file, not into it.
        fs::remove_file(&path).unwrap();
        fs::write(&path, &flipped).unwrap();
        assert!(!check(&second.directory).findings.is_empty(), "{}", path.display());
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(check(&second.directory).findings, []);
    // Without the first one, the second is whole.
    fs::remove_dir_all(&first.directory).unwrap();
    drop(open(&place, &second.directory));
}

#[test]
fn only_allowed_places_are_written_to_and_one_copy_at_a_time() {
    let mut place = Place::new();
    let database = fill(&place);
    let refused = |uri: &str| database.start_root_copy(uri).unwrap_err().kind();
    assert_eq!(refused("file:///nowhere/else"), ErrorKind::Forbidden);
    assert_eq!(refused(&format!("file://{}/x", place.data().display())), ErrorKind::Forbidden);
    assert_eq!(refused("s3://bucket/x"), ErrorKind::Forbidden);
    assert_eq!(refused("nonsense"), ErrorKind::Invalid);
    assert_eq!(database.describe_root_copy().unwrap_err().kind(), ErrorKind::NotFound);
    database.cancel_root_copy();
    drop(database);
    // So slow that it is still at work.
    place.merge_rate = 1000;
    let database = place.open();
    database.start_root_copy(&uri(&place)).unwrap();
    assert_eq!(database.start_root_copy(&uri(&place)).unwrap_err().kind(), ErrorKind::Conflict);
    begun(&database);
    database.cancel_root_copy();
    assert_eq!(ended(&database).status, ImportStatus::Cancelled);
    assert!(copies(&place).join("x").metadata().is_err());
    database.start_root_copy(&uri(&place)).unwrap();
    begun(&database);
    drop(database); // Does not wait for it.
    let left: Vec<_> =
        fs::read_dir(copies(&place)).unwrap().map(|one| one.unwrap().path()).collect();
    assert_eq!(left.len(), 1, "the second went on with the first: {left:?}");
    assert!(left[0].to_str().unwrap().ends_with(".unfinished"), "{left:?}");
    // Nobody takes it for a data directory.
    let mut options = place.options();
    options.data.clone_from(&left[0]);
    let error = Database::open(options).err().unwrap();
    assert!(error.message().contains("not finished"), "{error}");
    place.merge_rate = u64::MAX;
    let database = place.open();
    let view = copy(&database, &place);
    assert!(!left[0].exists());
    assert_eq!(content(&open(&place, &view.directory)), content(&database));
}

#[test]
fn a_disk_that_fails_ends_the_copy_and_nothing_else() {
    let mut place = Place::new();
    let rule = |fault, skip| FaultRule {
        op: FaultOp::ScratchWrite,
        key_contains: "indexes/".to_owned(),
        skip,
        times: 1,
        per_mille: 1000,
        fault,
    };
    drop(fill(&place));
    for (number, fault) in
        [Fault::Full, Fault::ErrorBefore, Fault::ShortBody].into_iter().enumerate()
    {
        let plan = FaultPlan::new(Seed(1), vec![rule(fault, number as u64 * 7)]);
        place.faults = Some(Arc::new(plan));
        let database = place.open();
        database.start_root_copy(&uri(&place)).unwrap();
        let view = ended(&database);
        assert_eq!(view.status, ImportStatus::Failed, "{view:?}");
        let error = view.error.unwrap();
        assert_eq!(error.contains("the disk is full"), fault == Fault::Full, "{error}");
        assert!(!view.directory.exists());
        // The next one goes on, and is whole.
        let view = copy(&database, &place);
        assert_eq!(check(&view.directory).findings, []);
        assert_eq!(content(&open(&place, &view.directory)), content(&database));
        fs::remove_dir_all(copies(&place)).unwrap();
    }
}

#[test]
fn copies_made_under_writes_imports_merges_and_deletions_are_whole() {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..20 {
        write_line(
            &place.source().join(format!("{file:02}.parquet")),
            &format!("f{file:02}-"),
            100,
        );
    }
    let database = place.open();
    let index = index(&database, plane());
    let stop = AtomicBool::new(false);
    let written = std::sync::Mutex::new(BTreeMap::<&str, usize>::new());
    std::thread::scope(|scope| {
        for name in ["w0", "w1"] {
            let (index, stop, written) = (&index, &stop, &written);
            scope.spawn(move || {
                let space = namespace(name);
                for round in 0_usize.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    // Each round replaces the one before: exactly one record is live.
                    let put = record(&format!("{round:06}"), &[round as f32, 1.0], "");
                    index.upsert(&space, vec![put]).unwrap();
                    written.lock().unwrap().insert(name, round);
                    if round > 0 {
                        let old = format!("{:06}", round - 1);
                        index.delete(&space, Selector::Ids(vec![old])).unwrap();
                    }
                    if round % 9 == 0 {
                        index.flush(&space).unwrap();
                    }
                }
            });
        }
        let import = start(&index, &place.uri(), crossbill_db::ErrorMode::Continue);
        for round in 0..6 {
            let floor = written.lock().unwrap().clone();
            if round == 2 {
                database.create_backup("a", NewBackup::default()).unwrap();
            }
            let view = copy(&database, &place);
            // Parts that a commit was about to name are left over, as after a kill.
            let report = check(&view.directory);
            assert_eq!(report.problems, 0, "copy {round}: {report:?}");
            let manifest = read_copy_manifest(&view.directory).unwrap().unwrap();
            let twin = open(&place, &view.directory);
            let own = twin.index("a").unwrap();
            for (name, least) in floor {
                let found = all_ids(&own, name);
                // Round n puts with frame 2n and deletes with frame 2n + 1, but for round 0,
                // which is one frame: what is live follows from the last frame.
                let copied = manifest.namespaces.iter().find(|one| one.namespace == name).unwrap();
                let newest = (copied.lsn / 2) as usize;
                assert!(newest >= least, "{name}: an acknowledged write is missing");
                let mut expected = vec![format!("{newest:06}")];
                if copied.lsn.is_multiple_of(2) {
                    // Put, and the one before not deleted yet.
                    expected.insert(0, format!("{:06}", newest - 1));
                }
                assert_eq!(found, expected, "{name} at frame {}", copied.lsn);
                assert_eq!(ids(&own, name, &by_vector(&[0.0, 1.0], 5)).len(), found.len());
            }
            // The import goes on in the copy as after a crash, to the same end.
            let view = wait(&own, &import);
            assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 2000));
            assert_eq!(all_ids(&own, "").len(), 2000);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        stop.store(true, Ordering::SeqCst);
    });
}
