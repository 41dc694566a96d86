//! How often words are there, over all parts together: what scores are made of,
//! so that a row's score does not depend on which part it stands in. Rows that
//! do not count are left out.

use std::collections::HashMap;

use tantivy::Term;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;

/// Numbers over all parts.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    /// Rows.
    pub(super) docs: u64,
    /// Words of each field.
    pub(super) tokens: Vec<u64>,
    /// Rows that have the word.
    pub(super) frequencies: HashMap<Term, u64>,
}

impl Bm25StatisticsProvider for Statistics {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        Ok(self.tokens.get(field.field_id() as usize).copied().unwrap_or(0))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.docs)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        Ok(self.frequencies.get(term).copied().unwrap_or(0))
    }
}
