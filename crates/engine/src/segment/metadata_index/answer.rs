//! From a filter to the rows that match, and how many those are at most. The
//! counts cost a few binary searches, the rows a step for each.

use std::sync::Arc;

use crossbill_core::{Comparison, Filter, FilterValue};

use super::read::{Field, MetadataIndex};
use crate::rows::RowSet;
use crate::segment::matching::Matching;

/// A part of a filter that lets through more than one row in this many is
/// worth being kept by itself.
const MANY_ROWS_SHARE: u64 = 64;

/// Gives the rows of a part of a filter that many match.
type Many<'a> = &'a dyn Fn(&Filter) -> Arc<Matching>;

impl MetadataIndex<'_> {
    /// Rows whose metadata matches `filter`; a row without metadata is one
    /// with no fields. Parts that many rows match are asked of `many`.
    pub(in crate::segment) fn matching(&self, filter: &Filter, many: Many<'_>) -> RowSet {
        match filter {
            Filter::And(parts) => {
                // The fewer rows there are, the fewer parts need to be asked.
                let mut parts: Vec<&Filter> = parts.iter().collect();
                parts.sort_by_cached_key(|part| self.count_max(part));
                let Some((first, others)) = parts.split_first() else {
                    return RowSet::all(self.rows());
                };
                let mut rows = RowSet::none(self.rows());
                self.add(first, &mut rows, many);
                for part in others {
                    if rows.is_empty() {
                        break;
                    }
                    if self.lets_many_through(part) {
                        rows.intersect(many(part).rows());
                    } else {
                        rows.intersect(&self.matching(part, many));
                    }
                }
                rows
            }
            Filter::Not(part) if self.lets_many_through(part) => {
                many(part).rows().clone().complement()
            }
            Filter::Not(part) => self.matching(part, many).complement(),
            _ => {
                let mut rows = RowSet::none(self.rows());
                self.add_own(filter, &mut rows, many);
                rows
            }
        }
    }

    /// Adds the rows that match a part.
    fn add(&self, part: &Filter, rows: &mut RowSet, many: Many<'_>) {
        if self.lets_many_through(part) {
            rows.add(many(part).rows());
        } else {
            self.add_own(part, rows, many);
        }
    }

    fn add_own(&self, filter: &Filter, rows: &mut RowSet, many: Many<'_>) {
        match filter {
            Filter::And(_) | Filter::Not(_) => rows.add(&self.matching(filter, many)),
            Filter::Or(parts) => parts.iter().for_each(|part| self.add(part, rows, many)),
            Filter::In(name, values) => {
                if let Some(field) = self.field(name) {
                    values.iter().for_each(|value| field.add_equal(value, rows));
                }
            }
            Filter::Compare(name, comparison, right) => {
                if let Some(field) = self.field(name) {
                    self.add_compared(&field, *comparison, *right, rows);
                }
            }
            Filter::Exists(name) => {
                if let Some(field) = self.field(name) {
                    rows.insert_bitmap(&field.bitmap(0));
                }
            }
            // The words are not here.
            Filter::Text(..) => rows.add(many(filter).rows()),
        }
    }

    fn add_compared(
        &self,
        field: &Field<'_>,
        comparison: Comparison,
        right: f64,
        rows: &mut RowSet,
    ) {
        let range = field.compared(comparison, right);
        let all_have_one = field.number_rows.len() == self.rows() as usize;
        if all_have_one && range.len() > field.number_rows.len() / 2 {
            // The rest is the shorter list.
            let mut found = RowSet::all(self.rows());
            found.remove_all(&field.number_rows[..range.start]);
            found.remove_all(&field.number_rows[range.end..]);
            rows.add(&found);
        } else {
            rows.insert_all(&field.number_rows[range]);
        }
    }

    fn lets_many_through(&self, filter: &Filter) -> bool {
        self.count_max(filter) > u64::from(self.rows()) / MANY_ROWS_SHARE
    }

    /// Rows that match, at most.
    fn count_max(&self, filter: &Filter) -> u64 {
        let all = u64::from(self.rows());
        let field = |name: &str| self.field(name);
        let count = match filter {
            Filter::And(parts) => {
                parts.iter().map(|part| self.count_max(part)).min().unwrap_or(all)
            }
            Filter::Or(parts) => parts.iter().map(|part| self.count_max(part)).sum(),
            // What the inner one lets through at most says nothing here.
            Filter::Not(_) => all,
            Filter::In(name, values) => field(name)
                .map_or(0, |field| values.iter().map(|value| field.count_equal(value, all)).sum()),
            Filter::Compare(name, comparison, right) => {
                field(name).map_or(0, |field| field.compared(*comparison, *right).len() as u64)
            }
            Filter::Exists(name) => field(name).map_or(0, |_| all),
            Filter::Text(..) => all,
        };
        count.min(all)
    }
}

impl Field<'_> {
    fn add_equal(&self, value: &FilterValue, rows: &mut RowSet) {
        match value {
            FilterValue::String(text) => rows.insert_all(self.with_string(text)),
            FilterValue::Number(number) => rows.insert_all(self.with_number(*number)),
            FilterValue::Bool(truth) => rows.insert_bitmap(&self.bitmap(truth_at(*truth))),
        }
    }

    fn count_equal(&self, value: &FilterValue, all: u64) -> u64 {
        match value {
            FilterValue::String(text) => self.with_string(text).len() as u64,
            FilterValue::Number(number) => self.with_number(*number).len() as u64,
            FilterValue::Bool(truth) if self.bitmaps[truth_at(*truth)].is_empty() => 0,
            FilterValue::Bool(_) => all,
        }
    }
}

/// Which of a field's bitmaps holds the rows with this value.
fn truth_at(truth: bool) -> usize {
    if truth { 1 } else { 2 }
}
