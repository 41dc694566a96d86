//! Private documents: small files of the root that only the server's own user
//! may read, replaced as a whole, so that nothing of an earlier version stays.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytes::Bytes;

use super::{Root, check_size};
use crate::envelope::{self, Stamp};
use crate::faults::{self, Fault, FaultOp};
use crate::{Key, StoreError, disk};

/// Its owner may read and write it, nobody else anything.
const MODE: u32 = 0o600;

impl Root {
    /// The version and content of the private document at `key`; `None` if
    /// there is none.
    pub(crate) fn get_private(
        &self,
        key: &Key,
        kind: &'static str,
    ) -> Result<Option<(u64, Bytes)>, StoreError> {
        let path = self.file_path(key);
        if self.is_owned() {
            match fs::remove_file(staged(&path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("sweeping", key, &error));
                }
                _ => {}
            }
        }
        let read = self.attempt(|| {
            self.fault(FaultOp::Get, key.as_str())?;
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(Bytes::from(bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(StoreError::io("reading", key, &error)),
            }
        })?;
        let Some(bytes) = read else { return Ok(None) };
        let (stamp, payload) = envelope::decode(kind, &bytes)
            .map_err(|problem| StoreError::corrupt(path.display(), problem))?;
        Ok(Some((stamp.version, payload)))
    }

    /// Makes `payload` the private document at `key`, durably. After an error
    /// it is the old or the new one, whole.
    pub(crate) fn put_private(
        &self,
        key: &Key,
        kind: &'static str,
        version: u64,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let _changing = self.changing("writing", key)?;
        check_size("document", payload.len() as u64)?;
        let stamp = Stamp { nonce: self.ids().next_id().0, version };
        let bytes = envelope::encode(kind, stamp, payload);
        let fault = self.fault(FaultOp::Put, key.as_str())?;
        replace(&self.file_path(key), &bytes)
            .map_err(|error| StoreError::io("writing", key, &error))?;
        match fault {
            Some(Fault::ErrorAfter) => Err(StoreError::io("writing", key, &faults::injected_io())),
            _ => Ok(()),
        }
    }
}

impl Root {
    /// The private document at `key`: the one that is there, or else what
    /// `make` gives, which is then there for ever. Of two makers at once the
    /// one that links its file first wins, and both get that one's.
    pub(crate) fn keep_private(
        &self,
        key: &Key,
        kind: &'static str,
        make: impl Fn() -> Vec<u8>,
    ) -> Result<Bytes, StoreError> {
        if let Some((_, kept)) = self.get_private(key, kind)? {
            return Ok(kept);
        }
        let _changing = self.changing("creating", key)?;
        let stamp = Stamp { nonce: self.ids().next_id().0, version: 1 };
        let bytes = envelope::encode(kind, stamp, &make());
        self.attempt(|| {
            let fault = self.fault(FaultOp::Put, key.as_str())?;
            match create(&self.file_path(key), &bytes) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(StoreError::io("creating", key, &error));
                }
                _ => {}
            }
            match fault {
                Some(Fault::ErrorAfter) => {
                    Err(StoreError::io("creating", key, &faults::injected_io()))
                }
                _ => Ok(()),
            }
        })?;
        let kept = self.get_private(key, kind)?;
        kept.map(|(_, kept)| kept).ok_or_else(|| StoreError::NotFound { key: key.to_string() })
    }
}

fn staged(path: &Path) -> std::path::PathBuf {
    path.with_added_extension("new")
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_then(path, bytes, |staged| fs::rename(staged, path))
}

/// An error where something has the name already.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_then(path, bytes, |staged| {
        fs::hard_link(staged, path)?;
        fs::remove_file(staged)
    })
}

/// Writes a file beside `path`, durably, and lets `name` give it its name.
fn write_then(
    path: &Path,
    bytes: &[u8],
    name: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let staged = staged(path);
    let _ = fs::remove_file(&staged);
    let mut file = File::options().write(true).create_new(true).mode(MODE).open(&staged)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| name(&staged)) {
        let _ = fs::remove_file(&staged);
        return Err(error);
    }
    match path.parent() {
        Some(parent) => disk::sync_dir(parent),
        None => Ok(()),
    }
}
