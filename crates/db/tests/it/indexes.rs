//! Indexes and namespaces: made, described, changed, deleted, kept.

use std::sync::{Arc, Mutex};

use crossbill_core::{ErrorKind, IndexShape, Metric};
use crossbill_db::{IndexChange, IndexEvent, Selector, SpecChange};

use crate::fixtures::{Place, all_ids, index, namespace, new_index, plane, record};

#[test]
fn indexes_live_until_they_are_deleted() {
    let place = Place::new();
    let database = place.open();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    database.subscribe(Box::new(move |event| {
        ears.lock().unwrap().push(match event {
            IndexEvent::Created(info) => format!("+{} {}", info.name, info.port),
            IndexEvent::Deleted(info) => format!("-{}", info.name),
            _ => String::new(),
        });
    }));
    let made = database.create_index(new_index("a", plane())).unwrap();
    database.create_index(new_index("b", IndexShape::sparse())).unwrap();
    let again = database.create_index(new_index("a", plane())).unwrap_err();
    let expected = (ErrorKind::Conflict, "Resource already exists: index a");
    assert_eq!((again.kind(), again.message()), expected);
    assert_eq!(database.index_by_id(&made.uid).unwrap().info(), made);
    database
        .index("a")
        .unwrap()
        .upsert(&namespace(""), vec![record("x", &[1.0, 2.0], "")])
        .unwrap();
    let held = database.index("a").unwrap();
    database.delete_index("a").unwrap();
    assert_eq!(database.delete_index("a").unwrap_err().message(), "Index a not found");
    assert_eq!(database.describe_index("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(held.stats().unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!place.data().join("indexes").join(&made.uid).exists());
    let anew = database.create_index(new_index("a", plane())).unwrap();
    assert_eq!((anew.port, anew.uid == made.uid), (5081, false));
    assert!(all_ids(&database.index("a").unwrap(), "").is_empty());
    assert_eq!(*heard.lock().unwrap(), ["+a 5081", "+b 5082", "-a", "+a 5081"]);
    drop((held, database));
    let database = place.open();
    let names: Vec<_> = database
        .list_indexes()
        .into_iter()
        .map(|info| (info.name.to_string(), info.port))
        .collect();
    assert_eq!(names, [("a".into(), 5081), ("b".into(), 5082)]);
}

#[test]
fn a_protected_index_stays() {
    let place = Place::new();
    let database = place.open();
    database.create_index(new_index("a", plane())).unwrap();
    let protect = |on| IndexChange {
        tags: [("team".to_owned(), if on { "red".to_owned() } else { String::new() })].into(),
        deletion_protection: Some(on),
        spec_json: None,
    };
    let info = database.configure_index("a", protect(true)).unwrap();
    assert_eq!(info.tags["team"], "red");
    assert_eq!(database.delete_index("a").unwrap_err().kind(), ErrorKind::Forbidden);
    drop(database);
    let database = place.open();
    assert_eq!(database.describe_index("a").unwrap(), info);
    assert!(database.configure_index("a", protect(false)).unwrap().tags.is_empty());
    database.delete_index("a").unwrap();
}

#[test]
fn of_two_changes_from_one_state_the_second_is_refused() {
    let place = Place::new();
    let database = place.open();
    database.create_index(new_index("a", plane())).unwrap();
    let change = |from: Option<&str>, to: &str| {
        let (from, to) = (from.map(str::to_owned), to.to_owned());
        let spec_json = Some(SpecChange { from, to });
        database.configure_index("a", IndexChange { spec_json, ..IndexChange::default() })
    };
    assert_eq!(change(None, "1").unwrap().spec_json.as_deref(), Some("1"));
    let late = change(None, "2").unwrap_err();
    assert_eq!(late.kind(), ErrorKind::FailedPrecondition);
    assert_eq!(database.describe_index("a").unwrap().spec_json.as_deref(), Some("1"));
    assert_eq!(change(Some("1"), "2").unwrap().spec_json.as_deref(), Some("2"));
}

#[test]
fn namespaces_are_made_listed_and_deleted() {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, plane());
    let made = index.create_namespace(&namespace("empty"), Some(vec!["genre".into()])).unwrap();
    assert_eq!((made.record_count, made.filterable), (0, Some(vec!["genre".to_owned()])));
    let again = index.create_namespace(&namespace("empty"), None).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    for name in ["", "films/2020", "films/2021"] {
        index.upsert(&namespace(name), vec![record("x", &[1.0, 2.0], "")]).unwrap();
    }
    let page = index.list_namespaces("", None, 2).unwrap();
    let names = |page: &crossbill_db::NamespacePage| {
        page.namespaces.iter().map(|found| found.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ["__default__", "empty"]);
    assert_eq!((page.more, page.total), (true, 4));
    let rest = index.list_namespaces("", Some("empty"), 2).unwrap();
    assert_eq!((names(&rest).join(" "), rest.more), ("films/2020 films/2021".into(), false));
    assert_eq!(index.list_namespaces("films/", None, 9).unwrap().total, 2);

    index.delete_namespace(&namespace("films/2020")).unwrap();
    let gone = index.describe_namespace(&namespace("films/2020")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let gone = index.delete_namespace(&namespace("films/2020")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let all = index.delete(&namespace("nowhere"), Selector::All).unwrap_err();
    assert_eq!((all.kind(), all.message()), (ErrorKind::NotFound, "Namespace not found"));
    let lsn = index.lsn();
    drop((index, database));

    let database = place.open();
    let index = database.index("a").unwrap();
    assert_eq!(index.lsn(), lsn, "a deleted namespace's writes still count");
    let stats = index.stats().unwrap();
    let counts: Vec<_> = stats.namespaces.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(counts, [("__default__", 1), ("empty", 0), ("films/2021", 1)]);
    index.upsert(&namespace("films/2020"), vec![record("y", &[1.0, 2.0], "")]).unwrap();
    assert_eq!(all_ids(&index, "films/2020"), ["y"], "what was deleted stays deleted");
    assert!(index.lsn() > lsn);
}

#[test]
fn a_damaged_namespace_costs_only_itself() {
    for swapped in [false, true] {
        let place = Place::new();
        let database = place.open();
        let index = index(&database, plane());
        for name in ["good", "bad"] {
            index.upsert(&namespace(name), vec![record(name, &[1.0, 2.0], "")]).unwrap();
            index.flush(&namespace(name)).unwrap();
        }
        let parts = place.data().join("indexes").join(index.info().uid).join("parts");
        let mut files: Vec<_> =
            std::fs::read_dir(&parts).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
        drop((index, database));
        let other = std::fs::read(&files[0]).unwrap();
        let damage = if swapped { other } else { b"not a segment".to_vec() };
        std::fs::write(&files[1], damage).unwrap();
        let database = place.open();
        let index = database.index("a").unwrap();
        assert_eq!(all_ids(&index, "good"), ["good"]);
        let refused = index.list_ids(&namespace("bad"), "", None, 10).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
        let put = vec![record("y", &[1.0, 2.0], "")];
        let refused = index.upsert(&namespace("bad"), put).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert!(files.iter().all(|file| file.exists()), "nothing is swept that might be needed");
        let cosine = new_index("c", IndexShape::dense(3, Metric::Cosine));
        database.create_index(cosine).unwrap();
    }
}
