//! What a namespace should hold and answer, by the shortest code that can say
//! it: a map of records, and nearest neighbours by scoring all of them in
//! double precision. Shares no code with what it checks but the words.

use std::collections::BTreeMap;

use crossbill_core::limits::METADATA_BYTES_MAX;
use crossbill_core::{Filter, IndexShape, Metadata, MetadataError, Metric, Record, SparseVector};
use crossbill_db::Update;

use crate::words::{Texts, Wanted, either, has_words};

/// A namespace as it should be.
#[derive(Debug, Clone)]
pub struct Model {
    shape: IndexShape,
    /// The records by id.
    pub records: BTreeMap<String, Record>,
}

/// Whether a record matches a filter; one without metadata has no fields.
pub fn matches(record: &Record, filter: &Filter) -> bool {
    let metadata = record.metadata.clone().unwrap_or_default();
    filter.matches_with(&metadata, &|condition| match condition {
        Filter::Text(field, how, text) => has_words(record, field, *how, text),
        _ => false,
    })
}

impl Model {
    /// An empty namespace.
    pub fn new(shape: IndexShape) -> Self {
        Self { shape, records: BTreeMap::new() }
    }

    /// Puts records, each in place of the one with its id.
    pub fn upsert(&mut self, records: impl IntoIterator<Item = Record>) {
        self.records.extend(records.into_iter().map(|record| (record.id.clone(), record)));
    }

    /// Deletes what matches.
    pub fn delete_matching(&mut self, filter: &Filter) {
        self.records.retain(|_, record| !matches(record, filter));
    }

    /// Changes one record, if it is there.
    pub fn update(&mut self, update: Update) -> Result<(), MetadataError> {
        let Some(record) = self.records.get_mut(&update.id) else { return Ok(()) };
        if update.remove.sparse {
            record.sparse = None;
        }
        if let Some(values) = update.values {
            record.values = values;
        }
        if update.sparse.is_some() {
            record.sparse = update.sparse;
        }
        if let Some(metadata) = &mut record.metadata {
            metadata.0.retain(|field, _| !update.remove.fields.contains(field));
        }
        if let Some(fields) = update.set_metadata {
            merge(record, fields)?;
        }
        Ok(())
    }

    /// Puts fields over the metadata of all that match; how many those are.
    pub fn update_matching(
        &mut self,
        filter: &Filter,
        fields: &Metadata,
    ) -> Result<u64, MetadataError> {
        let mut matched = 0;
        for record in self.records.values_mut().filter(|record| matches(record, filter)) {
            merge(record, fields.clone())?;
            matched += 1;
        }
        Ok(matched)
    }

    /// Ids in order of the records that match.
    pub fn matching(&self, filter: &Filter) -> Vec<String> {
        let found = self.records.iter().filter(|(_, record)| matches(record, filter));
        found.map(|(id, _)| id.clone()).collect()
    }

    /// The score of every record that a query may find.
    pub fn scores(
        &self,
        dense: Option<&[f32]>,
        sparse: Option<&SparseVector>,
        filter: Option<&Filter>,
    ) -> BTreeMap<&str, f32> {
        let allowed = |record: &&Record| filter.is_none_or(|filter| matches(record, filter));
        let records = self.records.values().filter(allowed);
        let scored = records
            .filter_map(|record| Some((record.id.as_str(), self.score(dense, sparse, record)?)));
        scored.collect()
    }

    /// The score of every record that a search of texts may find: those that
    /// have any of what is `wanted`, by the sum of their scores.
    pub fn text_scores(&self, wanted: &[Wanted], filter: Option<&Filter>) -> BTreeMap<&str, f32> {
        let texts = Texts::of(self.records.values());
        let none = vec![None; self.records.len()];
        let scores = wanted.iter().map(|wanted| texts.scores(wanted)).fold(none, |sums, scores| {
            sums.into_iter().zip(scores).map(|(a, b)| either(a, b)).collect()
        });
        let allowed = |record: &Record| filter.is_none_or(|filter| matches(record, filter));
        let found = self.records.values().zip(scores).filter(|(record, _)| allowed(record));
        let scored = found.filter_map(|(record, score)| Some((record.id.as_str(), score? as f32)));
        scored.collect()
    }

    /// The `top_k` best of some scores of vectors, nearest first; `dense` says
    /// whether a dense vector was among what was looked for.
    pub fn nearest(&self, scores: &BTreeMap<&str, f32>, dense: bool, top_k: usize) -> Vec<f32> {
        let is_distance = dense && !self.shape.metric.larger_is_nearer();
        best(scores, is_distance, top_k)
    }

    /// The score by its definition; nothing where a query of a sparse vector
    /// alone shares no index with the record.
    fn score(
        &self,
        dense: Option<&[f32]>,
        sparse: Option<&SparseVector>,
        record: &Record,
    ) -> Option<f32> {
        let shared = match (sparse, &record.sparse) {
            (Some(a), Some(b)) => shared_dot(a, b),
            _ => None,
        };
        let Some(query) = dense else { return shared };
        let pairs =
            || query.iter().zip(&record.values).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let dot: f64 = pairs().map(|(a, b)| a * b).sum();
        Some(match self.shape.metric {
            Metric::DotProduct => dot as f32 + shared.unwrap_or(0.0),
            Metric::Euclidean => pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>() as f32,
            Metric::Cosine => (dot / (norm(query) * norm(&record.values))) as f32,
        })
    }
}

/// The `top_k` best of some scores, best first.
pub fn best(scores: &BTreeMap<&str, f32>, smaller_is_better: bool, top_k: usize) -> Vec<f32> {
    let mut best: Vec<f32> = scores.values().copied().collect();
    best.sort_by(f32::total_cmp);
    if !smaller_is_better {
        best.reverse();
    }
    best.truncate(top_k);
    best
}

fn merge(record: &mut Record, fields: Metadata) -> Result<(), MetadataError> {
    let old = record.metadata.take().unwrap_or_default();
    record.metadata = Some(old.merged(fields, METADATA_BYTES_MAX)?);
    Ok(())
}

fn shared_dot(a: &SparseVector, b: &SparseVector) -> Option<f32> {
    let entries = a.indices().iter().zip(a.values());
    let products: Vec<f64> = entries
        .filter_map(|(index, value)| {
            let place = b.indices().iter().position(|other| other == index)?;
            Some(f64::from(*value) * f64::from(b.values()[place]))
        })
        .collect();
    (!products.is_empty()).then(|| products.iter().sum::<f64>() as f32)
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}
