//! The binary as a user runs it: settings from every source, embedded and
//! remote round trips, exit codes, signals.

mod embedded;
mod help;
mod serve;
mod settings;
mod support;
