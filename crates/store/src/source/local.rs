//! Local files as an import source. Everything is opened relative to a handle
//! of an allowed directory, beneath it and through no link, and only regular
//! files are read; what a name means cannot change between check and use.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use crossbill_core::limits;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, stat, statat};
use rustix::io::Errno;

use super::pattern::PathPattern;
use super::retry::{Failure, Retry};
use super::{SkippedEntry, SourceError, SourceObject, Wanted};
use crate::FaultPlan;
use crate::faults::{self, Fault, FaultOp};

/// Files below one directory.
#[derive(Debug)]
pub(super) struct LocalSource {
    root: OwnedFd,
    root_path: PathBuf,
    /// From the root to where paths of objects begin.
    base: String,
    pattern: PathPattern,
    /// Device and inode of the directory that is never read.
    excluded: Option<(u64, u64)>,
    faults: Option<Arc<FaultPlan>>,
}

impl LocalSource {
    pub(super) fn open(
        root_path: &Path,
        base: &[String],
        pattern: PathPattern,
        data_dir: Option<&Path>,
        faults: Option<Arc<FaultPlan>>,
    ) -> Result<Self, SourceError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, root_path, flags, Mode::empty()).map_err(|errno| {
            SourceError::NotFound(format!("opening {}: {errno}", root_path.display()))
        })?;
        let excluded = data_dir.and_then(|dir| stat(dir).ok()).map(|stat| identity(&stat));
        let (root_path, base) = (root_path.to_owned(), base.join("/"));
        Ok(Self { root, root_path, base, pattern, excluded, faults })
    }

    /// Where it is.
    pub(super) fn place(&self) -> String {
        self.shown("")
    }

    pub(super) fn list(
        &self,
        retry: &Retry,
    ) -> Result<(Vec<SourceObject>, Vec<SkippedEntry>), SourceError> {
        let what = || format!("listing {}", self.shown(""));
        let (mut objects, mut skipped) = retry.run(&what, || self.list_once(retry))?;
        objects.retain(|object| self.pattern.matches(&object.path));
        skipped.retain(|entry| self.pattern.matches(&entry.path));
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        skipped.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((objects, skipped))
    }

    fn list_once(&self, retry: &Retry) -> Result<(Vec<SourceObject>, Vec<SkippedEntry>), Failure> {
        self.strike("", retry)?;
        let mut found = (Vec::new(), Vec::new());
        let probe = OFlags::PATH | OFlags::CLOEXEC;
        let start = self.open_beneath("", probe).map_err(|errno| self.failure("", errno))?;
        let start = fstat(&start).map_err(|errno| self.failure("", errno))?;
        if is(&start, FileType::RegularFile) && self.may_be_file() {
            found.0.push(super::alone(&self.base, size(&start), &tag(&start)));
            return Ok(found);
        }
        if !is(&start, FileType::Directory) {
            let message = format!("{} is no directory", self.shown(""));
            return Err(Failure::Permanent(SourceError::NotFound(message)));
        }
        let mut waiting = vec![String::new()];
        while let Some(directory) = waiting.pop() {
            if retry.is_cancelled() {
                let what = format!("listing {}", self.shown(""));
                return Err(Failure::Permanent(SourceError::Cancelled(what)));
            }
            self.list_directory(&directory, &mut waiting, &mut found)?;
        }
        Ok(found)
    }

    /// Whether the URI may mean one file: then objects are named by it alone.
    fn may_be_file(&self) -> bool {
        self.pattern.is_literal() && !self.pattern.is_directory()
    }

    fn list_directory(
        &self,
        directory: &str,
        waiting: &mut Vec<String>,
        (objects, skipped): &mut (Vec<SourceObject>, Vec<SkippedEntry>),
    ) -> Result<(), Failure> {
        let failed = |errno: Errno| self.failure(directory, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = self.open_beneath(directory, flags).map_err(failed)?;
        if self.excluded == Some(identity(&fstat(&handle).map_err(failed)?)) {
            let reason = "the server's own data directory";
            skipped.push(SkippedEntry { path: directory.to_owned(), reason });
            return Ok(());
        }
        for entry in Dir::read_from(&handle).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = match statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue, // Gone since.
                other => other.map_err(failed)?,
            };
            let path = join(directory, name);
            let Ok(path) = path else {
                let path = join(directory, c"?").unwrap_or_default();
                skipped.push(SkippedEntry { path, reason: "its name is not UTF-8" });
                continue;
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => objects.push(object(path, &stat)),
                FileType::Directory if path.split('/').count() > limits::SOURCE_DEPTH_MAX => {
                    skipped.push(SkippedEntry { path, reason: "it lies too deep" });
                }
                FileType::Directory => waiting.push(path),
                FileType::Symlink => {
                    skipped.push(SkippedEntry { path, reason: "a symbolic link" });
                }
                _ => skipped.push(SkippedEntry { path, reason: "not a regular file" }),
            }
            if objects.len() + skipped.len() + waiting.len() > limits::SOURCE_OBJECTS_MAX {
                return Err(Failure::Permanent(super::too_many(&self.shown(""))));
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, wanted: &Wanted<'_>, retry: &Retry) -> Result<Bytes, SourceError> {
        let what = || format!("reading {}", self.shown(wanted.path));
        retry.run(&what, || self.read_once(wanted, retry))
    }

    fn read_once(&self, wanted: &Wanted<'_>, retry: &Retry) -> Result<Bytes, Failure> {
        self.strike(wanted.path, retry)?;
        // A pipe would wait for its other end without NONBLOCK.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = self.open_beneath(wanted.path, flags);
        let file = File::from(file.map_err(|errno| self.failure(wanted.path, errno))?);
        self.check_version(&file, wanted)?;
        let mut bytes = vec![0; wanted.length()];
        let read = file.read_exact_at(&mut bytes, wanted.range.start);
        // A file that was cut short or rewritten meanwhile has changed, not
        // failed: this comes first.
        self.check_version(&file, wanted)?;
        match read {
            Ok(()) => Ok(bytes.into()),
            Err(error) => Err(Failure::transient(error.to_string())),
        }
    }

    fn check_version(&self, file: &File, wanted: &Wanted<'_>) -> Result<(), Failure> {
        let stat = fstat(file).map_err(|errno| self.failure(wanted.path, errno))?;
        if !is(&stat, FileType::RegularFile) {
            let message = format!("{} is not a regular file", self.shown(wanted.path));
            return Err(Failure::Permanent(SourceError::Forbidden(message)));
        }
        let found = tag(&stat);
        if found == wanted.tag {
            return Ok(());
        }
        Err(Failure::Permanent(SourceError::Changed(format!(
            "{} changed while it was being imported: found version {found}, expected {}",
            self.shown(wanted.path),
            wanted.tag
        ))))
    }

    fn strike(&self, path: &str, retry: &Retry) -> Result<(), Failure> {
        match faults::decide(self.faults.as_ref(), FaultOp::Get, path) {
            None => Ok(()),
            Some(Fault::Delay(duration)) => {
                retry.clock.sleep(duration);
                Ok(())
            }
            Some(_) => Err(Failure::transient("injected fault")),
        }
    }

    /// Opens `path`, which is relative to the base.
    fn open_beneath(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let whole = [self.base.as_str(), path];
        let whole: Vec<&str> = whole.into_iter().filter(|part| !part.is_empty()).collect();
        open_beneath(self.root.as_fd(), &whole.join("/"), flags)
    }

    pub(super) fn shown(&self, path: &str) -> String {
        let mut shown = self.root_path.clone();
        shown.extend([self.base.as_str(), path].into_iter().filter(|part| !part.is_empty()));
        shown.display().to_string()
    }

    fn failure(&self, path: &str, errno: Errno) -> Failure {
        let shown = self.shown(path);
        let error = match errno {
            Errno::NOENT | Errno::NOTDIR => {
                SourceError::NotFound(format!("{shown} does not exist"))
            }
            Errno::ACCESS | Errno::PERM => {
                SourceError::Forbidden(format!("the server may not read {shown}"))
            }
            Errno::LOOP | Errno::XDEV => SourceError::Forbidden(format!(
                "{shown} leads through a symbolic link, which imports do not follow"
            )),
            Errno::IO
            | Errno::TIMEDOUT
            | Errno::STALE
            | Errno::AGAIN
            | Errno::INTR
            | Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM => {
                return Failure::transient(format!("{shown}: {errno}"));
            }
            _ => SourceError::Invalid(format!("{shown}: {errno}")),
        };
        Failure::Permanent(error)
    }
}

/// Opens `path` below `root` through no link.
fn open_beneath(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    if path.is_empty() {
        return openat(root, ".", flags, Mode::empty());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{ResolveFlags, openat2};
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(root, path, flags, Mode::empty(), resolve) {
            // Old kernels and some sandboxes do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {}
            other => return other,
        }
    }
    open_by_steps(root, path, flags)
}

/// The same by opening one name at a time, none of them a link.
fn open_by_steps(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let (directories, last) = path.rsplit_once('/').unwrap_or(("", path));
    let step = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut handle = openat(root, ".", step, Mode::empty())?;
    for name in directories.split('/').filter(|name| !name.is_empty()) {
        handle = openat(&handle, name, step, Mode::empty())?;
    }
    // With PATH, a link itself would be opened: it is found out here.
    if is(&statat(&handle, last, AtFlags::SYMLINK_NOFOLLOW)?, FileType::Symlink) {
        return Err(Errno::LOOP);
    }
    openat(&handle, last, flags | OFlags::NOFOLLOW, Mode::empty())
}

fn join(directory: &str, name: &CStr) -> Result<String, std::str::Utf8Error> {
    let name = name.to_str()?;
    Ok(if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") })
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

#[allow(clippy::unnecessary_cast, reason = "the widths differ between systems")]
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// What changes when the file does: size, time of change, inode.
fn tag(stat: &Stat) -> String {
    let (seconds, nanoseconds) = (stat.st_mtime, stat.st_mtime_nsec);
    format!("{:x}-{seconds:x}.{nanoseconds:x}-{:x}", stat.st_size, stat.st_ino)
}

fn object(path: String, stat: &Stat) -> SourceObject {
    SourceObject { path, size: size(stat), etag: tag(stat) }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

#[cfg(test)]
mod tests;
