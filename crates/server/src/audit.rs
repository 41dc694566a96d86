//! The audit log: a file of JSON lines that says who changed what, and who
//! was refused. Never the body, the query or a header of a request, which may
//! hold what nobody else should read.
//!
//! A line is in the file before its request is answered; it is not forced to
//! the disk. Where it cannot be written the request goes on, and the log of
//! the server has the error.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbill_core::limits::AUDITED_REFUSALS_PER_SECOND;
use crossbill_core::{Clock, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;

use crate::rate::{Bucket, RateLimit};

/// A file that lines are added to. Clones write to the same.
#[derive(Debug, Clone)]
pub struct AuditLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: Mutex<File>,
    refusals: Bucket,
    /// Refusals that had no line since the last one that has.
    left_out: AtomicU64,
}

/// A line of a request.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    pub(crate) request_id: &'a str,
    /// The name of the key; absent where none was asked for or none was right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<&'a str>,
    pub(crate) peer: IpAddr,
    /// The index that was asked, where the listener is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<&'a str>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a, T> {
    time: String,
    event: &'a str,
    #[serde(flatten)]
    of: T,
    #[serde(skip_serializing_if = "is_zero")]
    refusals_left_out: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl AuditLog {
    /// Adds to the file at `path`, or makes it, for its owner only.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            file: Mutex::new(append_to(path)?),
            refusals: Bucket::default(),
            left_out: AtomicU64::new(0),
        })))
    }

    /// Goes on in a new file of the same name, where the old one was renamed.
    pub fn reopen(&self) -> io::Result<()> {
        let file = append_to(&self.0.path)?;
        *self.0.file.lock() = file;
        Ok(())
    }

    /// Something that happened to the server itself, such as new keys.
    pub fn note_event(&self, clock: &dyn Clock, event: &str, detail: &str) {
        #[derive(Serialize)]
        struct Of<'a> {
            detail: &'a str,
        }
        self.write(clock.now(), event, Of { detail });
    }

    /// A request that changed something.
    pub(crate) fn note_change(&self, clock: &dyn Clock, entry: &Entry<'_>) {
        self.write(clock.now(), "change", entry);
    }

    /// A request that was refused for want of a key or a right.
    pub(crate) fn note_refusal(&self, clock: &dyn Clock, monotonic: Duration, entry: &Entry<'_>) {
        let limit = RateLimit::per_second(AUDITED_REFUSALS_PER_SECOND);
        match limit.is_none_or(|limit| self.0.refusals.take(limit, monotonic)) {
            true => self.write(clock.now(), "refusal", entry),
            false => drop(self.0.left_out.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn write(&self, time: Timestamp, event: &str, of: impl Serialize) {
        let refusals_left_out = self.0.left_out.swap(0, Ordering::Relaxed);
        let line = Line { time: time.to_string(), event, of, refusals_left_out };
        let written = serde_json::to_vec(&line).map_err(io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            self.0.file.lock().write_all(&line)
        });
        if let Err(error) = written {
            let path = self.0.path.display();
            tracing::error!(%error, %path, "a line of the audit log cannot be written");
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use crossbill_core::SystemClock;
    use serde_json::{Value, json};

    use super::*;

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lines_go_on_in_a_new_file_once_it_was_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("audit"), dir.path().join("audit.1"));
        let log = AuditLog::open(&path).unwrap();
        let clock = SystemClock::new();
        log.note_event(&clock, "keys", "first");
        std::fs::rename(&path, &old).unwrap();
        log.note_event(&clock, "keys", "second");
        log.reopen().unwrap();
        log.note_event(&clock, "keys", "third\nand more");
        assert_eq!(lines(&old).len(), 2);
        let only = &lines(&path)[0];
        assert_eq!((&only["event"], &only["detail"]), (&json!("keys"), &json!("third\nand more")));
    }

    #[test]
    fn refusals_are_bounded_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let log = AuditLog::open(&path).unwrap();
        let clock = SystemClock::new();
        let entry = Entry {
            request_id: "r",
            key: None,
            peer: IpAddr::from([127, 0, 0, 1]),
            index: None,
            method: "GET",
            path: "/indexes",
            status: 401,
            error: Some("Invalid API key."),
        };
        for _ in 0..AUDITED_REFUSALS_PER_SECOND + 5 {
            log.note_refusal(&clock, Duration::from_secs(9), &entry);
        }
        log.note_refusal(&clock, Duration::from_secs(99), &entry);
        let lines = lines(&path);
        assert_eq!(lines.len(), AUDITED_REFUSALS_PER_SECOND as usize + 1);
        assert_eq!(lines.last().unwrap()["refusals_left_out"], 5);
        assert_eq!(lines[0].get("refusals_left_out"), None);
        assert_eq!(lines[0]["peer"], "127.0.0.1");
    }
}
