//! The calls of `calls.json` through the official Rust client, `pinecone-sdk`: one line of JSON a
//! call, to the file that it is given. A call that panics is reported as failed, and the others
//! still run.

mod control;
mod records;
mod world;

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use serde_json::json;

use world::World;

/// What this client has no call for. It speaks the API of 2024-07, and does records over gRPC.
const ABSENT: [&str; 27] = [
    "create-sparse",
    "create-schema",
    "create-for-model",
    "configure-tags",
    "upsert-batched",
    "upsert-dataframe",
    "query-namespaces",
    "fetch-by-metadata",
    "update-by-filter",
    "create-namespace",
    "list-namespaces",
    "describe-namespace",
    "delete-namespace",
    "start-import",
    "list-imports",
    "cancel-import",
    "upsert-records",
    "search-text",
    "search-records",
    "rerank",
    "list-models",
    "documents-upsert",
    "documents-search",
    "documents-fetch",
    "documents-update",
    "documents-delete",
    "backups",
];

/// Makes each call in the order it is named in, as a task of its own, so that a panic ends no
/// other.
macro_rules! make {
    ($world:ident: $($name:literal $call:path,)*) => {
        $(report($name, tokio::spawn($call(Arc::clone(&$world))).await)?;)*
    };
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let world = Arc::new(World::of_environment()?);
    make! { world:
        "create-dense" control::create_dense,
        "create-pod" control::create_pod,
        "list-indexes" control::list_indexes,
        "describe-index" control::describe_index,
        "configure-protection" control::configure_protection,
        "delete-index" control::delete_index,
        "upsert" records::upsert,
        "upsert-sparse" records::upsert_sparse,
        "query-vector" records::query_vector,
        "query-id" records::query_id,
        "query-sparse" records::query_sparse,
        "query-hybrid" records::query_hybrid,
        "query-filter" records::query_filter,
        "query-include" records::query_include,
        "fetch" records::fetch,
        "update-values" records::update_values,
        "update-metadata" records::update_metadata,
        "delete-ids" records::delete_ids,
        "delete-filter" records::delete_filter,
        "delete-all" records::delete_all,
        "list-prefix" records::list_prefix,
        "list-pages" records::list_pages,
        "stats" records::stats,
        "error-400" records::error_400,
        "error-401" control::error_401,
        "error-404" control::error_404,
        "error-409" control::error_409,
        "embed" control::embed,
        "collections" control::collections,
    }
    for name in ABSENT {
        write(&json!({ "call": name, "result": "absent" }))?;
    }
    Ok(())
}

fn report(
    name: &str,
    ended: Result<world::Call, tokio::task::JoinError>,
) -> Result<(), Box<dyn Error>> {
    let reason = match ended {
        Ok(Ok(())) => return write(&json!({ "call": name, "result": "works" })),
        Ok(Err(error)) => format!("{error} {error:?}"),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => match panic.downcast::<String>() {
                Ok(text) => *text,
                Err(_) => "a panic without a text".to_owned(),
            },
            Err(error) => error.to_string(),
        },
    };
    write(&json!({ "call": name, "result": "fails", "reason": reason }))
}

fn write(line: &serde_json::Value) -> Result<(), Box<dyn Error>> {
    let out = std::env::var("CROSSBILL_OUT")?;
    let mut out = OpenOptions::new().create(true).append(true).open(out)?;
    Ok(writeln!(out, "{line}")?)
}
