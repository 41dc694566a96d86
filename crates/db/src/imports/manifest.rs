//! The completion manifest of an import that has ended: what was asked, what
//! was read, what came of it and where that lies. Enough to audit the import
//! and to repeat it.
//!
//! Everything in it follows from what is stored already (the record, the plan,
//! the reject tables, the namespaces' manifests), so it is made from these
//! once the import has ended, before the namespaces forget it: by the clean-up,
//! by whoever asks first, or after a crash by the next open.
//!
//! It is a head and chunks of entries, written first, so that neither writing
//! nor reading holds more than a chunk of it.

use std::collections::{BTreeSet, HashMap};

use crossbill_core::limits::MANIFEST_CHUNK_ENTRIES;
use crossbill_core::{Error, Result, Timestamp};
use crossbill_import::{Plan, PlannedFile, RejectSummary};
use crossbill_store::killpoint::reach;
use crossbill_store::{Documents, Root, TaskCounts};
use serde::{Deserialize, Serialize};

use super::job::Job;
use super::record::ImportRecord;
use super::rejects;
use crate::Index;
use crate::namespace::Namespace;
use crate::types::{ImportOptions, ImportStatus};

/// The kind of the head.
const HEAD_KIND: &str = "import-manifest";
/// The kind of a chunk of entries.
const CHUNK_KIND: &str = "import-entries";

/// The head of a completion manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportManifest {
    /// The program that wrote it, and its version.
    pub program: String,
    /// The index's name.
    pub index: String,
    /// The import's id.
    pub id: String,
    /// Where the files are.
    pub uri: String,
    /// The id of the integration that read them.
    pub integration: Option<String>,
    /// What else was asked.
    pub options: ImportOptions,
    /// How it ended.
    pub status: ImportStatus,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What became of the records.
    pub counts: TaskCounts,
    /// Rows that the footers of the files promise.
    pub rows_total: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    /// What else there was to say.
    pub warnings: Vec<String>,
    /// Rejects by code.
    pub rejects: Vec<RejectCount>,
    /// Files of the source.
    pub files: u64,
    /// Segments that hold what it imported.
    pub parts: u64,
}

/// How often a code occurs among the rejects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectCount {
    /// The code.
    pub code: String,
    /// Records with it.
    pub records: u64,
    /// Files with it.
    pub files: u64,
}

/// What became of a file of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It was read to its end.
    Read,
    /// The import ended before its end.
    Partial,
    /// The import ended before it.
    Unread,
    /// It was passed over: it had been loaded before.
    Skipped,
    /// It cannot be read, or not to its end.
    Broken,
}

impl FileState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            FileState::Read => "read",
            FileState::Partial => "partial",
            FileState::Unread => "unread",
            FileState::Skipped => "skipped",
            FileState::Broken => "broken",
        }
    }
}

/// A file of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Relative to the import's URI.
    pub path: String,
    /// Where it lies: the same for every URI that means it.
    pub location: String,
    /// The namespace of its records; empty where its place names none.
    pub namespace: String,
    /// The version of its content that was read.
    pub etag: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows that its footer promises, where that was read.
    pub rows: Option<u64>,
    /// Rows of them that are settled.
    pub rows_read: u64,
    /// What became of it.
    pub state: FileState,
    /// The code it is broken with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A segment that holds records of the import, as it was when the import
/// ended: the namespace's manifest said the same of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPart {
    /// The namespace it belongs to.
    pub namespace: String,
    /// Its name.
    pub part: String,
    /// The task that made it.
    pub task: Option<u32>,
    /// Rows in it, those that were replaced included.
    pub rows: u32,
    /// Its bytes.
    pub bytes: u64,
    /// The checksum of the file, which covers all of it.
    pub checksum: u32,
}

/// A head with some of its files and parts.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportManifestPage {
    /// The head.
    pub head: ImportManifest,
    /// Files of the page, in path order.
    pub files: Vec<ManifestFile>,
    /// Parts of the page, which come behind all files.
    pub parts: Vec<ManifestPart>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    File(ManifestFile),
    Part(ManifestPart),
}

impl Index {
    /// The completion manifest of an import that has ended, with up to `limit`
    /// of its files and parts (in this order) from number `offset` on.
    /// `FailedPrecondition` where it has not ended; `NotFound` where it ended
    /// before manifests were kept.
    pub fn import_manifest(
        &self,
        id: &str,
        offset: u64,
        limit: usize,
    ) -> Result<ImportManifestPage> {
        self.check_open()?;
        let job = self.imports().get(id)?;
        let head = ensure(self, &job)?;
        let root = &self.context().env.root;
        let mut page = ImportManifestPage { head, files: Vec::new(), parts: Vec::new() };
        let end = offset.saturating_add(limit as u64).min(page.head.files + page.head.parts);
        let mut at = offset;
        while at < end {
            let (chunk, within) =
                (at / MANIFEST_CHUNK_ENTRIES as u64, at % MANIFEST_CHUNK_ENTRIES as u64);
            let stored = chunk_documents(root, &job, chunk).load()?;
            let entries = stored.ok_or_else(|| missing(&job, chunk))?.value;
            let wanted = entries.into_iter().skip(within as usize).take((end - at) as usize);
            let before = at;
            for entry in wanted {
                at += 1;
                match entry {
                    Entry::File(file) => page.files.push(file),
                    Entry::Part(part) => page.parts.push(part),
                }
            }
            if at == before {
                return Err(missing(&job, chunk));
            }
        }
        Ok(page)
    }
}

fn missing(job: &Job, chunk: u64) -> Error {
    Error::corrupt(format!(
        "the manifest of import {} lacks entries of its chunk {chunk}",
        job.name()
    ))
}

fn head_documents(root: &Root, job: &Job) -> Documents<ImportManifest> {
    Documents::new(root, job.dir.join("manifest").join("head"), HEAD_KIND)
}

fn chunk_documents(root: &Root, job: &Job, chunk: u64) -> Documents<Vec<Entry>> {
    let name = format!("{chunk:06}");
    Documents::new(root, job.dir.join("manifest").join(&name), CHUNK_KIND)
}

/// The head of the manifest; written now where it is not there yet.
pub(super) fn ensure(index: &Index, job: &Job) -> Result<ImportManifest> {
    let _one_writes = job.manifest.lock();
    let record = job.live().record.clone();
    if !record.status.is_final() {
        return Err(Error::failed_precondition(format!(
            "import {} is {}, expected it to have ended: its manifest is written then",
            job.name(),
            record.status.as_str()
        )));
    }
    let documents = head_documents(&index.context().env.root, job);
    let stored = documents.load()?;
    let finished_at = record.end.as_ref().and_then(|end| end.finished_at);
    let base = match stored {
        // One that failed unread may have been cancelled since.
        Some(stored)
            if (stored.value.status, stored.value.finished_at) == (record.status, finished_at) =>
        {
            return Ok(stored.value);
        }
        Some(stored) => stored.version,
        None => 0,
    };
    let head = write(index, job, record)?;
    reach("import.manifest_entries");
    documents.commit(base, &head)?;
    reach("import.manifest_written");
    Ok(head)
}

/// Writes the entries; the head that belongs to them.
fn write(index: &Index, job: &Job, record: ImportRecord) -> Result<ImportManifest> {
    let env = &index.context().env;
    let name = job.name();
    let end = record.end.unwrap_or_default();
    let namespaces = index.all_namespaces();
    let plan = job.load_plan(&env.root)?;
    let done = done(job, &namespaces, end.dry_tasks, end.overrun_task);
    if done.is_empty() && end.counts.imported > 0 {
        return Err(Error::not_found(format!(
            "import {name} has no manifest: it ended before manifests were kept"
        )));
    }
    let summary = rejects::log(index, job)?.summary()?;
    let mut chunks = Chunks { root: &env.root, job, chunk: Vec::new(), written: 0 };
    let files = plan.as_ref().map_or(Ok(0), |plan| write_files(&mut chunks, plan, &done, &summary));
    let files = files?;
    let mut parts = 0;
    for namespace in &namespaces {
        for part in namespace.parts_of_import(&name) {
            chunks.add(Entry::Part(part))?;
            parts += 1;
        }
    }
    chunks.flush()?;
    let counts = |(code, (records, files))| RejectCount { code, records, files };
    Ok(ImportManifest {
        program: concat!("crossbill ", env!("CARGO_PKG_VERSION")).to_owned(),
        index: index.info().name.as_str().to_owned(),
        id: name,
        uri: record.uri,
        integration: record.integration,
        options: record.options,
        status: record.status,
        created_at: record.created_at,
        finished_at: end.finished_at,
        counts: end.counts,
        rows_total: end.rows_total,
        error: end.error,
        warnings: end.warnings,
        rejects: summary.codes.into_iter().map(counts).collect(),
        files,
        parts,
    })
}

/// The tasks that count.
fn done(
    job: &Job,
    namespaces: &[std::sync::Arc<Namespace>],
    dry_tasks: Option<u32>,
    overrun_task: Option<u32>,
) -> BTreeSet<u32> {
    if let Some(tasks) = dry_tasks {
        return (0..tasks).collect();
    }
    let mut done = job.live().committed.clone().unwrap_or_default();
    for namespace in namespaces {
        done.extend(namespace.import_progress(&job.name()).unwrap_or_default().tasks.into_keys());
    }
    // Its rejects count, but none of its rows is settled for good.
    if let Some(task) = overrun_task {
        done.remove(&task);
    }
    done
}

fn write_files(
    chunks: &mut Chunks<'_>,
    plan: &Plan,
    done: &BTreeSet<u32>,
    summary: &RejectSummary,
) -> Result<u64> {
    let mut rows_read: HashMap<&str, u64> = HashMap::new();
    for task in plan.tasks.iter().filter(|task| done.contains(&task.ordinal)) {
        for piece in &task.pieces {
            *rows_read.entry(&piece.file.path).or_default() += piece.rows;
        }
    }
    let broken: BTreeSet<&str> = plan.file_errors.iter().map(|one| one.file.as_str()).collect();
    let (mut read, mut passed) = (plan.files.iter().peekable(), plan.passed.iter().peekable());
    let mut files = 0;
    loop {
        let is_read_next = match (read.peek(), passed.peek()) {
            (Some(read), Some(passed)) => read.file.path < passed.file.path,
            (read, _) => read.is_some(),
        };
        let next = if is_read_next { read.next() } else { passed.next() };
        let Some(planned) = next else { return Ok(files) };
        let path = planned.file.path.as_str();
        let rows = is_read_next.then_some(planned.rows);
        let rows_read = rows_read.get(path).copied().unwrap_or(0);
        let code = summary.broken.get(path).cloned();
        let state = match rows {
            _ if code.is_some() || broken.contains(path) => FileState::Broken,
            None => FileState::Skipped,
            Some(rows) if rows_read == rows => FileState::Read,
            Some(_) if rows_read > 0 => FileState::Partial,
            Some(_) => FileState::Unread,
        };
        chunks.add(Entry::File(manifest_file(planned, rows, rows_read, state, code)))?;
        files += 1;
    }
}

fn manifest_file(
    planned: &PlannedFile,
    rows: Option<u64>,
    rows_read: u64,
    state: FileState,
    code: Option<String>,
) -> ManifestFile {
    ManifestFile {
        path: planned.file.path.clone(),
        location: planned.location.clone(),
        namespace: planned.namespace.clone(),
        etag: planned.file.version(),
        bytes: planned.file.size,
        rows,
        rows_read,
        state,
        code,
    }
}

/// Entries on their way to the store.
struct Chunks<'a> {
    root: &'a Root,
    job: &'a Job,
    chunk: Vec<Entry>,
    written: u64,
}

impl Chunks<'_> {
    fn add(&mut self, entry: Entry) -> Result<()> {
        self.chunk.push(entry);
        if self.chunk.len() == MANIFEST_CHUNK_ENTRIES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        if chunk.is_empty() {
            return Ok(());
        }
        let documents = chunk_documents(self.root, self.job, self.written);
        // What a process that was killed here wrote.
        let stored = documents.load()?;
        let is_there = stored.as_ref().is_some_and(|stored| stored.value == chunk);
        if !is_there {
            documents.commit(stored.map_or(0, |stored| stored.version), &chunk)?;
        }
        self.written += 1;
        Ok(())
    }
}
