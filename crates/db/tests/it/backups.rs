//! Backups, restores and collections: what is in them, what they
//! keep alive, and that its space comes back with the last of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crossbill_core::{ErrorKind, IndexName, IndexShape, Metric};
use crossbill_db::{
    BackupFilter, BackupInfo, Database, DatabaseOptions, ErrorMode, Index, IndexSource, NewBackup,
    RestoreOptions, Selector, Update,
};

use crate::fixtures::{
    LongImport, Place, all_ids, by_vector, ids, index, line, long_import, namespace, new_index,
    plane, record, wait,
};

fn name(text: &str) -> IndexName {
    IndexName::new(text).unwrap()
}

fn backup(database: &Database, of: &str) -> BackupInfo {
    database.create_backup(of, NewBackup::default()).unwrap()
}

fn restore(database: &Database, backup: &str, to: &str) -> Arc<Index> {
    let options = RestoreOptions { name: name(to), tags: None, deletion_protection: false };
    let (job, info) = database.restore_backup(backup, options).unwrap();
    assert_eq!((job.index.as_str(), &job.index_uid), (to, &info.uid));
    assert_eq!(database.describe_restore_job(&job.id).unwrap(), job);
    database.index(to).unwrap()
}

pub(crate) fn put(index: &Index, prefix: &str, count: usize) {
    let records = line(prefix, count);
    let records = records.iter().map(|(id, values)| record(id, values, "")).collect();
    index.upsert(&namespace(""), records).unwrap();
}

/// Every part below the data directory.
fn parts(place: &Place) -> Vec<String> {
    files(&place.data(), "seg")
}

fn files(dir: &Path, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(dir) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// A database whose background merges nothing, so that parts can be counted.
fn open(place: &Place) -> Arc<Database> {
    Database::open(DatabaseOptions { merges_at_once: 0, ..place.options() }).unwrap()
}

#[test]
fn a_backup_has_all_that_was_acknowledged_and_nothing_later() {
    let place = Place::new();
    let database = open(&place);
    let a = index(&database, plane());
    put(&a, "x", 300);
    a.flush(&namespace("")).unwrap();
    a.delete(&namespace(""), Selector::Ids(vec!["x00007".into()])).unwrap();
    a.upsert(&namespace(""), vec![record("x00008", &[-5.0, 1.0], "{\"a\":1}")]).unwrap();
    a.create_namespace(&namespace("empty"), Some(vec!["f".into()])).unwrap();
    a.upsert(&namespace("gone"), vec![record("g", &[1.0, 1.0], "")]).unwrap();
    a.delete_namespace(&namespace("gone")).unwrap();
    let new = NewBackup { name: Some("n".into()), description: Some("d".into()) };
    let made = database.create_backup("a", new).unwrap();
    assert_eq!((made.records, made.namespaces, made.index.as_str()), (299, 2, "a"));
    assert_eq!((made.name.as_deref(), made.description.as_deref()), (Some("n"), Some("d")));
    assert!(made.bytes > 0);
    assert_eq!(database.describe_backup(&made.id).unwrap(), made);
    let before = (all_ids(&a, ""), a.fetch(&namespace(""), &["x00008".into()]).unwrap());
    // What happens now is in the index only.
    put(&a, "later", 50);
    a.delete(&namespace(""), Selector::Ids(vec!["x00001".into(), "x00008".into()])).unwrap();
    let b = restore(&database, &made.id, "b");
    for round in 0..2 {
        let b = if round == 0 { Arc::clone(&b) } else { database.index("b").unwrap() };
        assert_eq!(all_ids(&b, ""), before.0);
        assert_eq!(b.fetch(&namespace(""), &["x00008".into()]).unwrap(), before.1);
        assert_eq!(ids(&b, "", &by_vector(&[-5.0, 1.0], 1)), ["x00008"]);
        let info = b.describe_namespace(&namespace("empty")).unwrap();
        assert_eq!((info.record_count, info.filterable), (0, Some(vec!["f".into()])));
        assert!(b.describe_namespace(&namespace("gone")).is_err());
    }
    // Each goes its own way from here.
    b.update(
        &namespace(""),
        Update {
            id: "x00002".into(),
            values: Some(vec![9.0, 9.0]),
            sparse: None,
            set_metadata: None,
            ..Update::default()
        },
    )
    .unwrap();
    b.delete(&namespace(""), Selector::Ids(vec!["x00003".into()])).unwrap();
    assert_eq!(a.fetch(&namespace(""), &["x00002".into()]).unwrap()[0].values, [2.0, 0.0]);
    assert_eq!(a.fetch(&namespace(""), &["x00003".into()]).unwrap().len(), 1);
    let now = (all_ids(&a, ""), all_ids(&b, ""));
    drop((a, b, database));
    let database = open(&place);
    let (a, b) = (database.index("a").unwrap(), database.index("b").unwrap());
    assert_eq!((all_ids(&a, ""), all_ids(&b, "")), now);
    b.flush(&namespace("")).unwrap();
    assert_eq!(all_ids(&b, ""), now.1);
    assert_eq!(b.fetch(&namespace(""), &["x00002".into()]).unwrap()[0].values, [9.0, 9.0]);
}

#[test]
fn nothing_is_copied_and_the_last_to_go_frees_the_space() {
    // In whatever order index, backup and restored index are deleted.
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for reopen in [false, true] {
            let place = Place::new();
            let mut database = open(&place);
            let a = index(&database, plane());
            put(&a, "x", 200);
            a.flush(&namespace("")).unwrap();
            let one = parts(&place);
            assert_eq!(one.len(), 1);
            let made = backup(&database, "a");
            let b = restore(&database, &made.id, "b");
            assert_eq!(parts(&place), one, "a part was copied");
            let expected = all_ids(&a, "");
            drop((a, b));
            for (step, which) in order.into_iter().enumerate() {
                assert_eq!(parts(&place), one, "{order:?} before step {step}");
                match which {
                    0 => database.delete_index("a").unwrap(),
                    1 => database.delete_backup(&made.id).unwrap(),
                    _ => database.delete_index("b").unwrap(),
                }
                if reopen {
                    drop(database);
                    database = open(&place);
                }
                for (number, name) in [(0, "a"), (2, "b")] {
                    if !order[..=step].contains(&number) {
                        assert_eq!(all_ids(&database.index(name).unwrap(), ""), expected);
                    }
                }
            }
            assert_eq!(parts(&place), Vec::<String>::new(), "{order:?}, reopened: {reopen}");
            assert_eq!(files(&place.data().join("backups"), "json"), Vec::<String>::new());
            drop(database);
            drop(open(&place));
            let left = std::fs::read_dir(place.data().join("indexes")).unwrap().count();
            assert_eq!(left, 0);
        }
    }
}

#[test]
fn parts_that_a_merge_replaced_live_as_long_as_a_backup_needs_them() {
    let place = Place::new();
    let database = open(&place);
    let a = index(&database, plane());
    for round in 0..4 {
        put(&a, &format!("r{round}-"), 100);
        a.upsert(&namespace(""), vec![record("same", &[f32::from(round as u8), 0.0], "")]).unwrap();
        if round < 3 {
            // The last flush would merge them.
            database.create_collection(name(&format!("c{round}")), "a").unwrap();
        }
    }
    let made = backup(&database, "a");
    let before = parts(&place).len();
    let expected = all_ids(&a, "");
    a.flush(&namespace("")).unwrap();
    assert_eq!(parts(&place).len(), before + 1, "merged into one more");
    let b = restore(&database, &made.id, "b");
    assert_eq!(all_ids(&b, ""), expected);
    assert_eq!(b.fetch(&namespace(""), &["same".into()]).unwrap()[0].values, [3.0, 0.0]);
    // The restored one merges for itself, too.
    b.flush(&namespace("")).unwrap();
    assert_eq!(parts(&place).len(), before + 2);
    drop(b);
    let c = database
        .create_index_from(&IndexSource::Collection("c0".into()), new_index("c", plane()))
        .unwrap();
    assert_eq!(database.index(c.name.as_str()).unwrap().stats().unwrap().total, 101);
    for round in 0..3 {
        database.delete_collection(&format!("c{round}")).unwrap();
    }
    database.delete_backup(&made.id).unwrap();
    assert_eq!(parts(&place).len(), 3, "one for each index");
    drop((a, database));
    let database = open(&place);
    assert_eq!(all_ids(&database.index("b").unwrap(), ""), expected);
    database.delete_index("a").unwrap();
    database.delete_index("b").unwrap();
    assert_eq!(parts(&place).len(), 1);
    assert_eq!(database.index("c").unwrap().stats().unwrap().total, 101);
    database.delete_index("c").unwrap();
    assert_eq!(parts(&place).len(), 0);
}

#[test]
fn a_backup_of_a_restored_index_needs_neither_index() {
    let place = Place::new();
    let database = open(&place);
    put(&index(&database, plane()), "x", 100);
    let first = backup(&database, "a");
    let b = restore(&database, &first.id, "b");
    put(&b, "y", 10);
    let second = backup(&database, "b");
    assert_eq!(second.records, 110);
    drop(b);
    database.delete_index("a").unwrap();
    database.delete_index("b").unwrap();
    database.delete_backup(&first.id).unwrap();
    drop(database);
    let database = open(&place);
    assert_eq!(parts(&place).len(), 2);
    let found = database.describe_backup(&second.id).unwrap();
    assert!(found.index_deleted_at.is_some());
    let c = restore(&database, &second.id, "c");
    assert_eq!(c.stats().unwrap().total, 110);
    database.delete_backup(&second.id).unwrap();
    assert_eq!(parts(&place).len(), 2);
    drop(c);
    database.delete_index("c").unwrap();
    assert_eq!(parts(&place).len(), 0);
}

#[test]
fn writes_during_a_backup_are_in_it_whole_or_not_at_all() {
    let place = Place::new();
    let database = place.open();
    let a = index(&database, plane());
    put(&a, "x", 500);
    // Each round replaces the same 40 records at once.
    let write = |round: u32| {
        let records = (0..40).map(|id| record(&format!("w{id:02}"), &[round as f32, 1.0], ""));
        a.upsert(&namespace(""), records.collect()).unwrap();
    };
    write(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    let made = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut round = 1;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                write(round);
                round += 1;
            }
        });
        let made: Vec<BackupInfo> = (0..12).map(|_| backup(&database, "a")).collect();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        writer.join().unwrap();
        made
    });
    let mut last = -1.0;
    for (number, made) in made.iter().enumerate() {
        assert_eq!(made.records, 540);
        let b = restore(&database, &made.id, &format!("b{number}"));
        let ids: Vec<String> = (0..40).map(|id| format!("w{id:02}")).collect();
        let found = b.fetch(&namespace(""), &ids).unwrap();
        assert_eq!((found.len(), b.stats().unwrap().total), (40, 540));
        let round = found[0].values[0];
        assert!(found.iter().all(|record| record.values[0] == round), "{found:?}");
        assert!(round >= last, "{round} after {last}");
        last = round;
    }
}

#[test]
fn a_backup_during_an_import_has_what_is_committed() {
    let LongImport { place, database, index: a, id } = long_import();
    let made = backup(&database, "a");
    assert!(made.records > 0);
    let view = wait(&a, &id);
    assert_eq!(view.records_imported, 18_000);
    let b = restore(&database, &made.id, "b");
    assert_eq!(b.stats().unwrap().total, made.records);
    let own = all_ids(&a, "");
    assert!(all_ids(&b, "").iter().all(|id| own.binary_search(id).is_ok()));
    // An import of its own: the names of its parts may be those of the other's.
    let again = crate::fixtures::import(&b, &place.uri(), ErrorMode::Continue);
    assert_eq!(again.records_imported, 18_000);
    assert_eq!(b.stats().unwrap().total, 18_000);
    drop((a, b, database));
    let database = place.open();
    assert_eq!(database.index("b").unwrap().stats().unwrap().total, 18_000);
}

#[test]
fn names_and_bounds_are_checked() {
    let place = Place::new();
    let database = open(&place);
    let a = index(&database, plane());
    put(&a, "x", 3);
    let kind = |result: crossbill_core::Result<BackupInfo>| result.unwrap_err().kind();
    let long = |chars: usize| Some("ä".repeat(chars));
    let new = NewBackup { name: long(201), description: None };
    assert_eq!(kind(database.create_backup("a", new)), ErrorKind::Invalid);
    let new = NewBackup { name: None, description: long(1001) };
    assert_eq!(kind(database.create_backup("a", new)), ErrorKind::Invalid);
    assert_eq!(kind(database.create_backup("nope", NewBackup::default())), ErrorKind::NotFound);
    assert_eq!(kind(database.describe_backup("nope")), ErrorKind::NotFound);
    assert_eq!(database.delete_backup("nope").unwrap_err().kind(), ErrorKind::NotFound);
    database.create_collection(name("c"), "a").unwrap();
    assert_eq!(kind(database.create_collection(name("c"), "a")), ErrorKind::Conflict);
    let hidden = database.describe_collection("c").unwrap();
    assert_eq!(kind(database.describe_backup(&hidden.id)), ErrorKind::NotFound);
    assert_eq!(database.list_backups(&BackupFilter::default(), None, 10).unwrap().0.len(), 0);
    let made = backup(&database, "a");
    let taken = RestoreOptions { name: name("a"), tags: None, deletion_protection: false };
    let error = database.restore_backup(&made.id, taken).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let other = new_index("d", IndexShape::dense(2, Metric::Cosine));
    let error =
        database.create_index_from(&IndexSource::Collection("c".into()), other).unwrap_err();
    assert!(error.message().contains("expected the same as its source"), "{error}");
    assert_eq!(database.list_indexes().len(), 1);
}

#[test]
fn listings_go_on_where_they_were() {
    let place = Place::new();
    let database = open(&place);
    put(&index(&database, plane()), "x", 3);
    let made: Vec<String> = (0..7).map(|_| backup(&database, "a").id).collect();
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let (page, more) =
            database.list_backups(&BackupFilter::default(), after.as_deref(), 3).unwrap();
        seen.extend(page.iter().map(|backup| backup.id.clone()));
        after = page.last().map(BackupInfo::cursor);
        if seen.len() == 3 {
            // The one that the next page goes on after.
            database.delete_backup(&seen[2]).unwrap();
        }
        if !more {
            break;
        }
    }
    seen.sort();
    let mut expected = made;
    expected.sort();
    assert_eq!(seen, expected);
    assert!(database.list_backups(&BackupFilter::default(), Some("x"), 3).is_err());
    let of = |include_deleted| BackupFilter {
        index: Some("a".into()),
        include_deleted,
        ..BackupFilter::default()
    };
    assert_eq!(database.list_backups(&of(false), None, 10).unwrap().0.len(), 6);
    database.delete_index("a").unwrap();
    assert!(database.list_backups(&of(false), None, 10).is_err());
    database.create_index(new_index("a", plane())).unwrap();
    assert_eq!(database.list_backups(&of(false), None, 10).unwrap().0.len(), 0);
    assert_eq!(database.list_backups(&of(true), None, 10).unwrap().0.len(), 6);
}

#[test]
fn what_cannot_be_read_keeps_what_it_may_need() {
    let place = Place::new();
    let database = open(&place);
    put(&index(&database, plane()), "x", 100);
    let made = backup(&database, "a");
    drop(restore(&database, &made.id, "b"));
    database.delete_index("a").unwrap();
    let content = files(&place.data().join("backups"), "json");
    assert_eq!(content.len(), 1);
    drop(database);
    let good = std::fs::read(&content[0]).unwrap();
    std::fs::write(&content[0], &good[..good.len() - 1]).unwrap();
    let database = open(&place);
    database.delete_index("b").unwrap();
    assert_eq!(parts(&place).len(), 1, "the damaged backup may need it");
    let options = RestoreOptions { name: name("c"), tags: None, deletion_protection: false };
    let error = database.restore_backup(&made.id, options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    drop(database);
    std::fs::write(&content[0], good).unwrap();
    let database = open(&place);
    let (_, info) = database.restore_backup(&made.id, options).unwrap();
    assert_eq!(database.index("c").unwrap().stats().unwrap().total, 100);
    // The same of a restored index one of whose manifests is damaged.
    database.delete_backup(&made.id).unwrap();
    drop(database);
    let manifests = files(&place.data().join("indexes").join(&info.uid), "json");
    let good = std::fs::read(&manifests[0]).unwrap();
    std::fs::write(&manifests[0], "damaged").unwrap();
    let database = open(&place);
    assert!(database.index("c").unwrap().stats().unwrap().total == 0);
    assert!(database.create_backup("c", NewBackup::default()).is_err());
    drop(database);
    std::fs::write(&manifests[0], good).unwrap();
    let database = open(&place);
    assert_eq!(database.index("c").unwrap().stats().unwrap().total, 100);
    database.delete_index("c").unwrap();
    assert_eq!(parts(&place).len(), 0);
}

#[test]
fn tags_go_along_unless_others_are_given() {
    let place = Place::new();
    let database = open(&place);
    let tags: BTreeMap<String, String> = [("k".to_owned(), "v".to_owned())].into();
    let mut new = new_index("a", plane());
    new.tags = tags.clone();
    database.create_index(new).unwrap();
    let made = backup(&database, "a");
    assert_eq!(made.tags, tags);
    restore(&database, &made.id, "b");
    assert_eq!(database.describe_index("b").unwrap().tags, tags);
    let options =
        RestoreOptions { name: name("c"), tags: Some(BTreeMap::new()), deletion_protection: true };
    let (_, info) = database.restore_backup(&made.id, options).unwrap();
    assert!(info.tags.is_empty() && info.deletion_protection);
    assert_eq!(info.port, database.describe_index("c").unwrap().port);
    let jobs = database.list_restore_jobs(None, 10).unwrap().0;
    let mut names: Vec<&str> = jobs.iter().map(|job| job.index.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["b", "c"]);
}
