//! The log under crashes, damage, faults and many threads.

use super::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::faults::{FaultPlan, FaultRule};
use crate::{RootOptions, StoreError};
use crossbill_core::{RandomIds, Seed, SystemClock};

fn root(path: &Path, rules: Vec<FaultRule>) -> Root {
    Root::open(RootOptions {
        path: path.to_owned(),
        faults: Some(Arc::new(FaultPlan::new(Seed(1), rules))),
        ids: Arc::new(RandomIds),
        clock: Arc::new(SystemClock::new()),
    })
    .unwrap()
}

fn dir() -> Key {
    Key::new("ns").unwrap()
}

fn open(path: &Path, after_lsn: u64) -> Result<(Wal, Vec<(u64, Bytes)>), StoreError> {
    Wal::open(&root(path, vec![]), &dir(), after_lsn)
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(path.join("ns/wal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

fn payload(lsn: u64) -> Vec<u8> {
    (0..lsn % 23).map(|i| (lsn * 31 + i) as u8).collect()
}

fn check(frames: &[(u64, Bytes)], lsns: impl Iterator<Item = u64>) {
    let expected: Vec<_> = lsns.map(|lsn| (lsn, Bytes::from(payload(lsn)))).collect();
    assert_eq!(frames, expected);
}

#[test]
fn frames_come_back_after_reopening_and_go_with_truncation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (wal, frames) = open(path, 0).unwrap();
    assert_eq!((frames, wal.last_lsn()), (vec![], 0));
    assert!(!path.join("ns").exists(), "an unused log makes no files");
    for lsn in 1..=10 {
        assert_eq!(wal.append(&payload(lsn)).unwrap(), lsn);
    }
    drop(wal);
    let (wal, frames) = open(path, 4).unwrap();
    check(&frames, 5..=10);
    assert_eq!(wal.append(&payload(11)).unwrap(), 11);
    wal.truncate(4).unwrap();
    assert_eq!(files(path).len(), 1, "newer frames keep a file");
    assert_eq!(wal.append(&payload(12)).unwrap(), 12);
    assert_eq!(files(path).len(), 2, "truncation rotates");
    wal.truncate(11).unwrap();
    assert_eq!(files(path).len(), 1);
    drop(wal);
    let (wal, frames) = open(path, 11).unwrap();
    check(&frames, 12..=12);
    wal.truncate(12).unwrap();
    assert_eq!(files(path).len(), 0);
    drop(wal);
    let (wal, frames) = open(path, 12).unwrap();
    assert_eq!((frames, wal.append(&payload(13)).unwrap()), (vec![], 13));
}

#[test]
fn a_crash_at_any_byte_leaves_exactly_the_whole_frames() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (wal, _) = open(path, 0).unwrap();
    let mut ends = vec![];
    for lsn in 1..=3 {
        wal.append(&payload(lsn)).unwrap();
        ends.push(std::fs::metadata(&files(path)[0]).unwrap().len());
    }
    drop(wal);
    let root = root(path, vec![]);
    let open = || Wal::open(&root, &dir(), 0).unwrap();
    let file = files(path).remove(0);
    let whole = std::fs::read(&file).unwrap();
    for cut in 0..=whole.len() {
        // What a crash leaves is a shorter file, or one whose end is zeros.
        for zeros in [0, whole.len() - cut] {
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(cut + zeros, 0);
            if cut < 32 && bytes.len() > 32 {
                continue; // The header is durable before any batch is written.
            }
            std::fs::write(&file, &bytes).unwrap();
            let survived = ends.iter().filter(|end| **end <= cut as u64).count() as u64;
            let (wal, frames) = open();
            check(&frames, 1..=survived);
            assert_eq!(wal.append(&payload(survived + 1)).unwrap(), survived + 1);
            drop(wal);
            check(&open().1, 1..=survived + 1);
        }
    }
}

#[test]
fn a_flipped_byte_before_whole_frames_is_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (wal, _) = open(path, 0).unwrap();
    for lsn in 1..=5 {
        wal.append(&payload(lsn)).unwrap();
    }
    let last_start = std::fs::metadata(&files(path)[0]).unwrap().len();
    wal.append(&payload(6)).unwrap();
    drop(wal);
    let file = files(path).remove(0);
    let whole = std::fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&file, &bytes).unwrap();
        match open(path, 0) {
            Err(StoreError::Corrupt { file, .. }) => {
                assert!(file.ends_with("00000000000000000001.wal"), "{file}");
            }
            // Damage to the very last batch looks like a torn write.
            Ok((_, frames)) => {
                assert!(at as u64 >= last_start, "byte {at} went unnoticed");
                check(&frames, 1..=5);
                std::fs::write(&file, &whole).unwrap();
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn gaps_and_damage_in_older_files_are_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (wal, _) = open(path, 0).unwrap();
    for lsn in 1..=9 {
        wal.append(&payload(lsn)).unwrap();
        if lsn % 3 == 0 {
            wal.files.lock().active.as_mut().unwrap().size += FILE_BYTES_MAX;
        }
    }
    drop(wal);
    let all = files(path);
    assert_eq!(all.len(), 3, "full files are rotated");
    check(&open(path, 0).unwrap().1, 1..=9);
    let second = std::fs::read(&all[1]).unwrap();
    std::fs::write(&all[1], &second[..second.len() - 1]).unwrap();
    let error = open(path, 0).unwrap_err().to_string();
    assert!(error.contains("newer files follow"), "{error}");
    std::fs::remove_file(&all[1]).unwrap();
    let error = open(path, 0).unwrap_err().to_string();
    assert!(error.contains("frames 4 to 6 are missing"), "{error}");
    // Nobody needs the first two files any more.
    check(&open(path, 6).unwrap().1, 7..=9);
    std::fs::remove_file(&all[0]).unwrap();
    let error = open(path, 0).unwrap_err().to_string();
    assert!(error.contains("begins at frame 7, expected 1 or before"), "{error}");
    // A log that ends before what its user already has starts anew after that.
    let (wal, frames) = open(path, 20).unwrap();
    assert_eq!((frames, wal.append(&payload(21)).unwrap()), (vec![], 21));
    drop(wal);
    check(&open(path, 20).unwrap().1, 21..=21);
}

#[test]
fn a_failed_write_or_sync_poisons_until_reopened() {
    for (op, fault) in [
        (FaultOp::WalWrite, Fault::ErrorBefore),
        (FaultOp::WalWrite, Fault::ShortBody),
        (FaultOp::WalSync, Fault::ErrorBefore),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let rules = vec![FaultRule::once(op, fault, "ns/wal", 3)];
        let (wal, _) = Wal::open(&root(directory.path(), rules), &dir(), 0).unwrap();
        wal.append(&payload(1)).unwrap();
        wal.append(&payload(2)).unwrap();
        for _ in 0..3 {
            let refused = wal.append(&payload(3)).unwrap_err();
            assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
        }
        assert_eq!(wal.last_lsn(), 2);
        drop(wal);
        let (wal, frames) = open(directory.path(), 0).unwrap();
        // After a failed sync the frame may be there: its outcome is unknown.
        assert!(frames.len() == 2 || (op == FaultOp::WalSync && frames.len() == 3));
        let next = frames.len() as u64 + 1;
        assert_eq!(wal.append(&payload(next)).unwrap(), next);
    }
}

#[test]
fn a_frame_over_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (wal, _) = open(directory.path(), 0).unwrap();
    let refused = wal.append(&vec![0; limits::WAL_FRAME_BYTES_MAX + 1]).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { .. }));
    assert_eq!(wal.append(b"").unwrap(), 1);
}

#[test]
fn many_threads_share_syncs_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (threads, each) = (12_u64, 40_u64);
    let slow = FaultRule::new(FaultOp::WalSync, Fault::Delay(Duration::from_millis(1)), 1000);
    let (wal, _) = Wal::open(&root(directory.path(), vec![slow]), &dir(), 0).unwrap();
    let done = AtomicBool::new(false);
    let mut acknowledged: Vec<(u64, String)> = std::thread::scope(|scope| {
        let truncater = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                wal.truncate(wal.last_lsn().saturating_sub(20)).unwrap();
                std::thread::yield_now();
            }
        });
        let appenders: Vec<_> = (0..threads)
            .map(|thread| {
                let wal = &wal;
                scope.spawn(move || {
                    (0..each)
                        .map(|round| {
                            let text = format!("{thread}:{round}");
                            (wal.append(text.as_bytes()).unwrap(), text)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let all = appenders.into_iter().flat_map(|appender| appender.join().unwrap()).collect();
        done.store(true, Ordering::SeqCst);
        truncater.join().unwrap();
        all
    });
    acknowledged.sort();
    let lsns: Vec<u64> = acknowledged.iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(lsns, (1..=threads * each).collect::<Vec<_>>());
    let syncs = wal.root.faults().unwrap().struck();
    assert!(syncs < threads * each / 2, "{syncs} syncs for {} appends", threads * each);
    drop(wal);
    let after = threads * each - 20;
    let (_, frames) = open(directory.path(), after).unwrap();
    let found: Vec<_> =
        frames.into_iter().map(|(lsn, b)| (lsn, String::from_utf8(b.to_vec()).unwrap())).collect();
    assert_eq!(found, acknowledged[after as usize..]);
}

#[test]
fn who_only_reads_cuts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (wal, _) = open(path, 0).unwrap();
    for lsn in 1..=3 {
        wal.append(&payload(lsn)).unwrap();
    }
    let reader = || {
        let options = RootOptions {
            path: path.to_owned(),
            faults: None,
            ids: Arc::new(RandomIds),
            clock: Arc::new(SystemClock::new()),
        };
        Wal::read(&Root::look(options).unwrap(), &dir(), 1)
    };
    // Beside the owner.
    let found = reader().unwrap();
    check(&found.frames, 2..=3);
    assert_eq!(found.torn_bytes, 0);
    drop(wal);
    let file = files(path).pop().unwrap();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let found = reader().unwrap();
    check(&found.frames, 2..=2);
    assert!(found.torn_bytes > 0);
    assert_eq!(std::fs::read(&file).unwrap().len(), whole.len() - 1);
    // A file that was begun and never written to stays too.
    std::fs::write(path.join("ns/wal/00000000000000000003.wal"), b"XB").unwrap();
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert!(reader().is_err(), "a torn file that others follow is damage");
    assert_eq!(files(path).len(), 2);
}
