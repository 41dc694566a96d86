//! Goal: commits come strictly in order, whatever order tasks end in; what
//! stops an import leaves a prefix; the first failure in source order is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use crossbill_core::{IndexShape, Metric, Seed};
use crossbill_store::TaskCounts;

use super::*;
use crate::{SourceFile, TaskPiece};

fn plan(tasks: u32, error_mode: ErrorMode) -> Plan {
    let task = |ordinal: u32| TaskSpec {
        import: "1".into(),
        uri: "file:///x/".into(),
        integration: None,
        index_dir: "indexes/u".into(),
        ordinal,
        namespace: "__default__".into(),
        shape: IndexShape::dense(2, Metric::Cosine),
        text: Default::default(),
        documents: None,
        seed: Seed(1),
        error_mode,
        errors_max: None,
        dry_run: false,
        mapping: Default::default(),
        pieces: vec![TaskPiece {
            file: SourceFile {
                path: format!("{ordinal:03}.parquet"),
                size: 1,
                etag: String::new(),
            },
            first_row_group: 0,
            row_groups: 1,
            first_row: 0,
            rows: 10,
            bytes: 100,
            last: true,
            lines: None,
        }],
    };
    Plan {
        files: Vec::new(),
        tasks: (0..tasks).map(task).collect(),
        passed: Vec::new(),
        files_skipped: 0,
        warnings: Vec::new(),
        file_errors: Vec::new(),
        error_mode,
        errors_max: None,
        rows_total: u64::from(tasks) * 10,
        bytes_total: u64::from(tasks) * 100,
    }
}

fn outcome(task: &TaskSpec) -> TaskOutcome {
    TaskOutcome {
        ordinal: task.ordinal,
        namespace: task.namespace.clone(),
        segments: Vec::new(),
        counts: TaskCounts { read: 10, imported: 10, bytes: 100, ..TaskCounts::default() },
        rejects: 0,
        first_reject: None,
        rejects_key: None,
        is_overrun: false,
        dry: None,
    }
}

fn reject(file: &str, row: Option<u64>) -> Reject {
    Reject {
        file: file.into(),
        row_group: None,
        row,
        id: None,
        code: "E".into(),
        column: None,
        message: format!("{file} is bad"),
        record: None,
    }
}

/// Runs tasks by a closure.
struct Runner<F>(F);

impl<F> TaskRunner for Runner<F>
where
    F: Fn(&TaskSpec, &TaskWatch<'_>) -> Result<TaskOutcome, TaskError> + Send + Sync,
{
    fn run(&self, task: &TaskSpec, watch: &TaskWatch<'_>) -> Result<TaskOutcome, TaskError> {
        (self.0)(task, watch)
    }
}

#[derive(Default)]
struct Notes {
    before: Vec<u32>,
    commits: Mutex<Vec<u32>>,
    errors: AtomicU64,
    fails_at: Option<u32>,
}

impl Ledger for Notes {
    fn committed(&self, task: &TaskSpec) -> bool {
        self.before.contains(&task.ordinal)
    }

    fn commit(&self, task: &TaskSpec, outcome: &TaskOutcome) -> crossbill_core::Result<()> {
        assert_eq!(task.ordinal, outcome.ordinal);
        if self.fails_at == Some(task.ordinal) {
            return Err(Error::unavailable("the disk is full"));
        }
        self.commits.lock().unwrap().push(task.ordinal);
        self.errors.fetch_add(outcome.rejects, Ordering::SeqCst);
        Ok(())
    }

    fn errors(&self) -> u64 {
        self.errors.load(Ordering::SeqCst)
    }
}

#[test]
fn commits_are_in_order_though_tasks_are_not() {
    let plan = plan(20, ErrorMode::Continue);
    let begun = AtomicUsize::new(0);
    let (ledger, watch) = (Notes::default(), ImportWatch::default());
    let runner = Runner(|task: &TaskSpec, _: &TaskWatch<'_>| {
        begun.fetch_add(1, Ordering::SeqCst);
        // Even tasks wait until a later one has begun.
        while task.ordinal.is_multiple_of(2)
            && begun.load(Ordering::SeqCst) < task.ordinal as usize + 2
        {
            std::thread::yield_now();
        }
        assert!(begun.load(Ordering::SeqCst) <= ledger.commits.lock().unwrap().len() + 8);
        Ok(outcome(task))
    });
    execute(&plan, &runner, &ledger, 4, &watch).unwrap();
    assert_eq!(*ledger.commits.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert_eq!(watch.progress().rows_committed, 200);
    assert_eq!(watch.phase(), Phase::Done);
}

#[test]
fn what_was_committed_before_is_not_run_again() {
    let plan = plan(5, ErrorMode::Continue);
    let ledger = Notes { before: vec![0, 1, 3], ..Notes::default() };
    let watch = ImportWatch::default();
    let runner = Runner(|task: &TaskSpec, watch: &TaskWatch<'_>| {
        assert!([2, 4].contains(&task.ordinal));
        watch.add_read(10, 100);
        watch.building(10).finish(std::time::Duration::ZERO);
        watch.add_file();
        Ok(outcome(task))
    });
    execute(&plan, &runner, &ledger, 2, &watch).unwrap();
    assert_eq!(*ledger.commits.lock().unwrap(), [2, 4]);
    let progress = watch.progress();
    assert_eq!((progress.rows_read, progress.bytes_read, progress.files_done), (50, 500, 5));
    assert!((progress.percent() - 100.0).abs() < 1e-9);
}

#[test]
fn the_first_failure_in_source_order_is_told_and_what_is_before_it_stays() {
    for workers in [1, 2, 4] {
        let plan = plan(12, ErrorMode::Abort);
        let (ledger, watch) = (Notes::default(), ImportWatch::default());
        let late = AtomicUsize::new(0);
        let runner = Runner(|task: &TaskSpec, watch: &TaskWatch<'_>| match task.ordinal {
            // Fails first in time, but not first in the source.
            5 if workers > 1 => {
                late.store(1, Ordering::SeqCst);
                Err(TaskError::Rejected(Box::new(reject("005.parquet", Some(0)))))
            }
            4 => {
                // Waits until task 5 has failed where there is a worker for it.
                while workers > 1 && late.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
                assert!(!watch.is_cancelled());
                Err(TaskError::Rejected(Box::new(reject("004.parquet", Some(7)))))
            }
            ordinal if ordinal > 5 => {
                while !watch.is_cancelled() {
                    std::thread::yield_now();
                }
                Err(TaskError::Cancelled)
            }
            _ => Ok(outcome(task)),
        });
        match execute(&plan, &runner, &ledger, workers, &watch) {
            Err(ImportError::Rejected(reject)) => assert_eq!(reject.file, "004.parquet"),
            other => panic!("{other:?}"),
        }
        assert_eq!(*ledger.commits.lock().unwrap(), [0, 1, 2, 3], "{workers} workers");
    }
}

#[test]
fn an_abort_plan_with_a_bad_file_ends_with_it() {
    let mut plan = plan(2, ErrorMode::Abort);
    plan.file_errors.push(reject("002.parquet", None));
    let (ledger, watch) = (Notes::default(), ImportWatch::default());
    let runner = Runner(|task: &TaskSpec, _: &TaskWatch<'_>| Ok(outcome(task)));
    let ended = execute(&plan, &runner, &ledger, 2, &watch);
    assert!(matches!(ended, Err(ImportError::Rejected(reject)) if reject.file == "002.parquet"));
    assert_eq!(*ledger.commits.lock().unwrap(), [0, 1]);
}

/// Every task has two errors, a file has one: the 10th is in task 4.
#[test]
fn the_one_error_too_many_is_always_the_same() {
    for workers in [1, 2, 4, 8] {
        let mut plan = plan(12, ErrorMode::Continue);
        plan.file_errors.push(reject("012.parquet", None));
        plan.errors_max = Some(9);
        let (ledger, watch) = (Notes::default(), ImportWatch::default());
        let runner = Runner(|task: &TaskSpec, _: &TaskWatch<'_>| {
            let first_reject = Some(reject(&format!("{:03}.parquet", task.ordinal), Some(1)));
            // A late task sees by itself that there are too many.
            let is_overrun = task.ordinal == 6;
            Ok(TaskOutcome { rejects: 2, first_reject, is_overrun, ..outcome(task) })
        });
        match execute(&plan, &runner, &ledger, workers, &watch) {
            Err(ImportError::TooManyErrors(overrun)) => {
                assert_eq!((overrun.errors_max, overrun.task), (9, Some(4)), "{workers} workers");
                assert_eq!(overrun.first_reject.unwrap().file, "004.parquet");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(*ledger.commits.lock().unwrap(), [0, 1, 2, 3], "{workers} workers");
    }
}

#[test]
fn more_broken_files_than_there_may_be_end_it_before_it_begins() {
    let mut plan = plan(1, ErrorMode::Continue);
    plan.file_errors = vec![reject("a.parquet", None), reject("b.parquet", None)];
    let ledger = Notes::default();
    let runner = Runner(|task: &TaskSpec, _: &TaskWatch<'_>| Ok(outcome(task)));
    plan.errors_max = Some(2);
    execute(&plan, &runner, &ledger, 1, &ImportWatch::default()).unwrap();
    plan.errors_max = Some(1);
    let error = execute(&plan, &runner, &ledger, 1, &ImportWatch::default()).unwrap_err();
    assert_eq!(error.to_string(), "found 2 errors, expected at most 1 (maxErrors)");
    assert_eq!(*ledger.commits.lock().unwrap(), [0], "by the first run");
}

#[test]
fn a_cancel_commits_nothing_more() {
    let plan = plan(50, ErrorMode::Continue);
    let (ledger, watch) = (Notes::default(), Arc::new(ImportWatch::default()));
    let runner = Runner(|task: &TaskSpec, task_watch: &TaskWatch<'_>| {
        if task.ordinal == 10 {
            watch.cancel();
        }
        if task_watch.is_cancelled() {
            return Err(TaskError::Cancelled);
        }
        Ok(outcome(task))
    });
    let ended = execute(&plan, &runner, &ledger, 3, &watch);
    assert!(matches!(ended, Err(ImportError::Cancelled)), "{ended:?}");
    let commits = ledger.commits.lock().unwrap();
    assert!(commits.len() <= 10);
    assert!(commits.iter().enumerate().all(|(place, ordinal)| place == *ordinal as usize));
}

#[test]
fn what_is_held_ends_with_the_tasks_under_way_and_goes_on_from_there() {
    let plan = plan(12, ErrorMode::Continue);
    let watch = ImportWatch::default();
    let ledger = Notes::default();
    let runner = Runner(|task: &TaskSpec, _: &TaskWatch<'_>| {
        if task.ordinal == 4 {
            watch.hold(true);
        }
        Ok(outcome(task))
    });
    let ended = execute(&plan, &runner, &ledger, 2, &watch);
    assert!(matches!(ended, Err(ImportError::Paused)), "{ended:?}");
    let before = ledger.commits.into_inner().unwrap();
    assert!((5..9).contains(&before.len()), "{before:?}");
    assert_eq!(before, (0..before.len() as u32).collect::<Vec<_>>());

    watch.hold(false);
    watch.begin();
    let ledger = Notes { before: before.clone(), ..Notes::default() };
    let runner = Runner(|task: &TaskSpec, _: &TaskWatch<'_>| Ok(outcome(task)));
    execute(&plan, &runner, &ledger, 2, &watch).unwrap();
    assert_eq!(ledger.commits.into_inner().unwrap().len() + before.len(), 12);
    assert_eq!(watch.progress().rows_committed, 120);
}

#[test]
fn a_commit_that_fails_and_a_task_that_panics_fail_the_import() {
    let plan = plan(8, ErrorMode::Continue);
    let ledger = Notes { fails_at: Some(3), ..Notes::default() };
    let runner = Runner(|task: &TaskSpec, _: &TaskWatch<'_>| Ok(outcome(task)));
    let ended = execute(&plan, &runner, &ledger, 2, &ImportWatch::default());
    assert_eq!(ended.unwrap_err().to_string(), "the disk is full");
    assert_eq!(*ledger.commits.lock().unwrap(), [0, 1, 2]);

    let ledger = Notes::default();
    let runner = Runner(|task: &TaskSpec, _: &TaskWatch<'_>| {
        assert!(task.ordinal != 2, "a fault of ours");
        Ok(outcome(task))
    });
    let ended = execute(&plan, &runner, &ledger, 2, &ImportWatch::default());
    assert_eq!(ended.unwrap_err().to_string(), "task 2 panicked: a fault of ours");
    assert_eq!(*ledger.commits.lock().unwrap(), [0, 1]);
}

#[test]
fn the_first_reason_is_the_first_in_the_source() {
    let mut plan = plan(0, ErrorMode::Continue);
    plan.file_errors.push(reject("b.parquet", None));
    let rejects = [reject("c.parquet", Some(0)), reject("a.parquet", Some(3))];
    assert_eq!(first_reason(&plan, &rejects).unwrap().file, "a.parquet");
    assert_eq!(first_reason(&plan, &rejects[..1]).unwrap().file, "b.parquet");
    plan.file_errors.clear();
    assert!(first_reason(&plan, &[]).is_none());
}
