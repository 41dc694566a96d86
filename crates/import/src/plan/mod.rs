//! From a listing and its footers to tasks: what an import will do, decided
//! before a byte of data is read.

mod cut;
pub(crate) mod layout;
mod survey;

use std::collections::BTreeMap;

use crossbill_core::{DocumentFields, Error, IndexShape, Seed, TextSchema};
use crossbill_store::{SkippedEntry, Source, SourceObject, killpoint};
use serde::{Deserialize, Serialize};

use crate::decode::Survey;
use crate::mapping::{ColumnMapping, FILE_MARK};
use crate::source::Format;
use crate::{
    ErrorMode, ImportError, ImportSettings, ImportWatch, LoadedFiles, Phase, Reject, SourceFile,
    TaskSpec,
};
use cut::Cutter;
use layout::{check_limits, lay_out, quoted};
use survey::survey;

pub(crate) use survey::source_error;

/// Columns named in a warning at most.
const WARNED_COLUMNS_MAX: usize = 10;

/// What an import is to read, and into what.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// The import's id.
    pub import: String,
    /// The source's URI.
    pub uri: String,
    /// The integration that gives access to it, where one was named.
    pub integration: Option<String>,
    /// The key under the root that the index's objects stand below
    /// (`indexes/<uid>`).
    pub index_dir: String,
    /// What the index fixes.
    pub shape: IndexShape,
    /// Its fields that are searched as text.
    pub text: TextSchema,
    /// Which fields hold the vectors, in an index of documents.
    pub documents: Option<DocumentFields>,
    /// Where random choices start.
    pub seed: Seed,
    /// What happens on a bad record.
    pub error_mode: ErrorMode,
    /// Errors, records and files, that the import may have.
    pub errors_max: Option<u64>,
    /// Whether it only reads and checks.
    pub dry_run: bool,
    /// Files to pass over, because they were loaded before.
    pub loaded: LoadedFiles,
    /// Which columns hold what.
    pub mapping: ColumnMapping,
}

/// A file that will be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// The file, pinned by its ETag.
    pub file: SourceFile,
    /// The namespace its records go to.
    pub namespace: String,
    /// Rows its footer promises.
    pub rows: u64,
    /// Packed bytes of the columns to read.
    pub bytes: u64,
    /// Where it lies: the same for every URI that means it.
    #[serde(default)]
    pub location: String,
}

/// What an import will do, fixed before a byte of data is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The files to be read, in order.
    pub files: Vec<PlannedFile>,
    /// The work, in source order.
    pub tasks: Vec<TaskSpec>,
    /// Files that were passed over because they were loaded before.
    #[serde(default)]
    pub files_skipped: u64,
    /// Files that are not read, in path order: those passed over, and those
    /// of `file_errors`. Their rows are not known.
    #[serde(default)]
    pub passed: Vec<PlannedFile>,
    /// What was ignored and why, for people.
    pub warnings: Vec<String>,
    /// Files that cannot be read at all, in order. In abort mode only the
    /// first: the plan ends there, so that the import imports what stands
    /// before it and then fails with it.
    pub file_errors: Vec<Reject>,
    /// What happens on a bad record or file.
    pub error_mode: ErrorMode,
    /// Errors, records and files, that the import may have.
    #[serde(default)]
    pub errors_max: Option<u64>,
    /// Rows all footers promise.
    pub rows_total: u64,
    /// Packed bytes of all columns to read.
    pub bytes_total: u64,
}

/// Lists the source, reads every footer, and cuts the work into tasks.
///
/// A file that cannot be read is one of the plan's `file_errors`; an error
/// comes back where there is nothing to import, a limit is broken, the
/// source fails or the import is cancelled.
pub fn plan(
    source: &Source,
    request: &PlanRequest,
    settings: &ImportSettings,
    watch: &ImportWatch,
) -> Result<Plan, ImportError> {
    let source = source.clone().with_cancel(watch.cancel_flag());
    watch.set_phase(Phase::Listing);
    let (objects, skipped) = source.list_with_skipped().map_err(source_error)?;
    let listed = objects.len();
    let mut found = lay_out(objects, settings.limits.namespace_chars);
    found.warnings.extend(skipped_warning(&skipped));
    if found.files.is_empty() && found.misplaced.is_empty() {
        return Err(nothing_found(request, listed, &found.warnings));
    }
    if let Some(reason) = found.unclear {
        return Err(ImportError::Failed(Error::invalid(reason)));
    }
    // Before anything is left out: ids of a file that was loaded count too.
    check_prefix(&found, &request.mapping)?;
    let skipped = skip_loaded(&source, request, &mut found);
    check_limits(&found, settings).map_err(|error| Error::invalid(error.to_string()))?;
    watch.set_phase(Phase::Planning);
    killpoint::reach("import.listed");
    let surveys = survey(&source, &found.files, request, watch)?;
    let mut plan = assemble(request, settings, found, surveys);
    plan.files_skipped = skipped.len() as u64;
    plan.passed.extend(skipped);
    plan.passed.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    for planned in plan.files.iter_mut().chain(&mut plan.passed) {
        planned.location = source.location(&planned.file.object());
    }
    watch.set_totals(&plan);
    Ok(plan)
}

/// Takes out what was loaded before.
fn skip_loaded(
    source: &Source,
    request: &PlanRequest,
    found: &mut layout::Layout,
) -> Vec<PlannedFile> {
    if request.loaded.is_empty() {
        return Vec::new();
    }
    let known = |(object, namespace): &mut (SourceObject, String)| {
        let location = source.location(object);
        request.loaded.contains(namespace, &location, object.version(), object.size)
    };
    let skipped = found.files.extract_if(.., known);
    skipped.map(|(object, namespace)| unread(object.into(), namespace)).collect()
}

/// A file that is not read.
fn unread(file: SourceFile, namespace: String) -> PlannedFile {
    PlannedFile { file, namespace, rows: 0, bytes: 0, location: String::new() }
}

fn nothing_found(request: &PlanRequest, listed: usize, warnings: &[String]) -> ImportError {
    let mut message = match listed {
        0 => format!("no file to import found: there is nothing at {}", request.uri),
        1 => format!("no file to import found among the 1 file at {}", request.uri),
        count => format!("no file to import found among the {count} files at {}", request.uri),
    };
    if !warnings.is_empty() {
        message.push_str(&format!(" ({})", warnings.join("; ")));
    }
    message.push_str(
        "; expected .parquet files (or .jsonl, .arrow, .npy) at the prefix or in a directory per \
         namespace below it",
    );
    ImportError::Failed(Error::not_found(message))
}

/// Ids made of row numbers alone would be the same in every file.
fn check_prefix(found: &layout::Layout, mapping: &ColumnMapping) -> Result<(), ImportError> {
    let is_numpy = |path: &str| Format::of(path) == Some(Format::Numpy);
    let any_numpy = found.files.first().is_some_and(|(file, _)| is_numpy(&file.path));
    let prefix = match &mapping.id_prefix {
        Some(prefix) => prefix.as_str(),
        None if any_numpy => "",
        None => return Ok(()),
    };
    let mut files = found.files.iter().zip(found.files.iter().skip(1));
    let shared = files.find(|((_, one), (_, next))| one == next);
    let Some(((first, namespace), (second, _))) = shared.filter(|_| !prefix.contains(FILE_MARK))
    else {
        return Ok(());
    };
    Err(ImportError::Failed(Error::invalid(format!(
        "ids are made of the prefix {} and the number of the row in its file, but namespace {} \
         has several files ({}, {}), whose ids would be the same; expected a prefix with the \
         file's name in it, such as \"idPrefix\": \"{FILE_MARK}-\" (in a shell: --id-prefix \
         '{FILE_MARK}-')",
        quoted(prefix),
        quoted(namespace),
        quoted(&first.path),
        quoted(&second.path),
    ))))
}

fn skipped_warning(skipped: &[SkippedEntry]) -> Option<String> {
    let first = skipped.first()?;
    Some(format!(
        "passed over {} entries that are no plain files, the first is {} ({})",
        skipped.len(),
        quoted(&first.path),
        first.reason
    ))
}

fn assemble(
    request: &PlanRequest,
    settings: &ImportSettings,
    found: layout::Layout,
    surveys: Vec<Result<Survey, Box<Reject>>>,
) -> Plan {
    let mut entries: Vec<_> = found
        .files
        .into_iter()
        .zip(surveys)
        .map(|((object, namespace), survey)| (SourceFile::from(object), namespace, survey))
        .chain(found.misplaced.into_iter().map(|(object, reject)| {
            (SourceFile::from(object), String::new(), Err(Box::new(reject)))
        }))
        .collect();
    entries.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    if request.error_mode == ErrorMode::Abort
        && let Some(first) = entries.iter().position(|(_, _, survey)| survey.is_err())
    {
        entries.truncate(first + 1);
    }
    let good = entries.iter().filter_map(|(_, _, survey)| survey.as_ref().ok());
    let rows = good.flat_map(|survey| &survey.groups).map(|group| group.rows).sum();
    let broken = entries.iter().filter(|(_, _, survey)| survey.is_err()).count() as u64;
    let errors_max = request.errors_max.map(|max| max.saturating_sub(broken));
    let mut cutter = Cutter::new(request, settings, rows, errors_max);
    let mut ignored = Ignored::default();
    let (mut files, mut passed, mut file_errors) = (Vec::new(), Vec::new(), Vec::new());
    for (file, namespace, survey) in entries {
        match survey {
            Ok(survey) => {
                let rows = survey.groups.iter().map(|group| group.rows).sum();
                let bytes = survey.groups.iter().map(|group| group.bytes).sum();
                ignored.note(&file.path, &survey.ignored);
                let location = String::new();
                let planned = PlannedFile { file, namespace, rows, bytes, location };
                cutter.add(&planned, &survey.groups);
                files.push(planned);
            }
            Err(reject) => {
                passed.push(unread(file, namespace));
                file_errors.push(*reject);
            }
        }
    }
    let mut warnings = found.warnings;
    warnings.extend(ignored.warning());
    Plan {
        rows_total: files.iter().map(|file| file.rows).sum(),
        bytes_total: files.iter().map(|file| file.bytes).sum(),
        tasks: cutter.finish(),
        files,
        files_skipped: 0,
        passed,
        warnings,
        file_errors,
        error_mode: request.error_mode,
        errors_max: request.errors_max,
    }
}

/// Columns that are not read: their names, and in how many files.
#[derive(Default)]
struct Ignored {
    columns: BTreeMap<String, u64>,
    first_file: Option<String>,
}

impl Ignored {
    fn note(&mut self, path: &str, columns: &[String]) {
        if !columns.is_empty() && self.first_file.is_none() {
            self.first_file = Some(path.to_owned());
        }
        for column in columns {
            *self.columns.entry(column.clone()).or_default() += 1;
        }
    }

    fn warning(&self) -> Option<String> {
        let first = self.first_file.as_ref()?;
        let names: Vec<String> =
            self.columns.keys().take(WARNED_COLUMNS_MAX).map(|name| quoted(name)).collect();
        let more = self.columns.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let plural = if self.columns.len() == 1 { "column" } else { "columns" };
        Some(format!(
            "ignored the {plural} {}{more} (first seen in {})",
            names.join(", "),
            quoted(first)
        ))
    }
}

#[cfg(test)]
mod tests;
