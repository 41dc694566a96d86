//! The words of some rows, open to be searched where they lie.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use crossbill_core::{Filter, Metadata};
use roaring::RoaringBitmap;
use tantivy::directory::OwnedBytes;
use tantivy::postings::Postings;
use tantivy::query::{EnableScoring, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Index, ReloadPolicy, Searcher, SegmentReader, TERMINATED};

use super::build::TextBuilder;
use super::fields::{TextFields, term};
use super::files::Files;
use super::guarded;
use super::plan::to_tantivy;
use super::query::TextQuery;
use crate::FormatError;
use crate::rows::RowSet;

/// The name that tantivy finds its files under. It would draw one at random.
const NAME: &str = "00000000000000000000000000000000";
/// Of the rows with a word those that do not count are looked up one by one
/// where they are fewer by this factor.
const LOOK_UP_FACTOR: u64 = 16;
/// Words that are looked at for those that a prefix stands for.
const PREFIX_LOOKS_MAX: usize = 10_000;

/// The words of some rows.
pub struct TextIndex {
    fields: TextFields,
    pub(super) rows: u32,
    pub(super) searcher: Searcher,
    /// Words of all rows, by field, once they were asked for.
    tokens: OnceLock<Vec<u64>>,
    /// Those of the rows that did not count for the last reader, and which these
    /// were: readers of different moments may leave out equally many.
    dead_tokens: Mutex<(RoaringBitmap, Vec<u64>)>,
}

impl std::fmt::Debug for TextIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextIndex")
            .field("fields", &self.fields)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl TextIndex {
    /// The words of rows whose metadata comes in their order; nothing where
    /// none has any. For rows that are in memory.
    ///
    /// # Errors
    /// Where tantivy fails, which it has no reason to.
    pub fn of_rows<'a>(
        fields: &TextFields,
        rows: impl IntoIterator<Item = Option<&'a Metadata>>,
    ) -> Result<Option<Self>, FormatError> {
        let mut builder = TextBuilder::new(fields);
        let mut count = 0;
        for metadata in rows {
            if let Some(metadata) = metadata {
                guarded(|| builder.push(count, metadata))?;
            }
            count += 1;
        }
        let Some(built) = guarded(|| builder.finish(count))? else { return Ok(None) };
        let files = super::build::ENDINGS.into_iter().zip(built.files);
        let files = files.filter_map(|(ending, file)| Some((ending, (*file?).clone())));
        Self::open(fields, built.rows, files.collect()).map(Some)
    }

    /// Opens the words of `rows` rows; the files by their endings.
    pub(super) fn open(
        fields: &TextFields,
        rows: u32,
        files: Vec<(&'static str, OwnedBytes)>,
    ) -> Result<Self, FormatError> {
        let searcher = guarded(|| {
            let meta = serde_json::json!({
                "segments": [{ "segment_id": NAME, "max_doc": rows, "deletes": null }],
                "schema": fields.tantivy(),
                "opstamp": 0,
            });
            let meta = (PathBuf::from("meta.json"), OwnedBytes::new(meta.to_string().into_bytes()));
            let files = files
                .into_iter()
                .map(|(ending, bytes)| (PathBuf::from(format!("{NAME}.{ending}")), bytes));
            let index = Index::open(Files::of(files.chain([meta])))?;
            let reader = index
                .reader_builder()
                .reload_policy(ReloadPolicy::Manual)
                .doc_store_cache_num_blocks(0)
                .try_into()?;
            Ok(reader.searcher())
        })?;
        if searcher.segment_readers().len() != 1 {
            let found = format!("{} segments", searcher.segment_readers().len());
            return Err(FormatError::damaged(super::SECTION, found, "one"));
        }
        let tokens = OnceLock::new();
        Ok(Self { fields: fields.clone(), rows, searcher, tokens, dead_tokens: Mutex::default() })
    }

    /// The fields that they are the words of.
    pub fn fields(&self) -> &TextFields {
        &self.fields
    }

    pub(super) fn reader(&self) -> &SegmentReader {
        self.searcher.segment_reader(0)
    }

    /// The rows that a condition on words (`Filter::Text`) lets through, those
    /// that do not count among them.
    ///
    /// # Errors
    /// Bytes that no writer of this format writes.
    pub fn rows_with(&self, condition: &Filter) -> Result<RoaringBitmap, FormatError> {
        Ok(self.row_set_with(condition)?.to_bitmap())
    }

    pub(crate) fn row_set_with(&self, condition: &Filter) -> Result<RowSet, FormatError> {
        let query = to_tantivy(&TextQuery::of_condition(&self.fields, condition).node);
        guarded(|| {
            let mut rows = RowSet::none(self.rows);
            let scoring = EnableScoring::disabled_from_searcher(&self.searcher);
            let weight: Box<dyn Weight> = query.weight(scoring)?;
            weight.for_each_no_score(self.reader(), &mut |docs| rows.insert_all(docs))?;
            Ok(rows)
        })
    }

    /// Words of `field` in all rows but the dead ones, counted as scores count
    /// them: the length of a row's text is kept in one byte, rounded.
    pub(super) fn live_tokens(
        &self,
        field: usize,
        dead: &RoaringBitmap,
    ) -> Result<u64, FormatError> {
        let all = match self.tokens.get() {
            Some(all) => all,
            None => {
                let all = self.count_tokens(0..self.rows)?;
                self.tokens.get_or_init(|| all)
            }
        };
        if dead.is_empty() {
            return Ok(all[field]);
        }
        // Nothing that could panic leaves it half changed.
        let mut kept = self.dead_tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != *dead {
            *kept = (dead.clone(), self.count_tokens(dead.iter())?);
        }
        Ok(all[field].saturating_sub(kept.1[field]))
    }

    fn count_tokens(
        &self,
        rows: impl Iterator<Item = u32> + Clone,
    ) -> Result<Vec<u64>, FormatError> {
        let count = |number: usize| {
            let lengths = self.reader().fieldnorms_readers();
            let field = Field::from_field_id(number as u32);
            let Some(lengths) = lengths.get_field(field)? else { return Ok(0) };
            let inside = rows.clone().filter(|&row| row < self.rows);
            Ok(inside.map(|row| u64::from(lengths.fieldnorm(row))).sum())
        };
        guarded(|| (0..self.fields.len()).map(count).collect())
    }

    /// Rows with the word, without the dead ones.
    pub(super) fn live_rows_with(
        &self,
        field: usize,
        word: &str,
        dead: &RoaringBitmap,
    ) -> Result<u64, FormatError> {
        guarded(|| {
            let words = self.reader().inverted_index(Field::from_field_id(field as u32))?;
            let Some(info) = words.get_term_info(&term(field, word))? else { return Ok(0) };
            let all = u64::from(info.doc_freq);
            if dead.is_empty() {
                return Ok(all);
            }
            let mut rows = words.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
            let mut gone = 0;
            if dead.len() < all / LOOK_UP_FACTOR {
                for row in dead {
                    if rows.doc() < row {
                        rows.seek(row);
                    }
                    gone += u64::from(rows.doc() == row);
                }
            } else {
                while rows.doc() != TERMINATED {
                    gone += u64::from(dead.contains(rows.doc()));
                    rows.advance();
                }
            }
            Ok(all - gone)
        })
    }

    /// Reads all words and their rows and checks that they are in order.
    ///
    /// # Errors
    /// The first thing found that no writer of this format writes.
    pub(crate) fn verify(&self) -> Result<(), FormatError> {
        for field in 0..self.fields.len() {
            let wrong = guarded(|| {
                let words = self.reader().inverted_index(Field::from_field_id(field as u32))?;
                let mut stream = words.terms().stream()?;
                while stream.advance() {
                    let option = IndexRecordOption::WithFreqsAndPositions;
                    let mut rows = words.read_postings_from_terminfo(stream.value(), option)?;
                    let mut places = Vec::new();
                    let (mut count, mut after) = (0, None);
                    while rows.doc() != TERMINATED {
                        if after >= Some(rows.doc()) || rows.doc() >= self.rows {
                            return Ok(Some(rows.doc()));
                        }
                        (count, after) = (count + 1, Some(rows.doc()));
                        rows.positions(&mut places);
                        rows.advance();
                    }
                    if count != stream.value().doc_freq {
                        return Ok(Some(count));
                    }
                }
                Ok(None)
            })?;
            if let Some(row) = wrong {
                let found = format!("the row or count {row} of a word out of order");
                return Err(FormatError::damaged(super::SECTION, found, "rows in order"));
            }
        }
        Ok(())
    }

    /// The first `most` words that begin with `prefix` and that a row has which
    /// is not dead.
    pub(super) fn live_words(
        &self,
        field: usize,
        prefix: &str,
        dead: &RoaringBitmap,
        most: usize,
    ) -> Result<Vec<String>, FormatError> {
        guarded(|| {
            let mut found = Vec::new();
            let words = self.reader().inverted_index(Field::from_field_id(field as u32))?;
            let mut stream = words.terms().range().ge(prefix.as_bytes()).into_stream()?;
            let mut looks = 0;
            while found.len() < most && looks < PREFIX_LOOKS_MAX && stream.advance() {
                looks += 1;
                let Ok(word) = std::str::from_utf8(stream.key()) else { continue };
                if !word.starts_with(prefix) {
                    break;
                }
                let option = IndexRecordOption::Basic;
                let mut rows = words.read_postings_from_terminfo(stream.value(), option)?;
                while rows.doc() != TERMINATED && dead.contains(rows.doc()) {
                    rows.advance();
                }
                if rows.doc() != TERMINATED {
                    found.push(word.to_owned());
                }
            }
            Ok(found)
        })
    }
}
