//! Documents: what one must have, how each of its fields is searched, and how
//! fields change, in memory, in a segment and after a restart alike.

use std::sync::Arc;

use crossbill_core::{
    DocumentFields, ErrorKind, Filter, IndexShape, Metadata, Metric, TextClause, TextField,
    TextOptions, TextSchema,
};
use crossbill_db::{Database, Index, NewIndex, Query, QueryBy, Removal, Selector, Update};

use crate::fixtures::{Place, by_vector, namespace, new_index, record, sparse};

/// Dense vectors under Euclidean distance, sparse ones and a text.
fn articles(database: &Database) -> Arc<Index> {
    let body = TextField { name: "body".into(), options: TextOptions::default() };
    let shape = IndexShape::dense(2, Metric::Euclidean).of_documents();
    let fields = DocumentFields { dense: Some("at".into()), sparse: Some("terms".into()) };
    let (documents, text) = (Some(fields), TextSchema::new([body]));
    database.create_index(NewIndex { documents, text, ..new_index("a", shape) }).unwrap();
    let index = database.index("a").unwrap();
    let mut records = vec![
        record("fox", &[0.0, 1.0], r#"{"body":"a quick fox","year":1}"#),
        record("dog", &[1.0, 0.0], r#"{"body":"a lazy dog","year":2}"#),
        record("both", &[2.0, 2.0], r#"{"body":"fox and dog","year":3}"#),
    ];
    records[0].sparse = Some(sparse(&[(1, 1.0), (2, 0.5)]));
    records[1].sparse = Some(sparse(&[(1, 2.0)]));
    index.upsert(&namespace(""), records).unwrap();
    index
}

fn everywhere(change: impl Fn(&Index), check: impl Fn(&Index)) {
    let place = Place::new();
    let database = place.open();
    let index = articles(&database);
    change(&index);
    check(&index);
    index.flush(&namespace("")).unwrap();
    check(&index);
    drop((index, database));
    check(&place.open().index("a").unwrap());
}

fn found(index: &Index, by: QueryBy, filter: Option<&str>) -> Vec<String> {
    let filter = filter.map(|json| Filter::from_json(json).unwrap());
    let query = Query { by, filter, ..by_vector(&[], 10) };
    let answer = index.query(&namespace(""), &query).unwrap();
    answer.matches.into_iter().map(|found| found.id).collect()
}

fn words(text: &str) -> QueryBy {
    QueryBy::Text(vec![TextClause::Text { fields: vec!["body".into()], query: text.into() }])
}

#[test]
fn each_field_is_searched_by_itself() {
    everywhere(
        |_| {},
        |index| {
            let dense =
                |values: [f32; 2]| QueryBy::Vector { dense: Some(values.into()), sparse: None };
            assert_eq!(found(index, dense([0.1, 1.0]), None), ["fox", "dog", "both"]);
            // The larger product comes first, though smaller distances do.
            let sparse = QueryBy::Vector { dense: None, sparse: Some(sparse(&[(1, 1.0)])) };
            assert_eq!(found(index, sparse.clone(), None), ["dog", "fox"]);
            assert_eq!(found(index, sparse, Some(r#"{"year":{"$lt":2}}"#)), ["fox"]);
            let mut foxes = found(index, words("fox"), None);
            foxes.sort();
            assert_eq!(foxes, ["both", "fox"]);
            let lazy = Some(r#"{"body":{"$match_phrase":"lazy dog"}}"#);
            assert_eq!(found(index, dense([0.1, 1.0]), lazy), ["dog"]);
        },
    );
}

#[test]
fn fields_change_and_go_away() {
    let change = |index: &Index| {
        let remove = Removal { sparse: true, fields: vec!["year".into()] };
        let metadata = Metadata::from_json(r#"{"body":"a zebra"}"#).ok();
        let first =
            Update { id: "fox".into(), set_metadata: metadata, remove, ..Update::default() };
        let second = Update { id: "dog".into(), values: Some(vec![5.0, 5.0]), ..Update::default() };
        index.update_each(&namespace(""), vec![first, second]).unwrap();
        let filter = Filter::from_json(r#"{"year":{"$gte":3}}"#).unwrap();
        let set_metadata = Metadata::from_json(r#"{"seen":true}"#).ok();
        let update = Update { set_metadata, ..Update::default() };
        assert_eq!(index.update_by_filter(&namespace(""), &filter, update, false).unwrap(), 1);
    };
    everywhere(change, |index| {
        assert_eq!(found(index, words("zebra"), None), ["fox"]);
        assert_eq!(found(index, words("fox"), None), ["both"]);
        let ids = ["fox".to_owned(), "dog".to_owned(), "both".to_owned()];
        let stored = index.fetch(&namespace(""), &ids).unwrap();
        assert_eq!(stored[0].metadata_json.as_deref(), Some(r#"{"body":"a zebra"}"#));
        assert_eq!(
            (stored[0].sparse.as_ref(), stored[1].values.as_slice()),
            (None, &[5.0, 5.0][..])
        );
        let both = r#"{"body":"fox and dog","seen":true,"year":3}"#;
        assert_eq!(stored[2].metadata_json.as_deref(), Some(both));
    });
}

#[test]
fn a_document_that_breaks_a_rule_changes_nothing() {
    let place = Place::new();
    let database = place.open();
    let index = articles(&database);
    let long = format!(r#"{{"body":"{}"}}"#, "x".repeat(200_000));
    let mut too_long = record("new", &[1.0, 1.0], "");
    too_long.metadata = Metadata::from_stored_json(&long).ok();
    for (wrong, expected) in [
        (record("new", &[], r#"{"body":"x"}"#), "dimension 0 does not match"),
        (record("new", &[0.0, 0.0], r#"{"body":"x"}"#), "all components are 0"),
        (record("new", &[1.0, 1.0], r#"{"body":1}"#), "\"body\" is searched as text"),
        (too_long, "200000 bytes of text"),
    ] {
        let right = record("right", &[1.0, 1.0], "");
        let error = index.upsert(&namespace(""), vec![right, wrong]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(expected), "{error}");
    }
    let good = Update { id: "dog".into(), values: Some(vec![9.0, 9.0]), ..Update::default() };
    let set_metadata = Metadata::from_json(r#"{"body":true}"#).ok();
    let bad = Update { id: "fox".into(), set_metadata, ..Update::default() };
    assert!(index.update_each(&namespace(""), vec![good, bad]).is_err());
    let stored = index.fetch(&namespace(""), &["dog".to_owned(), "right".to_owned()]).unwrap();
    assert_eq!((stored.len(), stored[0].values.as_slice()), (1, &[1.0, 0.0][..]));
    let filter = Filter::from_json(r#"{"year":{"$gt":1}}"#).unwrap();
    let deleted = index.delete_counted(&namespace(""), Selector::Filter(filter)).unwrap();
    assert_eq!((deleted.1, index.stats().unwrap().total), (2, 1));
}
