//! Segments with text fields: what stands in them, and that the same records
//! give the same bytes.

use crossbill_core::{TextClause, TextField, TextOptions, TextSchema};

use super::*;
use crate::segment::layout::{Kind, read_footer};
use crate::{TextPart, TextPlan, TextQuery};

pub(super) fn fields() -> TextFields {
    let field = |name: &str, stemming| TextField {
        name: name.into(),
        options: TextOptions { stemming, ..TextOptions::default() },
    };
    TextFields::new(&TextSchema::new([field("body", true), field("title", false)]))
}

/// Records with texts of a few words, and other metadata beside them.
pub(super) fn records(rng: &mut Rng, count: usize) -> Vec<Record> {
    let shape = IndexShape::dense(3, Metric::Cosine);
    let mut records = random_records(rng, &shape, count);
    for record in &mut records {
        for name in ["title", "body", "title"] {
            let words = (0..rng.below(6)).map(|_| *pick(rng, &["red", "robin", "runs", "x"]));
            let text = words.collect::<Vec<_>>().join(" ");
            let metadata = record.metadata.get_or_insert_default();
            metadata.0.insert(name.to_owned(), MetadataValue::String(text));
        }
    }
    records
}

/// Asks for words, and gives the answers as text.
pub(super) fn answers(segment: &Segment) -> String {
    let Some(text) = segment.text() else { return String::new() };
    let mut all = String::new();
    let superseded = segment.superseded();
    let live = u64::from(segment.rows()) - superseded.len();
    let part = TextPart { index: Some(text), live, dead: superseded };
    for query in ["red robin", "\"red robin\"", "run~1", "/r.*/", "\"red r\"*", "red -title:x"] {
        let clause = TextClause::QueryString(query.into());
        let Ok(query) = TextQuery::parse(text.fields(), &[clause]) else { continue };
        let plan = TextPlan::new(&query, &[part]);
        let found = plan.and_then(|plan| text.search(&plan, 5, superseded, None));
        all += &format!("{found:?}");
    }
    for filter in [r#"{"title":{"$match_all":"red x"}}"#, r#"{"body":{"$match_phrase":"red run"}}"#]
    {
        all += &format!("{:?}", segment.matching(&Filter::from_json(filter).unwrap()));
    }
    all
}

#[test]
fn texts_stand_in_their_own_section_alone() {
    let mut rng = Seed(3).rng();
    let shape = IndexShape::dense(3, Metric::Cosine);
    let records = records(&mut rng, 60);
    let bytes = build_with(shape, &fields(), 20, &records, 7, 1);
    assert_eq!(bytes, build_with(shape, &fields(), 20, &records, 60, 4));
    let has_text = |bytes: &[u8]| {
        let (entries, _) = read_footer(bytes).unwrap();
        entries.iter().any(|entry| entry.kind == Kind::Text as u32)
    };
    assert!(has_text(&bytes));
    assert!(!has_text(&build(shape, 20, &records, 7, 1)));

    let segment = open(&bytes).unwrap();
    segment.verify().unwrap();
    let matching = |json: &str| {
        let filter = Filter::from_json(json).unwrap();
        segment.matching(&filter).iter().collect::<Vec<u32>>()
    };
    // Not to be found by value, but there.
    let MetadataValue::String(text) = &records[5].metadata.as_ref().unwrap().0["title"] else {
        panic!("a text")
    };
    assert!(matching(&format!(r#"{{"title":"{text}"}}"#)).is_empty());
    assert_eq!(matching(r#"{"title":{"$exists":true}}"#).len(), 60);
    assert_eq!(segment.record(5).metadata, records[5].metadata);

    let has = |record: &Record, wanted: &[&str]| {
        let MetadataValue::String(text) = &record.metadata.as_ref().unwrap().0["body"] else {
            panic!("a text")
        };
        wanted.iter().all(|word| text.split(' ').any(|own| own == *word))
    };
    let rows = |wanted: &[&str], without: &[&str]| -> Vec<u32> {
        let rows = records.iter().zip(0..).filter(|(record, _)| {
            has(record, wanted) && !without.iter().any(|word| has(record, &[word]))
        });
        rows.map(|(_, row)| row).collect()
    };
    assert_eq!(matching(r#"{"body":{"$match_all":"running red"}}"#), rows(&["runs", "red"], &[]));
    let filter = r#"{"body":{"$match_any":"run"},"$not":{"body":{"$match_any":"red x"}}}"#;
    assert_eq!(matching(filter), rows(&["runs"], &["red", "x"]));
    assert!(matching(r#"{"other":{"$match_any":"red"}}"#).is_empty());
}
