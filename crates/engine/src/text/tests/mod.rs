//! Text search against tables of what is to be found, and against a plain
//! model: BM25 computed straight over all rows that count.

mod analyzers;
mod scores;
mod syntax;

use std::sync::Arc;

use crossbill_core::{
    Filter, Language, Metadata, MetadataValue, TextClause, TextField, TextOptions, TextSchema,
};
use roaring::RoaringBitmap;

use super::*;
use crate::AlignedBytes;

fn plain() -> TextOptions {
    TextOptions { language: Language::English, stemming: false, stop_words: false, ngrams: None }
}

fn fields(of: &[(&str, TextOptions)]) -> TextFields {
    let fields =
        of.iter().map(|(name, options)| TextField { name: (*name).into(), options: *options });
    TextFields::new(&TextSchema::new(fields))
}

/// A row's texts as metadata.
fn row(texts: &[(&str, &str)]) -> Metadata {
    let text = |(name, text): &(&str, &str)| {
        ((*name).to_owned(), MetadataValue::String((*text).to_owned()))
    };
    Metadata(texts.iter().map(text).collect())
}

fn index(fields: &TextFields, rows: &[Metadata]) -> TextIndex {
    TextIndex::of_rows(fields, rows.iter().map(Some)).unwrap().unwrap()
}

/// The rows found, best first.
fn found(index: &TextIndex, query: &TextQuery) -> Vec<u32> {
    let dead = RoaringBitmap::new();
    let part = TextPart { index: Some(index), live: u64::from(index.rows), dead: &dead };
    let plan = TextPlan::new(query, &[part]).unwrap();
    let (hits, _) = index.search(&plan, 100, &dead, None).unwrap();
    hits.iter().map(|hit| hit.row).collect()
}

/// The section's bytes for these rows.
fn section(fields: &TextFields, rows: &[Metadata]) -> Vec<u8> {
    let mut builder = TextBuilder::new(fields);
    for (number, metadata) in rows.iter().enumerate() {
        builder.push(number as u32, metadata).unwrap();
    }
    assert!(builder.memory_bytes() > 0);
    let built = builder.finish(rows.len() as u32).unwrap().unwrap();
    let mut bytes = Vec::new();
    write_section(built, fields, &mut |more| {
        bytes.extend_from_slice(more);
        Ok(())
    })
    .unwrap();
    bytes
}

#[test]
fn the_same_rows_give_the_same_bytes_which_read_back() {
    let fields = fields(&[("a", plain()), ("b", TextOptions { stemming: true, ..plain() })]);
    let rows: Vec<Metadata> = (0..300)
        .map(|number| {
            let text = format!("row {number} of many {} words", number % 7);
            match number % 3 {
                0 => row(&[("a", &text)]),
                1 => row(&[("a", &text), ("b", "running models ran")]),
                _ => row(&[("c", "no text")]),
            }
        })
        .collect();
    let bytes = section(&fields, &rows);
    assert_eq!(bytes, section(&fields, &rows));
    let length = bytes.len();
    let part: crossbill_core::PartBytes = Arc::new(AlignedBytes::copy_of(&bytes));
    let read = read_section(&part, 0..length, 300).unwrap();
    read.verify().unwrap();
    assert_eq!(read.fields().schema(), fields.schema());
    let direct = index(&fields, &rows);
    for query in ["many", "b:model", "a:\"of many 3\"", "row -many", "run^2 words"] {
        let query = TextQuery::parse(&fields, &[TextClause::QueryString(query.into())]).unwrap();
        assert_eq!(found(&read, &query), found(&direct, &query), "{query:?}");
    }
    for cut in [0, 3, 100, length / 2] {
        assert!(read_section(&part, 0..cut, 300).is_err());
    }
}

#[test]
fn rows_without_words_make_no_index() {
    let fields = fields(&[("a", plain())]);
    let rows = [row(&[("b", "x")]), Metadata::default()];
    assert!(TextIndex::of_rows(&fields, rows.iter().map(Some)).unwrap().is_none());
    assert_eq!(TextBuilder::new(&fields).memory_bytes(), 0);
}

#[test]
fn conditions_on_words_let_rows_through() {
    let stemmed = TextOptions { stemming: true, ..plain() };
    let fields = fields(&[("a", stemmed), ("b", plain())]);
    let rows = [
        row(&[("a", "State-of-the-Art Models"), ("b", "models")]),
        row(&[("a", "the art of a model")]),
        row(&[("b", "art models")]),
    ];
    let index = index(&fields, &rows);
    for (filter, expected) in [
        (r#"{"a":{"$match_phrase":"art models"}}"#, vec![0]),
        (r#"{"a":{"$match_all":"model ART"}}"#, vec![0, 1]),
        (r#"{"a":{"$match_any":"state nothing"}}"#, vec![0]),
        (r#"{"b":{"$match_any":"model"}}"#, vec![]),
        (r#"{"b":{"$match_all":"models"}}"#, vec![0, 2]),
        (r#"{"b":{"$match_all":" - "}}"#, vec![]),
        (r#"{"b":{"$match_any":"models^2"}}"#, vec![0, 2]),
        (r#"{"b":{"$match_phrase":"models~1"}}"#, vec![]),
        (r#"{"c":{"$match_any":"models"}}"#, vec![]),
    ] {
        let condition = Filter::from_json(filter).unwrap();
        assert_eq!(
            index.rows_with(&condition).unwrap().iter().collect::<Vec<_>>(),
            expected,
            "{filter}"
        );
    }
    let refused = |filter: &str| {
        fields.check_filter(&Filter::from_json(filter).unwrap()).unwrap_err().to_string()
    };
    assert!(refused(r#"{"c":{"$match_any":"x"}}"#).contains("\"c\" is no text field"));
    assert!(refused(r#"{"$not":{"a":"x"}}"#).contains("has no value to compare"));
    assert!(refused(r#"{"$or":[{"x":1},{"a":{"$gt":1}}]}"#).contains("has no value to compare"));
    let long = format!(r#"{{"a":{{"$match_all":"{}"}}}}"#, "x ".repeat(129));
    assert!(refused(&long).contains("more than 128 words"));
    let fine = Filter::from_json(r#"{"a":{"$exists":true},"x":{"$in":["y"]}}"#).unwrap();
    fields.check_filter(&fine).unwrap();
}
