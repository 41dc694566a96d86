//! Whether an index answers as a model does: every kind of read, and queries
//! by their scores.

use crossbill_core::{Filter, NamespaceName, SparseVector};
use crossbill_db::{Index, Query, QueryAnswer, QueryBy, StoredRecord};
use crossbill_sim::Model;

use crate::generate::Generator;

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
    assert_eq!(page, model.matching(&filter));
    for filter in [None, Some(filter)] {
        let query = query(generator, filter);
        check_answer(&index.query(&default, &query).unwrap(), &query, model);
    }
}

/// A query at random.
pub(crate) fn query(generator: &mut Generator, filter: Option<Filter>) -> Query {
    let probe = generator.record();
    let dense = (generator.shape.dimension > 0).then_some(probe.values);
    Query {
        by: QueryBy::Vector { dense, sparse: probe.sparse },
        top_k: 1 + generator.below(12) as usize,
        filter,
        include_values: false,
        include_metadata: false,
        effort: None,
    }
}

/// Panics where the answer is not that of a scan of the model.
pub(crate) fn check_answer(answer: &QueryAnswer, query: &Query, model: &Model) {
    let QueryBy::Vector { dense, sparse } = &query.by else { panic!("queries are by vector") };
    let sparse: Option<&SparseVector> = sparse.as_ref();
    let scores = model.scores(dense.as_deref(), sparse, query.filter.as_ref());
    let best = model.best(&scores, query.top_k);
    assert_eq!(answer.matches.len(), best.len());
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
