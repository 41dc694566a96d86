//! Imports files through the planner and the runner.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crossbill_core::{IdSource, IndexShape, Metric, Seed, SeededIds, SystemClock};
use crossbill_import::{
    ColumnMapping, ErrorMode, ImportError, ImportSettings, ImportWatch, Ledger, LocalRunner,
    PlanRequest, RecordText, Reject, RejectLog, RunnerParts, TaskOutcome, TaskSpec, execute,
    first_reason, plan,
};
use crossbill_store::{Key, Root, RootOptions, SourcePolicy};

use crate::make;

/// What an import came to.
pub(crate) struct Import {
    /// The first reject in source order, of the bad file.
    pub(crate) first: Option<Reject>,
    pub(crate) imported: u64,
    /// Records of the good file.
    pub(crate) good: u64,
}

/// Keeps outcomes; nothing was committed before.
#[derive(Default)]
struct Kept(Mutex<Vec<TaskOutcome>>);

impl Ledger for Kept {
    fn committed(&self, _: &TaskSpec) -> bool {
        false
    }

    fn errors(&self) -> u64 {
        0
    }

    fn commit(&self, _: &TaskSpec, outcome: &TaskOutcome) -> crossbill_core::Result<()> {
        self.0.lock().unwrap().push(outcome.clone());
        Ok(())
    }
}

impl Import {
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        let place = Place::new();
        // Namespaces apart, so that each has a task of its own.
        place.write(&format!("bad/{name}"), bytes);
        let (ending, good) = make::good_beside(name);
        place.write(&format!("good/{ending}"), &good);
        let shape = IndexShape::dense(make::DIMENSION as u32, Metric::Cosine);
        let done = place.import(shape, ImportSettings::new(1, MEMORY_BYTES));
        let imported = |namespace: &str| -> u64 {
            let of = done.outcomes.iter().filter(|outcome| outcome.namespace == namespace);
            of.map(|outcome| outcome.counts.imported).sum()
        };
        Self { imported: imported("bad"), good: imported("good"), first: done.first }
    }
}

/// Memory that an import is given.
pub(crate) const MEMORY_BYTES: u64 = 64 << 20;

/// A source and a place for what is made of it, both gone in the end.
pub(crate) struct Place(tempfile::TempDir);

/// What tasks made.
pub(crate) struct Done {
    pub(crate) outcomes: Vec<TaskOutcome>,
    /// The first reject in source order.
    pub(crate) first: Option<Reject>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The path of a source file, below a folder that is there.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Imports the source, in continue mode.
    pub(crate) fn import(&self, shape: IndexShape, settings: ImportSettings) -> Done {
        let source = self.0.path().join("source");
        let ids: Arc<dyn IdSource> = Arc::new(SeededIds::new(Seed(1)));
        let root = Root::open(RootOptions {
            path: self.0.path().join("data"),
            faults: None,
            ids: Arc::clone(&ids),
            clock: Arc::new(SystemClock::new()),
        })
        .unwrap();
        let policy =
            Arc::new(SourcePolicy { allow_dirs: vec![source.clone()], ..SourcePolicy::default() });
        let request = PlanRequest {
            import: "1".into(),
            uri: format!("file://{}/", source.display()),
            integration: None,
            index_dir: "indexes/u".into(),
            shape,
            text: Default::default(),
            documents: None,
            seed: Seed(42),
            error_mode: ErrorMode::Continue,
            errors_max: None,
            dry_run: false,
            loaded: Default::default(),
            mapping: ColumnMapping::default(),
        };
        let opened = policy.open(&policy.check(&request.uri, None).unwrap()).unwrap();
        let watch = ImportWatch::default();
        let plan = plan(&opened, &request, &settings, &watch).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let parts = RunnerParts { policy, root: root.clone(), pool: Arc::new(pool), ids, settings };
        let kept = Kept::default();
        execute(&plan, &LocalRunner::new(parts), &kept, 1, &watch)
            .map_err(|error: ImportError| error.to_string())
            .unwrap();
        let outcomes = kept.0.into_inner().unwrap();
        let firsts: Vec<Reject> =
            outcomes.iter().filter_map(|outcome| outcome.first_reject.clone()).collect();
        let keys: Vec<Key> = outcomes
            .iter()
            .filter_map(|outcome| outcome.rejects_key.as_deref())
            .map(|key| Key::new(key).unwrap())
            .collect();
        // The log says the same as the outcomes.
        let log = RejectLog::open(&root, &plan.file_errors, &keys).unwrap();
        let first = first_reason(&plan, &firsts).cloned();
        assert_eq!(log.page(0, 1, RecordText::Shown).unwrap().first(), first.as_ref());
        Done { outcomes, first }
    }
}

/// The peak of the process's memory from a moment on.
pub(crate) struct Peak(Option<u64>);

impl Peak {
    pub(crate) fn begin() -> Self {
        // Resets the peak, where the system lets it be reset.
        let is_reset = fs::write("/proc/self/clear_refs", "5").is_ok();
        Self(if is_reset { peak_kib() } else { None })
    }

    pub(crate) fn growth_mib(&self) -> u64 {
        let growth = self.0.zip(peak_kib()).map(|(before, after)| after.saturating_sub(before));
        growth.unwrap_or(0) / 1024
    }
}

fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
