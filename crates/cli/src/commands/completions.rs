//! `crossbill completions`: the script that teaches a shell our commands.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::output;

/// Prints the script for `shell`.
pub(crate) fn run(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "crossbill", &mut script);
    output::raw(&script);
}
