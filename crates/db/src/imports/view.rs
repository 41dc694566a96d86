//! An import as described: the record where it has ended, the live counters
//! while it runs.

use std::collections::VecDeque;
use std::time::Duration;

use crossbill_core::Clock;
use crossbill_import::{Phase, Plan, Progress};
use crossbill_store::TaskCounts;

use super::job::Job;
use super::record::{ImportEnd, ImportRecord};
use crate::types::{ImportStatus, ImportView};

/// The last moments of a rate that count.
const RATE_WINDOW: Duration = Duration::from_secs(20);
/// The shortest time between two moments kept.
const RATE_STEP: Duration = Duration::from_millis(500);
/// What an import that has not ended shows at most.
const PERCENT_UNFINISHED_MAX: f64 = 99.9;

/// How fast an import goes lately, from the moments it was asked at.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// (when, rows done, percent)
    moments: VecDeque<(Duration, u64, f64)>,
    percent: f64,
}

impl Rate {
    /// Notes a moment; rows and percent per second over the window, once
    /// there are two moments.
    fn note(&mut self, now: Duration, rows: u64, percent: f64) -> Option<(f64, f64)> {
        let spaced = |last: &(Duration, u64, f64)| now.saturating_sub(last.0) >= RATE_STEP;
        if self.moments.back().is_none_or(spaced) {
            self.moments.push_back((now, rows, percent));
        }
        while self.moments.len() > 2
            && self.moments.front().is_some_and(|first| now.saturating_sub(first.0) > RATE_WINDOW)
        {
            self.moments.pop_front();
        }
        let (then, rows_then, percent_then) = *self.moments.front()?;
        let seconds = now.saturating_sub(then).as_secs_f64();
        if seconds < RATE_STEP.as_secs_f64() {
            return None;
        }
        Some((rows.saturating_sub(rows_then) as f64 / seconds, (percent - percent_then) / seconds))
    }
}

impl Job {
    /// The import as described.
    pub(crate) fn view(&self, clock: &dyn Clock) -> ImportView {
        let live = self.live();
        match &live.record.end {
            Some(end) if live.record.status.is_final() => self.ended(&live.record, end),
            // Still locked: what is described of it counts for its end.
            _ => self.unfinished(&live.record, live.counts, live.plan.as_deref(), clock),
        }
    }

    fn ended(&self, record: &ImportRecord, end: &ImportEnd) -> ImportView {
        ImportView {
            finished_at: end.finished_at,
            percent_complete: record.percent,
            records_imported: end.counts.imported,
            records_rejected: end.counts.rejected,
            records_superseded: end.counts.superseded,
            records_read: end.counts.read,
            records_total: end.rows_total,
            bytes_read: end.counts.bytes,
            bytes_total: end.bytes_total,
            files_done: end.files_done,
            files_total: end.files_total,
            files_skipped: end.files_skipped,
            phase: Phase::Done.as_str().to_owned(),
            error: end.error.clone(),
            warnings: end.warnings.clone(),
            estimate: end.estimate,
            ..blank(record)
        }
    }

    fn unfinished(
        &self,
        record: &ImportRecord,
        counts: TaskCounts,
        plan: Option<&Plan>,
        clock: &dyn Clock,
    ) -> ImportView {
        let progress = self.watch.progress();
        let (percent, rate) = self.advance(record, &progress, clock);
        let known = progress.files_total > 0;
        let rows_per_second = rate.map(|(rows, _)| rows);
        let eta = rate.filter(|(_, percent)| *percent > 0.0);
        ImportView {
            percent_complete: percent,
            records_imported: counts.imported,
            records_rejected: counts.rejected,
            records_superseded: counts.superseded,
            records_read: counts.read,
            records_under_way: progress.rows_read.saturating_sub(counts.read),
            records_total: known.then_some(progress.rows_total),
            bytes_read: counts.bytes.max(progress.bytes_read),
            bytes_total: known.then_some(progress.bytes_total),
            files_done: progress.files_done,
            files_total: known.then_some(progress.files_total),
            files_skipped: plan.map_or(0, |plan| plan.files_skipped),
            is_paused: record.paused,
            phase: self.phase(record).to_owned(),
            records_per_second: rows_per_second,
            eta_seconds: eta.map(|(_, per_second)| (100.0 - percent) / per_second),
            warnings: plan.map(|plan| plan.warnings.clone()).unwrap_or_default(),
            ..blank(record)
        }
    }

    fn phase(&self, record: &ImportRecord) -> &'static str {
        match (record.paused, self.is_running()) {
            (true, true) => "pausing",
            (true, false) => "paused",
            (false, _) => self.watch.phase().as_str(),
        }
    }

    /// The percentage, which never goes back, and the rates.
    fn advance(
        &self,
        record: &ImportRecord,
        progress: &Progress,
        clock: &dyn Clock,
    ) -> (f64, Option<(f64, f64)>) {
        let mut rate = self.rate.lock();
        let now = progress.percent().min(PERCENT_UNFINISHED_MAX);
        rate.percent = rate.percent.max(record.percent).max(now);
        let percent = rate.percent;
        let noted = (record.status == ImportStatus::InProgress)
            .then(|| rate.note(clock.monotonic(), progress.rows_read, percent));
        (percent, noted.flatten())
    }

    /// The highest percentage described so far.
    pub(super) fn percent(&self) -> f64 {
        let now = self.watch.progress().percent().min(PERCENT_UNFINISHED_MAX);
        let mut rate = self.rate.lock();
        rate.percent = rate.percent.max(now);
        rate.percent
    }
}

fn blank(record: &ImportRecord) -> ImportView {
    ImportView {
        id: record.id.to_string(),
        uri: record.uri.clone(),
        status: record.status,
        created_at: record.created_at,
        finished_at: None,
        percent_complete: 0.0,
        records_imported: 0,
        records_rejected: 0,
        records_superseded: 0,
        records_read: 0,
        records_under_way: 0,
        records_total: None,
        bytes_read: 0,
        bytes_total: None,
        files_done: 0,
        files_total: None,
        files_skipped: 0,
        phase: String::new(),
        is_paused: false,
        records_per_second: None,
        eta_seconds: None,
        error: None,
        warnings: Vec::new(),
        options: record.options.clone(),
        webhook: record.webhook,
        estimate: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_last_moments() {
        let mut rate = Rate::default();
        let at = |seconds| Duration::from_secs(seconds);
        assert_eq!(rate.note(at(0), 0, 0.0), None);
        assert_eq!(rate.note(at(10), 1000, 10.0), Some((100.0, 1.0)));
        for second in 11..60 {
            rate.note(at(second), 1000, 10.0);
        }
        assert_eq!(rate.note(at(60), 1000, 10.0), Some((0.0, 0.0)));
    }
}
