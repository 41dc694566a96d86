//! Where exports write to: directories that the operator allows. A file
//! appears whole and durable, or not at all.
//!
//! May not know what is in the files.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use crossbill_core::{Error, ErrorKind, Result, ScratchFile as _};

use crate::LocalScratchFile;
use crate::disk::{create_dirs, sync_dir};
use crate::source::{Parsed, parse, quote, refuse};

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;
/// Ends the name of a file while it is written; such a file never counts.
const UNFINISHED: &str = ".crossbill-part";

/// What the operator allows exports.
#[derive(Debug, Clone, Default)]
pub struct DestinationPolicy {
    /// Directories below which exports may write. None: exports are off.
    pub allow_dirs: Vec<PathBuf>,
    /// The server's own data, which they may not touch.
    pub data_dir: Option<PathBuf>,
}

/// A directory to write files into.
#[derive(Debug)]
pub struct Destination {
    uri: String,
    directory: PathBuf,
}

impl DestinationPolicy {
    /// Checks what a request asks for, without touching the destination.
    ///
    /// # Errors
    /// `Invalid` for a malformed URI, `Forbidden` for a place that the
    /// operator does not allow, `Unsupported` for object stores.
    pub fn check(&self, uri: &str) -> Result<Destination> {
        let pattern = match parse(uri)? {
            Parsed::File(pattern) => pattern,
            _ => {
                return Err(Error::unsupported(format!(
                    "export uri {:?}: exports are written to directories only, expected file://",
                    quote(uri)
                )));
            }
        };
        if !pattern.is_literal() {
            return Err(refuse(uri, "found a wildcard, expected a directory to write to"));
        }
        if self.allow_dirs.is_empty() {
            return Err(Error::forbidden(
                "exports are off: the operator allows no directory to write to",
            ));
        }
        let names = pattern.base().iter().map(String::as_str);
        let asked: PathBuf = std::iter::once("/").chain(names).collect();
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        let data_dir = self.data_dir.as_ref().and_then(|dir| dir.canonicalize().ok());
        for allowed in
            asked.components().all(plain).then_some(&self.allow_dirs).into_iter().flatten()
        {
            let Ok(root) = allowed.canonicalize() else { continue };
            let below = asked.strip_prefix(&root).or_else(|_| asked.strip_prefix(allowed));
            let Ok(below) = below else { continue };
            let directory = root.join(below);
            if data_dir.is_some_and(|data_dir| directory.starts_with(data_dir)) {
                return Err(Error::forbidden(format!(
                    "export uri {:?} is inside the server's own data directory",
                    quote(uri)
                )));
            }
            check_links(uri, &root, &directory)?;
            return Ok(Destination { uri: uri.to_owned(), directory });
        }
        Err(Error::forbidden(format!(
            "export uri {:?} is outside the directories that the operator allows for exports",
            quote(uri)
        )))
    }
}

/// What of `directory` is there must lie below `root`, links followed.
fn check_links(uri: &str, root: &Path, directory: &Path) -> Result<()> {
    let there = directory.ancestors().find_map(|above| above.canonicalize().ok());
    if there.is_some_and(|there| there.starts_with(root)) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "export uri {:?} leads out of the allowed directory by a link",
        quote(uri)
    )))
}

impl Destination {
    /// Whether nothing lies there yet.
    pub fn is_empty(&self) -> Result<bool> {
        match std::fs::read_dir(&self.directory) {
            Ok(mut entries) => Ok(entries.next().is_none()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(self.failed("", &error)),
        }
    }

    /// Writes `file` as `path` (names with `/` between), in place of what an
    /// earlier try left there; gives its bytes and their CRC-32C.
    pub fn write_file(&self, path: &str, file: &LocalScratchFile) -> Result<(u64, u32)> {
        let mut at = 0;
        self.write(path, |out| {
            let mut crc = 0;
            let mut buffer = vec![0; COPY_BYTES];
            while at < file.len() {
                let length = usize::try_from(file.len() - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
                file.read_at(at, &mut buffer[..length])?;
                out.write_all(&buffer[..length])?;
                crc = crc32c::crc32c_append(crc, &buffer[..length]);
                at += length as u64;
            }
            Ok((file.len(), crc))
        })
    }

    /// Writes `bytes` as `path`.
    pub fn write_bytes(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write(path, |out| out.write_all(bytes))
    }

    fn write<T>(&self, path: &str, fill: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T> {
        let whole = self.directory.join(path);
        let unfinished = self.directory.join(format!("{path}{UNFINISHED}"));
        let written = (|| {
            if let Some(parent) = whole.parent() {
                create_dirs(parent)?;
            }
            let mut out = File::create(&unfinished)?;
            let filled = fill(&mut out)?;
            out.sync_all()?;
            std::fs::rename(&unfinished, &whole)?;
            whole.parent().map_or(Ok(()), sync_dir)?;
            Ok(filled)
        })();
        written.map_err(|error| {
            // What is left of it is in nobody's way.
            let _ = std::fs::remove_file(&unfinished);
            self.failed(path, &error)
        })
    }

    fn failed(&self, path: &str, error: &io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
            io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
            _ => ErrorKind::Unavailable,
        };
        let slash = if path.is_empty() || self.uri.ends_with('/') { "" } else { "/" };
        Error::new(kind, format!("writing {}{slash}{path}: {error}", quote(&self.uri)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossbill_core::{RandomIds, ScratchSpace as _, SystemClock};

    use super::*;
    use crate::{Root, RootOptions};

    fn policy(directory: &Path) -> DestinationPolicy {
        DestinationPolicy { allow_dirs: vec![directory.to_owned()], data_dir: None }
    }

    fn kind(policy: &DestinationPolicy, uri: &str) -> ErrorKind {
        policy.check(uri).unwrap_err().kind()
    }

    #[test]
    fn only_allowed_directories_are_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let policy = DestinationPolicy { data_dir: Some(root.join("data")), ..policy(&root) };
        std::fs::create_dir(root.join("data")).unwrap();
        std::os::unix::fs::symlink("/", root.join("out")).unwrap();
        let uri = |path: &str| format!("file://{}/{path}", root.display());
        assert!(policy.check(&uri("exports/today")).is_ok());
        assert_eq!(kind(&policy, &uri("data/x")), ErrorKind::Forbidden);
        assert_eq!(kind(&policy, &uri("out/tmp/x")), ErrorKind::Forbidden);
        assert_eq!(kind(&policy, "file:///etc"), ErrorKind::Forbidden);
        assert_eq!(kind(&policy, &uri("a*")), ErrorKind::Invalid);
        assert!(policy.check(&uri("../x")).is_err());
        assert_eq!(kind(&policy, "s3://bucket/x"), ErrorKind::Unsupported);
        assert_eq!(kind(&DestinationPolicy::default(), &uri("x")), ErrorKind::Forbidden);
    }

    #[test]
    fn files_appear_whole_and_replace_earlier_tries() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("to");
        let root = Root::open(RootOptions {
            path: directory.path().join("root"),
            faults: None,
            ids: Arc::new(RandomIds),
            clock: Arc::new(SystemClock::new()),
        })
        .unwrap();
        let uri = format!("file://{}", to.display());
        let destination = policy(directory.path()).check(&uri).unwrap();
        assert!(destination.is_empty().unwrap());
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
        let mut file = root.scratch().create("test").unwrap();
        crossbill_core::ScratchFile::append(&mut file, &bytes).unwrap();
        destination.write_bytes("a/part-0.parquet", b"an earlier try").unwrap();
        let wrote = destination.write_file("a/part-0.parquet", &file).unwrap();
        assert_eq!(wrote, (3_000_000, crc32c::crc32c(&bytes)));
        assert_eq!(std::fs::read(to.join("a/part-0.parquet")).unwrap(), bytes);
        assert!(!destination.is_empty().unwrap());
        // A file where a directory is needed.
        let error = destination.write_bytes("a/part-0.parquet/b", b"").unwrap_err();
        assert!(error.message().contains("a/part-0.parquet/b"), "{error}");
        let names: Vec<_> = std::fs::read_dir(to.join("a")).unwrap().collect();
        assert_eq!(names.len(), 1);
    }
}
