//! The command line of Crossbill as a library: what the binary runs, and what
//! the Python package runs from its own process.
//!
//! Commands call the database or the server and show the answer; no rule
//! about records, imports or indexes is decided here.

mod args;
mod client;
mod commands;
mod embed;
mod error;
mod keys;
mod log;
mod machine;
mod models;
mod options;
mod output;
mod progress;
mod reload;
mod run;
mod settings;
mod signals;
mod table;
mod traces;
mod units;
mod uri;

pub use embed::{Embedding, embed};
pub use run::run;
