//! Imports one file beside a good one, through the planner and the runner.

use std::fs;
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
        let place = tempfile::tempdir().unwrap();
        let source = place.path().join("source");
        // Namespaces apart, so that each has a task of its own.
        fs::create_dir_all(source.join("bad")).unwrap();
        fs::create_dir_all(source.join("good")).unwrap();
        fs::write(source.join("bad").join(name), bytes).unwrap();
        let (ending, good) = make::good_beside(name);
        fs::write(source.join("good").join(ending), good).unwrap();

        let ids: Arc<dyn IdSource> = Arc::new(SeededIds::new(Seed(1)));
        let root = Root::open(RootOptions {
            path: place.path().join("data"),
            faults: None,
            ids: Arc::clone(&ids),
            clock: Arc::new(SystemClock::new()),
        })
        .unwrap();
        let policy =
            Arc::new(SourcePolicy { allow_dirs: vec![source.clone()], ..SourcePolicy::default() });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let settings = ImportSettings::new(1, 64 << 20);
        let request = PlanRequest {
            import: "1".into(),
            uri: format!("file://{}/", source.display()),
            integration: None,
            index_dir: "indexes/u".into(),
            shape: IndexShape::dense(make::DIMENSION as u32, Metric::Cosine),
            seed: Seed(42),
            error_mode: ErrorMode::Continue,
            errors_max: None,
            mapping: ColumnMapping::default(),
        };
        let opened = policy.open(&policy.check(&request.uri, None).unwrap()).unwrap();
        let watch = ImportWatch::default();
        let plan = plan(&opened, &request, &settings, &watch).unwrap();
        let parts = RunnerParts {
            policy: Arc::clone(&policy),
            root: root.clone(),
            pool: Arc::new(pool),
            ids,
            settings,
        };
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
        let imported = |namespace: &str| -> u64 {
            let of = outcomes.iter().filter(|outcome| outcome.namespace == namespace);
            of.map(|outcome| outcome.counts.imported).sum()
        };
        Self { first, imported: imported("bad"), good: imported("good") }
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
