//! `crossbill imports rejects ID --export FILE`: every reject with its record,
//! streamed into a file, so that records can be mended and imported again.
//!
//! The record's own columns come first and under the names that an import
//! looks for; the reasons beside them are columns that it ignores. Documents are
//! written as JSON lines, under the names of their own fields, with the reasons
//! in a field that it ignores, too.

mod parquet;
mod record;
mod text;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crossbill_wire::RejectModel;
use serde_json::json;

use self::parquet::ParquetRejects;
use crate::client::Client;
use crate::commands::with_hint;
use crate::error::{CliError, Exit, Result};
use crate::output;
use crate::units::count;
use record::Record;
use text::{CsvRejects, DocumentRejects, JsonRejects};

/// The namespace of files that stand in no directory.
const DEFAULT_NAMESPACE: &str = "__default__";

/// A file that rejects are written to, in source order.
trait Rejects {
    fn add(&mut self, reject: &RejectModel, record: &Record) -> Result<()>;
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Writes all rejects of import `id` to `target`.
pub(crate) fn run(
    client: &dyn Client,
    index: &str,
    id: &str,
    target: &Path,
    json: bool,
) -> Result<Exit> {
    let described = client.describe_index(index);
    let model = described.map_err(|error| with_hint(error, index, client))?;
    let mut export = Export::new(target, model.schema.document_fields().is_some())?;
    let mut offset = 0;
    loop {
        let page = client
            .whole_rejects(index, id, offset)
            .map_err(|error| with_hint(error, index, client))?;
        offset += page.data.len() as u64;
        page.data.iter().try_for_each(|reject| export.add(reject))?;
        if page.data.is_empty() || offset >= page.total {
            break;
        }
    }
    let counts = export.finish()?;
    if json {
        output::document(&json!({
            "rejects": counts.rejects, "records": counts.records, "incomplete": counts.incomplete,
            "unread": counts.unread, "files": counts.files,
        }));
    } else {
        counts.tell(target);
    }
    Ok(Exit::Success)
}

/// What was written.
#[derive(Default)]
struct Counts {
    rejects: u64,
    /// Rejects that are records, not files.
    records: u64,
    /// Records of which only the beginning was kept.
    incomplete: u64,
    /// Lines that were no record.
    unread: u64,
    files: Vec<PathBuf>,
}

impl Counts {
    fn tell(&self, target: &Path) {
        output::line(&format!("{} rejects written to {}", count(self.rejects), target.display()));
        if self.rejects > self.records {
            let files = self.rejects - self.records;
            output::note(&format!("{} of them are files that could not be read", count(files)));
        }
        if self.incomplete > 0 {
            output::note(&format!(
                "{} records were too long to be kept whole: take them from the source",
                count(self.incomplete)
            ));
        }
        if self.unread > 0 {
            output::note(&format!(
                "{} lines could not be taken apart: they stand in the column \"record\"",
                count(self.unread)
            ));
        }
    }
}

/// Where rejects go: one file, or one for each namespace.
struct Export {
    target: Target,
    /// Whether the records are documents.
    documents: bool,
    /// By the path they get once all is written.
    open: BTreeMap<PathBuf, Box<dyn Rejects>>,
    counts: Counts,
}

enum Target {
    File(PathBuf, Kind),
    /// `DIR/<namespace>/rejects.parquet`, or `.jsonl` of documents: the layout
    /// that an import reads.
    Directory(PathBuf),
}

#[derive(Clone, Copy)]
enum Kind {
    Parquet,
    JsonLines,
    /// JSON lines, each a document.
    Documents,
    Csv,
}

impl Export {
    fn new(target: &Path, documents: bool) -> Result<Self> {
        let target = if target.is_dir() || target.to_string_lossy().ends_with('/') {
            let is_empty = target.read_dir().map_or(true, |mut entries| entries.next().is_none());
            if !is_empty {
                return Err(exists(target, "an empty directory"));
            }
            Target::Directory(target.to_owned())
        } else {
            if target.exists() {
                return Err(exists(target, "a new file"));
            }
            let kind = match target.extension().and_then(|kind| kind.to_str()) {
                Some("parquet") if !documents => Kind::Parquet,
                Some("jsonl" | "ndjson") if documents => Kind::Documents,
                Some("jsonl" | "ndjson") => Kind::JsonLines,
                Some("csv") => Kind::Csv,
                _ => return Err(unknown_ending(target, documents)),
            };
            Target::File(target.to_owned(), kind)
        };
        let (open_files, counts) = (BTreeMap::new(), Counts::default());
        let mut export = Self { target, documents, open: open_files, counts };
        if let Target::File(path, kind) = &export.target {
            let writer = open(path, *kind)?;
            export.open.insert(path.clone(), writer);
        }
        Ok(export)
    }

    fn add(&mut self, reject: &RejectModel) -> Result<()> {
        let record = match self.documents {
            true => Record::of_document(reject),
            false => Record::of(reject),
        };
        self.counts.rejects += 1;
        self.counts.records += u64::from(reject.row.is_some());
        self.counts.incomplete += u64::from(record.is_incomplete());
        self.counts.unread += u64::from(record.is_no_record());
        let (path, kind) = match &self.target {
            Target::File(path, kind) => (path.clone(), *kind),
            // A file that could not be read has no record to mend.
            Target::Directory(_) if reject.row.is_none() => return Ok(()),
            Target::Directory(directory) => {
                let namespace = reject.file.split_once('/').map_or(DEFAULT_NAMESPACE, |(n, _)| n);
                let (file, kind) = match self.documents {
                    true => ("rejects.jsonl", Kind::Documents),
                    false => ("rejects.parquet", Kind::Parquet),
                };
                (directory.join(namespace).join(file), kind)
            }
        };
        let writer = match self.open.get_mut(&path) {
            Some(writer) => writer,
            None => {
                // Rejects come in the order of the source, one namespace after
                // the other: only one file is open at a time.
                self.close()?;
                let writer = open(&path, kind)?;
                self.open.entry(path).or_insert(writer)
            }
        };
        writer.add(reject, &record)
    }

    /// Gives the files that are written their names: one that was cut off
    /// never looks whole.
    fn close(&mut self) -> Result<()> {
        for (path, writer) in std::mem::take(&mut self.open) {
            writer.finish()?;
            std::fs::rename(unfinished(&path), &path).map_err(|error| failed(&path, &error))?;
            self.counts.files.push(path);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Counts> {
        self.close()?;
        Ok(self.counts)
    }
}

fn open(path: &Path, kind: Kind) -> Result<Box<dyn Rejects>> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    }
    if path.exists() {
        return Err(exists(path, "a new file"));
    }
    let file = File::create(unfinished(path)).map_err(|error| failed(path, &error))?;
    let (file, path) = (BufWriter::new(file), path.to_owned());
    Ok(match kind {
        Kind::Parquet => Box::new(ParquetRejects::new(file, path)?),
        Kind::JsonLines => Box::new(JsonRejects::new(file, path)),
        Kind::Documents => Box::new(DocumentRejects::new(file, path)),
        Kind::Csv => Box::new(CsvRejects::new(file, path)?),
    })
}

fn unknown_ending(target: &Path, documents: bool) -> CliError {
    let (parquet, of_documents) = match documents {
        true => ("", " (the index holds documents)"),
        false => (".parquet, ", ""),
    };
    CliError::usage(format!(
        "--export is {:?}, expected a name that ends with {parquet}.jsonl or .csv, or a directory \
         that ends with /{of_documents}",
        target.display().to_string()
    ))
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    PathBuf::from(name)
}

fn exists(path: &Path, expected: &str) -> CliError {
    CliError::usage(format!("{} exists already, expected {expected}", path.display()))
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::failed(format!("cannot write {}: {error}", path.display()))
}
