//! All that a root holds at one moment, as links beside it: what a kill of the
//! process at that moment would have left. Nothing is copied, so it takes as
//! long as making links does; changes of objects wait meanwhile, and reads and
//! appends to logs go on.
//!
//! Objects never change and a link outlives its object, so what is linked
//! stays as it was however long somebody reads it. A log is appended to in
//! place: of it, only the bytes of that moment count. What comes later may
//! speak of parts that are not there yet.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Root;
use crate::{StoreError, killpoint};

/// Directories below each other that are looked into.
const DEPTH_MAX: usize = 16;
/// What belongs to a process and not to the data.
const LEFT_OUT: [&str; 3] = ["lock", "scratch", crate::copy::MANIFEST];

/// A root at one moment; its links are deleted when this is dropped.
#[derive(Debug)]
pub struct RootSnapshot {
    directory: PathBuf,
    files: Vec<SnapshotFile>,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotFile {
    /// Its path below the root, with `/`.
    pub path: String,
    /// Its bytes at that moment; a log's file may have more by now.
    pub bytes: u64,
}

impl RootSnapshot {
    /// The files, in the order of their paths.
    pub fn files(&self) -> &[SnapshotFile] {
        &self.files
    }

    /// Where a file can be read.
    pub fn place_of(&self, file: &SnapshotFile) -> PathBuf {
        self.directory.join(&file.path)
    }
}

impl Drop for RootSnapshot {
    fn drop(&mut self) {
        // If this fails, the next opening of the root empties its scratch.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Root {
    /// Links everything that the root holds now.
    ///
    /// # Errors
    /// `Unavailable` where a link cannot be made; nothing is left then.
    pub fn snapshot(&self) -> Result<RootSnapshot, StoreError> {
        let name = format!("snapshot-{}", self.ids().next_id());
        let directory = self.0.path.join("scratch").join(name);
        let mut snapshot = RootSnapshot { directory, files: Vec::new() };
        let failed = |error: &io::Error| StoreError::io("linking", self.0.path.display(), error);
        fs::create_dir(&snapshot.directory).map_err(|error| failed(&error))?;
        {
            // No object is made or deleted while this is held.
            let _still = self.0.changes.write();
            killpoint::reach("snapshot.started");
            let to = snapshot.directory.clone();
            link(&self.0.path, &to, "", &mut snapshot.files).map_err(|error| failed(&error))?;
        }
        snapshot.files.sort();
        Ok(snapshot)
    }
}

/// Links what lies in `from` below `to`, directory by directory.
fn link(from: &Path, to: &Path, prefix: &str, files: &mut Vec<SnapshotFile>) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_directory = entry.file_type()?.is_dir();
        let is_left_out = prefix.is_empty() && LEFT_OUT.contains(&name.as_str());
        // An object that is being written means nothing.
        if !is_left_out && !name.contains('#') && !name.ends_with(".json.new") {
            names.push((name, is_directory));
        }
    }
    // Logs oldest first: whatever is behind the newest that was listed here
    // came later, and those before it are whole.
    names.sort();
    for (name, is_directory) in names {
        let (source, target) = (from.join(&name), to.join(&name));
        let path = format!("{prefix}{name}");
        if is_directory && prefix.matches('/').count() < DEPTH_MAX {
            fs::create_dir(&target)?;
            link(&source, &target, &format!("{path}/"), files)?;
            continue;
        }
        match fs::hard_link(&source, &target) {
            // A log's file that was no longer needed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        }
        let bytes = target.symlink_metadata()?.len();
        files.push(SnapshotFile { path, bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use crossbill_core::{RandomIds, SystemClock};

    use super::*;
    use crate::{Key, RootOptions, Wal};

    #[test]
    fn a_snapshot_stays_what_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(RootOptions {
            path: directory.path().to_owned(),
            faults: None,
            ids: Arc::new(RandomIds),
            clock: Arc::new(SystemClock::new()),
        })
        .unwrap();
        let key = |text: &str| Key::new(text).unwrap();
        root.put_new(&key("a/b"), Bytes::from_static(b"old")).unwrap();
        root.page_key().unwrap();
        fs::write(directory.path().join("a/c#3"), "half").unwrap();
        let (wal, _) = Wal::open(&root, &key("ns"), 0).unwrap();
        wal.append(b"first").unwrap();
        let snapshot = root.snapshot().unwrap();
        wal.append(b"second").unwrap();
        wal.truncate(2).unwrap();
        root.delete(&key("a/b")).unwrap();
        root.put_new(&key("a/d"), Bytes::from_static(b"new")).unwrap();
        let paths: Vec<&str> = snapshot.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/b", "ns/wal/00000000000000000001.wal", "page-key.json"]);
        let (object, log) = (&snapshot.files()[0], &snapshot.files()[1]);
        assert_eq!(fs::read(snapshot.place_of(object)).unwrap(), b"old");
        assert!(fs::read(snapshot.place_of(log)).unwrap().len() as u64 > log.bytes);
        let scratch = directory.path().join("scratch");
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
        drop(snapshot);
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
    }
}
