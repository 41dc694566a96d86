//! Holds every answer that any test gets against the OpenAPI document: its
//! status is one that the operation has, its body is of the schema of that
//! status, and where there is none, there is none.

use crossbill_server::openapi;
use reqwest::Method;
use serde_json::{Value, json};

use crate::validator::Validator;

/// What the HTTP library answers by itself, before any route.
const BEFORE_ROUTES: [u16; 2] = [414, 431];

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

/// What is wrong with `body` by a schema of the document.
pub(crate) fn valid(schema: &Value, body: &Value) -> Result<(), String> {
    Validator::new(openapi()).check(schema, body)
}

/// Panics where the answer is not one that the document promises.
#[track_caller]
pub(crate) fn check(method: &Method, url: &str, status: u16, content: Option<&str>, body: &Value) {
    let path = reqwest::Url::parse(url).unwrap().path().to_owned();
    // An index's routes at the control plane.
    let below = path.strip_prefix("/data/").and_then(|path| path.find('/').map(|at| &path[at..]));
    let path = below.map_or(path.clone(), str::to_owned);
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
    if let Err(error) = valid(&schema["schema"], body) {
        // The planes have shapes of their own, and a path may be asked for on the wrong one.
        let other = json!({"$ref": "#/components/schemas/AnyError"});
        let is_refused_elsewhere = status >= 400 && valid(&other, body).is_ok();
        assert!(is_refused_elsewhere, "{error}: {label}");
    }
}
