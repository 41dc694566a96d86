//! Goal: a file that is bad in any way costs its own import's rejects, with
//! the code, the row and the message that are promised; never a panic, never
//! memory out of bounds.
//!
//! Method: 1. each case of the tables is a file made here from code. 2. It is
//! imported by the real planner and runner, beside a good file of ten rows.
//! 3. The first reject must have the code, the row and the words of the
//! table, every row must be accounted for, and the good file must be there.
//! 4. The peak of the process's memory is read after each case.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod arrow;
mod lines;
mod make;
mod npy;
mod parquet_files;
mod parquet_rows;
mod run;
mod sizes;

use std::sync::{Mutex, MutexGuard, PoisonError};

use run::{Import, Peak};

/// Memory that a case may add to the process, MiB.
const GROWTH_MIB_MAX: u64 = 256;

/// One test at a time: the memory measured is the whole process's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bad file and what must be said of it.
struct Case {
    /// Its name; the ending says the format.
    file: &'static str,
    bytes: Vec<u8>,
    code: &'static str,
    /// The row of the first reject; none where it is the whole file.
    row: Option<u64>,
    /// What the message must hold.
    message: &'static str,
}

/// A whole file that is refused.
fn file(file: &'static str, bytes: Vec<u8>, code: &'static str, message: &'static str) -> Case {
    Case { file, bytes, code, row: None, message }
}

/// A row that is refused.
fn row(file: &'static str, bytes: Vec<u8>, code: &'static str, message: &'static str) -> Case {
    Case { file, bytes, code, row: Some(1), message }
}

#[test]
fn every_bad_file_gets_its_code_its_row_and_its_message() {
    let _alone = alone();
    let tables: [fn() -> Vec<Case>; 6] = [
        parquet_files::cases,
        parquet_files::bombs,
        parquet_rows::cases,
        arrow::cases,
        lines::cases,
        npy::cases,
    ];
    let mut wrong = Vec::new();
    let mut count = 0;
    for cases in tables {
        for case in cases() {
            count += 1;
            let peak = Peak::begin();
            let import = Import::of(case.file, &case.bytes);
            let growth = peak.growth_mib();
            let what = format!("{} ({} bytes)", case.file, case.bytes.len());
            let Some(first) = &import.first else {
                wrong.push(format!("{what}: nothing was refused, {} imported", import.imported));
                continue;
            };
            let is_right = first.code == case.code
                && first.row == case.row
                && first.message.contains(case.message)
                && first.message.contains(case.file);
            if !is_right {
                let (code, row, message) = (case.code, case.row, case.message);
                wrong.push(format!("{what}: expected {code} {row:?} {message:?}, found {first:?}"));
            }
            if import.good != 10 {
                wrong.push(format!("{what}: {} of the good file's 10 rows", import.good));
            }
            if growth > GROWTH_MIB_MAX {
                wrong.push(format!("{what}: memory grew by {growth} MiB"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 60, "{count} cases");
}
