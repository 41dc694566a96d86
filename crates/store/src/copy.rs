//! Copies of a whole data root in a directory of their own, one beside the
//! other: `<name>` is whole, `<name>.unfinished` is not yet. What an earlier
//! copy has already of what never changes is linked to it, not copied again.
//!
//! May not know what the files mean, but for which of them never change.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::envelope::{self, Stamp};
use crate::faults::{self, Fault, FaultOp};
use crate::killpoint::reach;
use crate::{Root, RootSnapshot, SnapshotFile, StoreError, disk};

/// The kind of the document that a whole copy ends with, and its name.
const KIND: &str = "root-copy";
pub(crate) const MANIFEST: &str = "root-copy.json";
/// Stands in a copy as long as it is not whole: nobody opens it.
pub(crate) const UNFINISHED: &str = "copy-unfinished";
/// Ends the name of a copy that is not whole.
const UNFINISHED_END: &str = ".unfinished";
/// Ends the name of a file that is not whole.
const PARTIAL_END: &str = "#0";
/// Bytes copied at once.
const BLOCK_BYTES: usize = 1 << 20;
/// Bytes at the end of a segment by which it is told from another.
const TAIL_BYTES: u64 = 32;
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What a whole copy says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyManifest {
    /// The program that made it.
    pub program: String,
    /// When, in RFC 3339.
    pub created_at: String,
    /// Its files, in the order of their paths.
    pub files: Vec<CopiedFile>,
    /// Up to which write each namespace is in it.
    pub namespaces: Vec<CopiedNamespace>,
}

/// A file of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFile {
    /// Its path below the copy.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// CRC-32C of them.
    pub crc32c: u32,
}

/// A namespace of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedNamespace {
    /// The uid of its index.
    pub index: String,
    /// Its name.
    pub namespace: String,
    /// The last frame of its log that the copy holds, in the log or in
    /// segments.
    pub lsn: u64,
}

/// A copy while it is made.
#[derive(Debug)]
pub struct RootCopy {
    root: Root,
    parent: PathBuf,
    name: String,
    work: PathBuf,
    /// An earlier whole copy, and the checksums of its files.
    earlier: Option<(PathBuf, HashMap<String, CopiedFile>)>,
    files: Vec<CopiedFile>,
}

/// How a file came into a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It was copied.
    Copied,
    /// It was there already, here or in an earlier copy.
    Reused,
}

impl RootCopy {
    /// Begins a copy of `root` called `name` in the directory `parent`, or
    /// goes on with one there that was not finished.
    ///
    /// # Errors
    /// `Exists` where there is a whole one of that name.
    pub fn begin(root: &Root, parent: &Path, name: &str) -> Result<RootCopy, StoreError> {
        let failed = |error: &io::Error| StoreError::io("preparing", parent.display(), error);
        disk::create_dirs(parent).map_err(|error| failed(&error))?;
        if parent.join(name).exists() {
            return Err(StoreError::Exists { key: parent.join(name).display().to_string() });
        }
        let mut names: Vec<String> = fs::read_dir(parent)
            .map_err(|error| failed(&error))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        let work = parent.join(format!("{name}{UNFINISHED_END}"));
        let is_left = |other: &&String| {
            other.ends_with(UNFINISHED_END) && parent.join(other).join(UNFINISHED).is_file()
        };
        match names.iter().rev().find(is_left) {
            Some(left) => fs::rename(parent.join(left), &work),
            None => fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&work),
        }
        .map_err(|error| failed(&error))?;
        let mark = || {
            File::create(work.join(UNFINISHED))?.sync_all()?;
            disk::sync_dir(&work)?;
            disk::sync_dir(parent)
        };
        mark().map_err(|error| failed(&error))?;
        let whole = names.iter().rev().map(|name| parent.join(name));
        let earlier = whole.filter(|path| !path.join(UNFINISHED).exists());
        let earlier = earlier.filter_map(|path| {
            let manifest = read_manifest(&path).ok()??;
            let files = manifest.files.into_iter().map(|file| (file.path.clone(), file));
            Some((path, files.collect()))
        });
        let earlier = earlier.take(1).next();
        let (root, name, parent) = (root.clone(), name.to_owned(), parent.to_owned());
        Ok(RootCopy { root, parent, name, work, earlier, files: Vec::new() })
    }

    /// Bytes that have to be written for `snapshot`, and bytes that are free.
    pub fn space(&self, snapshot: &RootSnapshot) -> Result<(u64, u64), StoreError> {
        let stat = rustix::fs::statvfs(&self.work)
            .map_err(|errno| self.failed("looking at", &errno.into()))?;
        let is_there = |file: &&SnapshotFile| {
            let here = is_same(snapshot, file, &self.work);
            let earlier = self.earlier.as_ref();
            here || earlier.is_some_and(|(path, _)| is_same(snapshot, file, path))
        };
        let new = snapshot.files().iter().filter(|file| !is_there(file));
        Ok((new.map(|file| file.bytes).sum(), stat.f_bavail.saturating_mul(stat.f_frsize)))
    }

    /// Deletes what an earlier attempt left that is not in `snapshot`, or that
    /// may have changed since.
    pub fn clear(&self, snapshot: &RootSnapshot) -> Result<(), StoreError> {
        let mut left = Vec::new();
        super::root::collect_files(&self.work, &mut left)
            .map_err(|error| self.failed("listing", &error))?;
        let known: HashMap<&str, &SnapshotFile> =
            snapshot.files().iter().map(|file| (file.path.as_str(), file)).collect();
        for file in left.iter().filter(|file| file.path != UNFINISHED) {
            let stays = known.get(file.path.as_str());
            if !stays.is_some_and(|known| is_same(snapshot, known, &self.work)) {
                fs::remove_file(self.work.join(&file.path))
                    .map_err(|error| self.failed("clearing", &error))?;
            }
        }
        Ok(())
    }

    /// Adds a file. `wait` is called before each block of at most a MiB is
    /// read, with its bytes; an error of it ends the work.
    pub fn add(
        &mut self,
        snapshot: &RootSnapshot,
        file: &SnapshotFile,
        wait: &mut dyn FnMut(usize) -> io::Result<()>,
    ) -> Result<Added, StoreError> {
        let added = self.add_file(snapshot, file, wait);
        let (added, crc32c) = added.map_err(|error| self.failed("copying to", &error))?;
        self.files.push(CopiedFile { path: file.path.clone(), bytes: file.bytes, crc32c });
        reach("copy.file_written");
        Ok(added)
    }

    fn add_file(
        &self,
        snapshot: &RootSnapshot,
        file: &SnapshotFile,
        wait: &mut dyn FnMut(usize) -> io::Result<()>,
    ) -> io::Result<(Added, u32)> {
        let target = self.work.join(&file.path);
        if let Some(above) = target.parent() {
            fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(above)?;
        }
        if is_same(snapshot, file, &self.work) {
            return Ok((Added::Reused, checksum(&target, file.bytes, wait)?));
        }
        if let Some((path, files)) = &self.earlier
            && let Some(known) = files.get(&file.path)
            && is_same(snapshot, file, path)
            && fs::hard_link(path.join(&file.path), &target).is_ok()
        {
            return Ok((Added::Reused, known.crc32c));
        }
        let partial = target.with_file_name(format!("{}{PARTIAL_END}", name_of(&target)));
        let source = File::open(snapshot.place_of(file))?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        let mut to = options.open(&partial)?;
        let crc =
            blocks(&source, file.bytes, wait, |block| self.write(&mut to, &file.path, block))?;
        to.sync_all()?;
        fs::rename(&partial, &target)?;
        Ok((Added::Copied, crc))
    }

    fn write(&self, to: &mut File, path: &str, block: &[u8]) -> io::Result<()> {
        match faults::decide(self.root.faults(), FaultOp::ScratchWrite, path) {
            Some(Fault::ErrorBefore) => return Err(faults::injected_io()),
            Some(Fault::Full) => return Err(faults::full_io()),
            Some(Fault::ErrorAfter | Fault::ShortBody) => {
                to.write_all(&block[..block.len() / 2])?;
                return Err(faults::injected_io());
            }
            _ => {}
        }
        to.write_all(block)
    }

    /// Where the copy lies while it is made. It may be looked at once all
    /// files are added: see [`Root::look_at_copy`].
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Makes the copy whole: its manifest is written, then it gets its name.
    pub fn finish(
        self,
        program: &str,
        created_at: String,
        namespaces: Vec<CopiedNamespace>,
    ) -> Result<PathBuf, StoreError> {
        let path = self.parent.join(&self.name);
        let finish = || {
            sync_all_dirs(&self.work)?;
            let program = program.to_owned();
            let files = self.files.clone();
            let manifest = CopyManifest { program, created_at, files, namespaces };
            let payload = serde_json::to_vec(&manifest).map_err(io::Error::other)?;
            let stamp = Stamp { nonce: self.root.ids().next_id().0, version: 1 };
            let bytes = envelope::encode(KIND, stamp, &payload);
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(FILE_MODE);
            let mut file = options.open(self.work.join(MANIFEST))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            disk::sync_dir(&self.work)?;
            reach("copy.manifest_written");
            fs::remove_file(self.work.join(UNFINISHED))?;
            disk::sync_dir(&self.work)?;
            disk::rename_new(&self.work, &path)
        };
        finish().map_err(|error| self.failed("finishing", &error))?;
        reach("copy.finished");
        Ok(path)
    }

    fn failed(&self, operation: &'static str, error: &io::Error) -> StoreError {
        StoreError::io(operation, self.work.display(), error)
    }
}

/// What the copy at `path` says of itself; nothing where it is none.
///
/// # Errors
/// `Corrupt` where it is damaged.
pub fn read_manifest(path: &Path) -> Result<Option<CopyManifest>, StoreError> {
    let name = path.join(MANIFEST);
    let bytes = match fs::read(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| StoreError::io("reading", name.display(), &error))?,
    };
    let corrupt = |problem: String| StoreError::corrupt(name.display(), problem);
    let (_, payload) = envelope::decode(KIND, &Bytes::from(bytes)).map_err(corrupt)?;
    let manifest = serde_json::from_slice(&payload).map_err(|error| corrupt(error.to_string()))?;
    Ok(Some(manifest))
}

/// Whether `directory` holds, whole, what the snapshot has at that path. Only
/// segments never change: their length and their end, which has the checksum
/// of all, tell.
fn is_same(snapshot: &RootSnapshot, file: &SnapshotFile, directory: &Path) -> bool {
    let tail = |path: &Path| {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut bytes = [0; TAIL_BYTES as usize];
        file.read_exact_at(&mut bytes, length.checked_sub(TAIL_BYTES)?).ok()?;
        Some((length, bytes))
    };
    let there = file.path.ends_with(".seg").then(|| tail(&directory.join(&file.path))).flatten();
    there.is_some() && there == tail(&snapshot.place_of(file))
}

fn checksum(
    path: &Path,
    bytes: u64,
    wait: &mut dyn FnMut(usize) -> io::Result<()>,
) -> io::Result<u32> {
    blocks(&File::open(path)?, bytes, wait, |_| Ok(()))
}

/// Reads `bytes` bytes block by block; their checksum.
fn blocks(
    mut file: &File,
    bytes: u64,
    wait: &mut dyn FnMut(usize) -> io::Result<()>,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u32> {
    let mut buffer = vec![0; BLOCK_BYTES.min(usize::try_from(bytes).unwrap_or(BLOCK_BYTES))];
    let (mut left, mut crc) = (bytes, 0);
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        wait(length)?;
        file.read_exact(&mut buffer[..length])?;
        crc = crc32c::crc32c_append(crc, &buffer[..length]);
        each(&buffer[..length])?;
        left -= length as u64;
    }
    Ok(crc)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn sync_all_dirs(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all_dirs(&entry.path())?;
        }
    }
    disk::sync_dir(directory)
}
