//! Segments: each stored one is read as a whole, and is what its manifests say.

use std::collections::HashSet;

use crossbill_engine::Segment;
use crossbill_store::RootFile;

use super::references::{Expected, NAMESPACE_ADVICE, References};
use super::{Scrubber, is_gone, key};
use crate::catalog::Catalog;

/// Rows of a message that names who needs a part.
const NAMED_MAX: usize = 3;

impl Scrubber<'_> {
    /// Verifies every stored segment, and looks for those that are missing.
    pub(super) fn parts(
        &mut self,
        files: &[RootFile],
        references: &References,
        catalog: Option<&Catalog>,
    ) {
        let mut seen = HashSet::new();
        let mut vanished = Vec::new();
        for file in files.iter().filter(|file| is_segment(&file.path)) {
            seen.insert(file.path.as_str());
            let expected = references.parts.get(&file.path).map_or(&[][..], Vec::as_slice);
            if self.part(&file.path, file.bytes, expected).is_none() {
                vanished.push(file.path.clone());
            }
        }
        for (path, expected) in &references.parts {
            // Made since the files were listed, or missing.
            if !seen.contains(path.as_str()) && self.part(path, 0, expected).is_none() {
                vanished.push(path.clone());
            }
        }
        vanished.retain(|path| references.parts.contains_key(path));
        if vanished.is_empty() {
            return;
        }
        // A server merges and deletes: only what is still referred to is missing.
        let again = match catalog.filter(|_| self.report.is_live) {
            Some(_) => self.look_again(),
            None => None,
        };
        vanished.sort();
        for path in vanished {
            let needs = match &again {
                Some(again) => again.parts.get(&path),
                None => references.parts.get(&path),
            };
            if let Some(expected) = needs {
                let found = format!("the file is missing; {} needs it", named(expected));
                self.report.problem(&path, &found, NAMESPACE_ADVICE);
            }
        }
    }

    /// The references as they are now; their own findings were told before.
    fn look_again(&mut self) -> Option<References> {
        let kept = self.report.clone();
        let catalog = self.catalog();
        let mut again = References::default();
        if let Some(catalog) = &catalog {
            self.references(catalog, &mut again);
        }
        self.report = kept;
        catalog.map(|_| again)
    }

    /// Verifies one segment; nothing where the file is gone.
    fn part(&mut self, path: &str, bytes: u64, expected: &[Expected]) -> Option<()> {
        let opened = key(path).map_err(|error| error.message().to_owned());
        let opened = opened.and_then(|key| match self.root.open_part(&key) {
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error.to_string()),
            Ok(bytes) => Ok(Some(bytes)),
        });
        let found = match opened {
            Ok(None) => return None,
            Ok(Some(bytes)) => {
                let length = (*bytes).as_ref().len() as u64;
                self.report.segments += 1;
                match Segment::open(bytes) {
                    Ok(segment) => self.verify(&segment, length, expected),
                    Err(error) => {
                        self.read(length);
                        Err(error.to_string())
                    }
                }
            }
            Err(problem) => {
                self.read(bytes);
                Err(problem)
            }
        };
        if let Err(problem) = found {
            match expected.is_empty() {
                false => {
                    let found = format!("{problem}; {} needs it", named(expected));
                    self.report.problem(path, &found, NAMESPACE_ADVICE);
                }
                true => self.report.warning(
                    path,
                    &format!("{problem}; nothing refers to it"),
                    "the next start of the server deletes it",
                ),
            }
        }
        Some(())
    }

    fn verify(
        &mut self,
        segment: &Segment,
        length: u64,
        expected: &[Expected],
    ) -> Result<(), String> {
        for Expected { entry, shape, by } in expected {
            let found = (segment.rows(), segment.checksum(), length);
            if found != (entry.rows, entry.checksum, entry.bytes) {
                return Err(format!(
                    "found {} rows, checksum {:08x} and {} bytes, expected {}, {:08x} and {} as \
                     {by} says",
                    found.0, found.1, found.2, entry.rows, entry.checksum, entry.bytes
                ));
            }
            if segment.shape() != shape {
                return Err(format!(
                    "found records of shape {:?}, expected {shape:?} as {by} says",
                    segment.shape()
                ));
            }
        }
        // What opening it read, all but the vectors; they follow block by block.
        let mut left = length;
        let vectors = segment.vector_bytes();
        self.read(length.saturating_sub(vectors));
        left = left.min(vectors);
        let verified = segment.verify_in_steps(&mut |bytes| {
            let step = bytes.min(left);
            left -= step;
            self.read(step);
        });
        self.read(left);
        verified.map_err(|error| error.to_string())
    }
}

/// Whether a path is that of a segment.
pub(super) fn is_segment(path: &str) -> bool {
    path.starts_with("indexes/") && path.contains("/parts/") && path.ends_with(".seg")
}

fn named(expected: &[Expected]) -> String {
    let names: Vec<&str> = expected.iter().take(NAMED_MAX).map(|one| one.by.as_str()).collect();
    let more = expected.len().saturating_sub(NAMED_MAX);
    match more {
        0 => names.join(" and "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
