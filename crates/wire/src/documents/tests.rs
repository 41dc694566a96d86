//! Documents as requests have them and as answers show them.

use crossbill_core::TextClause;

use super::*;

fn schema() -> DocumentFields {
    DocumentFields { dense: Some("embedding".into()), sparse: Some("terms".into()) }
}

fn upserted(json: &str) -> std::result::Result<Vec<Record>, String> {
    let request: UpsertDocuments = serde_json::from_str(json).map_err(|error| error.to_string())?;
    request
        .into_records(&schema(), &RequestLimits::default())
        .map_err(|error| error.message().to_owned())
}

#[test]
fn a_document_is_taken_apart_and_put_together_again() {
    let json = r#"{"_id":"a","body":"Some \"words\"","embedding":[1.5,2],"tags":["x","y"],
        "terms":{"indices":[3,1],"values":[0.5,1]},"year":1999}"#;
    let records = upserted(&format!(r#"{{"documents":[{json}]}}"#)).unwrap();
    let record = &records[0];
    assert_eq!((record.id.as_str(), record.values.as_slice()), ("a", &[1.5, 2.0][..]));
    assert_eq!(record.sparse.as_ref().unwrap().indices(), [1, 3]);
    let metadata = record.metadata.as_ref().unwrap().to_json();
    let stored = StoredDocument {
        id: "a",
        score: None,
        values: Some(&record.values),
        sparse: record.sparse.as_ref(),
        metadata_json: Some(&metadata),
    };
    let shown = |included: &Included, score| {
        let stored = StoredDocument { score, ..stored };
        let model = DocumentModel::of(&stored, &schema(), included).unwrap();
        serde_json::to_value(&model).unwrap()
    };
    let mut whole: serde_json::Value = serde_json::from_str(json).unwrap();
    whole["terms"] = serde_json::json!({"indices": [1, 3], "values": [1.0, 0.5]});
    assert_eq!(shown(&Included::All, None)["terms"], whole["terms"]);
    assert_eq!(shown(&Included::All, None)["embedding"], serde_json::json!([1.5, 2.0]));
    assert_eq!(shown(&Included::All, None)["body"], whole["body"]);
    let named = Included::of(Some(vec!["year".into(), "none".into()]), Included::All);
    let expected = serde_json::json!({"_id": "a", "_score": 0.5, "year": 1999});
    assert_eq!(shown(&named, Some(0.5)), expected);
    assert_eq!(shown(&Included::none(), Some(f32::NAN))["_score"], serde_json::Value::Null);
    assert!(!named.has_vectors(&schema()) && named.has_metadata(&schema()));
    let vectors = Included::of(Some(vec!["terms".into()]), Included::All);
    assert!(vectors.has_vectors(&schema()) && !vectors.has_metadata(&schema()));
}

#[test]
fn refusals_name_the_document_and_the_field() {
    for (json, expected) in [
        (r#"{"documents":[]}"#, "0 documents, expected 1 to 1000"),
        (r#"{"documents":[{"body":"x"}]}"#, "documents[0]: _id is missing"),
        (r#"{"documents":[{"_id":3}]}"#, "documents[0]: _id is 3, expected a string"),
        (
            r#"{"documents":[{"_id":"a","embedding":[1]},{"_id":"a"}]}"#,
            "documents[1]: _id \"a\" is there twice",
        ),
        (r#"{"documents":[{"_id":"a","x":1}]}"#, "field \"embedding\" is missing"),
        (r#"{"documents":[{"_id":"a","embedding":"x"}]}"#, "\"a\": field \"embedding\""),
        (r#"{"documents":[{"_id":"a","embedding":[]}]}"#, "no components"),
        (r#"{"documents":[{"_id":"a","embedding":[1,"x"]}]}"#, "component 1"),
        (r#"{"documents":[{"_id":"a","terms":{"indices":[1],"values":[]}}]}"#, "field \"terms\""),
        (r#"{"documents":[{"_id":"a","x":null}]}"#, "\"x\" is null"),
        (r#"{"documents":[{"_id":"a","$x":1}]}"#, "starts with '$'"),
        (r#"{"documents":[{"_id":"a","_score":1}]}"#, "\"_score\" is reserved"),
    ] {
        let error = upserted(json).unwrap_err();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn clauses_are_checked() {
    let scored = |json: &str| {
        let clauses: Vec<ScoreClause> = serde_json::from_str(json).unwrap();
        score_by(clauses, &schema(), &RequestLimits::default())
            .map_err(|error| error.message().to_owned())
    };
    let dense = r#"{"type":"dense_vector","fields":["embedding"],"values":[1,2]}"#;
    assert_eq!(scored(&format!("[{dense}]")), Ok(ScoreBy::Dense(vec![1.0, 2.0])));
    let text = r#"{"type":"text","fields":["body","title"],"query":" a b "}"#;
    let syntax = r#"{"type":"query_string","query":"title:(a)"}"#;
    let words =
        TextClause::Text { fields: vec!["body".into(), "title".into()], query: "a b".into() };
    let both = ScoreBy::Text(vec![words, TextClause::QueryString("title:(a)".into())]);
    assert_eq!(scored(&format!("[{text},{syntax}]")), Ok(both));
    for (json, expected) in [
        ("[]".to_owned(), "0 clauses"),
        (format!("[{dense},{text}]"), "among 2 clauses, expected it alone"),
        (r#"[{"type":"x"}]"#.to_owned(), "type is \"x\""),
        (r#"[{"type":"embed","field":"a","query":"x"}]"#.to_owned(), "no field with a model"),
        (r#"[{"type":"text","query":"x"}]"#.to_owned(), "fields are missing"),
        (r#"[{"type":"text","field":"a","fields":["a"],"query":"x"}]"#.to_owned(), "both field"),
        (r#"[{"type":"text","field":"a","query":"  "}]"#.to_owned(), "query has 0 bytes"),
        (r#"[{"type":"query_string","field":"a","query":"x"}]"#.to_owned(), "fields are given"),
        (r#"[{"type":"dense_vector","field":"b","values":[1]}]"#.to_owned(), "\"embedding\""),
        (r#"[{"type":"dense_vector","field":"embedding"}]"#.to_owned(), "values are missing"),
        (r#"[{"type":"sparse_vector","field":"terms"}]"#.to_owned(), "sparse_values are"),
    ] {
        let error = scored(&json).unwrap_err();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn changes_set_and_remove() {
    let changed = |json: &str| {
        let documents: Vec<Fields> = serde_json::from_str(json).unwrap();
        UpdateDocuments::by_id(documents, &schema(), &RequestLimits::default())
            .map_err(|error| error.message().to_owned())
    };
    let (id, change) =
        changed(r#"[{"_id":"a","year":1,"_remove_fields":["body","terms"]}]"#).unwrap().remove(0);
    assert_eq!(
        (id.as_str(), change.remove.as_slice()),
        ("a", &["body".into(), "terms".into()][..])
    );
    assert_eq!(change.set.metadata.len(), 1);
    for (json, expected) in [
        (r#"[{"_id":"a","year":1,"_remove_fields":["year"]}]"#, "both set and removed"),
        (r#"[{"_id":"a","_remove_fields":["_id"]}]"#, "\"_id\" cannot be removed"),
        (r#"[{"_id":"a","_remove_fields":["embedding"]}]"#, "cannot be removed: every"),
        (r#"[{"_id":"a","_remove_fields":"x"}]"#, "no list of names"),
    ] {
        let error = changed(json).unwrap_err();
        assert!(error.contains(expected), "{json}: {error}");
    }
    let none = UpdateDocuments::by_filter(
        Some(Fields::new()),
        Some(Vec::new()),
        &schema(),
        &RequestLimits::default(),
    );
    assert!(none.unwrap_err().message().contains("expected set_fields or remove_fields"));
}
