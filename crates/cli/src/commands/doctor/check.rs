//! Checks as they are shown: a line each as they come, or one JSON document.

use serde_json::{Value, json};

use crate::error::Exit;
use crate::output;
use crate::table::printable;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Warning,
    Problem,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Problem => "problem",
        }
    }
}

/// What was checked so far.
pub(super) struct Report {
    json: bool,
    checks: Vec<Value>,
    warnings: u64,
    problems: u64,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, checks: Vec::new(), warnings: 0, problems: 0 }
    }

    /// All is well.
    pub(super) fn ok(&mut self, name: &str, found: impl AsRef<str>) {
        self.add(Status::Ok, name, found.as_ref(), None);
    }

    /// It works; somebody may want to know.
    pub(super) fn warning(&mut self, name: &str, found: impl AsRef<str>, advice: impl AsRef<str>) {
        self.add(Status::Warning, name, found.as_ref(), Some(advice.as_ref()));
    }

    /// It does not work, or data is lost.
    pub(super) fn problem(&mut self, name: &str, found: impl AsRef<str>, advice: impl AsRef<str>) {
        self.add(Status::Problem, name, found.as_ref(), Some(advice.as_ref()));
    }

    /// More findings of a kind that were counted and not kept.
    pub(super) fn count(&mut self, warnings: u64, problems: u64) {
        self.warnings += warnings;
        self.problems += problems;
    }

    fn add(&mut self, status: Status, name: &str, found: &str, advice: Option<&str>) {
        match status {
            Status::Ok => {}
            Status::Warning => self.warnings += 1,
            Status::Problem => self.problems += 1,
        }
        if self.json {
            let mut check = json!({"check": name, "status": status.as_str(), "found": found});
            if let Some(advice) = advice {
                check["advice"] = advice.into();
            }
            self.checks.push(check);
            return;
        }
        // One line, whatever a file's name or a server's answer holds.
        let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        let text = printable(&format!("{found}{advice}"));
        output::line(&format!("{:<8} {name:<13} {text}", status.as_str()));
    }

    /// Says how it ended.
    pub(super) fn end(self) -> Exit {
        if self.json {
            output::document(&json!({
                "checks": self.checks,
                "problems": self.problems,
                "warnings": self.warnings,
            }));
        } else {
            let counted = |number: u64, what: &str| match number {
                0 => format!("no {what}"),
                1 => format!("1 {what}"),
                more => format!("{more} {what}s"),
            };
            let (problems, warnings) =
                (counted(self.problems, "problem"), counted(self.warnings, "warning"));
            output::note(&format!("{problems}, {warnings}"));
        }
        match self.problems {
            0 => Exit::Success,
            _ => Exit::Failed,
        }
    }
}
