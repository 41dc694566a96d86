//! The read path. A read takes a snapshot: what it wants of the memtable is
//! read under the lock, segments and the frozen memtable are shared and read
//! outside it. So it sees one manifest version and every write up to one
//! point of the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbill_core::{Error, Filter, Record, Result, SparseVector, VectorType};
use crossbill_engine::{Effort, Scored, SearchStats, Segment, SegmentQuery};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::Namespace;
use super::check::check_vectors;
use super::state::{Frozen, State};
use crate::types::{Lsn, Match, NamespaceInfo, Query, QueryAnswer, QueryBy, StoredRecord};

/// The recall that a query aims at where it says nothing.
const DEFAULT_EFFORT: Effort = Effort::Recall(0.95);
/// A filter that matches fewer than one row in so many is followed row by
/// row, otherwise in id order.
const SELECTIVE: u64 = 64;

/// Records of a page, and the id to go on after where there are more.
pub(crate) type Found = (Vec<StoredRecord>, Option<String>);

/// What of a snapshot is shared.
struct Shared {
    segments: Vec<(Arc<Segment>, Arc<RoaringBitmap>)>,
    frozen: Option<Frozen>,
    lsn: Lsn,
}

/// A match that is not yet read.
enum Place {
    Memtable(Box<Record>),
    Frozen(u32),
    Segment(usize, u32),
}

impl Namespace {
    fn share(&self, state: &State) -> Shared {
        let segments = state.live.iter();
        Shared {
            segments: segments
                .map(|live| (Arc::clone(&live.segment), Arc::clone(&live.deleted)))
                .collect(),
            frozen: state.frozen.clone(),
            lsn: Lsn(self.context.lsn.load(Ordering::Acquire)),
        }
    }

    /// The nearest records.
    pub(crate) fn query(&self, query: &Query) -> Result<QueryAnswer> {
        let (mut dense, mut sparse) = match &query.by {
            QueryBy::Vector { dense, sparse } => (dense.clone(), sparse.clone()),
            QueryBy::Id(_) => (None, None),
        };
        if !matches!(query.by, QueryBy::Id(_)) {
            self.check_query(dense.as_deref(), sparse.as_ref())?;
        }
        let (shared, mut found) = {
            let state = self.state.read();
            if !state.exists() {
                return Ok(nothing(Lsn(self.context.lsn.load(Ordering::Acquire))));
            }
            let shared = self.share(&state);
            if let QueryBy::Id(id) = &query.by {
                let Some(record) = find(&state, id) else { return Ok(nothing(shared.lsn)) };
                sparse = record.sparse;
                dense =
                    (self.context.shape.vector_type == VectorType::Dense).then_some(record.values);
            }
            let memtable = &state.memtable;
            let hits = memtable.search(
                dense.as_deref(),
                sparse.as_ref(),
                query.top_k,
                query.filter.as_ref(),
                memtable.dead(),
            );
            let found: Vec<(f32, Place)> = hits
                .iter()
                .map(|hit| (hit.score, Place::Memtable(Box::new(memtable.record(hit.row)))))
                .collect();
            (shared, found)
        };
        if let Some(frozen) = &shared.frozen {
            let hits = frozen.table.search(
                dense.as_deref(),
                sparse.as_ref(),
                query.top_k,
                query.filter.as_ref(),
                &frozen.deleted,
            );
            found.extend(hits.iter().map(|hit| (hit.score, Place::Frozen(hit.row))));
        }
        let wanted = SegmentQuery {
            dense: dense.as_deref(),
            sparse: sparse.as_ref(),
            top_k: query.top_k,
            effort: query.effort.unwrap_or(DEFAULT_EFFORT),
        };
        let (hits, stats) = self.search_segments(&shared, &wanted, query.filter.as_ref());
        found.extend(hits);
        let matches = self.nearest(&shared, found, query);
        Ok(QueryAnswer { matches, stats, lsn: shared.lsn })
    }

    fn check_query(&self, dense: Option<&[f32]>, sparse: Option<&SparseVector>) -> Result<()> {
        let shape = &self.context.shape;
        match (shape.vector_type, dense, sparse) {
            (VectorType::Dense, None, _) => Err(Error::invalid(
                "the query has no dense vector, expected one (the index is dense)",
            )),
            (VectorType::Sparse, Some(_), None) | (VectorType::Sparse, None, None) => {
                Err(Error::invalid(
                    "the query has no sparse vector, expected one (the index is sparse)",
                ))
            }
            (VectorType::Sparse, None, Some(_)) => Ok(()),
            _ => check_vectors(shape, dense, sparse),
        }
    }

    fn search_segments(
        &self,
        shared: &Shared,
        wanted: &SegmentQuery<'_>,
        filter: Option<&Filter>,
    ) -> (Vec<(f32, Place)>, SearchStats) {
        let search = |(segment, deleted): &(Arc<Segment>, Arc<RoaringBitmap>)| {
            if deleted.len() == u64::from(segment.rows()) {
                return (Vec::new(), SearchStats::default());
            }
            let only = filter.map(|filter| segment.matching(filter));
            segment.search(wanted, deleted, only.as_ref())
        };
        let answers: Vec<(Vec<Scored>, SearchStats)> = match &shared.segments[..] {
            [one] => vec![search(one)],
            many => self.env().query_pool.install(|| many.par_iter().map(search).collect()),
        };
        let mut stats = SearchStats::default();
        let mut found = Vec::new();
        for (number, (hits, own)) in answers.into_iter().enumerate() {
            stats += own;
            found.extend(hits.iter().map(|hit| (hit.score, Place::Segment(number, hit.row))));
        }
        (found, stats)
    }

    /// The nearest `top_k` of all places, read as the query asks; equal
    /// scores in id order.
    fn nearest(&self, shared: &Shared, mut found: Vec<(f32, Place)>, query: &Query) -> Vec<Match> {
        let larger_is_nearer = self.context.shape.metric.larger_is_nearer();
        found.sort_by(|(a, x), (b, y)| {
            let nearer = if larger_is_nearer { b.total_cmp(a) } else { a.total_cmp(b) };
            nearer.then_with(|| shared.id(x).cmp(shared.id(y)))
        });
        found.truncate(query.top_k);
        found.into_iter().map(|(score, place)| shared.read_match(score, &place, query)).collect()
    }

    /// The record with `id`.
    pub(super) fn fetch_one(&self, id: &str) -> Option<Record> {
        find(&self.state.read(), id)
    }

    /// The records with these ids, in their order, unknown ones left out.
    pub(crate) fn fetch(&self, ids: &[String]) -> Vec<StoredRecord> {
        let state = self.state.read();
        if !state.exists() {
            return Vec::new();
        }
        ids.iter().filter_map(|id| find(&state, id)).map(StoredRecord::from).collect()
    }

    /// Records that match, in id order after `after`.
    pub(crate) fn fetch_by_metadata(
        &self,
        filter: &Filter,
        limit: usize,
        after: Option<&str>,
    ) -> Found {
        let mut ids = self.ids_where(filter, limit.saturating_add(1), after);
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = if more { ids.last().cloned() } else { None };
        // Read one by one: a record deleted since is left out.
        (self.fetch(&ids), next)
    }

    /// All ids that match, in order.
    pub(crate) fn matching_ids(&self, filter: &Filter) -> Vec<String> {
        self.ids_where(filter, usize::MAX, None)
    }

    fn ids_where(&self, filter: &Filter, limit: usize, after: Option<&str>) -> Vec<String> {
        let (shared, mut ids) = {
            let state = self.state.read();
            if !state.exists() {
                return Vec::new();
            }
            let own = state.memtable.ids_after("", after);
            let own = own.filter(|(_, row)| state.memtable.matches(*row, filter));
            let ids: Vec<String> = own.take(limit).map(|(id, _)| id.to_owned()).collect();
            (self.share(&state), ids)
        };
        if let Some(frozen) = &shared.frozen {
            let live = frozen.table.ids_after("", after);
            let live = live.filter(|(_, row)| !frozen.deleted.contains(*row));
            let own = live.filter(|(_, row)| frozen.table.matches(*row, filter));
            ids.extend(own.take(limit).map(|(id, _)| id.to_owned()));
        }
        for (segment, deleted) in &shared.segments {
            let rows = segment.matching(filter) - &**deleted;
            if rows.len() < u64::from(segment.rows()) / SELECTIVE {
                let own = rows.iter().map(|row| segment.id(row));
                let own = own.filter(|id| after.is_none_or(|after| *id > after));
                ids.extend(own.map(str::to_owned));
            } else {
                let own = segment.ids_after("", after).filter(|(_, row)| rows.contains(*row));
                ids.extend(own.take(limit).map(|(id, _)| id.to_owned()));
            }
        }
        ids.sort_unstable();
        ids.truncate(limit);
        ids
    }

    /// Ids with `prefix` in order after `after`; whether there are more.
    pub(crate) fn list_ids(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<String>, bool) {
        let wanted = limit.saturating_add(1);
        let (shared, mut ids) = {
            let state = self.state.read();
            if !state.exists() {
                return (Vec::new(), false);
            }
            let own = state.memtable.ids_after(prefix, after).take(wanted);
            let ids: Vec<String> = own.map(|(id, _)| id.to_owned()).collect();
            (self.share(&state), ids)
        };
        if let Some(frozen) = &shared.frozen {
            let own = frozen.table.ids_after(prefix, after);
            let own = own.filter(|(_, row)| !frozen.deleted.contains(*row)).take(wanted);
            ids.extend(own.map(|(id, _)| id.to_owned()));
        }
        for (segment, deleted) in &shared.segments {
            let own = segment.ids_after(prefix, after);
            let own = own.filter(|(_, row)| !deleted.contains(*row)).take(wanted);
            ids.extend(own.map(|(id, _)| id.to_owned()));
        }
        ids.sort_unstable();
        let more = ids.len() > limit;
        ids.truncate(limit);
        (ids, more)
    }

    /// The namespace as described, if it exists.
    pub(crate) fn info(&self) -> Option<NamespaceInfo> {
        let state = self.state.read();
        state.exists().then(|| NamespaceInfo {
            name: self.name.as_str().to_owned(),
            record_count: state.count(),
            size_bytes: state.segment_bytes() + state.memtable.bytes() as u64,
            filterable: state.header.filterable.clone(),
        })
    }
}

impl Shared {
    fn id<'a>(&'a self, place: &'a Place) -> &'a str {
        match place {
            Place::Memtable(record) => &record.id,
            Place::Frozen(row) => self.frozen().table.id(*row),
            Place::Segment(number, row) => self.segments[*number].0.id(*row),
        }
    }

    fn frozen(&self) -> &Frozen {
        self.frozen.as_ref().expect("a place in the frozen memtable comes from this snapshot")
    }

    fn read_match(&self, score: f32, place: &Place, query: &Query) -> Match {
        let mut read = Match {
            id: self.id(place).to_owned(),
            score,
            values: None,
            sparse: None,
            metadata_json: None,
        };
        match place {
            Place::Memtable(record) => read.fill(record, query),
            Place::Frozen(row) => read.fill(&self.frozen().table.record(*row), query),
            Place::Segment(number, row) => {
                let segment = &self.segments[*number].0;
                if query.include_values {
                    let values = segment.vector(*row);
                    read.values = (!values.is_empty()).then(|| values.to_vec());
                    read.sparse = segment.sparse(*row);
                }
                if query.include_metadata {
                    read.metadata_json = segment.metadata_json(*row).map(str::to_owned);
                }
            }
        }
        read
    }
}

impl Match {
    fn fill(&mut self, record: &Record, query: &Query) {
        if query.include_values {
            self.values = (!record.values.is_empty()).then(|| record.values.clone());
            self.sparse = record.sparse.clone();
        }
        if query.include_metadata {
            self.metadata_json = record.metadata.as_ref().map(|metadata| metadata.to_json());
        }
    }
}

fn nothing(lsn: Lsn) -> QueryAnswer {
    QueryAnswer { matches: Vec::new(), stats: SearchStats::default(), lsn }
}

/// The one live record with `id`.
fn find(state: &State, id: &str) -> Option<Record> {
    if let Some(row) = state.memtable.find(id) {
        return Some(state.memtable.record(row));
    }
    if let Some(frozen) = &state.frozen
        && let Some(row) = frozen.find(id)
    {
        return Some(frozen.table.record(row));
    }
    let newest_first = state.live.iter().rev();
    newest_first.filter_map(|live| Some(live.segment.record(live.find(id)?))).next()
}
