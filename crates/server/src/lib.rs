//! The REST adapters over the database: listeners, authentication, limits,
//! and one function per route that parses, calls once and renders.
//!
//! Nothing here decides what a record means; that is `db`'s. Nothing below
//! this crate knows HTTP.

mod config;
mod serve;

pub use config::{ApiKey, KeyError, ServerConfig};
pub use serve::{Bound, ServeError, serve};
