//! The load history: which files each import loaded as a whole, and what of
//! it a later import may pass over.
//!
//! It is kept by import, written once when one has ended. A file counts in the
//! life of its namespace in which it was loaded: deleting a namespace, or all
//! of its records, ends that life in one commit, and so forgets its history.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crossbill_core::limits::LOADED_FILES_MAX;
use crossbill_core::{Error, Result};
use crossbill_import::{LoadedFiles, Plan, RecordText};
use crossbill_store::{Documents, ImportProgress, Root};
use serde::{Deserialize, Serialize};

use super::job::Job;
use super::rejects;
use crate::Index;
use crate::env::Env;

/// The kind under which it is stored.
const LOADED_KIND: &str = "import-loaded";
/// Rejects that are looked through at once.
const PAGE: usize = 1000;
/// How long an import waits for one that has ended to write its history.
const ENDING_WAIT_MAX: Duration = Duration::from_secs(10);
const ENDING_STEP: Duration = Duration::from_millis(20);

/// What one import loaded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Loaded {
    /// By namespace.
    namespaces: BTreeMap<String, LoadedInto>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct LoadedInto {
    /// The life of the namespace that it was loaded in.
    life: String,
    files: Vec<LoadedFile>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LoadedFile {
    location: String,
    etag: String,
    size: u64,
    rows: u64,
}

fn documents(root: &Root, job: &Job) -> Documents<Loaded> {
    Documents::new(root, job.dir.join("loaded"), LOADED_KIND)
}

/// Writes what an import that has ended loaded, unless that is written. Where
/// it fails, its files are loaded again another time.
pub(super) fn remember(index: &Index, job: &Job) {
    if let Err(error) = try_remember(index, job) {
        tracing::warn!(import = job.name(), %error, "what an import loaded was not noted");
    }
}

fn try_remember(index: &Index, job: &Job) -> Result<()> {
    let env = &index.context().env;
    if job.live().record.options.dry_run {
        return Ok(());
    }
    let documents = documents(&env.root, job);
    let plan = job.live().plan.clone();
    if documents.load()?.is_some() {
        return Ok(());
    }
    let plan = match plan {
        Some(plan) => plan,
        None => match job.load_plan(&env.root)? {
            Some(plan) => plan.into(),
            None => return Ok(()),
        },
    };
    let loaded = gather(env, index, job, &plan)?;
    if !loaded.namespaces.is_empty() {
        documents.commit(0, &loaded)?;
    }
    Ok(())
}

/// The files of which all tasks are committed and nothing was broken, in
/// namespaces that were not emptied meanwhile.
fn gather(env: &Env, index: &Index, job: &Job, plan: &Plan) -> Result<Loaded> {
    let name = job.name();
    let mut lives: HashMap<String, (String, ImportProgress)> = HashMap::new();
    for namespace in index.all_namespaces() {
        let progress = namespace.import_progress(&name);
        let Some(progress) = progress.filter(|one| !one.unpublished) else { continue };
        if let Some(life) = namespace.life().filter(|life| progress.life.as_ref() == Some(life)) {
            lives.insert(namespace.name().as_str().to_owned(), (life, progress));
        }
    }
    let mut is_whole: HashMap<&str, bool> = HashMap::new();
    let mut broken = HashSet::new();
    for task in &plan.tasks {
        let done =
            lives.get(&task.namespace).and_then(|(_, progress)| progress.tasks.get(&task.ordinal));
        if done.is_some_and(|counts| counts.broken > 0) {
            broken.extend(broken_files(env, index, job, task.ordinal)?);
        }
        for piece in &task.pieces {
            *is_whole.entry(&piece.file.path).or_insert(true) &= done.is_some();
        }
    }
    let mut loaded = Loaded::default();
    for planned in &plan.files {
        let path = planned.file.path.as_str();
        if is_whole.get(path) != Some(&true) || broken.contains(path) {
            continue;
        }
        let Some((life, _)) = lives.get(&planned.namespace) else { continue };
        let into = loaded.namespaces.entry(planned.namespace.clone()).or_default();
        into.life.clone_from(life);
        into.files.push(LoadedFile {
            location: planned.location.clone(),
            etag: planned.file.version(),
            size: planned.file.size,
            rows: planned.rows,
        });
    }
    Ok(loaded)
}

/// Files that a task could not read to the end.
fn broken_files(env: &Env, index: &Index, job: &Job, task: u32) -> Result<Vec<String>> {
    let log = rejects::open(env, index, job, &[], std::iter::once(task))?;
    let (mut files, mut seen) = (Vec::new(), 0);
    while seen < log.total() {
        let page = log.page(seen, PAGE, RecordText::Shown)?;
        if page.is_empty() {
            return Err(Error::internal("a log of rejects ends before its end"));
        }
        seen += page.len() as u64;
        files.extend(page.into_iter().filter(|reject| reject.row.is_none()).map(|one| one.file));
    }
    Ok(files)
}

/// What earlier imports of the index loaded and is still there.
pub(super) fn known(env: &Env, index: &Index, job: &Job) -> LoadedFiles {
    wait_for_ending(env, index, job);
    let lives: HashMap<String, String> = index
        .all_namespaces()
        .iter()
        .filter_map(|namespace| Some((namespace.name().as_str().to_owned(), namespace.life()?)))
        .collect();
    let mut known = LoadedFiles::default();
    for other in index.imports().all().iter().rev().filter(|other| other.is_final()) {
        let loaded = match documents(&env.root, other).load() {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(import = other.name(), %error, "what an import loaded is unknown");
                continue;
            }
        };
        for (namespace, into) in loaded.into_iter().flat_map(|stored| stored.value.namespaces) {
            if lives.get(&namespace) != Some(&into.life) {
                continue;
            }
            for file in into.files {
                if known.len() >= LOADED_FILES_MAX {
                    return known;
                }
                known.insert(&namespace, &file.location, &file.etag, file.size);
            }
        }
    }
    known
}

/// Waits for imports that have ended but still write what they loaded.
fn wait_for_ending(env: &Env, index: &Index, job: &Job) {
    let is_ending = || {
        let others = index.imports().all();
        others.iter().any(|other| other.id != job.id && other.is_final() && other.is_running())
    };
    let mut waited = Duration::ZERO;
    while is_ending() && waited < ENDING_WAIT_MAX && !job.is_stopped() {
        env.clock.sleep(ENDING_STEP);
        waited += ENDING_STEP;
    }
}
