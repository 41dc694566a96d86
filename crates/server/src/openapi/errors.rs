//! Error answers in the document: which status each plane can give, in which
//! shape, and what it means in a line. What to do about each stands in
//! docs/errors.md.

use crossbill_wire::{ErrorBody, Status};
use serde_json::{Map, Value, json};

use super::operation::{Asks, Operation};
use super::schemas::Schemas;
use crate::routes::{Access, Plane, Route};

/// What a status means, in a line.
pub(super) fn meaning(http: u16) -> &'static str {
    match http {
        400 => "The request is wrong; the message says what was found and what was expected.",
        401 => "No API key, or a wrong one.",
        403 => {
            "Not allowed: to a key of this role or for these indexes, by the operator's settings, \
                by deletion protection, or from afar without a key."
        }
        404 => "There is nothing of that name here.",
        405 => "The path does not take this method.",
        409 => "What is to be made exists already.",
        412 => "The state of the resource refuses this now.",
        413 => "The body is over its limit.",
        415 => "The body is packed in a way that is not read.",
        422 => "The body is not JSON of the expected type.",
        429 => "A bound of this server is used up, or too many requests came in a second.",
        499 => "Nobody waits for the answer any more.",
        500 => "A fault of the server.",
        501 => "This server does not do this.",
        503 => "The server, or what it needs, does not answer now.",
        504 => "The request took too long.",
        507 => "The disk is full.",
        _ => "An error.",
    }
}

/// Statuses of errors that `operation` can have on `plane`.
pub(super) fn statuses(route: &Route, operation: &Operation, plane: Plane) -> Vec<u16> {
    // The URL may not be UTF-8, the headers name an unknown packing.
    let mut all = vec![400, 415, 504];
    if route.access != Access::Open {
        all.extend([401, 403, 429, 500, 503]);
    }
    if route.method == axum::http::Method::POST || route.method == axum::http::Method::PATCH {
        all.push(413);
    }
    if !matches!(operation.asks, Asks::Nothing) && plane == Plane::Control {
        all.push(422);
    }
    all.extend(operation.errors);
    all.sort_unstable();
    all.dedup();
    all
}

/// A reference to the answer with `http` on `plane`.
pub(super) fn reference(plane: Plane, http: u16) -> Value {
    json!({"$ref": format!("#/components/responses/{}", name(plane, http))})
}

fn name(plane: Plane, http: u16) -> String {
    format!("{}{http}", shape(plane))
}

fn shape(plane: Plane) -> &'static str {
    match plane {
        Plane::Control => "ControlError",
        Plane::Data => "DataError",
        Plane::Both => "AnyError",
    }
}

/// All answers that `references` can name.
pub(super) fn answers() -> Map<String, Value> {
    let all = Status::all();
    let mut answers = Map::new();
    for plane in [Plane::Control, Plane::Data, Plane::Both] {
        for status in &all {
            let mut headers = json!({"x-pinecone-request-id": super::document::request_id()});
            if status.is_temporary() {
                headers["Retry-After"] = json!({
                    "description": "Seconds after which to try again.",
                    "schema": {"type": "integer", "minimum": 0},
                });
            }
            let schema = format!("#/components/schemas/{}", shape(plane));
            let answer = json!({
                "description": meaning(status.http),
                "headers": headers,
                "content": {"application/json": {"schema": {"$ref": schema}}},
            });
            answers.insert(name(plane, status.http), answer);
        }
    }
    answers
}

/// The bodies of both planes, from the one type that writes them.
pub(super) fn schemas(schemas: &mut Schemas) -> Map<String, Value> {
    let all = Status::all();
    let body = schemas.answer(super::operation::schema_of::<ErrorBody>);
    let whole = schemas.take_answer(&body);
    // `whole` has what both planes write: each has two fields of its own.
    let shaped = |own: &[&str], others: &[&str]| {
        let mut schema = whole.clone();
        if let Some(fields) = schema["properties"].as_object_mut() {
            fields.retain(|name, _| !others.contains(&name.as_str()));
        }
        if let Some(required) = schema["required"].as_array_mut() {
            required.extend(own.iter().map(|name| json!(name)));
        }
        schema
    };
    let mut http: Vec<u16> = all.iter().map(|status| status.http).collect();
    let mut grpc: Vec<i32> = all.iter().map(|status| status.grpc).collect();
    http.sort_unstable();
    http.dedup();
    grpc.sort_unstable();
    grpc.dedup();
    let mut control = shaped(&["status"], &["code", "details"]);
    let mut data = shaped(&["code", "details"], &["status"]);
    control["properties"]["status"]["enum"] = json!(http);
    data["properties"]["code"]["enum"] = json!(grpc);
    // Always empty, but generators want to know of what.
    data["properties"]["details"]["items"] = json!({"type": "object"});
    control["description"] = json!("An error of the control plane.");
    data["description"] = json!("An error of the data plane; `code` is the gRPC code.");
    let any = json!({
        "description": "An error in the shape of the plane that was asked.",
        "anyOf": [
            {"$ref": "#/components/schemas/ControlError"},
            {"$ref": "#/components/schemas/DataError"},
        ],
    });
    let named = [("ControlError", control), ("DataError", data), ("AnyError", any)];
    named.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// The names of `error.code`.
pub(super) fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = Status::all().iter().map(|status| status.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}
