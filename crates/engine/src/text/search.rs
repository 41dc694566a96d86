//! The best rows of an index for a query.
//!
//! tantivy passes over blocks of rows that cannot be among the best: of each
//! block it keeps the length and the count of the word of the row that scores
//! highest. Which row that is was found with the average length of this index
//! alone, while scores here are made of the average over all parts. So its bound
//! may be too low, by a factor that follows from the two averages; a row that
//! would be the best is passed over only where the bound times that factor is
//! too low.

use crossbill_core::Metric;
use roaring::RoaringBitmap;
use tantivy::postings::Postings as _;
use tantivy::query::{Bm25Weight, EnableScoring, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Score, TERMINATED};

use super::fields::term;
use super::guarded;
use super::index::TextIndex;
use super::plan::TextPlan;
use crate::{FormatError, Matching, Scored, TopK};

/// Where a filter lets fewer than one row in this many through, the query goes
/// from one of them to the next.
const SELECTIVE: u64 = 64;
/// Rows that are remembered before it is looked at which are still near.
const NEAR_MIN: usize = 1024;
/// More than sums of scores differ by their order.
const ROUNDING: f32 = 1.0 + 1e-5;

impl TextIndex {
    /// The rows that fit best of those that are not in `skip`, and in `only`
    /// where that is given; best first, ties by lower row. How many were scored.
    ///
    /// # Errors
    /// Bytes that no writer of this format writes.
    pub fn search(
        &self,
        plan: &TextPlan,
        top_k: usize,
        skip: &RoaringBitmap,
        only: Option<&Matching>,
    ) -> Result<(Vec<Scored>, u32), FormatError> {
        guarded(|| {
            let mut top = TopK::new(Metric::DotProduct, top_k);
            if plan.statistics().docs == 0 || top_k == 0 {
                return Ok((Vec::new(), 0));
            }
            let scoring =
                EnableScoring::enabled_from_statistics_provider(plan.statistics(), &self.searcher);
            let weight = plan.query().weight(scoring)?;
            let scored = match only.filter(|only| only.len() < u64::from(self.rows) / SELECTIVE) {
                Some(few) => self.score_each(&*weight, few, skip, &mut top)?,
                None => {
                    let counts = |row: u32| {
                        !skip.contains(row) && only.is_none_or(|only| only.contains(row))
                    };
                    self.score_best(&*weight, plan, &counts, &mut top)?
                }
            };
            Ok((top.into_sorted(), scored))
        })
    }

    /// Offers each of `few` rows that has what is asked for.
    fn score_each(
        &self,
        weight: &dyn Weight,
        few: &Matching,
        skip: &RoaringBitmap,
        top: &mut TopK,
    ) -> tantivy::Result<u32> {
        let mut scorer = weight.scorer(self.reader(), 1.0)?;
        let mut scored = 0;
        for row in few.iter().filter(|&row| !skip.contains(row)) {
            if scorer.doc() < row && scorer.seek(row) == TERMINATED {
                break;
            }
            if scorer.doc() == row {
                top.push(row, scorer.score());
                scored += 1;
            }
        }
        Ok(scored)
    }

    /// Offers the rows that `counts` says count and that may be among the best.
    fn score_best(
        &self,
        weight: &dyn Weight,
        plan: &TextPlan,
        counts: &dyn Fn(u32) -> bool,
        top: &mut TopK,
    ) -> tantivy::Result<u32> {
        let slack = self.slack(plan)?;
        let most = NEAR_MIN + 4 * top.k();
        let mut seen = Seen { top, near: Vec::new(), most, scored: 0 };
        let mut threshold = Score::MIN;
        weight.for_each_pruning(threshold, self.reader(), &mut |row, score| {
            seen.scored += 1;
            if counts(row) {
                seen.add(row, score);
                threshold = seen.top.worst().map_or(Score::MIN, |worst| worst / slack);
            }
            threshold
        })?;
        let (rows, scored) = seen.finish();
        // Which word comes first in a sum depended on what was passed over, and
        // so did its last digit.
        if !plan.any_of().is_empty() {
            let again = self.sums(plan, &rows)?;
            top.clear();
            rows.iter().zip(again).for_each(|(&row, score)| top.push(row, score));
        }
        Ok(scored)
    }

    /// The scores of `rows`, which ascend, for a query of any of some words, each
    /// summed up in the order of the words.
    fn sums(&self, plan: &TextPlan, rows: &[u32]) -> tantivy::Result<Vec<Score>> {
        let statistics = plan.statistics();
        let mut sums = vec![0.0; rows.len()];
        for (number, word) in plan.any_of() {
            let (field, term) = (Field::from_field_id(*number as u32), term(*number, word));
            let weight = Bm25Weight::for_terms(statistics, std::slice::from_ref(&term))?;
            let words = self.reader().inverted_index(field)?;
            let lengths = self.reader().get_fieldnorms_reader(field)?;
            let option = IndexRecordOption::WithFreqs;
            let Some(mut postings) = words.read_postings(&term, option)? else { continue };
            for (&row, sum) in rows.iter().zip(&mut sums) {
                if postings.doc() < row && postings.seek(row) == TERMINATED {
                    break;
                }
                if postings.doc() == row {
                    *sum += weight.score(lengths.fieldnorm_id(row), postings.term_freq());
                }
            }
        }
        Ok(sums)
    }

    /// By which factor the bounds of this index may be too low for scores that
    /// are made of the averages of all parts.
    ///
    /// A word that is there `n` times in a text of length `l` counts
    /// `n / (n + k (1 - b + b l / average))`. Where the average of all parts is
    /// `r` times that of this index, this lies between the value by this index's
    /// average and that times `r`, whatever `n` and `l`, so the block's best by
    /// one average is within the factor `r`, or `1 / r`, of its best by the
    /// other. The bound of a word over all blocks is that of an endless text of
    /// nothing else; lengths are rounded down by an eighth at most, which a text
    /// of one word alone may use.
    fn slack(&self, plan: &TextPlan) -> tantivy::Result<f32> {
        let statistics = plan.statistics();
        let mut slack = ROUNDING;
        for (number, &tokens) in statistics.tokens.iter().enumerate() {
            let own = self.reader().inverted_index(Field::from_field_id(number as u32))?;
            let own = own.total_num_tokens() as f32 / self.rows as f32;
            let average = tokens as f32 / statistics.docs as f32;
            if own > 0.0 && average > 0.0 {
                let ratio = (average / own).max(own / average);
                let rounded = (average + 0.9) / (average + 0.8);
                slack = slack.max(ratio * rounded * ROUNDING);
            }
        }
        Ok(slack)
    }
}

/// The rows that were offered and are as good as the worst of the best, give or
/// take the rounding of sums.
struct Seen<'a> {
    top: &'a mut TopK,
    near: Vec<(u32, Score)>,
    /// How many before it is looked at which are still near.
    most: usize,
    scored: u32,
}

impl Seen<'_> {
    fn add(&mut self, row: u32, score: Score) {
        self.top.push(row, score);
        self.near.push((row, score));
        if self.near.len() > self.most {
            self.forget();
            // Rows that score alike all stay: looking again at each of them
            // would take the square of their number.
            self.most = self.most.max(2 * self.near.len());
        }
    }

    /// Leaves out what is not near any more.
    fn forget(&mut self) {
        if let Some(worst) = self.top.worst() {
            self.near.retain(|(_, score)| *score >= worst / ROUNDING);
        }
    }

    /// The rows in their order, and how many were scored.
    fn finish(mut self) -> (Vec<u32>, u32) {
        self.forget();
        (self.near.into_iter().map(|(row, _)| row).collect(), self.scored)
    }
}
