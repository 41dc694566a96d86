//! The read path. A read takes a snapshot under the lock, which is short, and
//! works on it outside. So it sees one manifest version and every write up to
//! one point of the log, and holds up nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbill_core::{
    Error, Filter, Record, Result, SparseVector, VectorType, check_dense_query, limits,
};
use crossbill_engine::{Effort, Matching, SearchStats, SegmentQuery};
use rayon::prelude::*;

use super::Namespace;
use super::check::check_vectors;
use super::snapshot::{Place, Snapshot, find_in_memory};
use super::state::{LiveSegment, State};
use crate::env::Env;
use crate::types::{
    Lsn, Match, NamespaceInfo, Query, QueryAnswer, QueryBy, QueryTook, StoredRecord,
};

/// The recall that a query aims at where it says nothing.
const DEFAULT_EFFORT: Effort = Effort::Recall(limits::RECALL_TARGET);
/// Records of a page, and the id to go on after where there are more.
pub(crate) type Found = (Vec<StoredRecord>, Option<String>);

/// A search while it runs.
struct Running<'a> {
    searches: &'a AtomicUsize,
    /// Those that ran when it began, itself included.
    count: usize,
}

impl<'a> Running<'a> {
    fn begin(searches: &'a AtomicUsize) -> Self {
        Self { searches, count: searches.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.searches.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Namespace {
    /// The nearest records.
    pub(crate) fn query(&self, query: &Query) -> Result<QueryAnswer> {
        let (mut dense, mut sparse, id) = match &query.by {
            QueryBy::Vector { dense, sparse } => {
                self.check_query(dense.as_deref(), sparse.as_ref())?;
                (dense.clone(), sparse.clone(), None)
            }
            QueryBy::Id(id) => (None, None, Some(id)),
            QueryBy::Text(clauses) => return self.query_text(query, clauses),
        };
        let began = self.env().clock.monotonic();
        let look = |state: &State| id.and_then(|id| find_in_memory(state, id));
        let Some((snapshot, in_memory)) = self.snapshot(look) else {
            return Ok(nothing(Lsn(self.context.lsn.load(Ordering::Acquire))));
        };
        if let Some(id) = id {
            let Some(place) = snapshot.find(id, in_memory) else {
                return Ok(nothing(snapshot.lsn));
            };
            let record = snapshot.record(place);
            sparse = record.sparse;
            dense = (self.context.shape.vector_type == VectorType::Dense).then_some(record.values);
        }
        let wanted = SegmentQuery {
            dense: dense.as_deref(),
            sparse: sparse.as_ref(),
            top_k: query.top_k,
            effort: query.effort.unwrap_or(DEFAULT_EFFORT),
        };
        let found = tracing::debug_span!("search", segments = snapshot.segments.len())
            .in_scope(|| self.search(&snapshot, &wanted, query.filter.as_ref()));
        let metric = self.context.shape.metric_of(wanted.dense.is_some());
        Ok(self.answer(&snapshot, query, found, metric.larger_is_nearer(), began))
    }

    /// What was found since `began`, read as the query asks for it, and counted.
    pub(super) fn answer(
        &self,
        snapshot: &Snapshot,
        query: &Query,
        (found, stats): (Vec<(f32, Place)>, SearchStats),
        larger_is_nearer: bool,
        began: Duration,
    ) -> QueryAnswer {
        let Env { metrics, clock, .. } = self.env();
        let searched = clock.monotonic();
        let matches = tracing::debug_span!("read")
            .in_scope(|| snapshot.nearest(found, query, larger_is_nearer));
        let took = QueryTook {
            search: searched.saturating_sub(began),
            read: clock.monotonic().saturating_sub(searched),
        };
        let memory_rows = snapshot.memory_rows();
        let answer = QueryAnswer { matches, stats, memory_rows, took, lsn: snapshot.lsn };
        match query.by {
            QueryBy::Text(_) => metrics.note_text(&answer),
            QueryBy::Vector { .. } | QueryBy::Id(_) => metrics.note_query(&answer),
        }
        answer
    }

    /// What is near, in segments and in memory.
    fn search(
        &self,
        snapshot: &Snapshot,
        wanted: &SegmentQuery<'_>,
        filter: Option<&Filter>,
    ) -> (Vec<(f32, Place)>, SearchStats) {
        let (mut found, stats) = self.search_segments(&snapshot.segments, wanted, filter);
        for (number, (rows, dead)) in snapshot.tables.iter().enumerate() {
            let hits = rows.search(wanted.dense, wanted.sparse, wanted.top_k, filter, dead);
            found.extend(hits.iter().map(|hit| (hit.score, Place::Table(number, hit.row))));
        }
        (found, stats)
    }

    fn check_query(&self, dense: Option<&[f32]>, sparse: Option<&SparseVector>) -> Result<()> {
        let shape = &self.context.shape;
        match (shape.vector_type, dense, sparse) {
            (_, None, Some(sparse)) if shape.documents => check_vectors(shape, None, Some(sparse)),
            (VectorType::Dense, None, _) => Err(Error::invalid(
                "the query has no dense vector, expected one (the index is dense)",
            )),
            (VectorType::Sparse, Some(_), None) | (VectorType::Sparse, None, None) => {
                Err(Error::invalid(
                    "the query has no sparse vector, expected one (the index is sparse)",
                ))
            }
            (VectorType::Sparse, None, Some(_)) => Ok(()),
            (VectorType::Dense, Some(values), _) if values.iter().all(|&value| value == 0.0) => {
                check_dense_query(shape, values)?;
                check_vectors(shape, None, sparse)
            }
            _ => check_vectors(shape, dense, sparse),
        }
    }

    fn search_segments(
        &self,
        segments: &[LiveSegment],
        wanted: &SegmentQuery<'_>,
        filter: Option<&Filter>,
    ) -> (Vec<(f32, Place)>, SearchStats) {
        let search = |live: &LiveSegment| {
            if live.live() == 0 {
                return (Vec::new(), SearchStats::default());
            }
            let only = filter.map(|filter| self.matching(live, filter));
            live.segment.search(wanted, &live.deleted, only.as_deref())
        };
        let answers = self.of_segments(segments, search);
        let mut stats = SearchStats::default();
        let mut found = Vec::new();
        for (number, (hits, own)) in answers.into_iter().enumerate() {
            stats += own;
            found.extend(hits.iter().map(|hit| (hit.score, Place::Segment(number, hit.row))));
        }
        (found, stats)
    }

    /// The rows of a segment that a filter lets through, superseded ones
    /// included.
    pub(super) fn matching(&self, live: &LiveSegment, filter: &Filter) -> Arc<Matching> {
        let (rows, was_kept) = live.segment.look_up(filter);
        self.env().metrics.note_filter_set(was_kept);
        rows
    }

    /// What `search` finds in each segment, in their order.
    pub(super) fn of_segments<T: Send>(
        &self,
        segments: &[LiveSegment],
        search: impl Fn(&LiveSegment) -> T + Sync + Send,
    ) -> Vec<T> {
        let pool = &self.env().query_pool;
        let running = Running::begin(&self.env().searches);
        // One processor for each query where many run: splitting them all would
        // only make them wait for each other.
        let is_split = segments.len() > 1 && 2 * running.count <= pool.current_num_threads();
        match is_split {
            true => pool.install(|| segments.par_iter().map(search).collect()),
            false => segments.iter().map(search).collect(),
        }
    }

    /// The record with `id`.
    pub(super) fn fetch_one(&self, id: &str) -> Option<Record> {
        let (snapshot, in_memory) = self.snapshot(|state| find_in_memory(state, id))?;
        Some(snapshot.record(snapshot.find(id, in_memory)?))
    }

    /// The records with these ids, in their order, unknown ones left out.
    pub(crate) fn fetch(&self, ids: &[String]) -> Vec<StoredRecord> {
        let look = |state: &State| -> Vec<Option<Place>> {
            ids.iter().map(|id| find_in_memory(state, id)).collect()
        };
        let Some((snapshot, in_memory)) = self.snapshot(look) else { return Vec::new() };
        let places = ids.iter().zip(in_memory).filter_map(|(id, found)| snapshot.find(id, found));
        places.map(|place| snapshot.record(place).into()).collect()
    }

    /// Records that match, in id order after `after`.
    pub(crate) fn fetch_by_metadata(
        &self,
        filter: &Filter,
        limit: usize,
        after: Option<&str>,
    ) -> Found {
        let Some((snapshot, ())) = self.snapshot(|_| ()) else { return (Vec::new(), None) };
        let mut ids = snapshot.ids_where(filter, limit.saturating_add(1), after);
        drop(snapshot);
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = if more { ids.last().cloned() } else { None };
        // Read anew: a record deleted since is left out.
        (self.fetch(&ids), next)
    }

    /// How many records match.
    pub(crate) fn count_matching(&self, filter: &Filter) -> u64 {
        self.snapshot(|_| ()).map_or(0, |(snapshot, ())| snapshot.matching(filter).count())
    }

    /// Ids with `prefix` in order after `after`; whether there are more.
    pub(crate) fn list_ids(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<String>, bool) {
        let wanted = limit.saturating_add(1);
        let look = |state: &State| -> Vec<String> {
            let own = state.memtable.ids_after(prefix, after).take(wanted);
            let frozen = state.frozen.iter().flat_map(|frozen| {
                let live = frozen.table.ids_after(prefix, after);
                live.filter(|(_, row)| !frozen.deleted.contains(*row)).take(wanted)
            });
            own.chain(frozen).map(|(id, _)| id.to_owned()).collect()
        };
        let Some((snapshot, mut ids)) = self.snapshot(look) else { return (Vec::new(), false) };
        for live in &snapshot.segments {
            let own = live.segment.ids_after(prefix, after);
            let own = own.filter(|(_, row)| !live.deleted.contains(*row)).take(wanted);
            ids.extend(own.map(|(id, _)| id.to_owned()));
        }
        ids.sort_unstable();
        let more = ids.len() > limit;
        ids.truncate(limit);
        (ids, more)
    }

    /// Segments that it has.
    pub(crate) fn segment_count(&self) -> u64 {
        self.state.read().live.len() as u64
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

impl Snapshot {
    /// Rows that are not in a segment yet.
    pub(super) fn memory_rows(&self) -> u64 {
        self.tables.iter().map(|(rows, dead)| u64::from(rows.len()) - dead.len()).sum()
    }

    /// The nearest `top_k` of all places, read as the query asks; equal
    /// scores in id order.
    pub(super) fn nearest(
        &self,
        mut found: Vec<(f32, Place)>,
        query: &Query,
        larger_is_nearer: bool,
    ) -> Vec<Match> {
        found.sort_by(|(a, x), (b, y)| {
            let nearer = if larger_is_nearer { b.total_cmp(a) } else { a.total_cmp(b) };
            nearer.then_with(|| self.id(*x).cmp(self.id(*y)))
        });
        found.truncate(query.top_k);
        found.into_iter().map(|(score, place)| self.read_match(score, place, query)).collect()
    }

    fn read_match(&self, score: f32, place: Place, query: &Query) -> Match {
        let mut read = Match {
            id: self.id(place).to_owned(),
            score,
            values: None,
            sparse: None,
            metadata_json: None,
        };
        match place {
            Place::Table(..) if query.include_values || query.include_metadata => {
                read.fill(self.record(place), query);
            }
            Place::Table(..) => {}
            Place::Segment(number, row) => {
                let segment = &self.segments[number].segment;
                if query.include_values {
                    let values = segment.vector(row);
                    read.values = (!values.is_empty()).then_some(values);
                    read.sparse = segment.sparse(row);
                }
                if query.include_metadata {
                    read.metadata_json = segment.metadata_json(row).map(str::to_owned);
                }
            }
        }
        read
    }
}

impl Match {
    fn fill(&mut self, record: Record, query: &Query) {
        if query.include_values {
            self.values = (!record.values.is_empty()).then_some(record.values);
            self.sparse = record.sparse;
        }
        if query.include_metadata {
            self.metadata_json = record.metadata.map(|metadata| metadata.to_json());
        }
    }
}

pub(super) fn nothing(lsn: Lsn) -> QueryAnswer {
    QueryAnswer {
        matches: Vec::new(),
        stats: SearchStats::default(),
        memory_rows: 0,
        took: QueryTook::default(),
        lsn,
    }
}
