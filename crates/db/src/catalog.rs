//! Which indexes there are: one document, changed by compare-and-swap. Rules
//! of names, ports and tags; no I/O.

use std::collections::{BTreeMap, BTreeSet};

use crossbill_core::{
    DocumentFields, Error, IndexName, IndexShape, RequestLimits, Result, TextSchema, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::backups::BackupCatalog;
use crate::types::{IndexChange, IndexInfo, NewIndex, SpecChange};

/// The kind under which the catalog is stored.
pub(crate) const CATALOG_KIND: &str = "catalog";

/// All indexes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Catalog {
    /// In name order.
    pub(crate) indexes: BTreeMap<IndexName, CatalogEntry>,
    /// Backups, and what belongs to them.
    #[serde(default, skip_serializing_if = "BackupCatalog::is_empty")]
    pub(crate) backups: BackupCatalog,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CatalogEntry {
    uid: String,
    shape: IndexShape,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    documents: Option<DocumentFields>,
    #[serde(default, skip_serializing_if = "TextSchema::is_empty")]
    text: TextSchema,
    port: u16,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    deletion_protection: bool,
    cloud: String,
    region: String,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spec_json: Option<String>,
    /// Other indexes in whose directories parts of this one may lie.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    origins: BTreeSet<String>,
}

impl CatalogEntry {
    /// The entry as described.
    pub(crate) fn info(&self, name: &IndexName) -> IndexInfo {
        IndexInfo {
            name: name.clone(),
            uid: self.uid.clone(),
            shape: self.shape,
            documents: self.documents.clone(),
            text: self.text.clone(),
            port: self.port,
            tags: self.tags.clone(),
            deletion_protection: self.deletion_protection,
            cloud: self.cloud.clone(),
            region: self.region.clone(),
            created_at: self.created_at,
            spec_json: self.spec_json.clone(),
        }
    }
}

/// Why an index of that name is not found.
pub(crate) fn not_found(name: &str) -> Error {
    Error::not_found(format!("Index {name} not found"))
}

impl Catalog {
    /// Adds an index; it gets the smallest port from `first_port` up that no
    /// other index has, and keeps it.
    pub(crate) fn create(
        &mut self,
        new: NewIndex,
        uid: String,
        created_at: Timestamp,
        first_port: u16,
    ) -> Result<()> {
        self.check_free(&new.name)?;
        let taken = |port: &u16| self.indexes.values().any(|entry| entry.port == *port);
        let port = (first_port..=u16::MAX).find(|port| !taken(port)).ok_or_else(|| {
            Error::exhausted(format!("every port from {first_port} to 65535 belongs to an index"))
        })?;
        let entry = CatalogEntry {
            uid,
            shape: new.shape,
            documents: new.documents,
            text: new.text,
            port,
            tags: new.tags,
            deletion_protection: new.deletion_protection,
            cloud: new.cloud,
            region: new.region,
            created_at,
            spec_json: new.spec_json,
            origins: BTreeSet::new(),
        };
        self.indexes.insert(new.name, entry);
        Ok(())
    }

    /// `Conflict` where an index has that name.
    pub(crate) fn check_free(&self, name: &IndexName) -> Result<()> {
        match self.indexes.contains_key(name) {
            true => Err(Error::conflict(format!("Resource already exists: index {name}"))),
            false => Ok(()),
        }
    }

    /// Notes in whose directories parts of an index may lie.
    pub(crate) fn set_origins(&mut self, name: &IndexName, origins: BTreeSet<String>) {
        if let Some(entry) = self.indexes.get_mut(name) {
            entry.origins = origins;
        }
    }

    /// In whose directories parts of an index may lie beside its own.
    pub(crate) fn origins(&self, name: &IndexName) -> BTreeSet<String> {
        self.indexes.get(name).map(|entry| entry.origins.clone()).unwrap_or_default()
    }

    /// The index called `name`.
    pub(crate) fn get(&self, name: &str) -> Result<IndexInfo> {
        let found = IndexName::new(name).ok().and_then(|name| self.indexes.get_key_value(&name));
        let (name, entry) = found.ok_or_else(|| not_found(name))?;
        Ok(entry.info(name))
    }

    /// Changes an index; tags merge, and an empty value removes its tag.
    pub(crate) fn configure(
        &mut self,
        name: &str,
        change: IndexChange,
        limits: &RequestLimits,
    ) -> Result<()> {
        let key = IndexName::new(name).map_err(|_| not_found(name))?;
        let entry = self.indexes.get_mut(&key).ok_or_else(|| not_found(name))?;
        let mut tags = entry.tags.clone();
        tags.extend(change.tags);
        tags.retain(|_, value| !value.is_empty());
        limits.check_tags(&tags)?;
        entry.tags = tags;
        if let Some(protected) = change.deletion_protection {
            entry.deletion_protection = protected;
        }
        if let Some(SpecChange { from, to }) = change.spec_json {
            if entry.spec_json != from {
                return Err(Error::failed_precondition(format!(
                    "index {name} was changed at the same time, expected it as it was read; try \
                     again"
                )));
            }
            entry.spec_json = Some(to);
        }
        Ok(())
    }

    /// Takes an index out, and its schedules; its backups stay.
    pub(crate) fn delete(&mut self, name: &str, now: Timestamp) -> Result<IndexInfo> {
        let info = self.get(name)?;
        if info.deletion_protection {
            return Err(Error::forbidden(format!(
                "Deletion protection is enabled for index {name}; disable it before deleting"
            )));
        }
        self.indexes.remove(&info.name);
        self.backups.index_deleted(&info.uid, now);
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use crossbill_core::{ErrorKind, Metric};

    use super::*;

    fn new_index(name: &str) -> NewIndex {
        NewIndex {
            name: IndexName::new(name).unwrap(),
            shape: IndexShape::dense(2, Metric::Cosine),
            documents: None,
            text: TextSchema::default(),
            tags: BTreeMap::new(),
            deletion_protection: false,
            cloud: "aws".into(),
            region: "us-east-1".into(),
            spec_json: None,
        }
    }

    #[test]
    fn ports_are_the_smallest_free_and_stay() {
        let mut catalog = Catalog::default();
        for name in ["a", "b", "c"] {
            catalog.create(new_index(name), name.into(), Timestamp(1), 5081).unwrap();
        }
        assert_eq!(catalog.get("b").unwrap().port, 5082);
        catalog.delete("a", Timestamp(2)).unwrap();
        catalog.create(new_index("d"), "d".into(), Timestamp(1), 5081).unwrap();
        assert_eq!(catalog.get("d").unwrap().port, 5081);
        assert_eq!(catalog.get("c").unwrap().port, 5083);
        let again = catalog.create(new_index("c"), "x".into(), Timestamp(1), 5081).unwrap_err();
        assert_eq!(
            (again.kind(), again.message()),
            (ErrorKind::Conflict, "Resource already exists: index c")
        );
        assert_eq!(catalog.get("nope").unwrap_err().message(), "Index nope not found");
        let all = catalog.create(new_index("e"), "e".into(), Timestamp(1), 65535);
        assert!(all.is_ok());
        let full = catalog.create(new_index("f"), "f".into(), Timestamp(1), 65535).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Exhausted);
    }

    #[test]
    fn tags_merge_and_protection_protects() {
        let mut catalog = Catalog::default();
        let tags = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let mut new = new_index("a");
        new.tags = tags(&[("x", "1"), ("y", "2")]);
        catalog.create(new, "a".into(), Timestamp(1), 5081).unwrap();
        let change = IndexChange {
            tags: tags(&[("y", ""), ("z", "3")]),
            deletion_protection: Some(true),
            spec_json: None,
        };
        catalog.configure("a", change, &RequestLimits::default()).unwrap();
        assert_eq!(catalog.get("a").unwrap().tags, tags(&[("x", "1"), ("z", "3")]));
        assert_eq!(catalog.delete("a", Timestamp(2)).unwrap_err().kind(), ErrorKind::Forbidden);
        let bad = IndexChange { tags: tags(&[("a b", "1")]), ..IndexChange::default() };
        let refused = catalog.configure("a", bad, &RequestLimits::default()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}
