//! The API, REST and gRPC, against a real server: every route's good path, every kind of
//! bad input, and the limits of connections.
//!
//! Method: each test starts a server of its own on a loopback address of its
//! own, with its data in a temporary directory, and speaks HTTP to it. Ports
//! and directories are never shared, so tests run side by side.

#![allow(clippy::unwrap_used, reason = "all of this is tests, its helpers too")]

mod auth;
mod backups;
mod bad_input;
mod conformance;
mod connections;
mod console;
mod documents;
mod embedded;
mod grpc;
mod grpc_client;
mod grpc_limits;
mod harness;
mod imports;
mod indexes;
mod limits;
mod metrics;
mod namespaces;
mod openapi;
mod properties;
mod queries;
mod roles;
mod tokens;
#[path = "../../../wire/tests/validator/mod.rs"]
mod validator;
mod vectors;
