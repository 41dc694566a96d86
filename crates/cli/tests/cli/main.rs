//! The binary as a user runs it: settings from every source, embedded and
//! remote round trips, exit codes, signals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod doctor;
mod embedded;
mod help;
mod serve;
mod settings;
mod support;
