//! A search of documents, whoever asks: a route, or a command that has the
//! database in its own process.

use crossbill_core::{DocumentFields, Error, Filter, NamespaceName, RequestLimits, Result};
use crossbill_db::{Index, Lsn, Match, Query, QueryBy};
use crossbill_wire::documents::{
    DocumentModel, FoundDocuments, Included, ScoreBy, ScoreClause, StoredDocument, score_by,
};
use crossbill_wire::records::SearchUsage;

use crate::verbs::query::finite;

/// What is searched for, its bounds checked.
#[derive(Debug)]
pub struct DocumentSearch {
    /// What documents are scored by.
    pub score_by: Vec<ScoreClause>,
    /// Matches at most, from 1.
    pub top_k: usize,
    /// Which documents count.
    pub filter: Option<Filter>,
    /// The fields to answer with.
    pub included: Included,
}

/// The fields of an index's vectors.
///
/// # Errors
/// `Invalid` where it holds no documents.
pub(super) fn schema_of(index: &Index) -> Result<DocumentFields> {
    index.documents().cloned().ok_or_else(|| {
        Error::invalid(
            "this index holds vectors, expected the calls under /vectors and /query (an index \
             whose schema names fields of its own holds documents)",
        )
    })
}

/// A stored document with the fields that are `included`.
pub(super) fn model(
    stored: &StoredDocument<'_>,
    schema: &DocumentFields,
    included: &Included,
) -> Result<DocumentModel> {
    DocumentModel::of(stored, schema, included)
        .map_err(|error| Error::internal(format!("a stored document is not JSON: {error}")))
}

/// What every call costs.
pub(super) const ONE: SearchUsage =
    SearchUsage { read_units: 1, embed_total_tokens: None, rerank_units: None };

/// The answer with the documents that are found, best first, and the last
/// write that was seen; `written` is the namespace as the request has it.
pub fn search_documents(
    index: &Index,
    namespace: &NamespaceName,
    written: &str,
    search: DocumentSearch,
    limits: &RequestLimits,
) -> Result<(FoundDocuments, Lsn)> {
    let schema = schema_of(index)?;
    let DocumentSearch { score_by: clauses, top_k, filter, included } = search;
    let by = match score_by(clauses, &schema, limits)? {
        ScoreBy::Dense(values) => QueryBy::Vector { dense: Some(values), sparse: None },
        ScoreBy::Sparse(values) => QueryBy::Vector { dense: None, sparse: Some(values) },
        ScoreBy::Text(clauses) => QueryBy::Text(clauses),
    };
    let query = Query {
        by,
        top_k,
        filter,
        include_values: included.has_vectors(&schema),
        include_metadata: included.has_metadata(&schema),
        effort: None,
    };
    let answer = index.query(namespace, &query)?;
    let found = |found: &Match| {
        let stored = StoredDocument {
            id: &found.id,
            score: Some(finite(found.score)),
            values: found.values.as_deref(),
            sparse: found.sparse.as_ref(),
            metadata_json: found.metadata_json.as_deref(),
        };
        model(&stored, &schema, &included)
    };
    let matches = answer.matches.iter().map(found).collect::<Result<_>>()?;
    Ok((FoundDocuments { matches, namespace: written.to_owned(), usage: ONE }, answer.lsn))
}
