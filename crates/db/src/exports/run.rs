//! Runs one export to its end. Whatever happens here, the process goes on:
//! an error or a panic ends this export only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbill_core::{DocumentFields, Error, NamespaceName, Result, TextSchema};
use crossbill_store::OpenDestination;
use crossbill_store::killpoint::reach;
use serde::Serialize;

use super::Waiting;
use super::job::{ExportRecord, Job, Part};
use super::layout::{MANIFEST, part_of};
use super::part_file::PartFile;
use crate::Index;
use crate::env::Env;
use crate::namespace::Cursor;
use crate::types::ImportStatus;

/// Why the work stopped without an error: somebody said so.
struct Stopped;

/// Runs the export that waited, unless it was cancelled meanwhile.
pub(crate) fn run(env: &Env, waiting: &Waiting) {
    let Some(index) = waiting.index.upgrade() else { return };
    let job = &*waiting.job;
    if job.is_stopped() || job.is_final() || index.check_open().is_err() {
        return;
    }
    job.set_running(true);
    let result = catch_unwind(AssertUnwindSafe(|| attempt(env, &index, job)))
        .unwrap_or_else(|_| Err(Error::internal("the export ended unexpectedly")));
    let now = env.clock.now();
    let ended = match result {
        // Cancelled, which is stored already, or interrupted: it goes on at
        // the next open.
        Ok(Err(Stopped)) => Ok(()),
        Ok(Ok(())) => job.update(|record| {
            record.status = ImportStatus::Completed;
            record.finished_at = Some(now);
        }),
        Err(error) if job.is_stopped() => {
            tracing::debug!(export = job.id, %error, "an export was stopped");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(export = job.id, %error, "export failed");
            job.update(|record| {
                record.status = ImportStatus::Failed;
                record.error = Some(error.message().to_owned());
                record.finished_at = Some(now);
            })
        }
    };
    if let Err(error) = ended {
        // It runs once more at the next open, and ends the same.
        tracing::error!(export = job.id, %error, "the end of an export was not stored");
    }
    job.set_running(false);
}

fn attempt(env: &Env, index: &Index, job: &Job) -> Result<std::result::Result<(), Stopped>> {
    let record = job.record();
    let place = env.destinations.check(&record.uri, record.integration.as_deref(), &env.policy)?;
    let destination = place.open(&env.policy, Arc::clone(&job.stop))?;
    if record.parts.is_empty() && record.status == ImportStatus::Pending {
        if !destination.is_empty()? {
            return Err(Error::failed_precondition(format!(
                "something lies at {} already, expected an empty or a new directory",
                record.uri
            )));
        }
        job.update(|record| record.status = ImportStatus::InProgress)?;
    }
    for namespace in &record.namespaces {
        if export_namespace(env, index, job, &destination, namespace)?.is_err() {
            return Ok(Err(Stopped));
        }
    }
    let _no_cancel_between = job.gate.lock();
    if job.is_stopped() {
        return Ok(Err(Stopped));
    }
    destination.write_bytes(MANIFEST, &manifest(index, &job.record())?)?;
    reach("export.manifest_written");
    Ok(Ok(()))
}

/// Writes the parts of a namespace that are not written yet.
fn export_namespace(
    env: &Env,
    index: &Index,
    job: &Job,
    destination: &OpenDestination,
    namespace: &str,
) -> Result<std::result::Result<(), Stopped>> {
    let found = index.namespace(&NamespaceName::new(namespace)?)?;
    loop {
        let parts = job.record().parts;
        let own = || parts.iter().filter(|part| part.namespace == namespace);
        let after = own().next_back().map(|part| part.last_id.clone());
        // Each part is of a moment of its own: what is held for one is given
        // back in time.
        let Some(cursor) = found.cursor() else { return Ok(Ok(())) };
        let part = PartFile::create(env.root.scratch(), index)?;
        let Ok((part, last_id)) = fill(part, &cursor, after, job)? else {
            return Ok(Err(Stopped));
        };
        let Some(last_id) = last_id else { return Ok(Ok(())) };
        let (rows, file) = (part.rows(), part_of(namespace, own().count(), part.ending())?);
        let scratch = part.finish()?;
        let _no_cancel_between = job.gate.lock();
        if job.is_stopped() {
            return Ok(Err(Stopped));
        }
        let (bytes, crc32c) = destination.write_file(&file, &scratch)?;
        reach("export.part_written");
        let namespace = namespace.to_owned();
        let part = Part { namespace, file, rows, bytes, crc32c, last_id };
        job.update(|record| record.parts.push(part))?;
        reach("export.part_recorded");
    }
}

type Filled = (PartFile, Option<String>);

/// Adds the records after `after` until the part is large enough or none is
/// left, and gives the last one's id.
fn fill(
    mut part: PartFile,
    cursor: &Cursor,
    mut after: Option<String>,
    job: &Job,
) -> Result<std::result::Result<Filled, Stopped>> {
    let mut last = None;
    while !part.is_full() {
        if job.is_stopped() {
            return Ok(Err(Stopped));
        }
        let records = cursor.records(after.as_deref(), part.page_rows());
        let Some(newest) = records.last() else { break };
        last = Some(newest.id.clone());
        part.add(&records)?;
        after.clone_from(&last);
    }
    Ok(Ok((part, last)))
}

/// What an export says about itself, for an audit.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    crossbill: &'static str,
    index: String,
    dimension: u32,
    metric: &'static str,
    vector_type: &'static str,
    /// Of an index of documents: the names of its vectors' fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<&'a DocumentFields>,
    /// Of an index of documents: its texts.
    #[serde(skip_serializing_if = "TextSchema::is_empty")]
    text: &'a TextSchema,
    started_at: String,
    records: u64,
    namespaces: &'a [String],
    files: Vec<ManifestFile<'a>>,
}

/// One file of it.
#[derive(Serialize)]
struct ManifestFile<'a> {
    file: &'a str,
    namespace: &'a str,
    records: u64,
    bytes: u64,
    crc32c: String,
}

fn manifest(index: &Index, record: &ExportRecord) -> Result<Vec<u8>> {
    let (shape, info) = (index.context().shape, index.info());
    let file = |part| {
        let Part { namespace, file, rows, bytes, crc32c, last_id: _ }: &Part = part;
        let crc32c = format!("{crc32c:08x}");
        ManifestFile { file, namespace, records: *rows, bytes: *bytes, crc32c }
    };
    let manifest = Manifest {
        crossbill: env!("CARGO_PKG_VERSION"),
        index: info.name.as_str().to_owned(),
        dimension: shape.dimension,
        metric: shape.metric.as_str(),
        vector_type: shape.vector_type.as_str(),
        documents: index.documents(),
        text: &info.text,
        started_at: record.created_at.to_string(),
        records: record.parts.iter().map(|part| part.rows).sum(),
        namespaces: &record.namespaces,
        files: record.parts.iter().map(file).collect(),
    };
    let mut json = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| Error::internal(format!("an export's manifest: {error}")))?;
    json.push(b'\n');
    Ok(json)
}
