//! `crossbill doctor`: the settings of a server, and what is to be checked.

use clap::Args;

use crate::args::ServeArgs;
use crate::units::ByteSize;

/// `crossbill doctor …`
#[derive(Args)]
#[command(mut_arg("print_settings", |arg| arg.hide(true)))]
#[command(after_help = "\
Takes the settings of crossbill serve, by flags, variables and --config, and checks them, the
machine, the data directory, and what the settings say is reached. Changes nothing. Beside a
running server it reads the same files; what that one changes meanwhile is no finding.

Examples:
  crossbill doctor --data /var/lib/crossbill
  crossbill doctor --config /etc/crossbill.toml --json
  crossbill doctor --config /etc/crossbill.toml --skip-scrub
  crossbill doctor --data /backup/crossbill --scrub-only --scrub-rate 1GiB

Exit codes: 0 no problem (there may be warnings), 1 problems, 2 usage.")]
pub(crate) struct DoctorArgs {
    /// Do not read what is stored: only settings, machine, directory and what is reached
    #[arg(long, conflicts_with = "scrub_only")]
    pub(crate) skip_scrub: bool,
    /// Only read what is stored and compare its checksums
    #[arg(long)]
    pub(crate) scrub_only: bool,
    /// Bytes a second that are read of what is stored at most
    #[arg(long, value_name = "SIZE", default_value = "200MiB")]
    pub(crate) scrub_rate: ByteSize,
    /// Answer with one JSON document on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// What the server is started with.
    #[command(flatten)]
    pub(crate) settings: ServeArgs,
}
