//! Holds every answer that any test gets against the OpenAPI document: its
//! status is one that the operation has, its body is of the schema of that
//! status, and where there is none, there is none.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use crossbill_server::openapi;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

/// What the HTTP library answers by itself, before any route.
const BEFORE_ROUTES: [u16; 2] = [414, 431];

/// Schemas by their text: there are few, and compiling one takes a while.
static COMPILED: LazyLock<Mutex<HashMap<String, &'static Validator>>> =
    LazyLock::new(Mutex::default);

/// The operation that `path` is answered by; a path without parameters goes
/// before one with them.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let fits = |pattern: &str| {
        let rest = pattern.ends_with("{rest}");
        let (wanted, found): (Vec<_>, Vec<_>) =
            (pattern.split('/').collect(), path.split('/').collect());
        (wanted.len() == found.len() || rest && found.len() > wanted.len())
            && wanted.iter().zip(found).all(|(wanted, found)| {
                *wanted == found || (wanted.starts_with('{') && !found.is_empty())
            })
    };
    let paths = openapi()["paths"].as_object().unwrap();
    let found = paths.iter().filter(|(pattern, _)| fits(pattern));
    let (_, item) = found.min_by_key(|(pattern, _)| pattern.matches('{').count())?;
    item.get(method.as_str().to_lowercase())
}

/// What `part` is, or what it refers to.
fn resolved(part: &'static Value) -> &'static Value {
    match part["$ref"].as_str() {
        Some(target) => openapi().pointer(&target[1..]).unwrap(),
        None => part,
    }
}

/// The validator of a schema of the document.
pub(crate) fn validator(schema: &Value) -> &'static Validator {
    let mut compiled = COMPILED.lock().unwrap();
    compiled.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        whole["components"] = json!({"schemas": openapi()["components"]["schemas"]});
        Box::leak(Box::new(jsonschema::draft202012::new(&whole).unwrap()))
    })
}

/// Panics where the answer is not one that the document promises.
#[track_caller]
pub(crate) fn check(method: &Method, url: &str, status: u16, content: Option<&str>, body: &Value) {
    let path = reqwest::Url::parse(url).unwrap().path().to_owned();
    let Some(operation) = operation(method, &path) else { return };
    if BEFORE_ROUTES.contains(&status) {
        return;
    }
    let label = format!("{method} {path}: {status} {body}");
    // A path of the other plane is no route here.
    if matches!(status, 404 | 405) && operation["responses"].get(status.to_string()).is_none() {
        return;
    }
    let answer = operation["responses"].get(status.to_string());
    let answer = resolved(answer.unwrap_or_else(|| panic!("not documented: {label}")));
    let Some(contents) = answer.get("content") else {
        assert!(body.is_null() && content.is_none(), "a body is not documented: {label}");
        return;
    };
    let form = content.unwrap_or_default().split(';').next().unwrap_or_default();
    let schema =
        contents.get(form).unwrap_or_else(|| panic!("{form:?} is not documented: {label}"));
    if let Err(error) = validator(&schema["schema"]).validate(body) {
        // The planes have shapes of their own, and a path may be asked for on the wrong one.
        let other = json!({"$ref": "#/components/schemas/AnyError"});
        let is_refused_elsewhere = status >= 400 && validator(&other).is_valid(body);
        assert!(is_refused_elsewhere, "{error} at {}: {label}", error.instance_path());
    }
}
