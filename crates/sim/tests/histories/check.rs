//! Whether an index answers as a model does: every kind of read, and queries
//! by their scores.

use crossbill_core::{Filter, NamespaceName};
use crossbill_db::{Index, Query, QueryAnswer, QueryBy, StoredRecord};
use crossbill_sim::{Model, Wanted, best};

use crate::generate::Generator;

/// A query, with the texts that it is by where it is by texts.
pub(crate) struct Ask {
    pub(crate) query: Query,
    wanted: Vec<Wanted>,
}

/// What a query is by.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// All vectors that a record has.
    Vectors,
    /// The sparse vector of a document.
    Sparse,
    /// The texts of a document.
    Texts,
}

/// The kinds of queries that an index takes.
fn kinds(generator: &Generator) -> &'static [Kind] {
    match (generator.shape.documents, generator.shape.dimension) {
        (false, _) => &[Kind::Vectors],
        (true, 0) => &[Kind::Sparse, Kind::Texts],
        (true, _) => &[Kind::Vectors, Kind::Sparse, Kind::Texts],
    }
}

/// Panics where a read of `index` says something else than the model.
pub(crate) fn check(index: &Index, model: &Model, generator: &mut Generator) {
    let default = NamespaceName::default_namespace();
    let ids: Vec<String> = model.records.keys().cloned().collect();
    assert_eq!(index.list_ids(&default, "", None, 1000).unwrap(), (ids.clone(), false));
    assert_eq!(index.stats().unwrap().total, ids.len() as u64);
    let fetched = index.fetch(&default, &ids).unwrap();
    let expected = model.records.values().cloned().map(StoredRecord::from);
    assert_eq!(fetched, expected.collect::<Vec<_>>());
    let filter = generator.filter();
    let (page, _) = index.fetch_by_metadata(&default, &filter, 1000, None).unwrap();
    let page: Vec<String> = page.into_iter().map(|found| found.id).collect();
    assert_eq!(page, model.matching(&filter), "{filter:?}");
    for filter in [None, Some(filter)] {
        for kind in kinds(generator) {
            let ask = of_kind(*kind, generator, filter.clone());
            check_answer(&index.query(&default, &ask.query).unwrap(), &ask, model);
        }
    }
}

/// A query at random.
pub(crate) fn ask(generator: &mut Generator, filter: Option<Filter>) -> Ask {
    let kinds = kinds(generator);
    let kind = kinds[generator.below(kinds.len() as u64) as usize];
    of_kind(kind, generator, filter)
}

fn of_kind(kind: Kind, generator: &mut Generator, filter: Option<Filter>) -> Ask {
    let probe = generator.record();
    let shape = &generator.shape;
    let dense = (shape.dimension > 0).then_some(probe.values);
    let mut wanted = Vec::new();
    let by = match kind {
        Kind::Vectors if shape.documents => QueryBy::Vector { dense, sparse: None },
        Kind::Vectors => QueryBy::Vector { dense, sparse: probe.sparse },
        Kind::Sparse => QueryBy::Vector { dense: None, sparse: Some(generator.sparse()) },
        Kind::Texts => {
            wanted = generator.wanted();
            QueryBy::Text(wanted.iter().map(Wanted::clause).collect())
        }
    };
    let query = Query {
        by,
        top_k: 1 + generator.below(12) as usize,
        filter,
        include_values: false,
        include_metadata: false,
        effort: None,
    };
    Ask { query, wanted }
}

/// Panics where the answer is not that of a scan of the model.
pub(crate) fn check_answer(answer: &QueryAnswer, ask: &Ask, model: &Model) {
    let (query, filter) = (&ask.query, ask.query.filter.as_ref());
    let (scores, best) = match &query.by {
        QueryBy::Vector { dense, sparse } => {
            let scores = model.scores(dense.as_deref(), sparse.as_ref(), filter);
            let best = model.nearest(&scores, dense.is_some(), query.top_k);
            (scores, best)
        }
        QueryBy::Text(_) => {
            let scores = model.text_scores(&ask.wanted, filter);
            let best = best(&scores, false, query.top_k);
            (scores, best)
        }
        other => panic!("no query is by {other:?}"),
    };
    assert_eq!(answer.matches.len(), best.len(), "{query:?}");
    for (found, best) in answer.matches.iter().zip(&best) {
        let own = *scores.get(found.id.as_str()).unwrap_or_else(|| panic!("{} is gone", found.id));
        assert!(close(own, found.score), "{}: {own} is told as {}", found.id, found.score);
        assert!(close(*best, found.score), "{best} is nearer than {}", found.score);
    }
    let mut ids: Vec<&str> = answer.matches.iter().map(|found| found.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), best.len(), "an id came twice");
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-4 * (1.0 + a.abs())
}
