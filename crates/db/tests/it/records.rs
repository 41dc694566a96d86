//! Records: written, read, queried, changed and deleted, in memory and in
//! segments alike.

use crossbill_core::{ErrorKind, Filter, IndexShape, Metadata, Metric, Record, VectorStorage};
use crossbill_db::{Index, Query, QueryBy, Selector, Update};

use crate::fixtures::{Place, all_ids, by_vector, ids, index, namespace, plane, record, sparse};

fn filter(json: &str) -> Filter {
    Filter::from_json(json).unwrap()
}

fn films(index: &Index) {
    let records = vec![
        record("a", &[0.0, 1.0], r#"{"genre":"drama","year":2020}"#),
        record("b", &[1.0, 0.0], r#"{"genre":"comedy","year":2021}"#),
        record("c", &[1.0, 1.0], ""),
    ];
    index.upsert(&namespace(""), records).unwrap();
}

/// Runs `check` with all records in the memtable, then in a segment, then
/// after a restart.
fn everywhere(shape: IndexShape, fill: impl Fn(&Index), check: impl Fn(&Index)) {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, shape);
    fill(&index);
    check(&index);
    index.flush(&namespace("")).unwrap();
    check(&index);
    drop((index, database));
    let database = place.open();
    check(&database.index("a").unwrap());
}

#[test]
fn each_metric_scores_as_the_service_does() {
    for (metric, query, expected) in [
        (Metric::Euclidean, [0.0, 1.0], vec![("a", 0.0), ("c", 1.0), ("b", 2.0)]),
        (Metric::DotProduct, [0.0, 2.0], vec![("a", 2.0), ("c", 2.0), ("b", 0.0)]),
        (
            Metric::Cosine,
            [0.0, 9.0],
            vec![("a", 1.0), ("c", std::f32::consts::FRAC_1_SQRT_2), ("b", 0.0)],
        ),
    ] {
        everywhere(IndexShape::dense(2, metric), films, |index| {
            let answer = index.query(&namespace(""), &by_vector(&query, 10)).unwrap();
            assert_eq!(answer.matches.len(), expected.len());
            for (found, (id, score)) in answer.matches.iter().zip(&expected) {
                assert_eq!(found.id, *id, "{metric:?}");
                assert!((found.score - score).abs() < 1e-6, "{metric:?}: {}", found.score);
            }
            assert_eq!(answer.lsn, index.lsn());
        });
    }
}

/// What was rounded when it was accepted never changes again.
#[test]
fn rounded_vectors_are_the_same_in_memory_and_in_segments() {
    for storage in [VectorStorage::F16, VectorStorage::Bf16, VectorStorage::Int8] {
        let shape = IndexShape::dense(3, Metric::Euclidean).stored_as(storage);
        let given = [0.1_f32, -0.7, 0.33];
        let mut expected = given.to_vec();
        storage.round(&mut expected);
        assert_ne!(expected, given);
        let fill = |index: &Index| {
            let records = vec![record("a", &given, ""), record("b", &[9.0, 9.0, 9.0], "")];
            index.upsert(&namespace(""), records).unwrap();
            let values = Some(given.to_vec());
            let update = Update {
                id: "b".into(),
                values,
                sparse: None,
                set_metadata: None,
                ..Update::default()
            };
            index.update(&namespace(""), update).unwrap();
        };
        everywhere(shape, fill, |index| {
            let found = index.fetch(&namespace(""), &["a".into(), "b".into()]).unwrap();
            assert_eq!(
                found.iter().map(|record| &record.values).collect::<Vec<_>>(),
                [&expected, &expected]
            );
            let query = Query { include_values: true, ..by_vector(&expected, 2) };
            let answer = index.query(&namespace(""), &query).unwrap();
            assert_eq!(answer.matches[0].values.as_ref(), Some(&expected));
            assert_eq!(answer.matches[0].score, 0.0);
            // Rewritten with what is stored.
            let set_metadata = Some(Metadata::from_json(r#"{"x":1}"#).unwrap());
            let update = Update {
                id: "a".into(),
                values: None,
                sparse: None,
                set_metadata,
                ..Update::default()
            };
            index.update(&namespace(""), update).unwrap();
        });
    }
}

#[test]
fn vectors_larger_than_the_index_can_keep_are_refused() {
    let place = Place::new();
    let database = place.open();
    let shape = plane().stored_as(VectorStorage::F16);
    let index = index(&database, shape);
    let error = index.upsert(&namespace(""), vec![record("a", &[1e6, 0.0], "")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("record \"a\": component 0 is 1000000"), "{error}");
}

#[test]
fn queries_filter_and_include_what_is_asked() {
    everywhere(plane(), films, |index| {
        let mut query = by_vector(&[0.0, 0.0], 10);
        for (json, expected) in [
            (r#"{"genre":"drama"}"#, "a"),
            (r#"{"genre":{"$ne":"drama"}}"#, "b c"),
            (r#"{"year":{"$gt":2019}}"#, "a b"),
            (r#"{"genre":{"$in":["none"]}}"#, ""),
        ] {
            query.filter = Some(filter(json));
            assert_eq!(ids(index, "", &query).join(" "), expected, "{json}");
        }
        let query = Query {
            by: QueryBy::Id("b".into()),
            include_values: true,
            include_metadata: true,
            ..by_vector(&[], 1)
        };
        let answer = index.query(&namespace(""), &query).unwrap();
        let first = &answer.matches[0];
        assert_eq!((first.id.as_str(), first.score), ("b", 0.0));
        assert_eq!(first.values.as_deref(), Some(&[1.0, 0.0][..]));
        assert_eq!(first.metadata_json.as_deref(), Some(r#"{"genre":"comedy","year":2021}"#));
        let unknown = Query { by: QueryBy::Id("zzz".into()), ..query };
        assert!(index.query(&namespace(""), &unknown).unwrap().matches.is_empty());
        assert!(ids(index, "nowhere", &by_vector(&[0.0, 0.0], 3)).is_empty());
    });
}

#[test]
fn sparse_and_hybrid_queries_sum_dot_products() {
    let fill = |index: &Index| {
        let entries = |id: &str, entries: &[(u32, f32)]| Record {
            sparse: Some(sparse(entries)),
            ..record(id, &[], "")
        };
        let records = vec![
            entries("a", &[(1, 1.0), (5, 2.0)]),
            entries("b", &[(5, 3.0)]),
            entries("c", &[(9, 1.0)]),
        ];
        index.upsert(&namespace(""), records).unwrap();
    };
    everywhere(IndexShape::sparse(), fill, |index| {
        let by = QueryBy::Vector { dense: None, sparse: Some(sparse(&[(1, 1.0), (5, 1.0)])) };
        let query = Query { by, include_values: true, ..by_vector(&[], 10) };
        let answer = index.query(&namespace(""), &query).unwrap();
        let found: Vec<_> =
            answer.matches.iter().map(|found| (found.id.as_str(), found.score)).collect();
        assert_eq!(found, [("a", 3.0), ("b", 3.0)]);
        assert_eq!(answer.matches[1].sparse, Some(sparse(&[(5, 3.0)])));
        assert_eq!(answer.matches[1].values, None);
        let dense = by_vector(&[1.0], 3);
        assert_eq!(index.query(&namespace(""), &dense).unwrap_err().kind(), ErrorKind::Invalid);
    });
    let fill = |index: &Index| {
        let mut records = vec![record("a", &[1.0, 0.0], ""), record("b", &[0.5, 0.0], "")];
        records[1].sparse = Some(sparse(&[(7, 2.0)]));
        index.upsert(&namespace(""), records).unwrap();
    };
    everywhere(IndexShape::dense(2, Metric::DotProduct), fill, |index| {
        let by = QueryBy::Vector { dense: Some(vec![1.0, 0.0]), sparse: Some(sparse(&[(7, 1.0)])) };
        let answer = index.query(&namespace(""), &Query { by, ..by_vector(&[], 10) }).unwrap();
        let found: Vec<_> =
            answer.matches.iter().map(|found| (found.id.as_str(), found.score)).collect();
        assert_eq!(found, [("b", 2.5), ("a", 1.0)]);
    });
}

#[test]
fn wrong_records_and_queries_are_refused_whole() {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, plane());
    let default = namespace("");
    let wrong = vec![record("fine", &[1.0, 2.0], ""), record("short", &[1.0], "")];
    let error = index.upsert(&default, wrong).unwrap_err();
    assert_eq!(
        error.message(),
        "record \"short\": vector dimension 1 does not match the dimension of the index 2"
    );
    assert!(index.describe_namespace(&default).is_err(), "nothing was written");
    for bad in [record("", &[1.0, 2.0], ""), record("n", &[f32::NAN, 2.0], "")] {
        assert_eq!(index.upsert(&default, vec![bad]).unwrap_err().kind(), ErrorKind::Invalid);
    }
    for query in
        [by_vector(&[1.0], 3), by_vector(&[1.0, f32::INFINITY], 3), by_vector(&[1.0; 2], 0)]
    {
        assert_eq!(index.query(&default, &query).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let empty = filter("{}");
    let refused = index.delete(&default, Selector::Filter(empty.clone())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(index.fetch_by_metadata(&default, &empty, 10, None).is_err());
    assert!(index.update_by_filter(&default, &empty, Update::default(), true).is_err());
}

#[test]
fn updates_merge_metadata_and_replace_vectors() {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, plane());
    let default = namespace("");
    films(&index);
    let update = |id: &str, values: Option<Vec<f32>>, json: Option<&str>| {
        let set_metadata = json.map(|json| Metadata::from_json(json).unwrap());
        index.update(
            &default,
            Update { id: id.into(), values, sparse: None, set_metadata, ..Update::default() },
        )
    };
    let fetch = |id: &str| index.fetch(&default, &[id.to_owned()]).unwrap();
    update("a", None, Some(r#"{"year":1999,"new":true}"#)).unwrap();
    index.flush(&default).unwrap();
    update("a", Some(vec![7.0, 7.0]), None).unwrap();
    let found = &fetch("a")[0];
    assert_eq!(found.values, [7.0, 7.0]);
    assert_eq!(found.metadata_json.as_deref(), Some(r#"{"genre":"drama","new":true,"year":1999}"#));
    let before = index.lsn();
    assert_eq!(update("unknown", None, Some("{}")).unwrap(), before, "no write, no error");
    assert!(fetch("unknown").is_empty());
    assert_eq!(update("a", Some(vec![1.0]), None).unwrap_err().kind(), ErrorKind::Invalid);

    let recent = filter(r#"{"year":{"$gt":2000}}"#);
    let set_metadata = Metadata::from_json(r#"{"recent":true}"#).ok();
    let update = Update { set_metadata, ..Update::default() };
    assert_eq!(index.update_by_filter(&default, &recent, update.clone(), true).unwrap(), 1);
    assert_eq!(index.update_by_filter(&default, &recent, update, false).unwrap(), 1);
    let (found, _) =
        index.fetch_by_metadata(&default, &filter(r#"{"recent":true}"#), 10, None).unwrap();
    assert_eq!(found[0].id, "b");
}

#[test]
fn deletions_reach_memory_and_segments() {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, plane());
    let default = namespace("");
    films(&index);
    index.flush(&default).unwrap();
    index.upsert(&default, vec![record("d", &[5.0, 5.0], r#"{"genre":"drama"}"#)]).unwrap();
    index.delete(&default, Selector::Ids(vec!["c".into(), "never".into()])).unwrap();
    assert_eq!(all_ids(&index, "").join(""), "abd");
    index.delete(&default, Selector::Filter(filter(r#"{"genre":"drama"}"#))).unwrap();
    assert_eq!(all_ids(&index, ""), ["b"]);
    assert_eq!(index.stats().unwrap().total, 1);
    let before = index.lsn();
    assert!(index.delete(&default, Selector::All).unwrap() > before);
    assert!(ids(&index, "", &by_vector(&[0.0, 0.0], 9)).is_empty());
    assert_eq!(index.describe_namespace(&default).unwrap().record_count, 0);
    films(&index);
    drop((index, database));
    let database = place.open();
    assert_eq!(all_ids(&database.index("a").unwrap(), "").join(""), "abc");
}

#[test]
fn pages_are_in_id_order_whatever_holds_the_records() {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, plane());
    let default = namespace("");
    for round in 0..3 {
        let records = (0..20).filter(|number| number % 3 == round).map(|number| {
            record(&format!("p{number:02} /\"x\""), &[number as f32, 0.0], r#"{"even":true}"#)
        });
        index.upsert(&default, records.collect()).unwrap();
        if round < 2 {
            index.flush(&default).unwrap();
        }
    }
    index.upsert(&default, vec![record("other", &[0.0, 0.0], "")]).unwrap();
    let mut listed = Vec::new();
    loop {
        let after = listed.last().cloned();
        let (page, more) = index.list_ids(&default, "p", after.as_deref(), 7).unwrap();
        listed.extend(page);
        if !more {
            break;
        }
    }
    let expected: Vec<String> = (0..20).map(|number| format!("p{number:02} /\"x\"")).collect();
    assert_eq!(listed, expected);
    let mut fetched = Vec::new();
    let mut after = None;
    loop {
        let even = filter(r#"{"even":true}"#);
        let (page, next) = index.fetch_by_metadata(&default, &even, 6, after.as_deref()).unwrap();
        fetched.extend(page.into_iter().map(|found| found.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(fetched, expected);
}

#[test]
fn many_writers_and_readers_agree() {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, plane());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let index = &index;
            scope.spawn(move || {
                for round in 0..50 {
                    let id = format!("w{writer}-{round}");
                    let records = vec![
                        record(&id, &[round as f32, writer as f32], ""),
                        record("shared", &[writer as f32, round as f32], ""),
                    ];
                    let lsn = index.upsert(&namespace(""), records).unwrap();
                    let answer =
                        index.query(&namespace(""), &by_vector(&[0.0, 0.0], 1000)).unwrap();
                    assert!(answer.lsn >= lsn);
                    assert!(answer.matches.iter().any(|found| found.id == id), "reads its write");
                    let shared = answer.matches.iter().filter(|found| found.id == "shared");
                    assert_eq!(shared.count(), 1, "never half of a write");
                }
            });
        }
    });
    let shared = index.fetch(&namespace(""), &["shared".into()]).unwrap();
    drop((index, database));
    let database = place.open();
    let index = database.index("a").unwrap();
    assert_eq!(index.fetch(&namespace(""), &["shared".into()]).unwrap(), shared, "log order");
    assert_eq!(index.stats().unwrap().total, 201);
}

#[test]
fn a_full_memtable_becomes_segments_and_segments_are_merged() {
    let place = Place::new();
    let mut options = place.options();
    options.memory_bytes = 0;
    let database = crossbill_db::Database::open(options.clone()).unwrap();
    let shape = IndexShape::dense(256, Metric::DotProduct);
    let index = index(&database, shape);
    let default = namespace("");
    let vector = |number: usize| {
        let mut values = vec![0.0; 256];
        values[number % 256] = 1.0 + number as f32;
        values
    };
    // About 25 MiB through a memtable of one.
    for start in (0..24_000).step_by(500) {
        let records = (start..start + 500)
            .map(|number| record(&format!("r{:05}", number % 20_000), &vector(number), ""));
        index.upsert(&default, records.collect()).unwrap();
    }
    assert_eq!(index.stats().unwrap().total, 20_000);
    index.flush(&default).unwrap();
    let files = |index: &Index| {
        let parts = place.data().join("indexes").join(index.info().uid).join("parts");
        std::fs::read_dir(parts).unwrap().count()
    };
    assert!(files(&index) < 16, "{} parts", files(&index));
    let best = |index: &Index, number: usize| ids(index, "", &by_vector(&vector(number), 1));
    // 23813 = 5 + 93 × 256 is the last of its kind and replaced record 3813.
    assert_eq!(best(&index, 23_813), ["r03813"], "the newest copy counts");
    drop((index, database));
    let database = crossbill_db::Database::open(options).unwrap();
    let index = database.index("a").unwrap();
    assert_eq!(index.stats().unwrap().total, 20_000);
    assert_eq!(best(&index, 23_813), ["r03813"]);
}

/// Writers with records of their own, so much that memtables are frozen,
/// flushed and merged all the time under them; whoever waited for a write
/// sees it, then and after a crash.
#[test]
fn overwrites_and_deletions_reach_what_is_being_flushed_and_merged() {
    let place = Place::new();
    let mut options = place.options();
    options.memory_bytes = 0;
    let database = crossbill_db::Database::open(options.clone()).unwrap();
    let shape = IndexShape::dense(128, Metric::DotProduct);
    let index = index(&database, shape);
    let default = namespace("");
    let write = |writer: u64| {
        let mut rng = crossbill_core::Seed(writer).derive("writer").rng();
        let mut own = std::collections::BTreeMap::new();
        for round in 0..150_u64 {
            if rng.below(5) == 0 {
                let ids: Vec<String> =
                    (0..60).map(|_| format!("w{writer}-{:04}", rng.below(900))).collect();
                own.retain(|id, _| !ids.contains(id));
                index.delete(&default, Selector::Ids(ids)).unwrap();
                continue;
            }
            let mut records = Vec::new();
            for _ in 0..60 {
                let id = format!("w{writer}-{:04}", rng.below(900));
                let mut values = vec![0.0; 128];
                values[0] = round as f32;
                own.insert(id.clone(), round as f32);
                records.push(record(&id, &values, ""));
            }
            index.upsert(&default, records).unwrap();
            if round % 10 == 0 {
                let prefix = format!("w{writer}-");
                let (ids, _) = index.list_ids(&default, &prefix, None, 10_000).unwrap();
                assert!(ids.iter().eq(own.keys()), "writer {writer} in round {round}");
            }
        }
        own
    };
    let models = std::thread::scope(|scope| {
        let write = &write;
        let writers: Vec<_> = (0..3).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    let check = |index: &Index| {
        let total: usize = models.iter().map(|model| model.len()).sum();
        assert_eq!(index.stats().unwrap().total, total as u64);
        for (id, value) in models.iter().flatten() {
            let found = index.fetch(&default, std::slice::from_ref(id)).unwrap();
            assert_eq!(found[0].values[0], *value, "{id}");
        }
    };
    check(&index);
    drop((index, database));
    let database = crossbill_db::Database::open(options).unwrap();
    check(&database.index("a").unwrap());
}
