//! The root on a real directory, with and without injected faults.

use super::*;
use crate::faults::FaultRule;
use crossbill_core::{RandomIds, ScratchFile as _, ScratchSpace as _, Seed, SystemClock};

fn open(path: &Path, rules: Vec<FaultRule>) -> Result<Root, StoreError> {
    Root::open(RootOptions {
        path: path.to_owned(),
        faults: Some(Arc::new(FaultPlan::new(Seed(1), rules))),
        ids: Arc::new(RandomIds),
        clock: Arc::new(SystemClock::new()),
    })
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[test]
fn objects_are_created_once_listed_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let root = open(&directory.path().join("new/data"), vec![]).unwrap();
    assert_eq!(root.get(&key("a/b")).unwrap(), None);
    root.put_new(&key("a/b"), "one".into()).unwrap();
    assert!(matches!(root.put_new(&key("a/b"), "one".into()), Err(StoreError::Exists { .. })));
    root.put_new(&key("a/c/d"), "three".into()).unwrap();
    root.put_new(&key("ab"), "x".into()).unwrap();
    assert_eq!(root.get(&key("a/b")).unwrap(), Some("one".into()));
    assert_eq!(root.list(&key("a")).unwrap(), [(key("a/b"), 3), (key("a/c/d"), 5)]);
    assert_eq!(root.list(&key("nothing")).unwrap(), []);
    assert_eq!(root.list_dirs(&key("a")).unwrap(), ["c"]);
    assert_eq!(root.list_dirs(&key("nothing")).unwrap(), Vec::<String>::new());
    root.delete(&key("a/b")).unwrap();
    root.delete(&key("a/b")).unwrap();
    assert_eq!(root.get(&key("a/b")).unwrap(), None);
    root.delete_prefix(&key("a")).unwrap();
    root.delete_prefix(&key("a")).unwrap();
    assert_eq!(root.list(&key("a")).unwrap(), []);
    assert_eq!(root.get(&key("ab")).unwrap(), Some("x".into()));
    assert!(root.disk_free().unwrap() > 0);
}

#[test]
fn one_process_owns_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let root = open(directory.path(), vec![]).unwrap();
    let refused = open(directory.path(), vec![]).unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }));
    let message = refused.to_string();
    assert!(message.contains("in use by another process (process "), "{message}");
    let clone = root.clone();
    drop(root);
    assert!(open(directory.path(), vec![]).is_err());
    drop(clone);
    open(directory.path(), vec![]).unwrap();
}

#[test]
fn scratch_is_emptied_and_published_once() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("scratch/deep")).unwrap();
    std::fs::write(directory.path().join("scratch/deep/left"), "x").unwrap();
    let root = open(directory.path(), vec![]).unwrap();
    let scratch = directory.path().join("scratch");
    let left = || std::fs::read_dir(&scratch).unwrap().count();
    assert_eq!(left(), 0);
    let make = |text: &str| {
        let mut file = root.scratch().create("part").unwrap();
        file.append(text.as_bytes()).unwrap();
        file
    };
    assert_eq!(root.publish(make("hello"), &key("parts/p.seg")).unwrap(), 5);
    let again = root.publish(make("other"), &key("parts/p.seg"));
    assert!(matches!(again, Err(StoreError::Exists { .. })));
    assert_eq!(left(), 0);
    let part = root.open_part(&key("parts/p.seg")).unwrap();
    root.delete(&key("parts/p.seg")).unwrap();
    assert_eq!((*part).as_ref(), b"hello");
    assert!(matches!(root.open_part(&key("parts/p.seg")), Err(StoreError::NotFound { .. })));
}

#[test]
fn lost_answers_are_recognised_and_short_bodies_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let root = open(
        directory.path(),
        vec![
            FaultRule::once(FaultOp::Put, Fault::ErrorAfter, "lost", 1),
            FaultRule::once(FaultOp::Put, Fault::ErrorBefore, "later", 1),
            FaultRule::once(FaultOp::Get, Fault::ShortBody, "later", 2),
            FaultRule::new(FaultOp::Put, Fault::ErrorBefore, 1000),
        ]
        .into_iter()
        .map(|mut rule| {
            if rule.times == u64::MAX {
                rule.key_contains = "never".into();
            }
            rule
        })
        .collect(),
    )
    .unwrap();
    root.put_new(&key("lost"), "1".into()).unwrap();
    root.put_new(&key("later"), "23".into()).unwrap();
    assert_eq!(root.get(&key("later")).unwrap(), Some("23".into()));
    let never = root.put_new(&key("never"), "1".into());
    assert!(matches!(never, Err(StoreError::Unavailable { .. })));
    assert_eq!(root.get(&key("never")).unwrap(), None);
}

#[test]
fn a_failed_publish_leaves_no_scratch() {
    let directory = tempfile::tempdir().unwrap();
    let root = open(
        directory.path(),
        vec![
            FaultRule::once(FaultOp::Publish, Fault::ErrorBefore, "", 1),
            FaultRule::once(FaultOp::Publish, Fault::ErrorAfter, "", 1),
        ],
    )
    .unwrap();
    for expected in [false, true] {
        let file = root.scratch().create("part").unwrap();
        assert!(root.publish(file, &key("p")).is_err());
        assert_eq!(root.get(&key("p")).unwrap().is_some(), expected);
    }
    assert_eq!(std::fs::read_dir(directory.path().join("scratch")).unwrap().count(), 0);
}
