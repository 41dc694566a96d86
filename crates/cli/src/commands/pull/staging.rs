//! The directory of a pull: its checkpoint, its files, and nobody else's. It
//! may hold other things, which are left alone.
//!
//! ```text
//! <staging>/
//!   pull.lock             held while a pull runs
//!   pull.json             the checkpoint
//!   records-<id>/…        whole files, in the layout that imports read
//!   scratch-<id>/…        unfinished files, swept at every start
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, Errand, StagedFile, failed, sync_parent};
use crate::error::{CliError, Result};
use crate::output;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// A staging directory that belongs to this process.
pub(super) struct Staging {
    directory: PathBuf,
    _lock: File,
}

impl Staging {
    /// Makes the directory where it is missing, and takes it.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let made = fs::create_dir_all(directory).and_then(|()| directory.canonicalize());
        let directory = made.map_err(|error| failed("making", directory, &error))?;
        let path = directory.join("pull.lock");
        let lock = File::create(&path).map_err(|error| failed("making", &path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(CliError::failed(format!(
                "another pull works in {}, expected none",
                directory.display()
            ))
            .hint("wait for it, or name another directory with --staging DIR")),
            Err(TryLockError::Error(error)) => Err(failed("locking", &path, &error)),
        }
    }

    /// The checkpoint that lies here; refused where it is of another errand.
    pub(super) fn checkpoint(&self, errand: &Errand) -> Result<Option<Checkpoint>> {
        let found = Checkpoint::read(&self.checkpoint_path())?;
        match &found {
            Some(checkpoint) if checkpoint.errand != *errand => Err(CliError::failed(format!(
                "{} holds a pull of {}, expected one of {}",
                self.directory.display(),
                told(&checkpoint.errand),
                told(errand)
            ))
            .hint("name another directory with --staging DIR, or remove this one")),
            _ => Ok(found),
        }
    }

    /// Stores how far the pull is.
    pub(super) fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.write(&self.checkpoint_path())
    }

    /// Where whole files lie.
    pub(super) fn records(&self, checkpoint: &Checkpoint) -> PathBuf {
        self.directory.join(format!("records-{}", checkpoint.id))
    }

    /// Where files lie while they are written.
    pub(super) fn scratch(&self, checkpoint: &Checkpoint) -> PathBuf {
        self.directory.join(format!("scratch-{}", checkpoint.id))
    }

    /// Makes the disk what the checkpoint says: drops what is unfinished or
    /// not counted, and starts a namespace anew whose files are not as they
    /// were written.
    pub(super) fn settle(&self, checkpoint: &mut Checkpoint) -> Result<()> {
        let (records, scratch) = (self.records(checkpoint), self.scratch(checkpoint));
        remove_all(&scratch)?;
        for directory in [&records, &scratch] {
            fs::create_dir_all(directory).map_err(|error| failed("making", directory, &error))?;
        }
        for namespace in &mut checkpoint.namespaces {
            let bad = namespace.files.iter().find_map(|file| problem(&records, file));
            if let Some(problem) = bad {
                output::note(&format!(
                    "{problem}; reading namespace {:?} from its beginning",
                    namespace.name
                ));
                namespace.restart();
            }
        }
        self.save_and_sweep(checkpoint)
    }

    /// Stores the checkpoint, then drops the files that it does not count.
    pub(super) fn save_and_sweep(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.save(checkpoint)?;
        let records = self.records(checkpoint);
        let known = checkpoint.files().map(|file| records.join(&file.path)).collect();
        sweep(&records, &known).map_err(|error| failed("sweeping", &records, &error))
    }

    /// Removes what the pull made; the checkpoint last, so that a crash in
    /// between is not taken for lost files.
    pub(super) fn remove(self, checkpoint: &Checkpoint) -> Result<()> {
        remove_all(&self.scratch(checkpoint))?;
        remove_all(&self.records(checkpoint))?;
        let path = self.checkpoint_path();
        fs::remove_file(&path).map_err(|error| failed("removing", &path, &error))?;
        sync_parent(&path).map_err(|error| failed("removing", &path, &error))?;
        // What is left of it is in nobody's way.
        let _ = fs::remove_file(self.directory.join("pull.lock"));
        let _ = fs::remove_dir(&self.directory);
        Ok(())
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.directory.join("pull.json")
    }
}

fn told(errand: &Errand) -> String {
    let namespaces = match errand.namespaces.as_slice() {
        [] => "all namespaces".to_owned(),
        some => format!("the namespaces {some:?}"),
    };
    format!("{namespaces} of {} into {} by {:?}", errand.from, errand.into, errand.load)
}

fn remove_all(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("removing", directory, &error))
        }
        _ => Ok(()),
    }
}

/// What is wrong with a staged file, if anything.
fn problem(records: &Path, file: &StagedFile) -> Option<String> {
    let path = records.join(&file.path);
    let problem = match measure(&path) {
        Ok((bytes, crc32c)) if (bytes, crc32c) == (file.bytes, file.crc32c) => return None,
        Ok((bytes, crc32c)) => format!(
            "has {bytes} bytes with checksum {crc32c:08x}, expected {} with {:08x}",
            file.bytes, file.crc32c
        ),
        Err(error) => format!("cannot be read: {error}"),
    };
    Some(format!("{} {problem}", path.display()))
}

/// Bytes of a file and their CRC-32C.
pub(super) fn measure(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let (mut bytes, mut crc) = (0, 0);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, crc)),
            read => {
                bytes += read as u64;
                crc = crc32c::crc32c_append(crc, &buffer[..read]);
            }
        }
    }
}

/// Removes every file below `directory` that is not known.
fn sweep(directory: &Path, known: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            sweep(&path, known)?;
        } else if !known.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::{Load, Namespace};
    use super::*;

    fn errand(into: &str) -> Errand {
        let from = "http://h/".to_owned();
        Errand { from, into: into.into(), namespaces: Vec::new(), load: Load::Import }
    }

    fn staged(staging: &Staging, checkpoint: &Checkpoint, path: &str, text: &str) -> StagedFile {
        let whole = staging.records(checkpoint).join(path);
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(&whole, text).unwrap();
        let (bytes, crc32c) = measure(&whole).unwrap();
        StagedFile { path: path.into(), rows: 1, bytes, crc32c }
    }

    #[test]
    fn one_pull_at_a_time_and_of_one_errand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/one");
        let staging = Staging::open(&path).unwrap();
        assert!(Staging::open(&path).err().unwrap().to_string().contains("another pull"));
        assert!(staging.checkpoint(&errand("a")).unwrap().is_none());
        let checkpoint = Checkpoint::new("x".into(), errand("a"), Vec::new());
        staging.save(&checkpoint).unwrap();
        assert_eq!(staging.checkpoint(&errand("a")).unwrap().as_ref(), Some(&checkpoint));
        let error = staging.checkpoint(&errand("b")).unwrap_err().to_string();
        assert!(error.contains("into a") && error.contains("into b"), "{error}");
        fs::write(path.join("mine"), "").unwrap();
        staging.remove(&checkpoint).unwrap();
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|one| one.unwrap().path()).collect();
        assert_eq!(left, [path.canonicalize().unwrap().join("mine")]);
    }

    #[test]
    fn the_disk_is_made_what_the_checkpoint_says() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path()).unwrap();
        let namespaces =
            ["a", "b", "c"].map(|name| Namespace::new(name.into(), Load::Import, 1)).to_vec();
        let mut checkpoint = Checkpoint::new("x".into(), errand("a"), namespaces);
        for number in 0..3 {
            let name = checkpoint.namespaces[number].name.clone();
            let first = staged(&staging, &checkpoint, &format!("{name}/1"), "one");
            let second = staged(&staging, &checkpoint, &format!("{name}/2"), "two");
            let namespace = &mut checkpoint.namespaces[number];
            (namespace.ended, namespace.files) = (true, vec![first, second]);
        }
        let records = staging.records(&checkpoint);
        staged(&staging, &checkpoint, "a/3", "not counted");
        fs::write(records.join("b/2"), "twp").unwrap();
        fs::remove_file(records.join("c/1")).unwrap();
        fs::create_dir_all(staging.scratch(&checkpoint).join("half")).unwrap();
        staging.settle(&mut checkpoint).unwrap();
        let ended: Vec<bool> = checkpoint.namespaces.iter().map(|one| one.ended).collect();
        assert_eq!(ended, [true, false, false]);
        let left = |name: &str| fs::read_dir(records.join(name)).unwrap().count();
        assert_eq!((left("a"), left("b"), left("c")), (2, 0, 0));
        assert_eq!(fs::read_dir(staging.scratch(&checkpoint)).unwrap().count(), 0);
        assert_eq!(staging.checkpoint(&errand("a")).unwrap(), Some(checkpoint));
    }
}
