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
            let page = log.page(found.len() as u64, limit, RecordText::Shown).unwrap();
            assert!(!page.is_empty() && page.len() <= limit);
            found.extend(page);
        }
        assert!(found == all, "pages of {limit}");
    }
    assert_eq!(log.page(3, 4, RecordText::Shown).unwrap(), all[3..7]);
    assert!(log.page(7000, 10, RecordText::Shown).unwrap().is_empty());
    assert!(log.page(u64::MAX, 10, RecordText::Shown).unwrap().is_empty());
    assert!(log.page(0, 0, RecordText::Shown).unwrap().is_empty());
    for total in [7000, 6000, 5004, 77, 3, 0] {
        log.truncate(total);
        assert_eq!(log.total(), total);
        assert_eq!(log.page(0, 8000, RecordText::Shown).unwrap(), all[..total as usize]);
        assert!(log.page(total, 10, RecordText::Shown).unwrap().is_empty());
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
    assert_eq!(log.page(0, 10, RecordText::Shown).unwrap(), [reject(2)]);
}

#[test]
fn pages_show_the_beginning_of_records_or_end_early_with_whole_ones() {
    let keep = tempfile::tempdir().unwrap();
    let root = root(keep.path());
    let long = |number| Reject { record: Some("x".repeat(300_000)), ..reject(number) };
    let all: Vec<Reject> = (0..40).map(long).collect();
    let key = rejects_key("indexes/u", "1", 0).unwrap();
    let mut writer = RejectWriter::new(&root);
    writer.add(all.clone()).unwrap();
    let (_, first) = writer.finish(&key).unwrap();
    assert_eq!(first.unwrap().record.unwrap().len(), REJECT_SHOWN_BYTES_MAX);
    let log = RejectLog::open(&root, &[], &[key]).unwrap();
    let shown = log.page(0, 40, RecordText::Shown).unwrap();
    assert_eq!(shown.len(), 40);
    let lengths = shown.iter().map(|reject| reject.record.as_ref().unwrap().len());
    assert!(lengths.into_iter().all(|length| length == REJECT_SHOWN_BYTES_MAX));
    let mut found = Vec::new();
    while found.len() < 40 {
        let page = log.page(found.len() as u64, 40, RecordText::Whole).unwrap();
        assert!((1..=14).contains(&page.len()), "{}", page.len());
        found.extend(page);
    }
    assert_eq!(found, all);
}
