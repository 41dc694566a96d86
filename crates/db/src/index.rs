//! One index: its namespaces and its imports, as callers see them.
#![allow(clippy::todo)]

use crossbill_core::{Filter, Metadata, NamespaceName, Record, Result};
use crossbill_import::Reject;

use crate::types::{
    ImportView, IndexInfo, IndexStats, Lsn, NamespaceInfo, NamespacePage, Query, QueryAnswer,
    Selector, StartImport, StoredRecord, Update,
};

/// An index, to read and write. Every write is durable when its call returns
/// and seen by every read that begins after.
pub struct Index {}

impl Index {
    /// The index as described.
    pub fn info(&self) -> IndexInfo {
        todo!()
    }

    /// The number of the last write.
    pub fn lsn(&self) -> Lsn {
        todo!()
    }

    /// Puts records, each in place of the one with its id. All are checked
    /// before any is written.
    pub fn upsert(&self, namespace: &NamespaceName, records: Vec<Record>) -> Result<Lsn> {
        let _ = (namespace, records);
        todo!()
    }

    /// The nearest records.
    pub fn query(&self, namespace: &NamespaceName, query: &Query) -> Result<QueryAnswer> {
        let _ = (namespace, query);
        todo!()
    }

    /// The records with these ids; unknown ones are left out.
    pub fn fetch(&self, namespace: &NamespaceName, ids: &[String]) -> Result<Vec<StoredRecord>> {
        let _ = (namespace, ids);
        todo!()
    }

    /// Records whose metadata matches, in id order after `after`, and the id
    /// to go on after where there are more.
    pub fn fetch_by_metadata(
        &self,
        namespace: &NamespaceName,
        filter: &Filter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<(Vec<StoredRecord>, Option<String>)> {
        let _ = (namespace, filter, limit, after);
        todo!()
    }

    /// Changes one record.
    pub fn update(&self, namespace: &NamespaceName, update: Update) -> Result<Lsn> {
        let _ = (namespace, update);
        todo!()
    }

    /// Puts fields over the metadata of every record that matches, or only
    /// counts them; gives how many matched.
    pub fn update_by_filter(
        &self,
        namespace: &NamespaceName,
        filter: &Filter,
        set_metadata: Metadata,
        dry_run: bool,
    ) -> Result<u64> {
        let _ = (namespace, filter, set_metadata, dry_run);
        todo!()
    }

    /// Deletes records.
    pub fn delete(&self, namespace: &NamespaceName, selector: Selector) -> Result<Lsn> {
        let _ = (namespace, selector);
        todo!()
    }

    /// Ids with `prefix` in order, after `after`; whether there are more.
    pub fn list_ids(
        &self,
        namespace: &NamespaceName,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<String>, bool)> {
        let _ = (namespace, prefix, after, limit);
        todo!()
    }

    /// Live records by namespace.
    pub fn stats(&self) -> Result<IndexStats> {
        todo!()
    }

    /// Makes an empty namespace. `Conflict` where it exists.
    pub fn create_namespace(
        &self,
        namespace: &NamespaceName,
        filterable: Option<Vec<String>>,
    ) -> Result<NamespaceInfo> {
        let _ = (namespace, filterable);
        todo!()
    }

    /// Namespaces with `prefix` in name order, after `after`.
    pub fn list_namespaces(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<NamespacePage> {
        let _ = (prefix, after, limit);
        todo!()
    }

    /// One namespace. `NotFound` where it does not exist.
    pub fn describe_namespace(&self, namespace: &NamespaceName) -> Result<NamespaceInfo> {
        let _ = namespace;
        todo!()
    }

    /// Deletes a namespace and its records. `NotFound` where it does not
    /// exist.
    pub fn delete_namespace(&self, namespace: &NamespaceName) -> Result<()> {
        let _ = namespace;
        todo!()
    }

    /// Starts an import and gives its id. Checks the form of the request
    /// only; never touches the source.
    pub fn start_import(&self, start: StartImport) -> Result<String> {
        let _ = start;
        todo!()
    }

    /// One import. `NotFound` where there is none.
    pub fn describe_import(&self, id: &str) -> Result<ImportView> {
        let _ = id;
        todo!()
    }

    /// Imports, newest first, with ids below `before`; whether there are more.
    pub fn list_imports(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<ImportView>, bool)> {
        let _ = (before, limit);
        todo!()
    }

    /// Cancels an import: described as Cancelled from the next call on. No
    /// effect on one that has ended.
    pub fn cancel_import(&self, id: &str) -> Result<()> {
        let _ = id;
        todo!()
    }

    /// Rejected records from `offset` on, and how many there are in all.
    pub fn import_rejects(
        &self,
        id: &str,
        offset: u64,
        limit: usize,
    ) -> Result<(Vec<Reject>, u64)> {
        let _ = (id, offset, limit);
        todo!()
    }
}
