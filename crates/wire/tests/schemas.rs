//! Schemas against what reads: where a reader is written by hand, a derive
//! cannot know what it takes, so each sample here must be taken, or refused,
//! by the reader and by the schema alike.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod validator;

use crossbill_core::{
    DocumentFields, Filter, IndexName, Metadata, Metric, NamespaceName, RequestLimits,
    VectorStorage, check_record_id, limits,
};
use crossbill_wire::documents::{UpdateDocuments, UpsertDocuments};
use crossbill_wire::records::SearchVector;
use crossbill_wire::{
    CreateIndex, DeleteRequest, OnError, QueryRequest, SparseValues, StartImport, UpsertRequest,
    describe,
};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::validator::Validator;

/// The schema of `T` as a request.
fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    settings.for_deserialize().into_generator().into_root_schema_for::<T>().to_value()
}

fn allows<T: JsonSchema>(sample: &Value) -> bool {
    let schema = schema::<T>();
    Validator::new(&schema).check(&schema, sample).is_ok()
}

/// Each sample is taken by both or refused by both.
#[track_caller]
fn agree<T: JsonSchema>(reads: impl Fn(&Value) -> bool, samples: Vec<(Value, bool)>) {
    for (sample, expected) in samples {
        assert_eq!(reads(&sample), expected, "the reader: {sample}");
        assert_eq!(allows::<T>(&sample), expected, "the schema: {sample}");
    }
}

fn reads<T: DeserializeOwned>(sample: &Value) -> bool {
    serde_json::from_str::<T>(&sample.to_string()).is_ok()
}

/// Good and bad ones.
fn samples(good: Vec<Value>, bad: Vec<Value>) -> Vec<(Value, bool)> {
    let good = good.into_iter().map(|sample| (sample, true));
    good.chain(bad.into_iter().map(|sample| (sample, false))).collect()
}

#[test]
fn metadata() {
    let reads = |sample: &Value| Metadata::from_json(&sample.to_string()).is_ok();
    let good = vec![
        json!({}),
        json!({"a": "b", "c": 1.5, "d": true, "e": ["f", "g"], "h": [], "i$": -1}),
        json!({" ": ""}),
    ];
    let bad = vec![
        json!(null),
        json!([]),
        json!("a"),
        json!({"a": null}),
        json!({"a": {}}),
        json!({"a": [1]}),
        json!({"a": ["b", null]}),
        json!({"$a": 1}),
        json!({"": 1}),
    ];
    agree::<describe::Metadata>(reads, samples(good, bad));
}

#[test]
fn filters() {
    let reads = |sample: &Value| Filter::from_json(&sample.to_string()).is_ok();
    let good = vec![
        json!({}),
        json!({"a": "b", "c": 1, "d": false}),
        json!({"": 1}),
        json!({"a": {"$eq": 1, "$ne": "x"}}),
        json!({"a": {"$gt": 1, "$gte": 1.5, "$lt": -1, "$lte": 0}}),
        json!({"a": {"$in": []}, "b": {"$nin": ["x", 1, true]}}),
        json!({"a": {"$exists": false}}),
        json!({"$not": {"a": {"$match_any": "x y"}}}),
        json!({"$and": [{}, {"a": 1}], "$or": [{"$and": [{"b": {"$lt": 1}}]}], "c": 1}),
    ];
    let bad = vec![
        json!([]),
        json!("a"),
        json!({"a": null}),
        json!({"a": []}),
        json!({"a": {}}),
        json!({"a": {"b": 1}}),
        json!({"a": {"$gt": "1"}}),
        json!({"a": {"$eq": [1]}}),
        json!({"a": {"$in": 1}}),
        json!({"a": {"$in": [null]}}),
        json!({"a": {"$exists": 1}}),
        json!({"$and": []}),
        json!({"$or": {}}),
        json!({"$or": [1]}),
        json!({"$not": 1}),
        json!({"$eq": 1}),
        json!({"a": {"$in": vec![0; limits::FILTER_VALUES_MAX + 1]}}),
    ];
    agree::<describe::Filter>(reads, samples(good, bad));
}

#[test]
fn lists_of_numbers() {
    let good = vec![
        json!({"topK": 1, "vector": []}),
        json!({"topK": 1, "vector": null}),
        json!({"topK": 1, "vector": [1, -2.5, 1e-400, f32::MAX, f32::MIN]}),
    ];
    let bad = vec![
        json!({"topK": 1, "vector": "x"}),
        json!({"topK": 1, "vector": [null]}),
        json!({"topK": 1, "vector": ["1"]}),
        json!({"topK": 1, "vector": [1e39]}),
        json!({"topK": 1, "vector": {}}),
        json!({"topK": null, "vector": []}),
        json!({"vector": []}),
    ];
    agree::<QueryRequest>(reads::<QueryRequest>, samples(good, bad));
    let good = vec![
        json!({"indices": [0, u32::MAX], "values": [1, 2]}),
        json!({"indices": [], "values": null}),
    ];
    let bad = vec![
        json!({"indices": [-1], "values": []}),
        json!({"indices": [u64::from(u32::MAX) + 1], "values": []}),
        json!({"indices": null, "values": []}),
        json!({"values": []}),
        json!({"indices": []}),
    ];
    agree::<SparseValues>(reads::<SparseValues>, samples(good, bad));
    let good = vec![json!({}), json!({"values": null, "sparse_values": [1]})];
    agree::<SearchVector>(reads::<SearchVector>, samples(good, vec![json!({"values": [true]})]));
}

#[test]
fn upserts_which_are_read_by_hand() {
    let reads = |sample: &Value| UpsertRequest::from_json(sample.to_string().as_bytes()).is_ok();
    let good = vec![
        json!({"vectors": [{"id": "a", "values": [1, 2]}], "namespace": null, "more": 1}),
        json!({"vectors": [{"id": "a"}, {"id": "b", "values": null, "metadata": {"a": 1}}]}),
        json!({"vectors": [{"id": "a", "sparseValues": {"indices": [1], "values": [1]}}]}),
    ];
    let bad = vec![
        json!({}),
        json!({"vectors": {}}),
        json!({"vectors": null}),
        json!({"vectors": [{"values": [1]}]}),
        json!({"vectors": [{"id": 1}]}),
        json!({"vectors": [{"id": "a", "values": [1e39]}]}),
        json!({"vectors": [{"id": "a", "sparseValues": {"indices": [1]}}]}),
        json!({"vectors": [{"id": "a"}], "namespace": 1}),
    ];
    agree::<UpsertRequest>(reads, samples(good, bad));
}

#[test]
fn the_error_mode() {
    let good = vec![json!("abort"), json!("continue")];
    agree::<OnError>(reads::<OnError>, samples(good, vec![json!("stop"), json!(1), json!(null)]));
    // Read as well, and not promised: clients of all ages write it so.
    for more in ["ABORT", "Continue"] {
        assert!(reads::<OnError>(&json!(more)) && !allows::<OnError>(&json!(more)));
    }
}

#[test]
fn documents() {
    let fields = DocumentFields { dense: Some("v".into()), sparse: Some("s".into()) };
    let limits = RequestLimits::default();
    let upserts = |sample: &Value| {
        let body = json!({"documents": [sample]}).to_string();
        let request = serde_json::from_str::<UpsertDocuments>(&body);
        request.is_ok_and(|request| request.into_records(&fields, &limits).is_ok())
    };
    let good = vec![
        json!({"_id": "a", "v": [1, 2.5]}),
        json!({"_id": "a", "v": [1], "s": {"indices": [7], "values": [0.5]}}),
        json!({"_id": "a", "v": [1], "t": "x", "n": 1, "b": true, "l": ["x"], "e": [], "_x": 1}),
    ];
    let bad = vec![
        json!({"v": [1]}),
        json!({"_id": 1, "v": [1]}),
        json!({"_id": "", "v": [1]}),
        json!({"_id": "a", "v": [1], "_score": 1}),
        json!({"_id": "a", "v": [1], "_remove_fields": ["x"]}),
        json!({"_id": "a", "v": [1], "x": null}),
        json!({"_id": "a", "v": [1], "x": {"y": 1}}),
        json!({"_id": "a", "v": [1], "x": ["y", 1]}),
        json!({"_id": "a", "v": [1], "$x": 1}),
        json!({"_id": "a", "v": ["x", 1]}),
        json!({"_id": "a", "v": [1], "s": {"indices": [-1], "values": [1]}}),
        json!([]),
    ];
    agree::<describe::Document>(upserts, samples(good, bad));
    let updates = |sample: &Value| {
        let request: UpdateDocuments =
            serde_json::from_value(json!({"documents": [sample]})).unwrap_or_default();
        let changes = request.documents.unwrap_or_default();
        UpdateDocuments::by_id(changes, &fields, &limits).is_ok()
    };
    let good = vec![
        json!({"_id": "a", "t": "x"}),
        json!({"_id": "a", "v": [1], "_remove_fields": ["t", "s"]}),
        json!({"_id": "a", "_remove_fields": []}),
    ];
    let bad = vec![
        json!({"t": "x"}),
        json!({"_id": "a", "_score": 1}),
        json!({"_id": "a", "_remove_fields": "t"}),
        json!({"_id": "a", "_remove_fields": [1]}),
        json!({"_id": "a", "_remove_fields": ["_id"]}),
        json!({"_id": "a", "_remove_fields": [""]}),
        json!({"_id": "a", "x": null}),
        json!({"_id": "a", "$x": 1}),
    ];
    agree::<describe::DocumentPatch>(updates, samples(good, bad));
}

#[test]
fn names_and_ids() {
    let texts =
        ["", "a", "a-b", "-a", "a-", "A", "a b", "a\u{0}", "a\n", "ü", "__default__", "0", "-"];
    let long = |most: usize| [most, most + 1].map(|length| "a".repeat(length));
    let all = |most: usize| texts.map(str::to_owned).into_iter().chain(long(most));
    let judged = |most: usize, reads: fn(&str) -> bool| {
        all(most).map(|text| (json!(text), reads(&text))).collect::<Vec<_>>()
    };
    let index = |text: &str| IndexName::within(text, limits::INDEX_NAME_CHARS_MAX).is_ok();
    agree::<describe::IndexName>(
        |sample| index(sample.as_str().unwrap()),
        judged(limits::INDEX_NAME_CHARS_MAX, index),
    );
    let id = |text: &str| check_record_id(text).is_ok();
    agree::<describe::RecordId>(
        |sample| id(sample.as_str().unwrap()),
        judged(limits::RECORD_ID_CHARS_MAX, id),
    );
    let namespace = |text: &str| NamespaceName::new(text).is_ok();
    agree::<describe::Namespace>(
        |sample| namespace(sample.as_str().unwrap()),
        judged(limits::NAMESPACE_CHARS_MAX, namespace),
    );
}

/// The words that a schema allows.
fn words<T: JsonSchema>() -> Vec<String> {
    let schema = schema::<T>();
    schema["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().into()).collect()
}

#[test]
fn words_are_those_that_are_read() {
    assert!(words::<describe::MetricWord>().iter().all(|word| Metric::parse(word).is_some()));
    let storage = words::<describe::StorageWord>();
    assert!(storage.iter().all(|word| VectorStorage::parse(word).is_some()));
    let plan = |field: &str, word: &str| {
        let spec = json!({"serverless": {"cloud": "c", "region": "r"}});
        let mut request = json!({"name": "a", "dimension": 2, "spec": spec, field: word});
        if word == "sparse" {
            request["dimension"] = Value::Null;
        }
        let request: CreateIndex = serde_json::from_value(request).unwrap();
        let version = crossbill_wire::ApiVersion::DEFAULT;
        request.into_plan(version, VectorStorage::F32, &RequestLimits::default()).is_ok()
    };
    for (field, words) in [
        ("vector_type", words::<describe::VectorTypeWord>()),
        ("deletion_protection", words::<describe::ProtectionWord>()),
        ("metric", words::<describe::MetricWord>()),
        ("vector_storage", storage),
    ] {
        assert!(words.iter().all(|word| plan(field, word)), "{field}");
        assert!(!plan(field, "other"), "{field}");
    }
    for word in words::<describe::ImportModeWord>() {
        let start: StartImport = serde_json::from_value(json!({"uri": "u", "mode": word})).unwrap();
        assert!(start.check(&RequestLimits::default()).is_ok(), "{word}");
    }
}

#[test]
fn tags_and_columns_have_the_bounds_that_are_checked() {
    let tags = |count: usize, key: &str, value: &str| {
        let tag = |n: usize| (format!("{key}{n}"), json!(value));
        let tags: serde_json::Map<String, Value> = (0..count).map(tag).collect();
        let spec = json!({"serverless": {"cloud": "c", "region": "r"}});
        json!({"name": "a", "dimension": 2, "spec": spec, "tags": tags})
    };
    let plan = |sample: &Value| {
        let request: CreateIndex = serde_json::from_value(sample.clone()).unwrap();
        let version = crossbill_wire::ApiVersion::DEFAULT;
        request.into_plan(version, VectorStorage::F32, &RequestLimits::default()).is_ok()
    };
    let good = vec![
        tags(limits::TAGS_MAX, "k", "v"),
        tags(1, "k_-K", &"v".repeat(limits::TAG_VALUE_CHARS_MAX)),
    ];
    let bad = vec![
        tags(limits::TAGS_MAX + 1, "k", "v"),
        tags(1, "k k", "v"),
        tags(1, &"k".repeat(limits::TAG_KEY_CHARS_MAX), "v"),
        tags(1, "k", ""),
        tags(1, "k", "ü"),
        tags(1, "k", &"v".repeat(limits::TAG_VALUE_CHARS_MAX + 1)),
    ];
    agree::<CreateIndex>(plan, samples(good, bad));
    let start = |columns: Value| json!({"uri": "u", "columns": columns});
    let check = |sample: &Value| {
        let text = sample.to_string();
        serde_json::from_str::<StartImport>(&text)
            .is_ok_and(|start| start.check(&RequestLimits::default()).is_ok())
    };
    let good = vec![
        start(json!({})),
        start(json!({"id": "a", "metadata": "m"})),
        start(json!({"metadata": ["a", "b"]})),
        start(json!(null)),
    ];
    let long = "x".repeat(limits::COLUMN_NAME_CHARS_MAX + 1);
    let bad = vec![
        start(json!({"id": ""})),
        start(json!({"id": long})),
        start(json!({"metadata": []})),
        start(json!({"metadata": ["a", "a"]})),
        start(json!({"metadata": [""]})),
        start(json!({"metadata": 7})),
        start(json!({"other": "a"})),
    ];
    agree::<StartImport>(check, samples(good, bad));
}

#[test]
fn ids_of_a_delete() {
    let samples = samples(
        vec![json!({"ids": ["a"]}), json!({"ids": null}), json!({"ids": []}), json!({})],
        vec![json!({"ids": "a"}), json!({"ids": [1]})],
    );
    agree::<DeleteRequest>(reads::<DeleteRequest>, samples);
}
