//! Every route of the server, as data. The routers are made from this table
//! and so is the test that tries each route without a key, with a wrong one
//! and with the right one: a new route cannot be forgotten in either.
//!
//! A new REST route needs its documentation, too: an `Operation` in the table
//! of its area in `openapi` (`openapi/control.rs`, `openapi/data.rs`), a
//! derived `JsonSchema` on its wire types, and the document made anew
//! (docs/openapi.md says how). Tests fail until all of these are there.

use axum::http::Method;

use crate::call::{Answer, Call};
use crate::grpc::methods;
use crate::{backups, console, control, data, integrations, load, metrics, models, openapi};

/// Which listeners a route is on, and so in which shape it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// The control plane's.
    Control,
    /// Each index's.
    Data,
    /// All.
    Both,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Open,
    /// Those with a key, where keys are configured.
    Key,
}

/// In what a route is asked and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// JSON over HTTP of any version.
    Rest,
    /// Protobuf messages over HTTP/2.
    Grpc,
}

/// One route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it is.
    pub plane: Plane,
    /// Who may call it.
    pub access: Access,
    /// What it speaks.
    pub protocol: Protocol,
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// What it does, on a blocking thread.
    pub(crate) run: fn(&Call) -> Answer,
}

/// Where the control plane has the REST routes of an index's data plane, too:
/// a browser, or one published port, needs no other.
pub const BELOW_INDEX: &str = "/data/{index}";

impl Route {
    /// Whether the control plane has this one below [`BELOW_INDEX`].
    pub fn is_below_index(&self) -> bool {
        self.plane == Plane::Data && self.protocol == Protocol::Rest
    }
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

const fn open(method: Method, path: &'static str, run: fn(&Call) -> Answer) -> Route {
    let protocol = Protocol::Rest;
    Route { plane: Plane::Both, access: Access::Open, protocol, method, path, run }
}

const fn page(path: &'static str, run: fn(&Call) -> Answer) -> Route {
    let (plane, access, protocol) = (Plane::Control, Access::Open, Protocol::Rest);
    Route { plane, access, protocol, method: GET, path, run }
}

const fn control(method: Method, path: &'static str, run: fn(&Call) -> Answer) -> Route {
    let protocol = Protocol::Rest;
    Route { plane: Plane::Control, access: Access::Key, protocol, method, path, run }
}

const fn data(method: Method, path: &'static str, run: fn(&Call) -> Answer) -> Route {
    let protocol = Protocol::Rest;
    Route { plane: Plane::Data, access: Access::Key, protocol, method, path, run }
}

const fn grpc(path: &'static str, run: fn(&Call) -> Answer) -> Route {
    let protocol = Protocol::Grpc;
    Route { plane: Plane::Data, access: Access::Key, protocol, method: POST, path, run }
}

/// All routes.
pub static ROUTES: &[Route] = &[
    open(GET, "/health", control::health),
    open(GET, "/ready", control::ready),
    open(GET, "/openapi.json", openapi::json),
    open(GET, "/docs", openapi::docs),
    // The console (ours): files only; what it shows it asks of the routes below.
    page("/", console::page),
    page("/console/{file}", console::file),
    control(GET, "/load", load::load),
    // For Prometheus.
    control(GET, "/metrics", metrics::metrics),
    // Indexes.
    control(GET, "/indexes", control::list_indexes),
    control(POST, "/indexes", control::create_index),
    control(GET, "/indexes/{name}", control::describe_index),
    control(PATCH, "/indexes/{name}", control::configure_index),
    control(DELETE, "/indexes/{name}", control::delete_index),
    // `create-for-model` is also a good name for an index, so it has no row
    // of its own.
    control(POST, "/indexes/{name}", models::post_index),
    // Where imports read from (ours).
    control(GET, "/integrations", integrations::list),
    control(POST, "/integrations", integrations::create),
    control(GET, "/integrations/{id}", integrations::describe),
    control(DELETE, "/integrations/{id}", integrations::delete),
    control(POST, "/sources/test", integrations::test),
    // Copies of indexes.
    control(GET, "/collections", backups::list_collections),
    control(POST, "/collections", backups::create_collection),
    control(GET, "/collections/{name}", backups::describe_collection),
    control(DELETE, "/collections/{name}", backups::delete_collection),
    control(GET, "/indexes/{name}/backups", backups::list_of_index),
    control(POST, "/indexes/{name}/backups", backups::create),
    control(GET, "/backups", backups::list),
    control(GET, "/backups/{id}", backups::describe),
    control(DELETE, "/backups/{id}", backups::delete),
    control(POST, "/backups/{id}/create-index", backups::restore),
    control(GET, "/restore-jobs", backups::list_restore_jobs),
    control(GET, "/restore-jobs/{id}", backups::describe_restore_job),
    control(GET, "/indexes/{name}/backup-schedules", backups::list_schedules),
    control(POST, "/indexes/{name}/backup-schedules", backups::create_schedule),
    control(GET, "/backup-schedules/{id}", backups::describe_schedule),
    control(PATCH, "/backup-schedules/{id}", backups::change_schedule),
    control(DELETE, "/backup-schedules/{id}", backups::delete_schedule),
    control(GET, "/backup-schedules/{id}/history", backups::schedule_history),
    // Models, where the operator has set some up.
    control(POST, "/embed", models::embed),
    control(POST, "/rerank", models::rerank),
    control(GET, "/models", models::list),
    control(GET, "/models/{name}", models::describe),
    // What this server does not have.
    control(GET, "/assistant/{*rest}", control::no_assistants),
    control(POST, "/assistant/{*rest}", control::no_assistants),
    control(PATCH, "/assistant/{*rest}", control::no_assistants),
    control(DELETE, "/assistant/{*rest}", control::no_assistants),
    // Records.
    data(POST, "/vectors/upsert", data::vectors::upsert),
    data(POST, "/query", data::query::query),
    data(GET, "/vectors/fetch", data::vectors::fetch),
    data(POST, "/vectors/fetch_by_metadata", data::vectors::fetch_by_metadata),
    data(POST, "/vectors/update", data::vectors::update),
    data(POST, "/vectors/delete", data::vectors::delete),
    data(GET, "/vectors/list", data::vectors::list),
    data(POST, "/describe_index_stats", data::vectors::stats),
    // Namespaces.
    data(GET, "/namespaces", data::namespaces::list),
    data(POST, "/namespaces", data::namespaces::create),
    data(GET, "/namespaces/{namespace}", data::namespaces::describe),
    data(DELETE, "/namespaces/{namespace}", data::namespaces::delete),
    // Bulk imports.
    data(GET, "/bulk/imports", data::imports::list),
    data(POST, "/bulk/imports", data::imports::start),
    data(POST, "/bulk/imports/preview", data::imports::preview),
    data(GET, "/bulk/imports/{id}", data::imports::describe),
    data(DELETE, "/bulk/imports/{id}", data::imports::cancel),
    data(POST, "/bulk/imports/{id}/pause", data::imports::pause),
    data(POST, "/bulk/imports/{id}/resume", data::imports::resume),
    data(GET, "/bulk/imports/{id}/rejects", data::imports::rejects),
    data(GET, "/bulk/imports/{id}/manifest", data::manifest::manifest),
    // Exports.
    data(GET, "/bulk/exports", data::exports::list),
    data(POST, "/bulk/exports", data::exports::start),
    data(GET, "/bulk/exports/{id}", data::exports::describe),
    data(DELETE, "/bulk/exports/{id}", data::exports::cancel),
    // Records with text.
    data(POST, "/records/namespaces/{namespace}/upsert", data::records::upsert),
    data(POST, "/records/namespaces/{namespace}/search", data::records::search),
    // Documents.
    data(POST, "/namespaces/{namespace}/documents/upsert", data::documents::upsert),
    data(POST, "/namespaces/{namespace}/documents/search", data::documents::search),
    data(POST, "/namespaces/{namespace}/documents/fetch", data::documents::fetch),
    data(POST, "/namespaces/{namespace}/documents/update", data::documents::update),
    data(POST, "/namespaces/{namespace}/documents/delete", data::documents::delete),
    data(POST, "/namespaces/{namespace}/documents/list", data::documents::list),
    // The same over gRPC.
    grpc("/VectorService/Upsert", methods::upsert),
    grpc("/VectorService/Query", methods::query),
    grpc("/VectorService/Fetch", methods::fetch),
    grpc("/VectorService/FetchByMetadata", methods::fetch_by_metadata),
    grpc("/VectorService/Update", methods::update),
    grpc("/VectorService/Delete", methods::delete),
    grpc("/VectorService/List", methods::list),
    grpc("/VectorService/DescribeIndexStats", methods::stats),
    grpc("/VectorService/ListNamespaces", methods::list_namespaces),
    grpc("/VectorService/CreateNamespace", methods::create_namespace),
    grpc("/VectorService/DescribeNamespace", methods::describe_namespace),
    grpc("/VectorService/DeleteNamespace", methods::delete_namespace),
];

impl Plane {
    /// Whether a listener of this plane has a route of `other`.
    pub(crate) fn has(self, other: Plane) -> bool {
        self == other || other == Plane::Both
    }
}

/// Where a path that is unknown on `plane` would be known: a hint for a
/// client that took one host for the other.
pub(crate) fn elsewhere(plane: Plane, path: &str) -> Option<&'static str> {
    let first = |path: &str| path.split('/').nth(1).unwrap_or("").to_owned();
    let wanted = first(path);
    let other = match plane {
        Plane::Data => Plane::Control,
        Plane::Control | Plane::Both => Plane::Data,
    };
    let known = ROUTES.iter().any(|route| route.plane == other && first(route.path) == wanted);
    known.then_some(match other {
        Plane::Data => {
            "this is the control plane; records are at the index's own host, which \
             GET /indexes/{name} gives, and below /data/{index} here"
        }
        Plane::Control | Plane::Both => {
            "this is the data plane of one index; indexes are made and listed at the control \
             plane's host"
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn only_health_readiness_the_document_and_the_console_are_open() {
        let open: BTreeSet<_> = ROUTES
            .iter()
            .filter(|route| route.access == Access::Open)
            .map(|route| route.path)
            .collect();
        let expected = ["/", "/console/{file}", "/docs", "/health", "/openapi.json", "/ready"];
        assert_eq!(open, BTreeSet::from(expected));
    }

    #[test]
    fn a_path_of_the_other_plane_gets_a_hint() {
        assert!(elsewhere(Plane::Control, "/query").unwrap().contains("own host"));
        assert!(elsewhere(Plane::Data, "/indexes/a").unwrap().contains("control"));
        assert_eq!(elsewhere(Plane::Data, "/nothing"), None);
    }
}
