//! Create requests of every dialect, and the one answer to all.

use super::*;

fn plan(version: &str, json: &str) -> std::result::Result<IndexPlan, String> {
    let request: CreateIndex = serde_json::from_str(json).map_err(|error| error.to_string())?;
    request
        .into_plan(ApiVersion::of(Some(version)), VectorStorage::F16, &RequestLimits::default())
        .map_err(|error| error.to_string())
}

fn answer(plan: &IndexPlan) -> serde_json::Value {
    let model = IndexModel::of(IndexFacts {
        name: plan.name.as_ref().unwrap_or(&IndexName::new("made-up").unwrap()),
        shape: &plan.shape,
        host: "http://127.0.0.1:5081",
        deletion_protection: plan.deletion_protection,
        tags: &plan.tags,
        stored: &plan.stored,
    });
    serde_json::to_value(model).unwrap()
}

#[test]
fn both_dialects_make_the_same_index() {
    let classic = plan(
        "2025-10",
        r#"{"name":"a","dimension":3,"metric":"cosine","vector_type":"dense",
            "deletion_protection":"disabled",
            "spec":{"serverless":{"cloud":"aws","region":"us-east-1"}}}"#,
    )
    .unwrap();
    let newer = plan(
        "2026-07",
        r#"{"schema":{"fields":{"_values":{"type":"dense_vector","dimension":3,"metric":"cosine"}}},
            "name":"a",
            "deployment":{"deployment_type":"managed","cloud":"aws","region":"us-east-1"}}"#,
    )
    .unwrap();
    assert_eq!(classic, newer);
    assert_eq!(
        answer(&classic),
        serde_json::json!({
            "name": "a", "metric": "cosine", "dimension": 3, "vector_type": "dense",
            "vector_storage": "f16", "recall_target": 0.95_f32,
            "host": "http://127.0.0.1:5081",
            "status": {"ready": true, "state": "Ready"},
            "deletion_protection": "disabled",
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1",
                "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}}}},
            "schema": {"fields": {"_values":
                {"type": "dense_vector", "dimension": 3, "metric": "cosine"}}},
            "deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
            "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
        })
    );
}

#[test]
fn sparse_indexes_have_no_dimension() {
    let spec = r#""spec":{"serverless":{"cloud":"aws","region":"x"}}"#;
    let sparse = plan("2025-10", &format!(r#"{{"name":"s","vector_type":"sparse",{spec}}}"#));
    let body = answer(&sparse.unwrap());
    assert_eq!(body["metric"], "dotproduct");
    assert_eq!(body.get("dimension"), None);
    assert_eq!(
        body["schema"],
        serde_json::json!({"fields": {"_sparse_values": {"type": "sparse_vector"}}})
    );
}

#[test]
fn pods_are_equivalent_until_the_version_that_refuses_them() {
    let json = r#"{"name":"p","dimension":3,"spec":{"pod":{"environment":"us-east1-gcp"}}}"#;
    let pod = plan("2025-04", json).unwrap();
    let body = answer(&pod);
    assert_eq!(body["spec"]["pod"]["pod_type"], "p1.x1");
    assert_eq!(body["deployment"]["deployment_type"], "pod");
    assert_eq!(
        plan("2026-07", json).unwrap_err(),
        "deployment_type 'pod' is not supported on this API version"
    );
    let byoc = r#"{"name":"b","dimension":3,"spec":{"byoc":{"environment":"e"}}}"#;
    let body = answer(&plan("2025-10", byoc).unwrap());
    assert_eq!(body["deployment"]["environment"], "e");
}

#[test]
fn vectors_are_kept_as_asked_or_as_the_server_says() {
    let spec = r#""spec":{"serverless":{"cloud":"aws","region":"x"}}"#;
    let schema = r#""schema":{"fields":{"_values":{"type":"dense_vector","dimension":3,
        "metric":"cosine"}}}"#;
    for (version, fields) in
        [("2025-10", format!(r#""dimension":3,{spec}"#)), ("2026-07", schema.to_owned())]
    {
        for (given, expected) in [("", "f16"), (r#","vector_storage":"int8""#, "int8")] {
            let plan = plan(version, &format!(r#"{{"name":"a",{fields}{given}}}"#)).unwrap();
            assert_eq!(plan.shape.storage.as_str(), expected);
            assert_eq!(answer(&plan)["vector_storage"], expected);
        }
    }
    let sparse = plan("2025-10", &format!(r#"{{"name":"a","vector_type":"sparse",{spec}}}"#));
    assert_eq!(answer(&sparse.unwrap()).get("vector_storage"), None);
}

#[test]
fn bad_requests_say_what_was_expected() {
    let spec = r#""spec":{"serverless":{"cloud":"aws","region":"x"}}"#;
    for (fields, expected) in [
        (format!(r#""dimension":3,{spec}"#), "name is missing"),
        (format!(r#""name":"A","dimension":3,{spec}"#), "only lower case"),
        (format!(r#""name":"a",{spec}"#), "dimension is missing, expected 1 to 20000"),
        (format!(r#""name":"a","dimension":20001,{spec}"#), "dimension is 20001"),
        (format!(r#""name":"a","dimension":3,"metric":"l1",{spec}"#), "metric is \"l1\""),
        (format!(r#""name":"a","dimension":3,"vector_type":"sparse",{spec}"#), "expected none"),
        (r#""name":"a","dimension":3"#.to_owned(), "spec is missing"),
        (r#""name":"a","dimension":3,"spec":{}"#.to_owned(), "spec is empty"),
        (format!(r#""name":"a","dimension":3,"tags":{{"b c":"x"}},{spec}"#), "tag key \"b c\""),
        (format!(r#""name":"a","dimension":3,"tags":{{"b":""}},{spec}"#), "empty value"),
        (format!(r#""name":"a","dimension":3,"deletion_protection":"on",{spec}"#), "\"on\""),
        (
            format!(
                r#""name":"a","dimension":3,"source_collection":"c","source_backup_id":"b",{spec}"#
            ),
            "found 2 sources",
        ),
        (format!(r#""name":"a","dimension":3,"cmek_id":"k",{spec}"#), "does not encrypt"),
        (format!(r#""name":"a","dimension":3,"vector_storage":"f8",{spec}"#), "f32, f16, bf16"),
        (
            format!(r#""name":"a","vector_type":"sparse","vector_storage":"f32",{spec}"#),
            "expected none: the index has no dense vectors",
        ),
        (format!(r#""name":"a","dimension":3,"schema":{{}},{spec}"#), "schema alone"),
    ] {
        let error = plan("2025-10", &format!("{{{fields}}}")).unwrap_err();
        assert!(error.contains(expected), "{fields}: {error}");
    }
}

#[test]
fn configuring_refuses_what_it_would_lose() {
    let change = |json: &str| {
        let request: ConfigureIndex =
            serde_json::from_str(json).map_err(|error| error.to_string())?;
        request.into_change(&RequestLimits::default()).map_err(|error| error.to_string())
    };
    let tags = BTreeMap::from([("a".to_owned(), String::new())]);
    assert_eq!(
        change(r#"{"deletion_protection":"enabled","tags":{"a":""}}"#),
        Ok((Some(true), tags))
    );
    assert_eq!(change(r#"{"read_capacity":{"mode":"OnDemand"}}"#), Ok((None, BTreeMap::new())));
    assert!(change(r#"{"tag":{}}"#).unwrap_err().contains("unknown field `tag`"));
    assert!(change(r#"{"schema":{}}"#).unwrap_err().contains("cannot be changed"));
}

#[test]
fn what_the_catalog_keeps_reads_back() {
    let json = r#"{"name":"a","schema":{"fields":{
        "_values":{"type":"dense_vector","dimension":3,"metric":"dotproduct"},
        "_sparse_values":{"type":"sparse_vector"},
        "genre":{"type":"string","filterable":true}}}}"#;
    let stored = plan("2026-07", json).unwrap().stored;
    let text = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<StoredSpec>(&text).unwrap(), stored);
    assert!(stored.sparse_field && stored.metadata_fields.contains_key("genre"));
}
