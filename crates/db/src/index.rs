//! One index: its namespaces and its imports, as callers see them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crossbill_core::{DocumentFields, Error, Filter, IndexShape, NamespaceName, Record, Result};
use crossbill_engine::TextFields;
use parking_lot::RwLock;
use rayon::prelude::*;

use crate::catalog::not_found;
use crate::env::Env;
use crate::exports::{self, Exports};
use crate::imports::{self, Imports};
use crate::metrics::IndexGauges;
use crate::namespace::{IndexContext, Namespace, WriteOp, directory_name};
use crate::ops::Op;
use crate::pace::Stop;
use crate::parts;
use crate::types::{
    IndexInfo, IndexStats, Lsn, NamespaceInfo, NamespacePage, Query, QueryAnswer, Selector,
    StoredRecord, Update,
};

/// An index, to read and write. Every write is durable when its call returns
/// and seen by every read that begins after.
pub struct Index {
    info: RwLock<IndexInfo>,
    context: Arc<IndexContext>,
    namespaces: RwLock<BTreeMap<String, Arc<Namespace>>>,
    /// Directories that could not be opened, and why.
    broken: BTreeMap<String, Error>,
    imports: Imports,
    exports: Exports,
    this: Weak<Index>,
}

impl Index {
    /// Opens what is stored of an index (nothing, for a new one).
    pub(crate) fn open(env: &Arc<Env>, info: IndexInfo) -> Result<Arc<Self>> {
        let context = Arc::new(IndexContext {
            env: Arc::clone(env),
            shape: info.shape,
            documents: info.documents.clone(),
            text: TextFields::new(&info.text),
            uid: info.uid.clone(),
            dir: parts::index_dir(&info.uid)?,
            lsn: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let directories = env.root.list_dirs(&context.dir.join("namespaces"))?;
        let opened: Vec<_> = env.query_pool.install(|| {
            let directories = directories.into_par_iter();
            directories.map(|name| (Namespace::open(&context, &name), name)).collect()
        });
        let (mut namespaces, mut broken) = (BTreeMap::new(), BTreeMap::new());
        for (result, directory) in opened {
            match result {
                Ok(Some(namespace)) => {
                    namespaces.insert(namespace.name().as_str().to_owned(), namespace);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(index = %info.name, directory, %error, "namespace unusable");
                    broken.insert(directory, error);
                }
            }
        }
        let lsn = namespaces.values().map(|namespace| namespace.applied_lsn()).sum();
        context.lsn.store(lsn, Ordering::Release);
        let imports = imports::open(&context, &info)?;
        let exports = exports::open(&context, &info)?;
        imports.restore(&namespaces);
        let index = Arc::new_cyclic(|this| Self {
            info: RwLock::new(info),
            context,
            namespaces: RwLock::new(namespaces),
            broken,
            imports,
            exports,
            this: Weak::clone(this),
        });
        index.tell_of_parts();
        Ok(index)
    }

    /// Tells which parts of other indexes it refers to, and that it may refer
    /// to its own.
    fn tell_of_parts(&self) {
        let IndexContext { env, uid, .. } = &*self.context;
        let parts = self.all_namespaces();
        let parts = parts.iter().flat_map(|namespace| namespace.parts());
        env.parts.hold(uid, parts.filter(|part| parts::is_foreign(part)));
        env.parts.add_owner(uid, self.weak());
    }

    /// The index as described.
    pub fn info(&self) -> IndexInfo {
        self.info.read().clone()
    }

    /// Its uid, which it has for ever.
    pub fn uid(&self) -> &str {
        &self.context.uid
    }

    /// What its records look like.
    pub fn shape(&self) -> &IndexShape {
        &self.context.shape
    }

    /// Which fields hold the vectors, in an index of documents.
    pub fn documents(&self) -> Option<&DocumentFields> {
        self.context.documents.as_ref()
    }

    pub(crate) fn set_info(&self, info: IndexInfo) {
        *self.info.write() = info;
    }

    pub(crate) fn imports(&self) -> &Imports {
        &self.imports
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.exports
    }

    pub(crate) fn weak(&self) -> Weak<Index> {
        Weak::clone(&self.this)
    }

    pub(crate) fn context(&self) -> &Arc<IndexContext> {
        &self.context
    }

    /// Refuses all further work: the index is deleted.
    pub(crate) fn close(&self) {
        self.context.closed.store(true, Ordering::Release);
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.context.closed.load(Ordering::Acquire) {
            return Err(not_found(self.info.read().name.as_str()));
        }
        Ok(())
    }

    /// Whether some namespace could not be opened: then nobody knows which
    /// parts it needs.
    pub(crate) fn has_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Every namespace object, those that do not exist for users among them.
    pub(crate) fn all_namespaces(&self) -> Vec<Arc<Namespace>> {
        self.namespaces.read().values().cloned().collect()
    }

    /// The namespace, if it was ever written to.
    fn find(&self, name: &NamespaceName) -> Result<Option<Arc<Namespace>>> {
        self.check_open()?;
        if let Some(found) = self.namespaces.read().get(name.as_str()) {
            return Ok(Some(Arc::clone(found)));
        }
        self.check_unbroken(name)?;
        Ok(None)
    }

    fn check_unbroken(&self, name: &NamespaceName) -> Result<()> {
        if self.broken.is_empty() {
            return Ok(());
        }
        match self.broken.get(&directory_name(name.as_str())) {
            Some(error) => Err(Error::new(
                error.kind(),
                format!("namespace {:?} cannot be used: {}", name.as_str(), error.message()),
            )),
            None => Ok(()),
        }
    }

    /// The namespace, to write to. A new one has a name within the limit.
    pub(crate) fn namespace(&self, name: &NamespaceName) -> Result<Arc<Namespace>> {
        if let Some(found) = self.find(name)? {
            return Ok(found);
        }
        NamespaceName::within(name.as_str(), self.context.env.limits.namespace_chars)?;
        let mut namespaces = self.namespaces.write();
        let namespace = namespaces
            .entry(name.as_str().to_owned())
            .or_insert_with(|| Namespace::new(&self.context, name));
        Ok(Arc::clone(namespace))
    }

    /// The number of the last write.
    pub fn lsn(&self) -> Lsn {
        Lsn(self.context.lsn.load(Ordering::Acquire))
    }

    /// Puts records, each in place of the one with its id. All are checked
    /// before any is written.
    pub fn upsert(&self, namespace: &NamespaceName, records: Vec<Record>) -> Result<Lsn> {
        self.namespace(namespace)?.upsert(records)
    }

    /// The nearest records.
    pub fn query(&self, namespace: &NamespaceName, query: &Query) -> Result<QueryAnswer> {
        let _span = tracing::debug_span!("query", %namespace, top_k = query.top_k).entered();
        if query.top_k == 0 {
            return Err(Error::invalid("top_k is 0, expected at least 1"));
        }
        if let Some(filter) = &query.filter {
            self.context.text.check_filter(filter)?;
        }
        self.context.env.reserve.query_begins();
        match self.find(namespace)? {
            Some(namespace) => namespace.query(query),
            // Asked all the same, so that a wrong query is told.
            None => Namespace::new(&self.context, namespace).query(query),
        }
    }

    /// The records with these ids; unknown ones are left out.
    pub fn fetch(&self, namespace: &NamespaceName, ids: &[String]) -> Result<Vec<StoredRecord>> {
        Ok(self.find(namespace)?.map(|namespace| namespace.fetch(ids)).unwrap_or_default())
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
        self.check_filter(filter, "Empty filter provided for fetch by metadata request")?;
        match self.find(namespace)? {
            Some(namespace) => Ok(namespace.fetch_by_metadata(filter, limit, after)),
            None => Ok((Vec::new(), None)),
        }
    }

    /// Changes one record.
    pub fn update(&self, namespace: &NamespaceName, update: Update) -> Result<Lsn> {
        self.update_each(namespace, vec![update])
    }

    /// Changes records with distinct ids: all, or none where one cannot be.
    pub fn update_each(&self, namespace: &NamespaceName, updates: Vec<Update>) -> Result<Lsn> {
        match self.find(namespace)? {
            Some(namespace) => namespace.update(updates),
            None => Namespace::new(&self.context, namespace).update(updates),
        }
    }

    /// Changes every record that matches (the update's own id counts
    /// nothing), or only counts them; gives how many matched.
    pub fn update_by_filter(
        &self,
        namespace: &NamespaceName,
        filter: &Filter,
        update: Update,
        dry_run: bool,
    ) -> Result<u64> {
        self.check_filter(filter, "Update with empty metadata filter is not allowed")?;
        match self.find(namespace)? {
            None => Ok(0),
            Some(namespace) if dry_run => Ok(namespace.count_matching(filter)),
            Some(namespace) => Ok(namespace.update_by_filter(filter, update)?.matched),
        }
    }

    /// Deletes records. `NotFound` where the namespace does not exist and all
    /// of it, or a filter, is asked for.
    pub fn delete(&self, namespace: &NamespaceName, selector: Selector) -> Result<Lsn> {
        Ok(self.delete_counted(namespace, selector)?.0)
    }

    /// The same; also how many records a filter matched.
    pub fn delete_counted(
        &self,
        namespace: &NamespaceName,
        selector: Selector,
    ) -> Result<(Lsn, u64)> {
        let found = self.find(namespace)?.filter(|namespace| namespace.exists());
        if let Selector::Filter(filter) = &selector {
            self.check_filter(filter, "Delete with empty metadata filter is not allowed")?;
        }
        let Some(found) = found else {
            return match selector {
                Selector::Ids(_) => Ok((self.lsn(), 0)),
                _ => Err(Error::not_found("Namespace not found")),
            };
        };
        let op = match selector {
            Selector::Ids(ids) => {
                ids.iter().try_for_each(|id| crossbill_core::check_record_id(id))?;
                WriteOp::Blind(vec![Op::Delete(ids)])
            }
            Selector::All => WriteOp::Blind(vec![Op::Clear]),
            Selector::Filter(filter) => WriteOp::DeleteMatching(filter),
        };
        let cleared = matches!(&op, WriteOp::Blind(ops) if ops.contains(&Op::Clear));
        if cleared {
            // First: to forget what was loaded costs time, not to forget it
            // would cost records.
            found.end_life()?;
        }
        let written = found.write(op)?;
        if cleared {
            // Gives the space of its segments back.
            found.flush_soon();
        }
        Ok((written.lsn, written.matched))
    }

    /// A filter that takes records by itself is not empty, and asks for words of
    /// text fields alone.
    fn check_filter(&self, filter: &Filter, message: &str) -> Result<()> {
        if filter.is_empty() {
            return Err(Error::invalid(message));
        }
        Ok(self.context.text.check_filter(filter)?)
    }

    /// Ids with `prefix` in order, after `after`; whether there are more.
    pub fn list_ids(
        &self,
        namespace: &NamespaceName,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<String>, bool)> {
        let found = self.find(namespace)?;
        Ok(found.map(|namespace| namespace.list_ids(prefix, after, limit)).unwrap_or_default())
    }

    /// Live records by namespace.
    pub fn stats(&self) -> Result<IndexStats> {
        self.check_open()?;
        let lsn = self.lsn();
        let infos = self.all_namespaces().into_iter().filter_map(|namespace| namespace.info());
        let namespaces: BTreeMap<String, u64> =
            infos.map(|info| (info.name, info.record_count)).collect();
        let total = namespaces.values().sum();
        Ok(IndexStats { namespaces, total, lsn })
    }

    /// How much it holds, and its imports by status.
    pub(crate) fn gauges(&self) -> IndexGauges {
        let namespaces = self.all_namespaces();
        let infos: Vec<_> = namespaces.iter().filter_map(|namespace| namespace.info()).collect();
        let mut imports = BTreeMap::new();
        for job in self.imports.all() {
            *imports.entry(job.status().as_str()).or_default() += 1;
        }
        IndexGauges {
            index: self.info.read().name.as_str().to_owned(),
            records: infos.iter().map(|info| info.record_count).sum(),
            bytes: infos.iter().map(|info| info.size_bytes).sum(),
            namespaces: infos.len() as u64,
            segments: namespaces.iter().map(|namespace| namespace.segment_count()).sum(),
            imports: imports.into_iter().collect(),
        }
    }

    /// Makes an empty namespace. `Conflict` where it exists.
    pub fn create_namespace(
        &self,
        namespace: &NamespaceName,
        filterable: Option<Vec<String>>,
    ) -> Result<NamespaceInfo> {
        let found = self.namespace(namespace)?;
        found.write(WriteOp::Create(filterable))?;
        found.info().ok_or_else(|| namespace_not_found(namespace))
    }

    /// Namespaces with `prefix` in name order, after `after`.
    pub fn list_namespaces(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<NamespacePage> {
        self.check_open()?;
        let all: Vec<Arc<Namespace>> = {
            let namespaces = self.namespaces.read();
            let from = namespaces.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
            let with_prefix = from.take_while(|(name, _)| name.starts_with(prefix));
            with_prefix.map(|(_, namespace)| Arc::clone(namespace)).collect()
        };
        let existing: Vec<&Arc<Namespace>> = all.iter().filter(|found| found.exists()).collect();
        let total = existing.len() as u64;
        let behind =
            existing.iter().filter(|found| after.is_none_or(|after| found.name().as_str() > after));
        let mut namespaces: Vec<NamespaceInfo> =
            behind.filter_map(|found| found.info()).take(limit.saturating_add(1)).collect();
        let more = namespaces.len() > limit;
        namespaces.truncate(limit);
        Ok(NamespacePage { namespaces, more, total })
    }

    /// One namespace. `NotFound` where it does not exist.
    pub fn describe_namespace(&self, namespace: &NamespaceName) -> Result<NamespaceInfo> {
        let found = self.find(namespace)?.and_then(|found| found.info());
        found.ok_or_else(|| namespace_not_found(namespace))
    }

    /// Deletes a namespace and its records. `NotFound` where it does not
    /// exist.
    pub fn delete_namespace(&self, namespace: &NamespaceName) -> Result<()> {
        let found = self.find(namespace)?.ok_or_else(|| namespace_not_found(namespace))?;
        found.write(WriteOp::Drop)?;
        Ok(())
    }

    /// Moves what is in memory into segments and merges small ones; for tests
    /// and tools. Nothing needs it: the background does both in time.
    pub fn flush(&self, namespace: &NamespaceName) -> Result<()> {
        match self.find(namespace)? {
            Some(namespace) => {
                namespace.flush()?;
                let never: Stop = Arc::new(|| false);
                while namespace.merge_once(&never)? {}
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn namespace_not_found(namespace: &NamespaceName) -> Error {
    Error::not_found(format!("Namespace {namespace} not found"))
}
