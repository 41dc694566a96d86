//! Who refers to which part: the manifests of all namespaces and the contents
//! of all backups, and the log of each namespace beside its manifest.

use std::collections::{HashMap, HashSet};

use crossbill_core::{Error, IndexShape, Result};
use crossbill_store::{Documents, MANIFEST_KIND, Manifest, SegmentEntry, Wal};

use super::Scrubber;
use crate::backups::backup_manifests;
use crate::catalog::Catalog;
use crate::imports;
use crate::namespace::{check_tombstones, directory_name};
use crate::parts::{index_dir, key_of};

/// How often a namespace whose files change while they are read is read anew.
const ATTEMPTS_MAX: u32 = 8;

/// What somebody expects of a part.
pub(super) struct Expected {
    pub(super) entry: SegmentEntry,
    pub(super) shape: IndexShape,
    /// Who expects it, for people.
    pub(super) by: String,
}

/// Parts by key, and what is expected of them.
#[derive(Default)]
pub(super) struct References {
    pub(super) parts: HashMap<String, Vec<Expected>>,
    /// Indexes of whose parts nobody knows who refers to them.
    pub(super) blocked: HashSet<String>,
}

/// What is advised where a namespace is damaged.
pub(super) const NAMESPACE_ADVICE: &str = "restore the index from a backup or the data directory \
    from a copy made before, or delete this namespace's records and import them again";
const TORN_ADVICE: &str = "the next start cuts them off; where no crash came before, suspect \
    the disk";
const BACKUP_ADVICE: &str = "delete the backup and make another one (crossbill backups delete)";

impl Scrubber<'_> {
    /// Reads all manifests and logs, and the contents of all backups.
    pub(super) fn references(&mut self, catalog: &Catalog, references: &mut References) {
        for (name, entry) in &catalog.indexes {
            let info = entry.info(name);
            let directories = index_dir(&info.uid)
                .and_then(|dir| Ok(self.root.list_dirs(&dir.join("namespaces"))?));
            let directories = match directories {
                Ok(directories) => directories,
                Err(error) => {
                    let place = format!("indexes/{}", info.uid);
                    self.report.problem(&place, error.message(), NAMESPACE_ADVICE);
                    references.blocked.insert(info.uid.clone());
                    continue;
                }
            };
            for directory in directories {
                let by = |manifest: &Manifest| {
                    format!("namespace {:?} of index {name}", manifest.namespace)
                };
                match self.namespace(&info.uid, &directory) {
                    Ok(Some(manifest)) => {
                        self.report.namespaces += 1;
                        let by = by(&manifest);
                        self.note(&info.uid, info.shape, &manifest, &by, references);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let place = format!("indexes/{}/namespaces/{directory}", info.uid);
                        let found = format!("index {name}: {}", error.message());
                        self.report.problem(&place, &found, NAMESPACE_ADVICE);
                        references.blocked.insert(info.uid.clone());
                        references.blocked.extend(catalog.origins(name));
                    }
                }
            }
        }
        for backup in catalog.backups.backups.values() {
            match backup_manifests(&self.root, &backup.id) {
                Ok(manifests) => {
                    let by = format!("backup {} of index {}", backup.id, backup.index);
                    for manifest in manifests {
                        self.note(&backup.index_uid, backup.shape, &manifest, &by, references);
                    }
                }
                Err(error) => {
                    let place = format!("backups/{}", backup.id);
                    self.report.problem(&place, error.message(), BACKUP_ADVICE);
                    references.blocked.extend(backup.origins.iter().cloned());
                }
            }
        }
    }

    /// The manifest of a namespace, its log checked beside it. A server may
    /// commit and cut the log between the two: then both are read again.
    fn namespace(&mut self, uid: &str, directory: &str) -> Result<Option<Manifest>> {
        let dir = index_dir(uid)?.join("namespaces").join(directory);
        let documents: Documents<Manifest> =
            Documents::new(&self.root, dir.join("manifest"), MANIFEST_KIND);
        let mut attempt = 1;
        loop {
            let Some(stored) = documents.load()? else { return Ok(None) };
            if directory_name(&stored.value.namespace) != directory {
                return Err(Error::corrupt(format!(
                    "the directory holds namespace {:?}, expected the one it is named after",
                    stored.value.namespace
                )));
            }
            let error = match Wal::read(&self.root, &dir, stored.value.flushed_lsn) {
                Ok(log) => {
                    for (lsn, payload) in &log.frames {
                        crate::ops::decode(payload).map_err(|error| {
                            let message = Error::from(error).message().to_owned();
                            Error::corrupt(format!("frame {lsn} of the log: {message}"))
                        })?;
                    }
                    self.report.frames += log.frames.len() as u64;
                    if log.torn_bytes > 0 && !self.report.is_live {
                        let found = format!(
                            "{} bytes at its end are no whole write: a crash leaves that, and \
                             they were never acknowledged",
                            log.torn_bytes
                        );
                        self.report.warning(&format!("{dir}/wal"), &found, TORN_ADVICE);
                    }
                    return Ok(Some(stored.value));
                }
                Err(error) => error,
            };
            let newer = documents.load()?.map(|newer| newer.version) != Some(stored.version);
            if !(self.report.is_live || newer) || attempt == ATTEMPTS_MAX {
                return Err(error.into());
            }
            attempt += 1;
        }
    }

    fn has_ended(&self, uid: &str, import: Option<&str>) -> bool {
        let dir = index_dir(uid).map(|dir| dir.join("imports"));
        let id = import.and_then(|import| import.parse::<u64>().ok());
        match (dir, id) {
            // A record that cannot be read is a finding of its own.
            (Ok(dir), Some(id)) => imports::has_ended(&self.root, &dir, id).unwrap_or(false),
            _ => false,
        }
    }

    fn note(
        &mut self,
        uid: &str,
        shape: IndexShape,
        manifest: &Manifest,
        by: &str,
        references: &mut References,
    ) {
        // What an import that has ended kept aside is given up, though the
        // manifest may name it until the next commit.
        let is_needed = |entry: &&SegmentEntry| !self.has_ended(uid, entry.import.as_deref());
        let staged: Vec<&SegmentEntry> = manifest.staged.iter().filter(is_needed).collect();
        for entry in manifest.segments.iter().chain(staged) {
            let key = match key_of(uid, &entry.part) {
                Ok(key) => key,
                Err(error) => {
                    let found = format!("{by} names a part that cannot be: {}", error.message());
                    self.report.problem(&entry.part, &found, NAMESPACE_ADVICE);
                    continue;
                }
            };
            if let Some(Err(problem)) = entry.deleted.as_deref().map(check_tombstones) {
                let found = format!("the deleted rows that {by} names: {problem}");
                self.report.problem(key.as_str(), &found, NAMESPACE_ADVICE);
            }
            let expected = Expected { entry: entry.clone(), shape, by: by.to_owned() };
            references.parts.entry(key.to_string()).or_default().push(expected);
        }
    }
}
