//! Documents that change by compare-and-swap: each version is an object of
//! its own, created only if it does not exist, and the newest one counts. A
//! damaged newest version is an error, never silently an older one.

use std::marker::PhantomData;

use bytes::Bytes;
use crossbill_core::{Error, limits};
use serde::{Serialize, de::DeserializeOwned};

use crate::envelope::{self, Stamp};
use crate::{Key, MANIFEST_KIND, Root, StoreError, killpoint};

/// Versions that are never pruned. A writer that was overtaken by this many
/// commits between its look and its write learns that it was.
const KEPT_MIN: u64 = 4;
/// How often a newest version that vanishes while it is loaded is looked for anew.
const LOADS_MAX: u32 = 16;

/// A stored document of type `T`: objects `<prefix>/<20-digit version>.json`.
#[derive(Debug)]
pub struct Documents<T> {
    root: Root,
    prefix: Key,
    kind: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Documents<T> {
    fn clone(&self) -> Self {
        let (root, prefix) = (self.root.clone(), self.prefix.clone());
        Self { root, prefix, kind: self.kind, value: PhantomData }
    }
}

/// A document as it was at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// Its version, from 1.
    pub version: u64,
    /// Its content.
    pub value: T,
}

/// Why a commit is not known to have happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another writer was first: load, decide again, commit again.
    #[error("{document} is at version {newest}, the change was made to version {base}")]
    Conflict {
        /// The document.
        document: String,
        /// The version the change was made to.
        base: u64,
        /// A newer one.
        newest: u64,
    },
    /// The store failed. Unless the error is `TooLarge` or `Corrupt` the
    /// commit may have happened: only loading the document tells.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            conflict => Error::conflict(conflict.to_string()),
        }
    }
}

impl<T: Serialize + DeserializeOwned + Clone> Documents<T> {
    /// The document of `kind` (1-16 ASCII characters) under `prefix`, which
    /// nothing else uses.
    pub fn new(root: &Root, prefix: Key, kind: &'static str) -> Self {
        Self { root: root.clone(), prefix, kind, value: PhantomData }
    }

    /// The newest version; `None` if there is none.
    ///
    /// # Errors
    /// `Corrupt` where the newest version is damaged.
    pub fn load(&self) -> Result<Option<Versioned<T>>, StoreError> {
        for _ in 0..LOADS_MAX {
            let Some(version) = self.versions()?.last().copied() else { return Ok(None) };
            let key = self.key(version);
            let Some(bytes) = self.root.get(&key)? else {
                continue; // Pruned since, so there is a newer one.
            };
            let value = match self.read(version, &bytes) {
                Ok(value) => value,
                // The damage may have happened on the way here.
                Err(problem) => match self.root.get(&key)? {
                    Some(again) => {
                        self.read(version, &again).map_err(|_| StoreError::corrupt(key, problem))?
                    }
                    None => continue,
                },
            };
            return Ok(Some(Versioned { version, value }));
        }
        Err(self.unknown("loading", "each newest version was gone when it was read"))
    }

    /// Makes `value` the version after `base` (0 where there is none yet) and
    /// gives the new version. It is durable when this returns.
    ///
    /// # Errors
    /// `Conflict` where `base` is not the newest version.
    pub fn commit(&self, base: u64, value: &T) -> Result<u64, CommitError> {
        let newest = self.newest()?;
        if newest != base {
            return Err(self.conflict(base, newest));
        }
        let version = base + 1;
        let payload = serde_json::to_vec(value).map_err(|error| {
            self.unknown("writing", &format!("the value does not serialise: {error}"))
        })?;
        let found = (payload.len() + envelope::HEADER_BYTES) as u64;
        let limit = limits::DOCUMENT_BYTES_MAX as u64;
        if found > limit {
            return Err(StoreError::TooLarge { what: self.kind, found, limit }.into());
        }
        // The nonce makes the bytes of each write unique, so that the root can
        // tell a lost answer of ours from somebody else's write.
        let stamp = Stamp { nonce: self.root.ids().next_id().0, version };
        let bytes = envelope::encode(self.kind, stamp, &payload);
        self.reach("manifest.put_before");
        match self.root.put_new(&self.key(version), bytes) {
            Err(StoreError::Exists { .. }) => {
                return Err(self.conflict(base, self.newest()?.max(version)));
            }
            other => other?,
        }
        self.reach("manifest.put_after");
        // If others committed so often meanwhile that our version may have
        // existed and been pruned, our write proves nothing.
        if self.newest()? >= version + KEPT_MIN {
            return Err(self.unknown("committing", "overtaken by many other commits").into());
        }
        Ok(version)
    }

    /// Deletes all but the newest `keep_newest` versions (at least 4 are kept).
    pub fn prune(&self, keep_newest: usize) -> Result<(), StoreError> {
        let versions = self.versions()?;
        let Some(newest) = versions.last().copied() else { return Ok(()) };
        let oldest_kept = newest.saturating_sub((keep_newest as u64).max(KEPT_MIN)) + 1;
        for version in versions.into_iter().filter(|version| *version < oldest_kept) {
            self.root.delete(&self.key(version))?;
        }
        // A half-staged write of a version that exists can only lose.
        self.root.sweep_staged(&self.prefix, |name| {
            parse_version(name).is_some_and(|version| version <= newest)
        })
    }

    fn key(&self, version: u64) -> Key {
        self.prefix.join(&format!("{version:020}.json"))
    }

    fn versions(&self) -> Result<Vec<u64>, StoreError> {
        let listed = self.root.list(&self.prefix)?;
        Ok(listed.iter().filter_map(|(key, _)| parse_version(self.prefix.relative(key)?)).collect())
    }

    fn newest(&self) -> Result<u64, StoreError> {
        Ok(self.versions()?.last().copied().unwrap_or(0))
    }

    fn read(&self, version: u64, bytes: &Bytes) -> Result<T, String> {
        let (stamp, payload) = envelope::decode(self.kind, bytes)?;
        if stamp.version != version {
            return Err(format!("found version {}, expected {version}", stamp.version));
        }
        serde_json::from_slice(&payload).map_err(|error| {
            format!("its {} does not read: {error}; it may come from a newer release", self.kind)
        })
    }

    fn conflict(&self, base: u64, newest: u64) -> CommitError {
        CommitError::Conflict { document: self.prefix.to_string(), base, newest }
    }

    fn unknown(&self, operation: &'static str, problem: &str) -> StoreError {
        let key = self.prefix.to_string();
        StoreError::Unavailable { operation, key, problem: problem.to_owned() }
    }

    fn reach(&self, point: &'static str) {
        if self.kind == MANIFEST_KIND {
            killpoint::reach(point);
        }
    }
}

fn parse_version(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|version| *version > 0)
}

#[cfg(test)]
mod tests;
