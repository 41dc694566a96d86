//! Text search over a snapshot: the words of the rows in memory, and one search
//! of them and of the segments with scores made of all together.

use std::sync::Arc;

use crossbill_core::{Error, Filter, Metadata, MetadataValue, Result, TextClause};
use crossbill_engine::{
    FormatError, Matching, SearchStats, TextFields, TextIndex, TextPart, TextPlan, TextQuery,
};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use super::Namespace;
use super::memtable::Rows;
use super::read::nothing;
use super::snapshot::{Place, Snapshot};
use super::state::LiveSegment;
use crate::types::{Lsn, Query, QueryAnswer};

/// The words of some rows of a memtable that follow each other.
struct Chunk {
    first: u32,
    rows: u32,
    index: Option<TextIndex>,
}

/// The words of a memtable's rows, gathered when they are first asked for: a
/// few chunks, each less than half as long as the one before it, so that a row
/// is gathered anew only a few times however often it is asked between writes.
pub(super) struct TextTable {
    fields: TextFields,
    /// They follow each other from row 0 on.
    chunks: Mutex<Vec<Arc<Chunk>>>,
}

impl TextTable {
    pub(super) fn new(fields: &TextFields) -> Self {
        Self { fields: fields.clone(), chunks: Mutex::default() }
    }

    pub(super) fn fields(&self) -> &TextFields {
        &self.fields
    }

    /// Bytes of memory that the words of a record take (rough).
    pub(super) fn bytes_of(&self, metadata: Option<&Metadata>) -> usize {
        let texts = self.fields.schema().fields().iter();
        let values = texts.filter_map(|field| metadata?.0.get(&field.name));
        let length = |value: &MetadataValue| match value {
            MetadataValue::String(text) => text.len(),
            _ => 0,
        };
        values.map(length).sum()
    }

    /// Chunks that have all of `rows`, and perhaps some that came later.
    fn chunks(&self, rows: &Rows) -> std::result::Result<Vec<Arc<Chunk>>, FormatError> {
        let mut chunks = self.chunks.lock();
        let covered =
            |chunks: &[Arc<Chunk>]| chunks.last().map_or(0, |last| last.first + last.rows);
        if covered(&chunks) < rows.len() {
            let mut kept = chunks.len();
            let mut first = covered(&chunks);
            while kept > 0 && chunks[kept - 1].rows <= 2 * (rows.len() - first) {
                kept -= 1;
                first = chunks[kept].first;
            }
            let own = (first..rows.len()).map(|row| rows.metadata(row));
            let index = TextIndex::of_rows(&self.fields, own)?;
            chunks.truncate(kept);
            chunks.push(Arc::new(Chunk { first, rows: rows.len() - first, index }));
        }
        Ok(chunks.clone())
    }

    /// Those of `rows` that a condition on words lets through, dead ones among
    /// them.
    fn rows_with(&self, rows: &Rows, condition: &Filter) -> Result<RoaringBitmap> {
        let mut found = RoaringBitmap::new();
        for chunk in self.chunks(rows)? {
            if let Some(index) = &chunk.index {
                let own = index.rows_with(condition)?;
                found.extend(own.iter().map(|row| chunk.first + row));
            }
        }
        Ok(found)
    }
}

impl Chunk {
    /// Those of a table's rows that are its own, counted from its first.
    fn own(&self, rows: &RoaringBitmap) -> RoaringBitmap {
        rows.range(self.first..self.first + self.rows).map(|row| row - self.first).collect()
    }

    /// Its rows that do not count: `dead` ones, and those that came after the
    /// `count` of the reader's moment.
    fn dead(&self, dead: &RoaringBitmap, count: u32) -> RoaringBitmap {
        let mut own = self.own(dead);
        own.insert_range(count.saturating_sub(self.first).min(self.rows)..self.rows);
        own
    }
}

/// The answers to a filter's conditions on words, for the rows of a memtable.
pub(super) struct WordConditions<'a>(Vec<(&'a Filter, RoaringBitmap)>);

impl<'a> WordConditions<'a> {
    pub(super) fn of(rows: &Rows, filter: &'a Filter) -> Self {
        let mut conditions = Vec::new();
        filter.for_each(&mut |condition| {
            if let (Filter::Text(..), Some(text)) = (condition, rows.text()) {
                let found = text.rows_with(rows, condition).unwrap_or_else(|error| {
                    tracing::error!(%error, "words in memory cannot be searched");
                    RoaringBitmap::new()
                });
                conditions.push((condition, found));
            }
        });
        Self(conditions)
    }

    pub(super) fn holds(&self, condition: &Filter, row: u32) -> bool {
        let own = self.0.iter().find(|(own, _)| std::ptr::eq(*own, condition));
        own.is_some_and(|(_, rows)| rows.contains(row))
    }
}

/// A chunk of a snapshot's table.
struct TableChunk {
    table: usize,
    chunk: Arc<Chunk>,
    dead: RoaringBitmap,
}

impl Namespace {
    /// The records whose text fields match `clauses` best.
    pub(super) fn query_text(&self, query: &Query, clauses: &[TextClause]) -> Result<QueryAnswer> {
        let fields = &self.context.text;
        if fields.is_empty() {
            return Err(Error::invalid("the index has no text fields to search"));
        }
        let wanted = TextQuery::parse(fields, clauses)?;
        let began = self.env().clock.monotonic();
        let Some((snapshot, ())) = self.snapshot(|_| ()) else {
            let lsn = self.context.lsn.load(std::sync::atomic::Ordering::Acquire);
            return Ok(nothing(Lsn(lsn)));
        };
        let chunks = snapshot.text_chunks()?;
        let plan = TextPlan::new(&wanted, &text_parts(&snapshot, &chunks))?;
        let mut stats = SearchStats::default();
        let mut found = Vec::new();
        for (number, answer) in
            self.text_in_segments(&snapshot, &plan, query).into_iter().enumerate()
        {
            let (hits, scored) = answer?;
            stats.segments += 1;
            stats.reranked = stats.reranked.saturating_add(scored);
            found.extend(hits.iter().map(|hit| (hit.score, Place::Segment(number, hit.row))));
        }
        let matching: Vec<Option<RoaringBitmap>> = snapshot
            .tables
            .iter()
            .map(|(rows, dead)| Some(rows.matching(query.filter.as_ref()?, dead)))
            .collect();
        for TableChunk { table, chunk, dead } in &chunks {
            let Some(index) = &chunk.index else { continue };
            let only = matching[*table]
                .as_ref()
                .map(|rows| Matching::of_rows(chunk.rows, &chunk.own(rows)));
            let (hits, scored) = index.search(&plan, query.top_k, dead, only.as_ref())?;
            stats.reranked = stats.reranked.saturating_add(scored);
            let place = |row| Place::Table(*table, chunk.first + row);
            found.extend(hits.iter().map(|hit| (hit.score, place(hit.row))));
        }
        Ok(self.answer(&snapshot, query, (found, stats), true, began))
    }

    fn text_in_segments(
        &self,
        snapshot: &Snapshot,
        plan: &TextPlan,
        query: &Query,
    ) -> Vec<std::result::Result<(Vec<crossbill_engine::Scored>, u32), FormatError>> {
        self.of_segments(&snapshot.segments, |live: &LiveSegment| {
            let Some(index) = live.segment.text().filter(|_| live.live() > 0) else {
                return Ok((Vec::new(), 0));
            };
            let only = query.filter.as_ref().map(|filter| self.matching(live, filter));
            index.search(plan, query.top_k, &live.deleted, only.as_deref())
        })
    }
}

impl Snapshot {
    fn text_chunks(&self) -> std::result::Result<Vec<TableChunk>, FormatError> {
        let mut all = Vec::new();
        for (table, (rows, dead)) in self.tables.iter().enumerate() {
            let Some(text) = rows.text() else { continue };
            for chunk in text.chunks(rows)? {
                let dead = chunk.dead(dead, rows.len());
                all.push(TableChunk { table, chunk, dead });
            }
        }
        Ok(all)
    }
}

/// All that scores are made of.
fn text_parts<'a>(snapshot: &'a Snapshot, chunks: &'a [TableChunk]) -> Vec<TextPart<'a>> {
    let segments = snapshot.segments.iter().map(|live| TextPart {
        index: live.segment.text(),
        live: live.live(),
        dead: &live.deleted,
    });
    let chunks = chunks.iter().map(|TableChunk { chunk, dead, .. }| TextPart {
        index: chunk.index.as_ref(),
        live: u64::from(chunk.rows) - dead.len(),
        dead,
    });
    segments.chain(chunks).collect()
}
