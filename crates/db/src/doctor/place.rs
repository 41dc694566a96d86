//! The data directory as a place on a disk: whose it is, who may read it, what
//! kind of file system it lies on, how much room there is.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbill_core::{Clock, Error, IdSource, Result};
use crossbill_store::Root;

/// Bytes of the probe that is written and synced.
const PROBE_BYTES: usize = 4096;
/// Files that only the server's own user may read.
const PRIVATE: [&str; 2] = ["integrations.json", "page-key.json"];
/// Permission bits that let others than the owner do anything.
const OTHERS: u32 = 0o077;
/// Permission bit that lets everybody write.
const WORLD_WRITES: u32 = 0o002;

/// Whether there is a data directory at a path.
#[derive(Debug)]
pub enum DataPlace {
    /// There is none yet; its nearest directory above that exists.
    Missing(PathBuf),
    /// There is one.
    There(Box<PlaceFacts>),
}

/// A file with secrets that others may read, or that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privacy {
    /// The file's name.
    pub file: String,
    /// Its permission bits.
    pub mode: u32,
    /// Whether it belongs to the user who asks.
    pub is_own: bool,
}

/// A data directory as a place on a disk.
#[derive(Debug)]
pub struct PlaceFacts {
    /// With every link resolved.
    pub path: PathBuf,
    /// What the lock says of the process that owns it now.
    pub holder: Option<String>,
    /// Whether it belongs to the user who asks.
    pub is_own: bool,
    /// Its permission bits.
    pub mode: u32,
    /// Files with secrets whose owner or permissions are wrong.
    pub exposed: Vec<Privacy>,
    /// The kind of file system, where it is known.
    pub file_system: Option<&'static str>,
    /// Bytes that can still be written.
    pub bytes_free: u64,
    /// Bytes of the file system.
    pub bytes_total: u64,
    /// Files that can still be made.
    pub inodes_free: u64,
    /// Files that the file system holds at most; 0 where it has no bound.
    pub inodes_total: u64,
    /// Segments, each of which is mapped into memory.
    pub segments: u64,
    /// Files that a process may have open.
    pub files_max: Option<u64>,
    /// Areas of memory that a process may map.
    pub maps_max: Option<u64>,
}

impl PlaceFacts {
    /// Whether everybody may write to the directory.
    pub fn is_open_to_writers(&self) -> bool {
        self.mode & WORLD_WRITES != 0
    }
}

impl DataPlace {
    /// Looks at `data`.
    ///
    /// # Errors
    /// Where the directory, or what is above it, cannot be looked at.
    pub fn look(data: &Path) -> Result<Self> {
        let path = match data.canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::Missing(nearest(data)?));
            }
            Err(error) => return Err(failed("looking at", data, &error)),
        };
        let metadata = path.metadata().map_err(|error| failed("looking at", &path, &error))?;
        if !metadata.is_dir() {
            return Err(Error::failed_precondition(format!(
                "{} is no directory, expected the data directory",
                path.display()
            )));
        }
        // A directory that may not be listed cannot be served either.
        fs::read_dir(&path).map_err(|error| failed("reading", &path, &error))?;
        let space = rustix::fs::statvfs(&path)
            .map_err(|error| failed("looking at", &path, &error.into()))?;
        Ok(Self::There(Box::new(PlaceFacts {
            holder: Root::holder(&path)?,
            is_own: metadata.uid() == own_id(),
            mode: metadata.mode() & 0o7777,
            exposed: PRIVATE.iter().filter_map(|name| exposed(&path, name)).collect(),
            file_system: file_system(&path),
            bytes_free: space.f_bavail.saturating_mul(space.f_frsize),
            bytes_total: space.f_blocks.saturating_mul(space.f_frsize),
            inodes_free: space.f_favail,
            inodes_total: space.f_files,
            segments: segments(&path),
            files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            maps_max: fs::read_to_string("/proc/sys/vm/max_map_count")
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            path,
        })))
    }
}

/// Writes a small file below `directory`, syncs it and its directory, and
/// deletes it; how long that took.
///
/// # Errors
/// What the disk said: it is full, read-only, or does not sync.
pub fn probe_sync(directory: &Path, clock: &dyn Clock, ids: &dyn IdSource) -> Result<Duration> {
    // Where servers keep what means nothing at their next start.
    let scratch = directory.join("scratch");
    let place = if scratch.is_dir() { scratch } else { directory.to_owned() };
    let path = place.join(format!("doctor-{}", ids.next_id()));
    let begun = clock.monotonic();
    let write = || {
        let mut file = File::options().write(true).create_new(true).open(&path)?;
        file.write_all(&[0; PROBE_BYTES])?;
        file.sync_all()?;
        File::open(&place)?.sync_all()
    };
    let written = write();
    let removed = fs::remove_file(&path);
    written.and(removed).map_err(|error| failed("writing to", &place, &error))?;
    Ok(clock.monotonic().saturating_sub(begun))
}

fn failed(operation: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("{operation} {}: {error}", path.display());
    match crossbill_core::is_disk_full(error) {
        true => Error::disk_full(format!("the disk is full: {message}")),
        false => Error::unavailable(message),
    }
}

/// The nearest directory above `path` that exists.
fn nearest(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|error| failed("looking at", path, &error))?;
    let found = absolute.ancestors().find(|above| above.is_dir());
    Ok(found.unwrap_or(Path::new("/")).to_owned())
}

fn own_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn exposed(data: &Path, name: &str) -> Option<Privacy> {
    let metadata = data.join(name).symlink_metadata().ok()?;
    let (mode, is_own) = (metadata.mode() & 0o7777, metadata.uid() == own_id());
    let wrong = mode & OTHERS != 0 || !is_own;
    wrong.then(|| Privacy { file: name.to_owned(), mode, is_own })
}

fn segments(data: &Path) -> u64 {
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    let indexes = entries(data.join("indexes"));
    indexes.map(|index| entries(index.path().join("parts")).count() as u64).sum()
}

#[cfg(target_os = "linux")]
fn file_system(path: &Path) -> Option<&'static str> {
    // From the kernel's own list of file systems' magic numbers.
    let kind = rustix::fs::statfs(path).ok()?.f_type as u64 & 0xffff_ffff;
    Some(match kind {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x2fc1_2fc1 => "zfs",
        0x0102_1994 => "tmpfs",
        0x6969 => "nfs",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "smb",
        0x794c_7630 => "overlay",
        0x6573_5546 => "fuse",
        0xf2f5_2010 => "f2fs",
        0x0102_1997 => "9p",
        _ => return None,
    })
}

#[cfg(not(target_os = "linux"))]
fn file_system(_path: &Path) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use crossbill_core::{ErrorKind, RandomIds, SystemClock};

    use super::*;

    #[test]
    fn a_place_is_described_and_secrets_that_others_read_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("x/data");
        match DataPlace::look(&data).unwrap() {
            DataPlace::Missing(above) => assert_eq!(above, directory.path()),
            there => panic!("{there:?}"),
        }
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("page-key.json"), "x").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let look = || match DataPlace::look(&data).unwrap() {
            DataPlace::There(facts) => facts,
            missing => panic!("{missing:?}"),
        };
        mode(&data.join("page-key.json"), 0o640);
        let facts = look();
        assert_eq!((facts.exposed.len(), facts.exposed[0].mode), (1, 0o640));
        assert!(facts.is_own && facts.holder.is_none() && facts.bytes_total > 0);
        mode(&data.join("page-key.json"), 0o600);
        mode(&data, 0o777);
        let facts = look();
        assert!(facts.exposed.is_empty() && facts.is_open_to_writers());
        fs::write(directory.path().join("file"), "").unwrap();
        let error = DataPlace::look(&directory.path().join("file")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    }

    #[test]
    fn the_probe_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let clock = SystemClock::new();
        for _ in 0..2 {
            probe_sync(directory.path(), &clock, &RandomIds).unwrap();
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
        let gone = probe_sync(&directory.path().join("gone"), &clock, &RandomIds).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::Unavailable);
    }
}
