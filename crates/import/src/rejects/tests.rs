//! Goal: what is written comes back, in order, whatever the page.

use crossbill_core::{Seed, SeededIds, SystemClock};
use crossbill_store::RootOptions;

use super::*;

fn root(path: &std::path::Path) -> Root {
    Root::open(RootOptions {
        path: path.to_owned(),
        faults: None,
        ids: Arc::new(SeededIds::new(Seed(3))),
        clock: Arc::new(SystemClock::new()),
    })
    .unwrap()
}

fn reject(number: u64) -> Reject {
    let some = !number.is_multiple_of(3);
    Reject {
        file: format!("a/{}.parquet", number / 1000),
        row_group: some.then_some(number as u32 / 100),
        row: some.then_some(number),
        id: some.then(|| format!("id {number} \"é\"")),
        code: "E_DIMENSION".to_owned(),
        column: some.then(|| "values".to_owned()),
        message: format!("message {number}"),
        record: some.then(|| "{}".to_owned()),
    }
}

fn write(root: &Root, key: &Key, rejects: &[Reject]) {
    let mut writer = RejectWriter::new(root);
    for part in rejects.chunks(777) {
        writer.add(part.to_vec()).unwrap();
    }
    assert_eq!(writer.count(), rejects.len() as u64);
    let (stored, first) = writer.finish(key).unwrap();
    assert_eq!((stored, first.as_ref()), (!rejects.is_empty(), rejects.first()));
}

#[test]
fn pages_over_files_and_tables_give_everything_once() {
    let keep = tempfile::tempdir().unwrap();
    let root = root(keep.path());
    let all: Vec<Reject> = (0..7000).map(reject).collect();
    let (files, tables) = all.split_at(5);
    let (first, second) = tables.split_at(5000);
    let keys = [0, 3].map(|ordinal| rejects_key("indexes/u", "1", ordinal).unwrap());
    write(&root, &keys[0], first);
    write(&root, &keys[1], second);
    let mut log = RejectLog::open(&root, files, &keys).unwrap();
    assert_eq!(log.total(), 7000);
    for limit in [1000, 999, 7000, 8000] {
        let mut found = Vec::new();
        while found.len() < 7000 {
            let page = log.page(found.len() as u64, limit).unwrap();
            assert!(!page.is_empty() && page.len() <= limit);
            found.extend(page);
        }
        assert!(found == all, "pages of {limit}");
    }
    assert_eq!(log.page(3, 4).unwrap(), all[3..7]);
    assert!(log.page(7000, 10).unwrap().is_empty());
    assert!(log.page(u64::MAX, 10).unwrap().is_empty());
    assert!(log.page(0, 0).unwrap().is_empty());
    for total in [7000, 6000, 5004, 77, 3, 0] {
        log.truncate(total);
        assert_eq!(log.total(), total);
        assert_eq!(log.page(0, 8000).unwrap(), all[..total as usize]);
        assert!(log.page(total, 10).unwrap().is_empty());
    }
}

#[test]
fn no_reject_makes_no_table_and_a_second_attempt_replaces_the_first() {
    let keep = tempfile::tempdir().unwrap();
    let root = root(keep.path());
    let key = rejects_key("indexes/u", "1", 0).unwrap();
    assert_eq!(key.as_str(), "indexes/u/imports/1/rejects/000000.parquet");
    write(&root, &key, &[]);
    assert!(root.list(&Key::new("indexes").unwrap()).unwrap().is_empty());
    write(&root, &key, &[reject(1)]);
    write(&root, &key, &[reject(2)]);
    let log = RejectLog::open(&root, &[], &[key]).unwrap();
    assert_eq!(log.page(0, 10).unwrap(), [reject(2)]);
}
