//! Goal: a task is a pure function of its spec and its source, all or
//! nothing, and accounts for every row; the same bytes come out whatever the
//! number of threads.

use std::path::Path;
use std::sync::atomic::AtomicU32;

use crossbill_core::{IndexShape, Metric, Seed, SeededIds, SystemClock};
use crossbill_engine::Segment;
use crossbill_store::{RootOptions, TaskCounts};
use proptest::prelude::*;

use super::*;
use crate::testing::{Memory, ids, parquet, plain, some_vectors, strings, vectors, whole};
use crate::watch::NO_STOP;
use crate::{
    ColumnMapping, ErrorMode, ImportError, ImportWatch, Plan, PlanRequest, RecordText, Reject,
    RejectLog, codes, plan,
};
use parquet::file::properties::WriterProperties;

struct Place {
    _keep: tempfile::TempDir,
    source: std::path::PathBuf,
    parts: RunnerParts,
    errors_max: Option<u64>,
    dry_run: bool,
}

impl Place {
    fn new(threads: usize, settings: ImportSettings) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let source = keep.path().join("source");
        std::fs::create_dir(&source).unwrap();
        let ids: Arc<dyn IdSource> = Arc::new(SeededIds::new(Seed(1)));
        let root = Root::open(RootOptions {
            path: keep.path().join("data"),
            faults: None,
            ids: Arc::clone(&ids),
            clock: Arc::new(SystemClock::new()),
        });
        let allow_dirs = vec![source.clone()];
        let policy = Arc::new(SourcePolicy { allow_dirs, ..SourcePolicy::default() });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let root = root.unwrap();
        let parts = RunnerParts { policy, root, pool: Arc::new(pool), ids, settings };
        Self { _keep: keep, source, parts, errors_max: None, dry_run: false }
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.source.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn plan(&self, shape: IndexShape, error_mode: ErrorMode) -> Result<Plan, ImportError> {
        let request = PlanRequest {
            import: "1".into(),
            uri: uri(&self.source),
            integration: None,
            index_dir: "indexes/u".into(),
            shape,
            text: Default::default(),
            seed: Seed(42),
            error_mode,
            errors_max: self.errors_max,
            dry_run: self.dry_run,
            loaded: crate::LoadedFiles::default(),
            mapping: ColumnMapping::default(),
        };
        let checked = self.parts.policy.check(&request.uri, None).unwrap();
        let source = self.parts.policy.open(&checked).unwrap();
        plan(&source, &request, &self.parts.settings, &ImportWatch::default())
    }

    fn run(&self, plan: &Plan, ordinal: usize) -> Result<TaskOutcome, TaskError> {
        let (watch, stop_after) = (ImportWatch::default(), AtomicU32::new(NO_STOP));
        let watch = TaskWatch::new(&watch, ordinal as u32, &stop_after);
        let outcome = LocalRunner::new(self.parts.clone()).run(&plan.tasks[ordinal], &watch)?;
        let counts = outcome.counts;
        assert_eq!(counts.read, counts.imported + counts.superseded + counts.rejected);
        Ok(outcome)
    }

    fn part(&self, outcome: &TaskOutcome, number: usize) -> Vec<u8> {
        let key = part_key("indexes/u", &outcome.segments[number].part).unwrap();
        (*self.parts.root.open_part(&key).unwrap()).as_ref().to_vec()
    }

    fn rejects(&self, outcome: &TaskOutcome) -> Vec<Reject> {
        let keys: Vec<Key> = outcome.rejects_key.iter().map(|key| Key::new(key).unwrap()).collect();
        let log = RejectLog::open(&self.parts.root, &[], &keys).unwrap();
        assert_eq!(log.total(), outcome.rejects);
        log.page(0, 10_000, RecordText::Shown).unwrap()
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}/", path.display())
}

fn settings() -> ImportSettings {
    ImportSettings::new(2, 64 << 20)
}

fn shape() -> IndexShape {
    IndexShape::dense(4, Metric::DotProduct)
}

fn table(prefix: &str, rows: usize) -> Vec<u8> {
    plain(&[("id", ids(prefix, rows)), ("values", some_vectors(rows, 4))])
}

#[test]
fn a_directory_becomes_a_segment_per_namespace() {
    let place = Place::new(2, settings());
    place.put("a/1.parquet", &table("x", 100));
    place.put("a/2.parquet", &table("y", 50));
    place.put("root.parquet", &table("z", 7));
    place.put("a/_SUCCESS", b"");
    let plan = place.plan(shape(), ErrorMode::Abort).unwrap();
    assert_eq!((plan.tasks.len(), plan.rows_total), (2, 157));
    assert_eq!(plan.warnings.len(), 1);
    let outcome = place.run(&plan, 0).unwrap();
    assert_eq!((outcome.namespace.as_str(), outcome.counts.imported), ("a", 150));
    assert_eq!(outcome.counts.bytes, plan.tasks[0].bytes());
    assert_eq!((outcome.rejects, outcome.rejects_key.as_deref()), (0, None));
    let key = part_key("indexes/u", &outcome.segments[0].part).unwrap();
    let segment = Segment::open(place.parts.root.open_part(&key).unwrap()).unwrap();
    segment.verify().unwrap();
    assert_eq!((segment.rows(), segment.id(100)), (150, "y0"));
    assert_eq!(place.run(&plan, 1).unwrap().namespace, "__default__");
}

#[test]
fn a_later_row_wins_and_is_counted() {
    let place = Place::new(1, settings());
    let twice = strings(&[Some("same"), Some("other"), Some("same")]);
    place.put("1.parquet", &plain(&[("id", twice), ("values", some_vectors(3, 4))]));
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    let counts = place.run(&plan, 0).unwrap().counts;
    assert_eq!((counts.read, counts.imported, counts.superseded), (3, 2, 1));
}

fn with_bad_rows(rows: usize) -> Vec<u8> {
    let vector = |row: usize| Some(vec![Some(1.0 + row as f32); if row % 10 == 3 { 3 } else { 4 }]);
    let values: Vec<_> = (0..rows).map(vector).collect();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(20)).build();
    parquet(&[("id", ids("p-", rows)), ("values", vectors(&values))], properties)
}

#[test]
fn continue_keeps_every_reject_and_abort_names_the_first() {
    let place = Place::new(2, settings());
    place.put("b/part-1.parquet", &with_bad_rows(50));
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    let outcome = place.run(&plan, 0).unwrap();
    assert_eq!((outcome.counts.imported, outcome.counts.rejected, outcome.rejects), (45, 5, 5));
    let rejects = place.rejects(&outcome);
    let places: Vec<_> =
        rejects.iter().map(|reject| (reject.row_group.unwrap(), reject.row.unwrap())).collect();
    assert_eq!(places, [(0, 3), (0, 13), (1, 23), (1, 33), (2, 43)]);
    assert_eq!(outcome.first_reject.as_ref(), Some(&rejects[0]));
    // A second attempt takes the place of the first one's log.
    assert_eq!(place.rejects(&place.run(&plan, 0).unwrap()), rejects);

    let plan = place.plan(shape(), ErrorMode::Abort).unwrap();
    match place.run(&plan, 0) {
        Err(TaskError::Rejected(reject)) => assert_eq!(*reject, rejects[0]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_task_stops_with_the_one_error_too_many() {
    let mut place = Place::new(2, settings());
    place.put("b/part-1.parquet", &with_bad_rows(50));
    for (errors_max, overrun) in [(0, true), (3, true), (4, true), (5, false)] {
        place.errors_max = Some(errors_max);
        let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
        let outcome = place.run(&plan, 0).unwrap();
        assert_eq!(outcome.is_overrun, overrun, "{errors_max}");
        let rejects = place.rejects(&outcome);
        if overrun {
            assert_eq!((outcome.rejects, outcome.counts), (errors_max + 1, TaskCounts::default()));
            assert!(outcome.segments.is_empty());
        } else {
            assert_eq!((outcome.rejects, outcome.counts.imported), (5, 45));
        }
        let rows: Vec<_> = rejects.iter().map(|reject| reject.row.unwrap()).collect();
        assert_eq!(rows, [3, 13, 23, 33, 43][..rows.len()]);
    }
}

#[test]
fn a_dry_run_counts_the_same_and_stores_nothing_but_rejects() {
    let mut place = Place::new(2, settings());
    place.put("b/part-1.parquet", &with_bad_rows(50));
    place.put("b/part-2.parquet", &with_bad_rows(30));
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    let real = place.run(&plan, 0).unwrap();
    place.dry_run = true;
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    let parts = || place.parts.root.list(&Key::new("indexes/u/parts").unwrap()).unwrap().len();
    let before = parts();
    let dry = place.run(&plan, 0).unwrap();
    assert_eq!((dry.counts, dry.rejects), (real.counts, real.rejects));
    assert_eq!((dry.counts.imported, dry.counts.superseded), (45, 27));
    let ids = dry.dry.as_ref().unwrap();
    assert_eq!((ids.ids.len(), ids.is_partial), (45, false));
    assert_eq!((dry.segments.len(), parts()), (0, before));
    assert_eq!(place.rejects(&dry), place.rejects(&real));
}

#[test]
fn a_file_that_breaks_in_the_middle_keeps_what_came_before() {
    let place = Place::new(2, settings());
    let rows = 60;
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(20))
        .set_dictionary_enabled(false)
        .build();
    let mut bytes =
        parquet(&[("id", ids("p-", rows)), ("values", some_vectors(rows, 4))], properties);
    let metadata = crate::source::read_footer(&Memory::new(bytes.clone())).unwrap();
    let (start, _) = metadata.row_group(1).column(1).byte_range();
    bytes[start as usize..start as usize + 8].fill(0xff);
    place.put("a/1.parquet", &bytes);
    place.put("a/2.parquet", &table("q", 5));
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    let outcome = place.run(&plan, 0).unwrap();
    assert_eq!((outcome.counts.read, outcome.counts.imported), (65, 25));
    assert_eq!((outcome.counts.rejected, outcome.rejects), (40, 1));
    let reject = outcome.first_reject.unwrap();
    assert_eq!((reject.code.as_str(), reject.row_group), (codes::FILE_DECODE, Some(1)));
    assert!(reject.message.starts_with("a/1.parquet: row group 1: it is damaged"), "{reject:?}");
    assert!(reject.message.ends_with("; rows 20 to 59 were not read"), "{reject:?}");
}

#[test]
fn a_file_that_changed_or_vanished_is_one_error() {
    let place = Place::new(2, settings());
    place.put("a/1.parquet", &table("x", 10));
    place.put("a/2.parquet", &table("y", 10));
    place.put("a/3.parquet", &table("z", 10));
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    place.put("a/1.parquet", &table("changed", 11));
    std::fs::remove_file(place.source.join("a/3.parquet")).unwrap();
    let outcome = place.run(&plan, 0).unwrap();
    assert_eq!((outcome.counts.read, outcome.counts.imported), (30, 10));
    let found: Vec<_> =
        place.rejects(&outcome).into_iter().map(|reject| (reject.file, reject.code)).collect();
    let expected = [("a/1.parquet", codes::FILE_CHANGED), ("a/3.parquet", codes::FILE_VANISHED)];
    assert_eq!(found, expected.map(|(file, code)| (file.to_owned(), code.to_owned())));
}

#[test]
fn a_directory_without_parquet_says_where_it_looked() {
    let place = Place::new(1, settings());
    place.put("a/notes.txt", b"hello");
    let message = place.plan(shape(), ErrorMode::Continue).unwrap_err().to_string();
    assert!(message.contains("no file to import found among the 1 file at file://"), "{message}");
    assert!(message.contains("\"a/notes.txt\""), "{message}");
}

#[test]
fn wrong_schemas_are_bad_files_with_a_proposal() {
    let place = Place::new(1, settings());
    let vectors = || some_vectors(2, 4);
    let columns = [("_id", ids("", 2)), ("emb", vectors()), ("title", ids("t", 2))];
    place.put("1.parquet", &plain(&columns));
    place.put("2.parquet", &plain(&[("id", vectors()), ("values", vectors())]));
    place.put("3.parquet", &plain(&[("id", ids("", 2)), ("values", ids("", 2))]));
    place.put("4.parquet", b"no parquet at all");
    place.put("5.parquet", &[]);
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    assert!(plan.tasks.is_empty());
    let messages: Vec<&str> = plan.file_errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "1.parquet: it lacks the columns \"id\" (string) and \"values\" (list of float); it \
             has \"_id\" (string), \"emb\" (a list of float), \"title\" (string); start the \
             import with \"columns\": {\"id\":\"_id\",\"metadata\":[\"title\"],\"values\":\"emb\"} \
             (in a shell: --columns id=_id,values=emb,metadata=title)",
            "2.parquet: column \"id\" is a list of float, expected string (or integer)",
            "3.parquet: column \"values\" is string, expected list of float",
            "4.parquet: not a Parquet file: it ends with \" all\", expected \"PAR1\"",
            "5.parquet: not a Parquet file: it has 0 bytes, expected at least 12",
        ]
    );
}

#[test]
fn a_segment_is_sealed_at_its_rows_and_its_memory() {
    let mut small = settings();
    small.segment_rows = 30;
    let place = Place::new(2, small);
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(20)).build();
    let columns = [("id", ids("p-", 100)), ("values", some_vectors(100, 4))];
    place.put("1.parquet", &parquet(&columns, properties));
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    let outcome = place.run(&plan, 0).unwrap();
    let rows: Vec<u32> = outcome.segments.iter().map(|segment| segment.rows).collect();
    assert_eq!(rows, [20; 5]);
}

#[test]
fn the_same_bytes_come_out_of_one_and_of_four_threads() {
    let rows = 3000;
    let metadata: Vec<String> =
        (0..rows).map(|row| format!("{{\"k\":\"v{}\"}}", row % 9)).collect();
    let metadata: Vec<_> = metadata.iter().map(|text| Some(text.as_str())).collect();
    let columns = [
        ("id", ids("p-", rows)),
        ("values", some_vectors(rows, 4)),
        ("metadata", strings(&metadata)),
    ];
    let bytes = plain(&columns);
    let made = |threads| {
        let place = Place::new(threads, settings());
        place.put("1.parquet", &bytes);
        let plan = place.plan(shape(), ErrorMode::Abort).unwrap();
        let outcome = place.run(&plan, 0).unwrap();
        assert_eq!(outcome.segments.len(), 1);
        place.part(&outcome, 0)
    };
    assert!(made(1) == made(4));
}

#[test]
fn a_cancelled_task_makes_nothing() {
    let place = Place::new(1, settings());
    place.put("1.parquet", &table("x", 100));
    let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
    let (watch, stop_after) = (ImportWatch::default(), AtomicU32::new(NO_STOP));
    watch.cancel();
    let watch = TaskWatch::new(&watch, 0, &stop_after);
    let ran = LocalRunner::new(place.parts.clone()).run(&plan.tasks[0], &watch);
    assert!(matches!(ran, Err(TaskError::Cancelled)), "{ran:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A damaged file never takes the task down: in continue mode the outcome
    /// accounts for every row the footer promised, in abort mode the task
    /// fails with a reject or succeeds.
    #[test]
    fn damage_is_accounted_for(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
    ) {
        let place = Place::new(1, settings());
        let mut bytes = with_bad_rows(60);
        // The footer stays: planning would refuse the file otherwise.
        let end = bytes.len() - 8 - u32::from_le_bytes(
            bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
        for (at, flip) in flips {
            bytes[4 + at.index(end - 4)] ^= flip;
        }
        prop_assert!(whole(&Memory::new(bytes.clone()), &shape()).is_ok());
        place.put("1.parquet", &bytes);
        let plan = place.plan(shape(), ErrorMode::Continue).unwrap();
        let outcome = place.run(&plan, 0).unwrap();
        prop_assert_eq!(outcome.counts.read, 60);
        let plan = place.plan(shape(), ErrorMode::Abort).unwrap();
        match place.run(&plan, 0) {
            Ok(_) => prop_assert_eq!(outcome.rejects, 0),
            Err(TaskError::Rejected(reject)) => {
                prop_assert_eq!(Some(*reject), outcome.first_reject);
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
