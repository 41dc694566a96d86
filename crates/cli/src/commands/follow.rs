//! Watching an import to its end, and the summary that adds up.

use std::time::Duration;

use crossbill_core::{Clock, ErrorKind, SystemClock};
use crossbill_wire::{ImportEstimate, ImportModel, RejectModel};

use crate::client::Client;
use crate::error::{CliError, Exit, Result};
use crate::output;
use crate::progress::Progress;
use crate::signals::Interrupt;
use crate::table::printable;
use crate::units::{ByteSize, count, duration, seconds};

/// The first wait between two looks; each next one is longer.
const POLL_FIRST: Duration = Duration::from_millis(50);
/// The longest wait between two looks.
const POLL_MAX: Duration = Duration::from_millis(400);
/// How long a server may be away while its import is followed.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// Rejects that the summary shows.
const REJECTS_SHOWN: usize = 5;

/// How following ended.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The import has ended.
    Ended(ImportModel),
    /// The user interrupted the following.
    Interrupted(ImportModel),
}

/// Follows import `id` of `index` until it ends or the user interrupts.
pub(crate) fn follow(
    client: &dyn Client,
    index: &str,
    id: &str,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
) -> Result<Followed> {
    let clock = SystemClock::new();
    let mut import = client.describe_import(index, id)?;
    let mut wait = POLL_FIRST;
    let mut answered_at = clock.monotonic();
    while !is_final(&import.status) {
        if import.paused && client.is_embedded() {
            // Nobody else can resume it while this process has the directory.
            progress.end();
            let flags = client.flags();
            return Err(CliError::failed(format!("import {} is paused", printable(id)))
                .hint(format!("crossbill imports resume {id} --index {index}{flags}")));
        }
        progress.show(&import, clock.monotonic());
        if interrupt.is_asked() {
            progress.end();
            return Ok(Followed::Interrupted(import));
        }
        clock.sleep(wait);
        wait = (wait * 5 / 4).min(POLL_MAX);
        match client.describe_import(index, id) {
            Ok(newer) => {
                import = newer;
                answered_at = clock.monotonic();
            }
            // A server that restarts goes on with the import: so do we.
            Err(error)
                if error.kind() == Some(ErrorKind::Unavailable)
                    && clock.monotonic() - answered_at < AWAY_MAX =>
            {
                progress.waiting("the server does not answer; asking again");
                wait = POLL_MAX * 4;
            }
            Err(error) => {
                progress.end();
                return Err(error);
            }
        }
    }
    progress.show(&import, clock.monotonic());
    progress.end();
    Ok(Followed::Ended(import))
}

/// Whether a status is one of an import that has ended.
pub(crate) fn is_final(status: &str) -> bool {
    matches!(status, "Completed" | "Failed" | "Cancelled")
}

/// Shows how an import ended, and gives the exit code that says so.
pub(crate) fn finish(
    client: &dyn Client,
    index: &str,
    import: &ImportModel,
    json: bool,
) -> Result<Exit> {
    let page = client.rejects(index, &import.id, 0, REJECTS_SHOWN)?;
    if !json {
        let lines = summary(import, &page.data, page.total, index, &client.flags());
        output::line(&lines.join("\n"));
    }
    Ok(match import.status.as_str() {
        "Failed" => Exit::Failed,
        "Cancelled" => Exit::Cancelled,
        _ if import.records_rejected > 0 || page.total > 0 => Exit::Rejects,
        _ => Exit::Success,
    })
}

/// The lines that sum an import up.
fn summary(
    import: &ImportModel,
    rejects: &[RejectModel],
    rejects_total: u64,
    index: &str,
    flags: &str,
) -> Vec<String> {
    let took = took(import).map_or_else(String::new, |took| format!(" in {}", duration(took)));
    let what = if import.dry_run { "dry run" } else { "import" };
    let mut lines = vec![
        format!("{what} {} into {index}: {}{took}", printable(&import.id), import.status),
        equation(import),
    ];
    if import.files_skipped > 0 {
        lines.push(format!("{} files passed over: loaded before", count(import.files_skipped)));
    }
    if let Some(estimate) = &import.estimate {
        lines.push(format!("the import itself takes {}; nothing was written", estimated(estimate)));
    }
    if let Some(error) = &import.error {
        lines.push(format!("error: {}", printable(error)));
    }
    lines.extend(import.warnings.iter().map(|warning| format!("warning: {}", printable(warning))));
    if !rejects.is_empty() {
        lines.push("first rejects:".to_owned());
        lines.extend(rejects.iter().map(|reject| {
            format!("  {}  {}", printable(&reject.code), printable(&reject.message))
        }));
    }
    if rejects_total > rejects.len() as u64 {
        lines.push(format!(
            "all {} rejects: crossbill imports rejects {} --index {index}{flags}",
            count(rejects_total),
            printable(&import.id),
        ));
    }
    lines
}

/// What an import takes, in words.
pub(crate) fn estimated(estimate: &ImportEstimate) -> String {
    let time = seconds(estimate.seconds).map_or_else(String::new, duration);
    format!(
        "about {time} and {} of disk, of {} free",
        ByteSize(estimate.disk_bytes),
        ByteSize(estimate.disk_free_bytes)
    )
}

/// `read = imported + superseded + rejected`.
fn equation(import: &ImportModel) -> String {
    format!(
        "read {} = imported {} + superseded {} + rejected {}",
        count(import.records_read),
        count(import.records_imported),
        count(import.records_superseded),
        count(import.records_rejected)
    )
}

fn took(import: &ImportModel) -> Option<Duration> {
    let at = |text: &str| text.parse::<crossbill_core::Timestamp>().ok();
    let (start, end) = (at(&import.created_at)?, at(import.finished_at.as_deref()?)?);
    u64::try_from(end.0 - start.0).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import() -> ImportModel {
        serde_json::from_str(
            r#"{"id":"7","uri":"s3://b","status":"Completed","createdAt":"2026-01-01T00:00:00Z",
                "finishedAt":"2026-01-01T00:01:05Z","recordsRead":1000000,
                "recordsImported":999900,"recordsSuperseded":40,"recordsRejected":60}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_summary_adds_up() {
        let reject: RejectModel = serde_json::from_str(
            r#"{"file":"a.parquet","code":"E_DIMENSION","message":"a.parquet row 3: …\u001b[2J"}"#,
        )
        .unwrap();
        let lines = summary(&import(), &[reject], 60, "products", " --data d");
        assert_eq!(
            lines,
            [
                "import 7 into products: Completed in 1m 05s",
                "read 1,000,000 = imported 999,900 + superseded 40 + rejected 60",
                "first rejects:",
                "  E_DIMENSION  a.parquet row 3: …\\u{1b}[2J",
                "all 60 rejects: crossbill imports rejects 7 --index products --data d",
            ]
        );
    }
}
