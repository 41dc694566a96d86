//! Documents: every version is whole and of the kind that its place is for,
//! and the newest ones of imports and exports read.

use crossbill_store::{RootFile, StoreError, StoredIntegrations};

use super::{Scrubber, key};
use crate::catalog::Catalog;
use crate::parts::index_dir;
use crate::{exports, imports};

const OLDER_ADVICE: &str = "nothing reads it: newer versions have taken its place, and it goes \
    with one of the next";
const JOB_ADVICE: &str = "what it says of this import or export is lost; records are not";
const CONTENT_ADVICE: &str = "start from a copy of the data directory made before, or remove what \
    this document describes";
const PRIVATE_ADVICE: &str = "restore the file from a copy, or move it away and set up its \
    integrations again; without page-key.json a new key is made and listings under way begin anew";

impl Scrubber<'_> {
    /// Compares the checksums of all documents.
    pub(super) fn documents(&mut self, files: &[RootFile]) {
        let all: Vec<&RootFile> =
            files.iter().filter(|file| kind_at(&file.path).is_some()).collect();
        for (place, file) in all.iter().enumerate() {
            let next = all.get(place + 1);
            let is_newest = next.is_none_or(|next| directory(&next.path) != directory(&file.path));
            self.read(file.bytes);
            if let Err(problem) = self.document(&file.path) {
                match is_newest {
                    true => self.report.problem(&file.path, &problem, CONTENT_ADVICE),
                    false => self.report.warning(&file.path, &problem, OLDER_ADVICE),
                }
            }
        }
    }

    fn document(&mut self, path: &str) -> Result<(), String> {
        let key = key(path).map_err(|error| error.message().to_owned())?;
        let facts = match self.root.check_document(&key) {
            Ok(Some(facts)) => facts,
            // An older one that a server pruned since.
            Ok(None) => return Ok(()),
            Err(StoreError::Corrupt { problem, .. }) => return Err(problem),
            Err(error) => return Err(error.to_string()),
        };
        self.report.documents += 1;
        let expected = kind_at(path).unwrap_or_default();
        if facts.kind != expected {
            return Err(format!(
                "found a document of kind {:?}, expected {expected:?}",
                facts.kind
            ));
        }
        let named = version_of(path);
        if named != Some(facts.version) {
            return Err(format!("found version {}, its name says another", facts.version));
        }
        Ok(())
    }

    /// Reads integrations and the page key.
    pub(super) fn private_documents(&mut self) {
        if let Err(error) = StoredIntegrations::open(&self.root) {
            self.report.problem("integrations.json", error.message(), PRIVATE_ADVICE);
        }
        // Without one, the next start makes one.
        if let Err(error @ StoreError::Corrupt { .. }) = self.root.page_key() {
            self.report.problem("page-key.json", &error.to_string(), PRIVATE_ADVICE);
        }
    }

    /// Reads the records of imports and exports and the tables of rejects.
    pub(super) fn jobs(&mut self, files: &[RootFile], catalog: &Catalog) {
        for (name, entry) in &catalog.indexes {
            let uid = entry.info(name).uid;
            for what in ["imports", "exports"] {
                let Ok(dir) = index_dir(&uid).map(|dir| dir.join(what)) else { continue };
                let names = self.root.list_dirs(&dir).unwrap_or_default();
                for id in names.iter().filter_map(|name| name.parse::<u64>().ok()) {
                    let read = match what {
                        "imports" => imports::check(&self.root, &dir, id),
                        _ => exports::check(&self.root, &dir, id),
                    };
                    if let Err(error) = read {
                        let place = format!("{dir}/{id}");
                        self.report.problem(&place, error.message(), JOB_ADVICE);
                    }
                }
            }
        }
        for file in files.iter().filter(|file| is_reject_table(&file.path)) {
            self.read(file.bytes);
            let checked = key(&file.path).and_then(|key| imports::check_rejects(&self.root, &key));
            match checked {
                Ok(()) => self.report.reject_tables += 1,
                Err(error) if error.kind() == crossbill_core::ErrorKind::NotFound => {}
                Err(error) => self.report.problem(&file.path, error.message(), JOB_ADVICE),
            }
        }
    }
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn version_of(path: &str) -> Option<u64> {
    path.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
}

/// The kind of document that a path is for; nothing where it is for none.
pub(super) fn kind_at(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next()?.strip_suffix(".json")?;
    if name.len() != 20 || !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["catalog", _] => Some("catalog"),
        ["backups", _, "content", _] => Some("backup"),
        ["indexes", _, "namespaces", _, "manifest", _] => Some("manifest"),
        ["indexes", _, "imports", _, "record", _] => Some("import-record"),
        ["indexes", _, "imports", _, "plan", _] => Some("import-plan"),
        ["indexes", _, "imports", _, "loaded", _] => Some("import-loaded"),
        ["indexes", _, "imports", _, "manifest", "head", _] => Some("import-manifest"),
        ["indexes", _, "imports", _, "manifest", _, _] => Some("import-entries"),
        ["indexes", _, "exports", _, "record", _] => Some("export-record"),
        _ => None,
    }
}

/// Whether a path is that of a task's rejects.
pub(super) fn is_reject_table(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts.as_slice(), ["indexes", _, "imports", _, "rejects", name]
        if name.ends_with(".parquet"))
}
