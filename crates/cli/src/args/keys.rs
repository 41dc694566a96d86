//! The arguments of `crossbill keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with keys.
#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key with a role and show it, once
    #[command(after_help = "\
Examples:
  crossbill keys new ops --role admin --file /etc/crossbill/keys.toml
  crossbill keys new shop --role read --index products --file /etc/crossbill/keys.toml
  crossbill keys new loader --role write --index 'docs-*' --requests-per-second 50")]
    New(NewKeyArgs),
}

/// A new key.
#[derive(Args)]
pub(crate) struct NewKeyArgs {
    /// What logs call it
    pub(crate) name: String,
    /// read, write (records, namespaces, imports, exports) or admin (everything)
    #[arg(long, value_parser = ["read", "write", "admin"])]
    pub(crate) role: String,
    /// Index that it is for, or the beginning of names with * behind it (repeatable); default: all
    #[arg(long, value_name = "NAME")]
    pub(crate) index: Vec<String>,
    /// Requests a second; default: what the server gives every key
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_second: Option<u32>,
    /// The file of serve's --keys-file, which it is added to
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Show it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
