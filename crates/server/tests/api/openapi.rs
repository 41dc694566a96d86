//! The document itself: where it is served, that it is the one that is checked
//! in, and that what the tests send is what it allows. (That answers are what
//! it promises, `conformance` checks in every test.)

use std::path::Path;

use crossbill_server::openapi;
use reqwest::Method;
use serde_json::{Value, json};

use crate::conformance::valid;
use crate::harness::Server;

const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[tokio::test]
async fn both_planes_serve_the_document_and_its_page_to_everyone() {
    let server = Server::start_with_key().await;
    let headers = [("Api-Key", crate::harness::KEY)];
    let body = json!({"name": "a", "dimension": 2,
        "spec": {"serverless": {"cloud": "aws", "region": "x"}}});
    let made = server.send(Method::POST, "/indexes", &headers, Some(body.to_string().into())).await;
    let host = made.ok(201)["host"].as_str().unwrap().to_owned();
    for plane in [String::new(), host] {
        let got = server.get(&format!("{plane}/openapi.json")).await;
        assert_eq!(got.headers["content-type"], "application/json");
        assert_eq!(&got.ok(200), openapi());
        let got = server.get(&format!("{plane}/docs")).await;
        assert_eq!(got.headers["content-type"], "text/html; charset=utf-8");
        let page = got.ok(200);
        assert!(page.as_str().unwrap().starts_with("<!doctype html>"), "{page}");
    }
}

/// `CROSSBILL_WRITE_OPENAPI=1` writes it.
#[test]
fn the_document_is_the_one_that_is_checked_in() {
    let made = format!("{:#}\n", openapi());
    let file = Path::new(CHECKED_IN);
    if std::env::var_os("CROSSBILL_WRITE_OPENAPI").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    let found = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        found == made,
        "docs/openapi.json is not what the code makes; run `cargo xtask openapi`"
    );
}

#[test]
fn it_is_openapi_3_1() {
    assert_eq!(openapi()["openapi"], "3.1.0");
    assert!(openapi().get("jsonSchemaDialect").is_none(), "the schemas are of OpenAPI's own");
}

fn allows(name: &str, body: Value) -> bool {
    let input = format!("/components/schemas/{name}Input");
    let name = match openapi().pointer(&input) {
        Some(_) => format!("{name}Input"),
        None => name.to_owned(),
    };
    valid(&json!({"$ref": format!("#/components/schemas/{name}")}), &body).is_ok()
}

#[test]
fn bounds_come_from_the_limits() {
    use crossbill_core::limits::{DIMENSION_MAX, TOP_K_MAX, UPSERT_RECORDS_MAX};
    let index = |dimension: u32| json!({"name": "a", "dimension": dimension});
    assert!(allows("CreateIndex", index(DIMENSION_MAX)));
    assert!(!allows("CreateIndex", index(DIMENSION_MAX + 1)));
    let query = |count: usize| json!({"topK": count, "id": "a"});
    assert!(allows("QueryRequest", query(TOP_K_MAX)) && !allows("QueryRequest", query(0)));
    assert!(!allows("QueryRequest", query(TOP_K_MAX + 1)));
    let upsert = |count: usize| json!({"vectors": vec![json!({"id": "a"}); count]});
    assert!(allows("UpsertRequest", upsert(UPSERT_RECORDS_MAX)));
    assert!(!allows("UpsertRequest", upsert(UPSERT_RECORDS_MAX + 1)));
    assert!(!allows("UpsertRequest", upsert(0)));
}
