//! The OpenAPI document of the whole surface, both planes in one: made from
//! the table of routes, one [`Operation`] for each (tests hold the two sets
//! equal), and the schemas of the wire types. Says what the server does,
//! decides nothing; every answer of the API's tests is held against it.

mod control;
mod data;
mod document;
mod errors;
mod operation;
mod page;
mod schemas;

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use self::operation::Operation;
use crate::call::{Answer, Call, Reply};

/// An object that is not described further.
#[derive(Serialize, JsonSchema)]
#[schemars(inline, extend("type" = "object"))]
struct AnyObject(Value);

/// `{}`.
#[derive(Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct EmptyObject {}

/// `{"status": …}`.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct StateBody {
    /// `ok` or `ready`.
    status: String,
}

/// All operations.
fn operations() -> impl Iterator<Item = &'static Operation> {
    [
        control::INDEXES,
        control::INTEGRATIONS,
        control::BACKUPS,
        control::MODELS,
        data::RECORDS,
        data::DOCUMENTS,
        data::BULK,
    ]
    .into_iter()
    .flatten()
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(document::make);
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| DOCUMENT.to_string().into_bytes());
static PAGE: LazyLock<Vec<u8>> = LazyLock::new(|| page::render(&DOCUMENT).into_bytes());

/// The document, the same on every listener.
pub fn openapi() -> &'static Value {
    &DOCUMENT
}

/// `GET /openapi.json`.
pub(crate) fn json(_: &Call) -> Answer {
    Ok(Reply::of(200, "application/json", TEXT.clone()))
}

/// `GET /docs`: the same for people, without scripts and without anything
/// from elsewhere.
pub(crate) fn docs(_: &Call) -> Answer {
    Ok(Reply::of(200, "text/html; charset=utf-8", PAGE.clone()))
}
