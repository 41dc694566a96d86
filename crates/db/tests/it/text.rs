//! Full-text search: found in memory, in segments and after a restart alike,
//! with scores made of all live records together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbill_core::{Filter, Rng, Seed, TextClause, TextField, TextOptions, TextSchema};
use crossbill_db::{
    Database, ErrorMode, Index, NewBackup, Query, QueryBy, RestoreOptions, Selector,
};

use crate::fixtures::{
    Place, all_ids, by_vector, ids, import, namespace, new_index, plane, record, write_parquet,
};

fn schema() -> TextSchema {
    let field = |name: &str, stemming| TextField {
        name: name.into(),
        options: TextOptions { stemming, ..TextOptions::default() },
    };
    TextSchema::new([field("title", false), field("body", true)])
}

fn text_index(database: &Database) -> Arc<Index> {
    if database.index("a").is_err() {
        let mut new = new_index("a", plane());
        new.text = schema();
        database.create_index(new).unwrap();
    }
    database.index("a").unwrap()
}

fn by_text(query: &str, filter: Option<&str>) -> Query {
    Query {
        by: QueryBy::Text(vec![TextClause::QueryString(query.into())]),
        filter: filter.map(|json| Filter::from_json(json).unwrap()),
        ..by_vector(&[], 100)
    }
}

fn birds(index: &Index) {
    let records = vec![
        record(
            "a",
            &[0.0, 1.0],
            r#"{"title":"Red Robin","body":"It runs in gardens","year":2020}"#,
        ),
        record(
            "b",
            &[1.0, 0.0],
            r#"{"title":"Blue Jay","body":"Running jays, red-eyed","year":2021}"#,
        ),
        record("c", &[1.0, 1.0], r#"{"title":"Robin","year":2022,"kind":"bird"}"#),
        record("d", &[2.0, 2.0], ""),
    ];
    index.upsert(&namespace(""), records).unwrap();
}

#[test]
fn text_is_found_wherever_a_record_stands() {
    let place = Place::new();
    let mut database = place.open();
    for step in ["memtable", "segment", "restart"] {
        let index = text_index(&database);
        match step {
            "memtable" => birds(&index),
            "segment" => index.flush(&namespace("")).unwrap(),
            _ => {
                drop((index, database));
                database = place.open();
            }
        }
        let index = text_index(&database);
        let found = |query: &str, filter| ids(&index, "", &by_text(query, filter));
        assert_eq!(found("robin", None), ["c", "a"], "{step}");
        assert_eq!(found("title:robin^0 run", None), ["a", "b", "c"], "{step}");
        assert_eq!(found("body:\"run in\"", None), ["a"], "{step}");
        assert_eq!(found("red", None).len(), 2, "{step}");
        assert_eq!(found("robin", Some(r#"{"year":{"$gt":2020}}"#)), ["c"], "{step}");
        assert_eq!(found("robin", Some(r#"{"body":{"$match_any":"running"}}"#)), ["a"], "{step}");
        assert_eq!(found("robin", Some(r#"{"$not":{"body":{"$exists":true}}}"#)), ["c"], "{step}");

        let near = |filter: &str| {
            let filter = Some(Filter::from_json(filter).unwrap());
            ids(&index, "", &Query { filter, ..by_vector(&[0.0, 1.0], 10) })
        };
        assert_eq!(near(r#"{"title":{"$match_all":"robin"}}"#), ["a", "c"], "{step}");
        assert_eq!(
            near(r#"{"$not":{"title":{"$match_phrase":"red robin"}}}"#),
            ["c", "b", "d"],
            "{step}"
        );
        let filter = r#"{"$or":[{"body":{"$match_phrase":"red eyed"}},{"kind":"bird"}]}"#;
        assert_eq!(near(filter), ["c", "b"], "{step}");
        let filter = Filter::from_json(r#"{"title":{"$match_any":"jay robin"}}"#).unwrap();
        let (page, next) = index.fetch_by_metadata(&namespace(""), &filter, 2, None).unwrap();
        assert_eq!((page.len(), next.as_deref()), (2, Some("b")), "{step}");

        let mut query = by_text("jays", None);
        query.include_metadata = true;
        let answer = index.query(&namespace(""), &query).unwrap();
        assert_eq!(answer.matches.len(), 1);
        assert!(answer.matches[0].metadata_json.as_ref().unwrap().contains("red-eyed"));
        assert!(answer.matches[0].score > 0.0);
    }
    let index = text_index(&database);
    let gone = Filter::from_json(r#"{"body":{"$match_all":"runs"}}"#).unwrap();
    index.delete(&namespace(""), Selector::Filter(gone)).unwrap();
    assert_eq!(all_ids(&index, ""), ["c", "d"]);
}

#[test]
fn what_is_no_text_field_is_refused() {
    let place = Place::new();
    let database = place.open();
    let index = text_index(&database);
    let refused = |query: Query| index.query(&namespace(""), &query).unwrap_err().to_string();
    assert!(refused(by_text("nope:x", None)).contains("\"nope\" is no text field"));
    assert!(
        refused(by_text("a", Some(r#"{"x":{"$match_any":"a"}}"#))).contains("\"x\" is no text")
    );
    assert!(refused(by_text("a", Some(r#"{"title":"a"}"#))).contains("has no value to compare"));
    database.create_index(new_index("b", plane())).unwrap();
    let plain = database.index("b").unwrap();
    let error = plain.query(&namespace(""), &by_text("a", None)).unwrap_err();
    assert!(error.message().contains("no text fields"), "{error}");
    assert!(index.query(&namespace("never"), &by_text("a", None)).unwrap().matches.is_empty());
}

#[test]
fn imports_and_backups_keep_text_searchable() {
    let place = Place::new();
    let database = place.open();
    let index = text_index(&database);
    let json: Vec<String> =
        (0..250).map(|n| format!(r#"{{"title":"t{n} all","body":"running {}"}}"#, n % 5)).collect();
    let names: Vec<String> = (0..250).map(|n| format!("r{n:03}")).collect();
    let rows: Vec<_> = names
        .iter()
        .zip(&json)
        .map(|(id, json)| (id.as_str(), vec![1.0, 2.0], Some(json.as_str())))
        .collect();
    write_parquet(&place.source().join("x.parquet"), &rows);
    let import = import(&index, &place.uri(), ErrorMode::Abort);
    assert_eq!(import.records_imported, 250, "{import:?}");
    let count = |index: &Index, query: &str| ids(index, "", &by_text(query, None)).len();
    assert_eq!((count(&index, "t17"), count(&index, "body:(run AND 3)")), (1, 50));
    let backup = database.create_backup("a", NewBackup::default()).unwrap();
    assert_eq!(backup.text, schema());
    let options = RestoreOptions {
        name: crossbill_core::IndexName::new("c").unwrap(),
        tags: None,
        deletion_protection: false,
    };
    let (_, info) = database.restore_backup(&backup.id, options).unwrap();
    assert_eq!(info.text, schema());
    let restored = database.index("c").unwrap();
    assert_eq!(count(&restored, "t17 t18"), 2);
}

/// BM25 of one field over all of these texts.
fn model(texts: &BTreeMap<String, String>, words: &[&str]) -> BTreeMap<String, f64> {
    let split: BTreeMap<&String, Vec<&str>> =
        texts.iter().map(|(id, text)| (id, text.split(' ').collect())).collect();
    let all = split.len() as f64;
    let average = split.values().map(|words| words.len() as f64).sum::<f64>() / all;
    let score = |own: &[&str], word: &str| {
        let with = split.values().filter(|words| words.contains(&word)).count() as f64;
        let count = own.iter().filter(|own| **own == word).count() as f64;
        let idf = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        idf * 2.2 * count / (count + 1.2 * (0.25 + 0.75 * own.len() as f64 / average))
    };
    let scored = split
        .iter()
        .map(|(id, own)| ((*id).clone(), words.iter().map(|word| score(own, word)).sum::<f64>()));
    scored.filter(|(_, score)| *score > 0.0).collect()
}

fn check(index: &Index, texts: &BTreeMap<String, String>, words: &[&str], why: &str) {
    let answer = index.query(&namespace(""), &by_text(&words.join(" "), None)).unwrap();
    let expected = model(texts, words);
    let found: BTreeMap<String, f64> =
        answer.matches.iter().map(|found| (found.id.clone(), f64::from(found.score))).collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{why}");
    for (id, score) in &expected {
        assert!((found[id] - score).abs() < 1e-4, "{why} {id}: {} {score}", found[id]);
    }
    let in_order = answer.matches.windows(2).all(|pair| {
        pair[0].score > pair[1].score || (pair[0].score == pair[1].score && pair[0].id < pair[1].id)
    });
    assert!(in_order, "{why}: {:?}", answer.matches);
}

/// Goal: scores never depend on where records stand. Method: random histories
/// of writes, deletions, flushes with merges and restarts; after each step the
/// answers are compared with BM25 computed straight over the live records.
#[test]
fn scores_are_the_same_after_any_history() {
    const WORDS: [&str; 6] = ["w0", "w1", "w2", "w3", "w4", "w5"];
    for seed in 0..6 {
        let mut rng: Rng = Seed(seed).rng();
        let place = Place::new();
        let mut database = place.open();
        let mut texts = BTreeMap::new();
        for step in 0..50 {
            let index = text_index(&database);
            let id = |rng: &mut Rng| format!("r{}", rng.below(40));
            match rng.below(12) {
                0..7 => {
                    let records = (0..1 + rng.below(4)).map(|_| {
                        let words = (0..1 + rng.below(9)).map(|_| WORDS[rng.below(6) as usize]);
                        let text = words.collect::<Vec<_>>().join(" ");
                        let id = id(&mut rng);
                        texts.insert(id.clone(), text.clone());
                        record(&id, &[1.0, 1.0], &format!(r#"{{"title":"{text}"}}"#))
                    });
                    let records: Vec<_> = records.collect();
                    // Of one id the last counts, as in the model.
                    for record in records {
                        index.upsert(&namespace(""), vec![record]).unwrap();
                    }
                }
                7..10 => {
                    let gone = id(&mut rng);
                    texts.remove(&gone);
                    index.delete(&namespace(""), Selector::Ids(vec![gone])).unwrap();
                }
                10 => index.flush(&namespace("")).unwrap(),
                _ => {
                    drop((index, database));
                    database = place.open();
                }
            }
            let index = text_index(&database);
            let words = [WORDS[rng.below(6) as usize], "w5"];
            let words = if words[0] == "w5" { &words[..1] } else { &words[..] };
            check(&index, &texts, words, &format!("seed {seed}, step {step}"));
        }
    }
}

/// Readers that began before a write see none of it, however often they ask.
#[test]
fn words_in_memory_are_gathered_once_and_grow() {
    let place = Place::new();
    let database = place.open();
    let index = text_index(&database);
    for number in 0..300 {
        let metadata = format!(r#"{{"title":"all w{number}"}}"#);
        index
            .upsert(&namespace(""), vec![record(&format!("r{number}"), &[1.0, 1.0], &metadata)])
            .unwrap();
        let found = ids(&index, "", &by_text(&format!("w{number}"), None));
        assert_eq!(found, [format!("r{number}")]);
    }
    let mut query = by_text("all", None);
    query.top_k = 1000;
    assert_eq!(ids(&index, "", &query).len(), 300);
}
