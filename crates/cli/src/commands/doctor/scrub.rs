//! The scrub, as it goes and as it ended.

use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Clock as _, RandomIds, SystemClock};
use crossbill_db::doctor::{ScrubOptions, ScrubReport, Severity, scrub};

use super::check::Report;
use crate::args::DoctorArgs;
use crate::output;
use crate::units::{ByteSize, count};

/// Between two lines of progress.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Reads all that is stored.
pub(super) fn check(args: &DoctorArgs, report: &mut Report) {
    let clock = Arc::new(SystemClock::new());
    let options = ScrubOptions {
        data: args.settings.data.clone(),
        rate: args.scrub_rate.0,
        clock: Arc::<SystemClock>::clone(&clock),
        ids: Arc::new(RandomIds),
    };
    let mut next = LINE_INTERVAL;
    let done = scrub(&options, &mut |done, total| {
        if clock.monotonic() >= next && done < total {
            next = clock.monotonic() + LINE_INTERVAL;
            output::note(&format!("scrub: {} of {} read", ByteSize(done), ByteSize(total)));
        }
    });
    match done {
        Ok(done) => show(&done, report),
        Err(error) => report.problem(
            "scrub",
            error.message(),
            "run this as the server's own user, or give that user the directory",
        ),
    }
}

fn show(done: &ScrubReport, report: &mut Report) {
    let (mut warnings, mut problems) = (done.warnings, done.problems);
    for finding in &done.findings {
        let found = format!("{}: {}", finding.place, finding.found);
        match finding.severity {
            Severity::Warning => {
                warnings -= 1;
                report.warning("scrub", found, &finding.advice);
            }
            Severity::Problem => {
                problems -= 1;
                report.problem("scrub", found, &finding.advice);
            }
        }
    }
    report.count(warnings, problems);
    let beside = if done.is_live { ", beside the server that uses them" } else { "" };
    let read = format!(
        "{} read in {} files{beside}: {} segments and {} log frames of {} namespaces, {} \
         documents, {} tables of rejects",
        ByteSize(done.bytes),
        count(done.files),
        count(done.segments),
        count(done.frames),
        count(done.namespaces),
        count(done.documents),
        count(done.reject_tables),
    );
    match done.problems {
        0 => report.ok("scrub", read),
        _ => output::note(&format!("scrub: {read}")),
    }
    if warnings + problems > 0 {
        output::note(&format!("scrub: {} more findings are not shown", warnings + problems));
    }
}
