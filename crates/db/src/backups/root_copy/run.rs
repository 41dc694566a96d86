//! Making one copy: links, files, manifest, name.

use std::io;
use std::sync::Arc;

use crossbill_core::{Error, Result};
use crossbill_store::{
    Added, CopiedNamespace, Documents, MANIFEST_KIND, Manifest, Root, RootCopy, RootOptions, Wal,
};

use super::CopyJob;
use crate::env::Env;
use crate::parts::index_dir;
use crate::types::ImportStatus;

/// Free bytes that a copy leaves on the disk it is written to.
const FREE_MIN: u64 = 64 << 20;

/// Makes the copy, and notes how it ended.
pub(crate) fn run(env: &Arc<Env>, job: &CopyJob) {
    job.change(|view| view.status = ImportStatus::InProgress);
    let made = make(env, job);
    let now = env.clock.now();
    job.change(|view| {
        view.finished_at = Some(now);
        view.status = match &made {
            Ok(()) => ImportStatus::Completed,
            Err(_) if job.is_stopped() => ImportStatus::Cancelled,
            Err(error) => {
                view.error = Some(error.message().to_owned());
                ImportStatus::Failed
            }
        };
    });
    let view = job.view();
    let (directory, bytes) = (view.directory.display(), view.bytes);
    match made {
        Ok(()) => tracing::info!(%directory, bytes, "the data directory was copied"),
        Err(_) if job.is_stopped() => tracing::info!(%directory, "a copy was cancelled"),
        Err(error) => tracing::error!(%directory, %error, "the data directory was not copied"),
    }
}

fn make(env: &Arc<Env>, job: &CopyJob) -> Result<()> {
    let stopped = || Error::failed_precondition("the copy was stopped");
    if job.is_stopped() {
        return Err(stopped());
    }
    let created_at = env.clock.now().to_string();
    let mut copy = RootCopy::begin(&env.root, &job.parent, &job.name)?;
    let snapshot = env.root.snapshot()?;
    job.change(|view| {
        view.files = snapshot.files().len() as u64;
        view.bytes = snapshot.files().iter().map(|file| file.bytes).sum();
    });
    copy.clear(&snapshot)?;
    let (needed, free) = copy.space(&snapshot)?;
    if needed.saturating_add(FREE_MIN) > free {
        return Err(Error::disk_full(format!(
            "the copy needs about {needed} bytes and {FREE_MIN} to spare, found {free} free"
        )));
    }
    let mut wait = |bytes: usize| {
        env.merge_pace.wait(bytes, &|| job.is_stopped());
        match job.is_stopped() {
            true => Err(io::Error::other("the copy was stopped")),
            false => Ok(()),
        }
    };
    for file in snapshot.files() {
        let added = copy.add(&snapshot, file, &mut wait)?;
        job.change(|view| match added {
            Added::Copied => view.bytes_copied += file.bytes,
            Added::Reused => view.bytes_reused += file.bytes,
        });
        if job.is_stopped() {
            return Err(stopped());
        }
    }
    drop(snapshot);
    let namespaces = namespaces(env, &copy)?;
    let program = format!("crossbill {}", env!("CARGO_PKG_VERSION"));
    copy.finish(&program, created_at, namespaces)?;
    Ok(())
}

/// Up to which write each namespace is in the copy. That its logs read is
/// known then, too.
fn namespaces(env: &Env, copy: &RootCopy) -> Result<Vec<CopiedNamespace>> {
    let root = Root::look_at_copy(RootOptions {
        path: copy.work().to_owned(),
        faults: None,
        ids: Arc::clone(&env.ids),
        clock: Arc::clone(&env.clock),
    })?;
    let mut found = Vec::new();
    for index in root.list_dirs(&crate::database::key("indexes")?)? {
        let dir = index_dir(&index)?.join("namespaces");
        for name in root.list_dirs(&dir)? {
            let dir = dir.join(&name);
            let documents: Documents<Manifest> =
                Documents::new(&root, dir.join("manifest"), MANIFEST_KIND);
            // One that is damaged is copied as it is: the doctor tells of it.
            let Ok(Some(stored)) = documents.load() else { continue };
            let flushed = stored.value.flushed_lsn;
            let Ok(log) = Wal::read(&root, &dir, flushed) else { continue };
            let lsn = log.frames.last().map_or(flushed, |(lsn, _)| *lsn);
            let (index, namespace) = (index.clone(), stored.value.namespace);
            found.push(CopiedNamespace { index, namespace, lsn });
        }
    }
    Ok(found)
}
