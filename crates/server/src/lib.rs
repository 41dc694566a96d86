//! The REST and gRPC adapters over the database: listeners, authentication, limits,
//! and one function per route that parses, calls once and renders.
//!
//! Nothing here decides what a record means (`db` does), nothing below knows HTTP.
//!
//! The way of a request: `listen` accepts the connection and keeps its
//! timeouts, axum finds the row of [`ROUTES`], `dispatch` checks the key,
//! reads the body within its bounds and runs the row's function on a
//! blocking thread, and renders its reply or its error in the plane's shape.

mod access;
mod audit;
mod backups;
mod body;
mod call;
mod config;
mod console;
mod control;
mod data;
mod dispatch;
mod embedded;
mod error;
mod grpc;
mod host;
mod integrations;
mod keys;
mod listen;
mod load;
mod metrics;
mod models;
mod openapi;
mod pages;
mod ports;
mod process;
mod rate;
mod request_log;
mod routes;
mod serve;
mod tls;
mod verbs;

pub use audit::AuditLog;
pub use axum::http::HeaderMap;
pub use backups::{
    backup_model, make_index, new_schedule, restore_job_model, restore_options, root_copy_model,
    schedule_model,
};
pub use config::ServerConfig;
pub use data::exports::export_model;
pub use data::imports::{import_finished, import_model, import_start, reject_model};
pub use data::search::{DocumentSearch, search_documents};
pub use data::{manifest::manifest_model, query::scored_vector};
pub use embedded::{Embedded, EmbeddedAnswer, EmbeddedRequest};
pub use integrations::{integration_model, integration_of, source_test_model};
pub use keys::{ApiKey, KeyError, KeyHash, Keys, Role};
pub use openapi::openapi;
pub use rate::RateLimit;
pub use routes::{Access, BELOW_INDEX, Plane, Protocol, ROUTES, Reach, Route};
pub use serve::{Bound, ServeError, serve};
pub use tls::{Tls, TlsError, read_tls_file};
