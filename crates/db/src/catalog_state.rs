//! The catalog as it is stored: changed by one process, one change after
//! another.

use crossbill_core::{Error, Result};
use crossbill_store::killpoint::reach;
use crossbill_store::{CommitError, Documents, Key, Root, Versioned};

use crate::catalog::{CATALOG_KIND, Catalog};

/// Versions of the catalog kept.
const CATALOGS_KEPT: usize = 4;

/// The catalog, and how it is stored.
pub(crate) struct CatalogState {
    documents: Documents<Catalog>,
    version: u64,
    pub(crate) catalog: Catalog,
}

/// Why the catalog was not changed.
pub(crate) struct Refused {
    pub(crate) error: Error,
    /// Whether it is certain that it was not: else the next open may find the
    /// change.
    pub(crate) is_certain: bool,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl CatalogState {
    /// What is stored; nothing where there is no catalog yet.
    pub(crate) fn load(root: &Root) -> Result<Self> {
        let key = Key::new("catalog").map_err(|error| Error::internal(error.to_string()))?;
        let documents = Documents::new(root, key, CATALOG_KIND);
        let (version, catalog) = match documents.load()? {
            Some(Versioned { version, value }) => (version, value),
            None => (0, Catalog::default()),
        };
        Ok(Self { documents, version, catalog })
    }

    /// Makes `catalog` the catalog, durably.
    pub(crate) fn commit(&mut self, catalog: Catalog) -> Result<()> {
        reach("catalog.commit_before");
        let version = match self.documents.commit(self.version, &catalog) {
            Ok(version) => version,
            Err(error) => self.settle(&catalog, error)?,
        };
        reach("catalog.commit_after");
        (self.version, self.catalog) = (version, catalog);
        if let Err(error) = self.documents.prune(CATALOGS_KEPT) {
            tracing::warn!(%error, "old catalogs were not pruned");
        }
        Ok(())
    }

    /// After an error: looks whether the commit took effect all the same, and
    /// follows what is stored where it did not.
    fn settle(&mut self, catalog: &Catalog, error: CommitError) -> Result<u64> {
        match self.documents.load() {
            Ok(Some(stored)) if stored.value == *catalog => Ok(stored.version),
            Ok(Some(stored)) => {
                self.version = stored.version;
                Err(error.into())
            }
            _ => Err(error.into()),
        }
    }
}
