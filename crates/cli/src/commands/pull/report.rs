//! What a pull shows: how far it is, and how it ended.

use std::time::Duration;

use crossbill_wire::ImportModel;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::checkpoint::{Checkpoint, Counts, Load, Namespace};
use crate::output;
use crate::table::printable;
use crate::units::{ByteSize, count};

/// Between two lines in a log.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
const BAR_TEMPLATE: &str = "{spinner} [{bar:32}] {wide_msg}";

/// The display of a pull that reads: a bar for someone who watches, a line
/// now and then for a log.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    last: Option<Duration>,
}

impl Progress {
    /// The display that fits where stderr goes.
    pub(super) fn new() -> Self {
        let bar = output::stderr_is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template(BAR_TEMPLATE).expect("the template is constant");
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Self { bar, last: None }
    }

    /// Shows how many records are read of how many that the source counted.
    pub(super) fn show(&mut self, namespace: &str, listed: u64, expected: u64, now: Duration) {
        let of = count(expected.max(listed));
        let text = format!(
            "pulling  {}/{of} records  namespace {:?}",
            count(listed),
            printable(namespace)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_length(expected.max(listed));
                bar.set_position(listed);
                bar.set_message(text);
            }
            None if self.last.is_none_or(|last| now.saturating_sub(last) >= LINE_INTERVAL) => {
                self.last = Some(now);
                output::note(&text);
            }
            None => {}
        }
    }

    /// Takes away what must not stay on the screen.
    pub(super) fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The lines that sum a pull up.
pub(super) fn summary(checkpoint: &Checkpoint) -> String {
    let Counts { listed, fetched, vanished, refused } = checkpoint.counts();
    let files = checkpoint.files().count() as u64;
    let bytes = checkpoint.files().map(|file| file.bytes).sum();
    let errand = &checkpoint.errand;
    let mut lines = vec![
        format!("pulled {} into {}", printable(&errand.from), errand.into),
        format!(
            "listed {} = fetched {} + vanished {}; refused {} of those fetched",
            count(listed),
            count(fetched),
            count(vanished),
            count(refused)
        ),
        format!(
            "{} namespaces, {} files of {}",
            count(checkpoint.namespaces.len() as u64),
            count(files),
            ByteSize(bytes)
        ),
    ];
    let left_out = (vanished + refused) as usize;
    if left_out > 0 {
        lines.push("left out:".to_owned());
        lines.extend(checkpoint.notes.iter().map(|note| format!("  {}", printable(note))));
        if left_out > checkpoint.notes.len() {
            lines.push(format!("  and {} more", left_out - checkpoint.notes.len()));
        }
    }
    lines.join("\n")
}

/// The same as one document.
pub(super) fn document(checkpoint: &Checkpoint, import: Option<&ImportModel>) -> Value {
    let counts = checkpoint.counts();
    let namespaces: Vec<Value> = checkpoint.namespaces.iter().map(of_namespace).collect();
    json!({
        "from": checkpoint.errand.from,
        "into": checkpoint.errand.into,
        "listed": counts.listed,
        "fetched": counts.fetched,
        "vanished": counts.vanished,
        "refused": counts.refused,
        "namespaces": namespaces,
        "notes": checkpoint.notes,
        "import": import,
    })
}

fn of_namespace(namespace: &Namespace) -> Value {
    let counts = namespace.counts;
    json!({
        "name": namespace.name,
        "load": match namespace.load { Load::Import => "import", Load::Upsert => "upsert" },
        "listed": counts.listed,
        "fetched": counts.fetched,
        "vanished": counts.vanished,
        "refused": counts.refused,
        "files": namespace.files.len(),
    })
}
