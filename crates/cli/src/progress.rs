//! How a running import is shown: a bar for someone who watches, a line every
//! few seconds for a log, lines of JSON for a program.

use std::time::Duration;

use crossbill_wire::ImportModel;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;
use crate::table::printable;
use crate::units::{count, duration, seconds};

/// Between two lines in a log.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// The bar counts in steps of a tenth of a percent.
const BAR_STEPS: u64 = 1000;
/// Two lines, so that all of it fits a terminal of 80 columns.
const BAR_TEMPLATE: &str = "{spinner} [{bar:32}] {prefix}\n  {wide_msg}";

/// What shows a running import.
pub(crate) trait Progress {
    /// Shows the import as it is at `now`, a time since any fixed moment.
    fn show(&mut self, import: &ImportModel, now: Duration);
    /// Shows that the database did not answer and is asked again.
    fn waiting(&mut self, reason: &str);
    /// Takes away what must not stay on the screen.
    fn end(&mut self);
}

/// The display that fits where stderr goes and what was asked for.
pub(crate) fn display(json_lines: bool) -> Box<dyn Progress> {
    if json_lines {
        Box::new(JsonLines { last: None })
    } else if output::stderr_is_terminal() {
        Box::new(Bar::new())
    } else {
        Box::new(Lines { last: None })
    }
}

/// A bar that is drawn over itself.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(BAR_STEPS), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(BAR_TEMPLATE).expect("the template is constant");
        bar.set_style(style.progress_chars("=> "));
        Self(bar)
    }
}

impl Progress for Bar {
    fn show(&mut self, import: &ImportModel, _now: Duration) {
        let done = (import.percent_complete.clamp(0.0, 100.0) * BAR_STEPS as f64 / 100.0) as u64;
        self.0.set_position(done);
        self.0.set_prefix(progress_text(import));
        self.0.set_message(records_text(import));
        self.0.tick();
    }

    fn waiting(&mut self, reason: &str) {
        self.0.set_message(printable(reason));
        self.0.tick();
    }

    fn end(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line now and then, and at each change of phase.
struct Lines {
    last: Option<(Duration, String)>,
}

impl Progress for Lines {
    fn show(&mut self, import: &ImportModel, now: Duration) {
        let is_due = match &self.last {
            Some((at, phase)) => *phase != import.phase || now.saturating_sub(*at) >= LINE_INTERVAL,
            None => true,
        };
        if is_due {
            output::note(&text(import));
            self.last = Some((now, import.phase.clone()));
        }
    }

    fn waiting(&mut self, reason: &str) {
        output::note(&printable(reason));
    }

    fn end(&mut self) {}
}

/// Each state once, on stdout.
struct JsonLines {
    last: Option<ImportModel>,
}

impl Progress for JsonLines {
    fn show(&mut self, import: &ImportModel, _now: Duration) {
        if self.last.as_ref() != Some(import) {
            output::json_line(import);
            self.last = Some(import.clone());
        }
    }

    fn waiting(&mut self, reason: &str) {
        output::note(&printable(reason));
    }

    fn end(&mut self) {}
}

/// One line that says how far an import is.
pub(crate) fn text(import: &ImportModel) -> String {
    format!("{}  {}", progress_text(import), records_text(import))
}

/// How much is done, of what, and until when.
fn progress_text(import: &ImportModel) -> String {
    let mut parts = vec![format!("{:.1}%", import.percent_complete)];
    if !import.phase.is_empty() {
        parts.push(printable(&import.phase));
    }
    if let Some(left) = import.eta_seconds.and_then(seconds) {
        parts.push(format!("ETA {}", duration(left)));
    }
    parts.join("  ")
}

/// Records, their rate, and those that were left out.
fn records_text(import: &ImportModel) -> String {
    let read = count(import.records_read + import.records_under_way);
    let mut parts = vec![match import.records_total {
        Some(total) => format!("{read}/{} records", count(total)),
        None => format!("{read} records"),
    }];
    if let Some(rate) = import.records_per_second.filter(|rate| *rate > 0.0) {
        parts.push(format!("{}/s", count(rate as u64)));
    }
    parts.push(match import.records_rejected {
        0 => "no rejects".to_owned(),
        1 => "1 reject".to_owned(),
        many => format!("{} rejects", count(many)),
    });
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_known() {
        let mut import: ImportModel = serde_json::from_str(
            r#"{"id":"1","uri":"s3://b","status":"Pending","createdAt":"2026-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!(text(&import), "0.0%  0 records  no rejects");
        import.percent_complete = 42.25;
        import.phase = "loading".into();
        import.records_read = 4200;
        import.records_total = Some(10_000);
        import.records_per_second = Some(1234.5);
        import.eta_seconds = Some(4.7);
        import.records_rejected = 2;
        assert_eq!(
            text(&import),
            "42.2%  loading  ETA 4.7s  4,200/10,000 records  1,234/s  2 rejects"
        );
    }
}
