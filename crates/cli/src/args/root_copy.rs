//! `crossbill backup-root`: where a copy of the whole data directory goes.

use clap::Args;

use crate::args::ConnectArgs;

/// `crossbill backup-root …`
#[derive(Args)]
#[command(after_help = "\
Makes a new directory below the one named, called after the time. It is whole when it has that name
and a data directory by itself: crossbill serve --data COPY, crossbill doctor --data COPY. What an
earlier copy beside it has already is linked, not copied again. A server writes only below the
directories that it was started with: --allow-export-dir DIR.

Examples:
  crossbill backup-root /backup/crossbill
  crossbill backup-root /backup/crossbill --data ./crossbill-data
  crossbill backup-root --cancel

Exit codes: 0 the copy is whole, 1 failed, 2 usage, 4 cancelled, 130 interrupted (a server goes on).")]
pub(crate) struct BackupRootArgs {
    /// The directory of copies, as a path or file:///directory; on the server's machine
    #[arg(required_unless_present = "cancel")]
    pub(crate) directory: Option<String>,
    /// Cancel the copy that the server is making
    #[arg(long, conflicts_with_all = ["directory", "data"])]
    pub(crate) cancel: bool,
    /// Start the copy and do not wait for it
    #[arg(long, conflicts_with = "data")]
    pub(crate) detach: bool,
    /// Where.
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
