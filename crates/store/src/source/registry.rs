//! The integrations made while the server runs: kept in one private document
//! of the data root, known to every source that is opened.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crossbill_core::{Error, Result, limits};
use parking_lot::RwLock;

use super::integration::Integration;
use crate::{Key, Root, StoreError};

/// The kind under which the document is stored.
const KIND: &str = "integrations";
/// The document's key.
const KEY: &str = "integrations.json";

/// Integrations by id. Clones share them; the default holds none and keeps
/// none.
#[derive(Clone, Default)]
pub struct StoredIntegrations(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    root: Option<Root>,
    version: u64,
    by_id: BTreeMap<String, Integration>,
}

impl fmt::Debug for StoredIntegrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.read().by_id.keys()).finish()
    }
}

impl StoredIntegrations {
    /// Those that `root` keeps.
    pub fn open(root: &Root) -> Result<Self> {
        let (version, by_id) = match root.get_private(&key()?, KIND)? {
            Some((version, payload)) => {
                let all: Vec<Integration> = serde_json::from_slice(&payload).map_err(|error| {
                    // Its text may hold a secret: where it goes wrong is enough.
                    let (line, column) = (error.line(), error.column());
                    let problem = format!(
                        "it does not read at line {line} column {column}; it may come from a \
                         newer release"
                    );
                    StoreError::Corrupt { file: KEY.to_owned(), problem }
                })?;
                (version, all.into_iter().map(|one| (one.id.clone(), one)).collect())
            }
            None => (0, BTreeMap::new()),
        };
        let root = Some(root.clone());
        Ok(Self(Arc::new(RwLock::new(State { root, version, by_id }))))
    }

    /// The one called `id`.
    pub fn get(&self, id: &str) -> Option<Integration> {
        self.0.read().by_id.get(id).cloned()
    }

    /// All of them by id.
    pub fn all(&self) -> Vec<Integration> {
        self.0.read().by_id.values().cloned().collect()
    }

    /// Keeps one more; durable when this returns.
    ///
    /// # Errors
    /// `Conflict` where its id is taken, `Exhausted` where there are many.
    pub fn insert(&self, integration: Integration) -> Result<()> {
        let mut state = self.0.write();
        let id = integration.id.clone();
        if state.by_id.contains_key(&id) {
            return Err(Error::conflict(format!(
                "integration {id:?} exists already; delete it first to change it"
            )));
        }
        let limit = limits::STORED_INTEGRATIONS_MAX;
        if state.by_id.len() >= limit {
            return Err(Error::exhausted(format!(
                "there are {limit} integrations, which is the limit; delete one first"
            )));
        }
        let mut changed = state.by_id.clone();
        changed.insert(id, integration);
        state.store(changed)
    }

    /// Forgets one, its secrets too; durable when this returns.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub fn remove(&self, id: &str) -> Result<()> {
        let mut state = self.0.write();
        let mut changed = state.by_id.clone();
        if changed.remove(id).is_none() {
            return Err(Error::not_found(format!("integration {id:?} not found")));
        }
        state.store(changed)
    }
}

impl State {
    fn store(&mut self, changed: BTreeMap<String, Integration>) -> Result<()> {
        let root = self.root.as_ref();
        let root = root.ok_or_else(|| Error::unsupported("integrations are not kept here"))?;
        let stored: Vec<_> = changed.values().map(Integration::to_stored).collect();
        let payload = serde_json::Value::from(stored).to_string();
        root.put_private(&key()?, KIND, self.version + 1, payload.as_bytes())?;
        self.version += 1;
        self.by_id = changed;
        Ok(())
    }
}

fn key() -> Result<Key> {
    Key::new(KEY).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::{Secret, StoreKind};
    use super::*;
    use crate::RootOptions;
    use crossbill_core::{ErrorKind, RandomIds, SystemClock};

    fn root(directory: &tempfile::TempDir) -> Root {
        Root::open(RootOptions {
            path: directory.path().to_owned(),
            faults: None,
            ids: Arc::new(RandomIds),
            clock: Arc::new(SystemClock::new()),
        })
        .unwrap()
    }

    fn integration(id: &str) -> Integration {
        Integration {
            id: id.to_owned(),
            kind: StoreKind::Azure,
            account: Some("lake1".to_owned()),
            access_key: Some(Secret::new("canary")),
            buckets: vec!["a/b".to_owned()],
            ..Integration::default()
        }
    }

    #[test]
    fn they_are_kept_private_and_gone_when_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let kept = root(&directory);
        let stored = StoredIntegrations::open(&kept).unwrap();
        stored.insert(integration("one")).unwrap();
        stored.insert(integration("two")).unwrap();
        assert_eq!(stored.insert(integration("two")).unwrap_err().kind(), ErrorKind::Conflict);
        assert!(!format!("{stored:?}").contains("canary"));
        let file = directory.path().join(KEY);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop((stored, kept));
        let kept = root(&directory);
        let stored = StoredIntegrations::open(&kept).unwrap();
        assert_eq!(stored.get("one"), Some(integration("one")));
        stored.remove("one").unwrap();
        stored.remove("two").unwrap();
        assert_eq!(stored.remove("two").unwrap_err().kind(), ErrorKind::NotFound);
        let text = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("canary"));
        let names = std::fs::read_dir(directory.path()).unwrap().flatten();
        let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().contains(".new")), "{names:?}");
    }

    #[test]
    fn damage_is_reported_and_shows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let kept = root(&directory);
        let stored = StoredIntegrations::open(&kept).unwrap();
        stored.insert(integration("one")).unwrap();
        let file = directory.path().join(KEY);
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let error = StoredIntegrations::open(&kept).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains(KEY) && !error.message().contains("canary"), "{error}");
    }
}
