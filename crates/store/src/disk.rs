//! Small steps on the local disk that must survive a power cut.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the entries of `directory` durable.
pub(crate) fn sync_dir(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes `directory` and what is missing above it, each durably.
pub(crate) fn create_dirs(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        create_dirs(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        match std::fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?,
        }
    }
    if directory.is_dir() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::NotADirectory, "expected a directory"))
    }
}

/// Gives the file at `from` the name `to` durably; an `AlreadyExists` error
/// where `to` is taken. Nobody ever sees half of it.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    rename_no_replace(from, to)?;
    match to.parent() {
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Some file systems do not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_then_unlink(from, to),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    link_then_unlink(from, to)
}

fn link_then_unlink(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b, c) =
            (directory.path().join("a"), directory.path().join("b"), directory.path().join("c"));
        for rename in [rename_new, link_then_unlink] {
            std::fs::write(&a, "a").unwrap();
            std::fs::write(&b, "b").unwrap();
            assert_eq!(rename(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            rename(&a, &c).unwrap();
            assert_eq!(std::fs::read(&b).unwrap(), b"b");
            assert_eq!(std::fs::read(&c).unwrap(), b"a");
            assert!(!a.exists());
            std::fs::remove_file(&c).unwrap();
        }
    }

    #[test]
    fn directories_are_made_with_their_parents() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("x/y/z");
        create_dirs(&deep).unwrap();
        create_dirs(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(directory.path().join("file"), "").unwrap();
        assert!(create_dirs(&directory.path().join("file/below")).is_err());
        assert!(create_dirs(&directory.path().join("file")).is_err());
    }
}
