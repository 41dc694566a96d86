//! `crossbill backup-root`: a copy of the whole data directory, followed to
//! its end.

use std::time::Duration;

use crossbill_core::{Clock as _, SystemClock};
use crossbill_wire::backups::{RootCopyModel, StartRootCopy};

use crate::args::BackupRootArgs;
use crate::client::{self, Imports};
use crate::commands::follow;
use crate::error::{CliError, Exit, Result};
use crate::settings::IntegrationTable;
use crate::signals::Interrupt;
use crate::table::printable;
use crate::units::{ByteSize, count};
use crate::{output, uri};

/// The wait between two looks.
const POLL: Duration = Duration::from_millis(100);
/// Between two lines of progress.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Begins a copy, or cancels the one that is made.
pub(crate) fn run(args: &BackupRootArgs, integrations: &[IntegrationTable]) -> Result<Exit> {
    let json = args.connect.json;
    let interrupt = Interrupt::listen()?;
    let client = client::connect(&args.connect, integrations, Imports::Wait)?;
    if args.cancel {
        client.cancel_root_copy()?;
        show(&client.describe_root_copy()?, json);
        return Ok(Exit::Success);
    }
    let directory = args.directory.as_deref().unwrap_or_default();
    let uri = uri::import_uri(directory)?;
    if !uri.starts_with("file://") {
        return Err(CliError::usage(format!(
            "found {directory:?}, expected a directory of the server's machine"
        )));
    }
    let mut copy = client.start_root_copy(&StartRootCopy { uri })?;
    if args.detach {
        show(&copy, json);
        return Ok(Exit::Success);
    }
    let clock = SystemClock::new();
    let mut next = LINE_INTERVAL;
    while !follow::is_final(&copy.status) {
        if interrupt.is_asked() {
            match client.is_embedded() {
                true => client.close(),
                false => output::note("the copy goes on in the server; --cancel ends it"),
            }
            return Ok(Exit::Interrupted);
        }
        if clock.monotonic() >= next {
            next = clock.monotonic() + LINE_INTERVAL;
            output::note(&progress(&copy));
        }
        clock.sleep(POLL);
        copy = client.describe_root_copy()?;
    }
    show(&copy, json);
    Ok(match copy.status.as_str() {
        "Completed" => Exit::Success,
        "Cancelled" => Exit::Cancelled,
        _ => Exit::Failed,
    })
}

fn progress(copy: &RootCopyModel) -> String {
    format!(
        "{} copied and {} there already, of {}",
        ByteSize(copy.bytes_copied),
        ByteSize(copy.bytes_reused),
        ByteSize(copy.bytes_total)
    )
}

fn show(copy: &RootCopyModel, json: bool) {
    if json {
        return output::document(copy);
    }
    let mut text = format!(
        "copy to {}: {}\n{} files, {}",
        printable(&copy.directory),
        copy.status,
        count(copy.files_total),
        progress(copy)
    );
    if let Some(error) = &copy.error {
        text.push_str(&format!("\nerror: {}", printable(error)));
    }
    output::line(&text);
}
