//! What a query takes and gives.

use std::time::Duration;

use crossbill_core::{Filter, Record, SparseVector, TextClause};
use crossbill_engine::{Effort, SearchStats};

use super::Lsn;

/// What a query looks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum QueryBy {
    /// The records nearest to these vectors.
    Vector {
        /// The dense query; required in a dense index.
        dense: Option<Vec<f32>>,
        /// The sparse query; required in a sparse index, allowed beside a
        /// dense one under dotproduct.
        sparse: Option<SparseVector>,
    },
    /// The records nearest to this record (itself among them).
    Id(String),
    /// The records whose text fields match any of these, the best by the sum
    /// of their scores (BM25, larger is better) first. Nothing is asked of
    /// their vectors.
    Text(Vec<TextClause>),
}

/// A query.
#[derive(Debug, Clone)]
pub struct Query {
    /// What it looks for.
    pub by: QueryBy,
    /// How many matches at most, from 1.
    pub top_k: usize,
    /// Which records may match.
    pub filter: Option<Filter>,
    /// Whether matches carry their vectors.
    pub include_values: bool,
    /// Whether matches carry their metadata.
    pub include_metadata: bool,
    /// How hard to look; the index's default where absent.
    pub effort: Option<Effort>,
}

/// A record that a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The record's id.
    pub id: String,
    /// In the API's scale: cosine similarity, dot product, squared Euclidean
    /// distance, or BM25 where text was searched.
    pub score: f32,
    /// The dense vector, where asked for and there is one.
    pub values: Option<Vec<f32>>,
    /// The sparse vector, where asked for and there is one.
    pub sparse: Option<SparseVector>,
    /// The metadata as JSON, where asked for and there is any.
    pub metadata_json: Option<String>,
}

/// A query's answer.
#[derive(Debug, Clone)]
pub struct QueryAnswer {
    /// Nearest first.
    pub matches: Vec<Match>,
    /// The work it took in segments.
    pub stats: SearchStats,
    /// Rows in memory that were looked at beside those of segments.
    pub memory_rows: u64,
    /// How long it took.
    pub took: QueryTook,
    /// Every write up to this one was seen.
    pub lsn: Lsn,
}

/// How long the parts of a query took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryTook {
    /// Finding the nearest, the filter included.
    pub search: Duration,
    /// Reading what is shown of them.
    pub read: Duration,
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecord {
    /// The record's id.
    pub id: String,
    /// The dense vector; empty in a sparse index.
    pub values: Vec<f32>,
    /// The sparse vector, where there is one.
    pub sparse: Option<SparseVector>,
    /// The metadata as JSON, where there is any.
    pub metadata_json: Option<String>,
}

impl From<Record> for StoredRecord {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            values: record.values,
            sparse: record.sparse,
            metadata_json: record.metadata.map(|metadata| metadata.to_json()),
        }
    }
}
