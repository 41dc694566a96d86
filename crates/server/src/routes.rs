//! Every route of the server, as data. The routers are made from this table
//! and so is the test that tries each route without a key, with a wrong one
//! and with the right one: a new route cannot be forgotten in either.
//!
//! A new REST route needs its documentation, too: an `Operation` in the table
//! of its area in `openapi` (`openapi/control.rs`, `openapi/data.rs`), a
//! derived `JsonSchema` on its wire types, and the document made anew
//! (docs/openapi.md says how). Tests fail until all of these are there.

use axum::http::Method;

use crate::backups::root_copy;
use crate::call::{Answer, Call};
use crate::grpc::methods;
use crate::keys::Role;
use crate::keys::Role::{Admin, Read, Write};
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
    /// Those whose key has this role or more, where keys are configured.
    Key(Role),
}

/// What a route is about: a key that is for some indexes only may call those
/// that are about one of these, or about nothing that is not its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing; or the answer leaves out what is not the key's.
    Nothing,
    /// The index of the listener or of the path.
    Index,
    /// The server as a whole, or what only its body or an id tells.
    Server,
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

    /// What it is about.
    pub fn reach(&self) -> Reach {
        let is_read = self.method == GET;
        match (self.plane, self.path) {
            (Plane::Data, _) => Reach::Index,
            // Its body names the index.
            (_, "/indexes/{name}") if self.method == POST => Reach::Server,
            (_, path) if path.starts_with("/indexes/{name}") => Reach::Index,
            (_, "/indexes") if is_read => Reach::Nothing,
            (_, "/embed" | "/rerank" | "/models" | "/models/{name}") => Reach::Nothing,
            (_, path) if path.starts_with("/assistant/") => Reach::Nothing,
            _ if self.access == Access::Open => Reach::Nothing,
            _ => Reach::Server,
        }
    }

    /// Whether the audit log has every call: what changes something and is not
    /// the daily writing of records.
    pub fn is_audited(&self) -> bool {
        let writes = matches!(self.access, Access::Key(Role::Write | Role::Admin));
        let daily = ["/upsert", "/update", "/Upsert", "/Update", "/preview"];
        writes && self.method != GET && !daily.iter().any(|end| self.path.ends_with(end))
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

const fn control(
    role: Role,
    method: Method,
    path: &'static str,
    run: fn(&Call) -> Answer,
) -> Route {
    let protocol = Protocol::Rest;
    Route { plane: Plane::Control, access: Access::Key(role), protocol, method, path, run }
}

const fn data(role: Role, method: Method, path: &'static str, run: fn(&Call) -> Answer) -> Route {
    let protocol = Protocol::Rest;
    Route { plane: Plane::Data, access: Access::Key(role), protocol, method, path, run }
}

const fn grpc(role: Role, path: &'static str, run: fn(&Call) -> Answer) -> Route {
    let protocol = Protocol::Grpc;
    Route { plane: Plane::Data, access: Access::Key(role), protocol, method: POST, path, run }
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
    control(Read, GET, "/load", load::load),
    // For Prometheus.
    control(Read, GET, "/metrics", metrics::metrics),
    // Indexes.
    control(Read, GET, "/indexes", control::list_indexes),
    control(Admin, POST, "/indexes", control::create_index),
    control(Read, GET, "/indexes/{name}", control::describe_index),
    control(Admin, PATCH, "/indexes/{name}", control::configure_index),
    control(Admin, DELETE, "/indexes/{name}", control::delete_index),
    // `create-for-model` is also a good name for an index, so it has no row
    // of its own.
    control(Admin, POST, "/indexes/{name}", models::post_index),
    // Where imports read from (ours).
    control(Write, GET, "/integrations", integrations::list),
    control(Admin, POST, "/integrations", integrations::create),
    control(Write, GET, "/integrations/{id}", integrations::describe),
    control(Admin, DELETE, "/integrations/{id}", integrations::delete),
    control(Admin, POST, "/sources/test", integrations::test),
    // Copies of indexes.
    control(Read, GET, "/collections", backups::list_collections),
    control(Admin, POST, "/collections", backups::create_collection),
    control(Read, GET, "/collections/{name}", backups::describe_collection),
    control(Admin, DELETE, "/collections/{name}", backups::delete_collection),
    control(Read, GET, "/indexes/{name}/backups", backups::list_of_index),
    control(Admin, POST, "/indexes/{name}/backups", backups::create),
    control(Read, GET, "/backups", backups::list),
    control(Read, GET, "/backups/{id}", backups::describe),
    control(Admin, DELETE, "/backups/{id}", backups::delete),
    control(Admin, POST, "/backups/{id}/create-index", backups::restore),
    control(Admin, GET, "/root-copy", root_copy::describe),
    control(Admin, POST, "/root-copy", root_copy::start),
    control(Admin, DELETE, "/root-copy", root_copy::cancel),
    control(Read, GET, "/restore-jobs", backups::list_restore_jobs),
    control(Read, GET, "/restore-jobs/{id}", backups::describe_restore_job),
    control(Read, GET, "/indexes/{name}/backup-schedules", backups::list_schedules),
    control(Admin, POST, "/indexes/{name}/backup-schedules", backups::create_schedule),
    control(Read, GET, "/backup-schedules/{id}", backups::describe_schedule),
    control(Admin, PATCH, "/backup-schedules/{id}", backups::change_schedule),
    control(Admin, DELETE, "/backup-schedules/{id}", backups::delete_schedule),
    control(Read, GET, "/backup-schedules/{id}/history", backups::schedule_history),
    // Models, where the operator has set some up.
    control(Read, POST, "/embed", models::embed),
    control(Read, POST, "/rerank", models::rerank),
    control(Read, GET, "/models", models::list),
    control(Read, GET, "/models/{name}", models::describe),
    // What this server does not have.
    control(Read, GET, "/assistant/{*rest}", control::no_assistants),
    control(Read, POST, "/assistant/{*rest}", control::no_assistants),
    control(Read, PATCH, "/assistant/{*rest}", control::no_assistants),
    control(Read, DELETE, "/assistant/{*rest}", control::no_assistants),
    // Records.
    data(Write, POST, "/vectors/upsert", data::vectors::upsert),
    data(Read, POST, "/query", data::query::query),
    data(Read, GET, "/vectors/fetch", data::vectors::fetch),
    data(Read, POST, "/vectors/fetch_by_metadata", data::vectors::fetch_by_metadata),
    data(Write, POST, "/vectors/update", data::vectors::update),
    data(Write, POST, "/vectors/delete", data::vectors::delete),
    data(Read, GET, "/vectors/list", data::vectors::list),
    data(Read, POST, "/describe_index_stats", data::vectors::stats),
    // Namespaces.
    data(Read, GET, "/namespaces", data::namespaces::list),
    data(Write, POST, "/namespaces", data::namespaces::create),
    data(Read, GET, "/namespaces/{namespace}", data::namespaces::describe),
    data(Write, DELETE, "/namespaces/{namespace}", data::namespaces::delete),
    // Bulk imports.
    data(Read, GET, "/bulk/imports", data::imports::list),
    data(Write, POST, "/bulk/imports", data::imports::start),
    data(Write, POST, "/bulk/imports/preview", data::imports::preview),
    data(Read, GET, "/bulk/imports/{id}", data::imports::describe),
    data(Write, DELETE, "/bulk/imports/{id}", data::imports::cancel),
    data(Write, POST, "/bulk/imports/{id}/pause", data::imports::pause),
    data(Write, POST, "/bulk/imports/{id}/resume", data::imports::resume),
    data(Read, GET, "/bulk/imports/{id}/rejects", data::imports::rejects),
    data(Read, GET, "/bulk/imports/{id}/manifest", data::manifest::manifest),
    // Exports.
    data(Read, GET, "/bulk/exports", data::exports::list),
    data(Write, POST, "/bulk/exports", data::exports::start),
    data(Read, GET, "/bulk/exports/{id}", data::exports::describe),
    data(Write, DELETE, "/bulk/exports/{id}", data::exports::cancel),
    // Records with text.
    data(Write, POST, "/records/namespaces/{namespace}/upsert", data::records::upsert),
    data(Read, POST, "/records/namespaces/{namespace}/search", data::records::search),
    // Documents.
    data(Write, POST, "/namespaces/{namespace}/documents/upsert", data::documents::upsert),
    data(Read, POST, "/namespaces/{namespace}/documents/search", data::documents::search),
    data(Read, POST, "/namespaces/{namespace}/documents/fetch", data::documents::fetch),
    data(Write, POST, "/namespaces/{namespace}/documents/update", data::documents::update),
    data(Write, POST, "/namespaces/{namespace}/documents/delete", data::documents::delete),
    data(Read, POST, "/namespaces/{namespace}/documents/list", data::documents::list),
    // The same over gRPC.
    grpc(Write, "/VectorService/Upsert", methods::upsert),
    grpc(Read, "/VectorService/Query", methods::query),
    grpc(Read, "/VectorService/Fetch", methods::fetch),
    grpc(Read, "/VectorService/FetchByMetadata", methods::fetch_by_metadata),
    grpc(Write, "/VectorService/Update", methods::update),
    grpc(Write, "/VectorService/Delete", methods::delete),
    grpc(Read, "/VectorService/List", methods::list),
    grpc(Read, "/VectorService/DescribeIndexStats", methods::stats),
    grpc(Read, "/VectorService/ListNamespaces", methods::list_namespaces),
    grpc(Write, "/VectorService/CreateNamespace", methods::create_namespace),
    grpc(Read, "/VectorService/DescribeNamespace", methods::describe_namespace),
    grpc(Write, "/VectorService/DeleteNamespace", methods::delete_namespace),
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
