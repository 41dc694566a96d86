//! Where exports write to: directories and buckets that the operator allows.
//! A file appears whole and durable, or not at all.
//!
//! May not know what is in the files.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbill_core::{Error, ErrorKind, Result};

use crate::disk::{create_dirs, sync_dir};
use crate::source::{Body, ObjectPlace, Parsed, PathPattern, parse, quote, refuse};
use crate::{LocalScratchFile, SourcePolicy, SourceUri};

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;
/// Ends the name of a file while it is written; such a file never counts.
const UNFINISHED: &str = ".crossbill-part";

/// What the operator allows exports.
#[derive(Debug, Clone, Default)]
pub struct DestinationPolicy {
    /// Directories below which exports may write.
    pub allow_dirs: Vec<PathBuf>,
    /// Buckets, or directories in them, below which exports may write, such
    /// as `s3://bucket/exports`.
    pub allow_uris: Vec<String>,
    /// The server's own data, which they may not touch.
    pub data_dir: Option<PathBuf>,
}

/// Where the files of an export go.
#[derive(Debug)]
pub struct Destination {
    uri: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Objects(SourceUri),
}

impl DestinationPolicy {
    /// Whether the operator's settings are sound; to be asked at start-up.
    ///
    /// # Errors
    /// `Invalid`, with the setting.
    pub fn validate(&self) -> Result<()> {
        for uri in &self.allow_uris {
            match parse(uri)? {
                Parsed::Object { pattern, .. } if pattern.is_literal() => {}
                _ => {
                    return Err(refuse(
                        uri,
                        "expected a bucket to export to, or a directory in it",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Checks what a request asks for, without touching the destination.
    /// `sources` knows the buckets and the integrations.
    ///
    /// # Errors
    /// `Invalid` for a malformed URI or an unknown integration, `Forbidden`
    /// for a place that the operator does not allow.
    pub fn check(
        &self,
        uri: &str,
        integration: Option<&str>,
        sources: &SourcePolicy,
    ) -> Result<Destination> {
        if self.allow_dirs.is_empty() && self.allow_uris.is_empty() {
            return Err(Error::forbidden(
                "exports are off: the operator allows no place to write to",
            ));
        }
        let parsed = parse(uri)?;
        let (Parsed::File(pattern) | Parsed::Object { pattern, .. }) = &parsed;
        if !pattern.is_literal() {
            return Err(refuse(uri, "found a wildcard, expected a directory to write to"));
        }
        let place = match &parsed {
            Parsed::File(_) if integration.is_some() => {
                return Err(refuse(uri, "an integration is for object stores only"));
            }
            Parsed::File(pattern) => Place::Directory(self.directory(uri, pattern)?),
            Parsed::Object { place, pattern } => {
                if !self.allow_uris.iter().any(|allowed| is_below(allowed, place, pattern)) {
                    return Err(outside(uri));
                }
                Place::Objects(sources.check(uri, integration)?)
            }
        };
        Ok(Destination { uri: uri.to_owned(), place })
    }

    /// The allowed directory that is asked for.
    fn directory(&self, uri: &str, pattern: &PathPattern) -> Result<PathBuf> {
        let names = pattern.base().iter().map(String::as_str);
        let asked: PathBuf = std::iter::once("/").chain(names).collect();
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !asked.components().all(plain) {
            return Err(outside(uri));
        }
        let data_dir = self.data_dir.as_ref().and_then(|dir| dir.canonicalize().ok());
        for allowed in &self.allow_dirs {
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
            return Ok(directory);
        }
        Err(outside(uri))
    }
}

fn outside(uri: &str) -> Error {
    Error::forbidden(format!(
        "export uri {:?} is outside the places that the operator allows for exports",
        quote(uri)
    ))
}

/// Whether a place lies in the bucket and below the directory of `allowed`.
fn is_below(allowed: &str, place: &ObjectPlace, pattern: &PathPattern) -> bool {
    let Ok(Parsed::Object { place: own, pattern: directory }) = parse(allowed) else {
        return false;
    };
    own.is_same_bucket(place) && pattern.base().starts_with(directory.base())
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
    /// The directory that it is; nothing for a bucket.
    pub fn directory(&self) -> Option<&Path> {
        match &self.place {
            Place::Directory(directory) => Some(directory),
            Place::Objects(_) => None,
        }
    }

    /// Makes it ready to be written to; nothing is contacted yet. Waiting for
    /// an object store ends soon after `stop` becomes true.
    pub fn open(self, sources: &SourcePolicy, stop: Arc<AtomicBool>) -> Result<OpenDestination> {
        let Self { uri, place } = self;
        let target = match place {
            Place::Directory(directory) => Target::Directory(directory),
            Place::Objects(place) => {
                let source = sources.open(&place).map_err(Error::from)?.with_cancel(stop);
                Target::Objects(source)
            }
        };
        Ok(OpenDestination { uri, target })
    }
}

/// A destination to write to.
#[derive(Debug)]
pub struct OpenDestination {
    uri: String,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Directory(PathBuf),
    Objects(crate::Source),
}

/// Bytes in memory as a body.
struct Bytes<'a>(&'a [u8]);

impl Body for Bytes<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let past = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..));
        let bytes = rest.and_then(|rest| rest.get(..buffer.len())).ok_or_else(past)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl Body for LocalScratchFile {
    fn len(&self) -> u64 {
        crossbill_core::ScratchFile::len(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        crossbill_core::ScratchFile::read_at(self, offset, buffer)
    }
}

impl OpenDestination {
    /// Whether nothing lies there yet.
    pub fn is_empty(&self) -> Result<bool> {
        let directory = match &self.target {
            Target::Directory(directory) => directory,
            Target::Objects(source) => return Ok(writer(source)?.is_empty()?),
        };
        match std::fs::read_dir(directory) {
            Ok(mut entries) => Ok(entries.next().is_none()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(self.failed("", &error)),
        }
    }

    /// Writes `file` as `path` (names with `/` between), in place of what an
    /// earlier try left there; gives its bytes and their CRC-32C.
    pub fn write_file(&self, path: &str, file: &LocalScratchFile) -> Result<(u64, u32)> {
        let crc = checksum(file).map_err(|error| self.failed(path, &error))?;
        self.write(path, file)?;
        Ok((crossbill_core::ScratchFile::len(file), crc))
    }

    /// Writes `bytes` as `path`.
    pub fn write_bytes(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write(path, &Bytes(bytes))
    }

    fn write(&self, path: &str, body: &dyn Body) -> Result<()> {
        let directory = match &self.target {
            Target::Directory(directory) => directory,
            Target::Objects(source) => return Ok(writer(source)?.write(path, body)?),
        };
        let whole = directory.join(path);
        let unfinished = directory.join(format!("{path}{UNFINISHED}"));
        write_whole(&whole, &unfinished, body).map_err(|error| {
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

fn writer(source: &crate::Source) -> Result<crate::source::ObjectWriter<'_>> {
    source.writer().ok_or_else(|| Error::internal("a bucket was opened as a directory"))
}

fn checksum(file: &LocalScratchFile) -> io::Result<u32> {
    let (mut at, mut crc) = (0, 0);
    let mut buffer = vec![0; COPY_BYTES];
    while let Some(bytes) = next_bytes(file, at, &mut buffer)? {
        crc = crc32c::crc32c_append(crc, bytes);
        at += bytes.len() as u64;
    }
    Ok(crc)
}

/// The bytes from `at` on, as many as fit; none at the end.
fn next_bytes<'a>(body: &dyn Body, at: u64, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
    let left = usize::try_from(body.len() - at).unwrap_or(usize::MAX).min(buffer.len());
    let bytes = &mut buffer[..left];
    body.read_at(at, bytes)?;
    Ok((!bytes.is_empty()).then_some(bytes))
}

fn write_whole(whole: &Path, unfinished: &Path, body: &dyn Body) -> io::Result<()> {
    if let Some(parent) = whole.parent() {
        create_dirs(parent)?;
    }
    let mut out = File::create(unfinished)?;
    let mut at = 0;
    let mut buffer = vec![0; COPY_BYTES];
    while let Some(bytes) = next_bytes(body, at, &mut buffer)? {
        out.write_all(bytes)?;
        at += bytes.len() as u64;
    }
    out.sync_all()?;
    std::fs::rename(unfinished, whole)?;
    whole.parent().map_or(Ok(()), sync_dir)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossbill_core::{RandomIds, ScratchSpace as _, SystemClock};

    use super::*;
    use crate::{Root, RootOptions};

    fn policy(directory: &Path) -> DestinationPolicy {
        DestinationPolicy { allow_dirs: vec![directory.to_owned()], ..DestinationPolicy::default() }
    }

    fn check(policy: &DestinationPolicy, uri: &str) -> Result<Destination> {
        policy.check(uri, None, &SourcePolicy::default())
    }

    fn kind(policy: &DestinationPolicy, uri: &str) -> ErrorKind {
        check(policy, uri).unwrap_err().kind()
    }

    #[test]
    fn only_allowed_directories_are_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let policy = DestinationPolicy { data_dir: Some(root.join("data")), ..policy(&root) };
        std::fs::create_dir(root.join("data")).unwrap();
        std::os::unix::fs::symlink("/", root.join("out")).unwrap();
        let uri = |path: &str| format!("file://{}/{path}", root.display());
        assert!(check(&policy, &uri("exports/today")).is_ok());
        assert_eq!(kind(&policy, &uri("data/x")), ErrorKind::Forbidden);
        assert_eq!(kind(&policy, &uri("out/tmp/x")), ErrorKind::Forbidden);
        assert_eq!(kind(&policy, "file:///etc"), ErrorKind::Forbidden);
        assert_eq!(kind(&policy, &uri("a*")), ErrorKind::Invalid);
        assert!(check(&policy, &uri("../x")).is_err());
        assert_eq!(kind(&policy, "s3://bucket/x"), ErrorKind::Forbidden);
        assert_eq!(kind(&DestinationPolicy::default(), &uri("x")), ErrorKind::Forbidden);
    }

    #[test]
    fn only_allowed_buckets_are_written_to() {
        let allow = |uris: &[&str]| DestinationPolicy {
            allow_uris: uris.iter().map(|&uri| uri.to_owned()).collect(),
            ..DestinationPolicy::default()
        };
        let policy = allow(&["s3://lake/exports", "gs://other"]);
        assert!(policy.validate().is_ok());
        assert!(check(&policy, "s3://lake/exports/today").is_ok());
        assert!(check(&policy, "gs://other/any/where").is_ok());
        for outside in ["s3://lake", "s3://lake/exports2/x", "gs://lake/exports/x", "s3://other/x"]
        {
            assert_eq!(kind(&policy, outside), ErrorKind::Forbidden, "{outside}");
        }
        assert_eq!(kind(&policy, "s3://lake/exports/*"), ErrorKind::Invalid);
        for unsound in ["file:///x", "s3://lake/*", "nowhere"] {
            assert!(allow(&[unsound]).validate().is_err(), "{unsound}");
        }
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
        let destination = check(&policy(directory.path()), &uri).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let destination = destination.open(&SourcePolicy::default(), stop).unwrap();
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
