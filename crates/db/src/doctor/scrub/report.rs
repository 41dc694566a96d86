//! What a scrub found, in bounded memory.

/// Findings that are kept; more are counted.
const FINDINGS_MAX: usize = 1000;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is lost; somebody may want to know.
    Warning,
    /// Data is damaged or missing.
    Problem,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file or directory, below the data directory.
    pub place: String,
    /// What was found, and what was expected.
    pub found: String,
    /// What to do about it.
    pub advice: String,
}

/// What a scrub did and found.
#[derive(Debug, Clone, Default)]
pub struct ScrubReport {
    /// Whether another process owned the directory meanwhile.
    pub is_live: bool,
    /// Files below the directory.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Segments that were verified.
    pub segments: u64,
    /// Documents whose checksum was compared.
    pub documents: u64,
    /// Frames of logs that were decoded.
    pub frames: u64,
    /// Tables of rejected records that were decoded.
    pub reject_tables: u64,
    /// Namespaces of all indexes.
    pub namespaces: u64,
    /// What was found, problems and warnings, in the order of the checks.
    pub findings: Vec<Finding>,
    /// Problems in all, also those that `findings` has no room for.
    pub problems: u64,
    /// Warnings in all.
    pub warnings: u64,
}

impl ScrubReport {
    pub(super) fn problem(&mut self, place: &str, found: &str, advice: &str) {
        self.problems += 1;
        self.add(Severity::Problem, place, found, advice);
    }

    pub(super) fn warning(&mut self, place: &str, found: &str, advice: &str) {
        self.warnings += 1;
        self.add(Severity::Warning, place, found, advice);
    }

    fn add(&mut self, severity: Severity, place: &str, found: &str, advice: &str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                severity,
                place: place.to_owned(),
                found: found.to_owned(),
                advice: advice.to_owned(),
            });
        }
    }
}
