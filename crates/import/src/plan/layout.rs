//! Which of the listed objects are imported, and into which namespace.

use crossbill_core::{NamespaceName, limits::QUOTED_CHARS_MAX};
use crossbill_store::SourceObject;

use crate::failure::file_reject;
use crate::reject::{Reject, codes};
use crate::source::Format;
use crate::{ImportSettings, settings::LimitError};

/// A listing, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Files of one format and their namespaces, in path order.
    pub(crate) files: Vec<(SourceObject, String)>,
    /// Files that cannot be imported because of where they are, in path order.
    pub(crate) misplaced: Vec<(SourceObject, Reject)>,
    /// What was passed over.
    pub(crate) warnings: Vec<String>,
    /// Why it is not clear which files are meant.
    pub(crate) unclear: Option<String>,
}

/// Sorts a listing out by the layout rules: the first-level directory is the
/// namespace, whatever is deeper belongs to it, and files at the prefix go to
/// the default namespace. An import reads files of one format.
pub(crate) fn lay_out(mut objects: Vec<SourceObject>, namespace_chars_max: usize) -> Layout {
    objects.sort_by(|a, b| a.path.cmp(&b.path));
    let mut layout = Layout::default();
    let (mut hidden, mut other) = (Passed::default(), Passed::default());
    let mut found = Vec::new();
    for object in objects {
        if is_hidden(&object.path) {
            hidden.note(&object.path);
            continue;
        }
        match Format::of(&object.path) {
            Some(format) => found.push((object, format.name())),
            // Object stores show a directory as an empty object now and then.
            None if object.path.ends_with('/') => {}
            None => other.note(&object.path),
        }
    }
    let chosen = choose(&found, &mut layout.unclear);
    let mut beside = Passed::default();
    for (object, format) in found {
        if Some(format) != chosen {
            beside.note(&object.path);
            continue;
        }
        let directory = object.path.split_once('/').map_or("", |(first, _)| first);
        match NamespaceName::within(directory, namespace_chars_max) {
            Ok(namespace) => layout.files.push((object, namespace.as_str().to_owned())),
            Err(error) => {
                let reason = format!("its directory names no namespace: {error}");
                let reject = file_reject(&object.path, None, codes::FILE_NAMESPACE, &reason);
                layout.misplaced.push((object, reject));
            }
        }
    }
    layout.warnings.extend(hidden.warning("their names start with \"_\" or \".\""));
    layout.warnings.extend(other.warning("they are of no format that is read"));
    let reason = "there are Parquet files, and an import reads one format";
    layout.warnings.extend(beside.warning(reason));
    layout
}

/// Whether any part of the path is a name that data tools keep for
/// themselves. The default namespace's directory is no such name.
fn is_hidden(path: &str) -> bool {
    path.split('/')
        .enumerate()
        .filter(|(depth, name)| *depth > 0 || *name != NamespaceName::DEFAULT)
        .any(|(_, name)| name.starts_with(['_', '.']))
}

/// The format that is read: Parquet where there is any, so that what lies
/// beside it never joins in; otherwise the only one there is.
fn choose(
    found: &[(SourceObject, &'static str)],
    unclear: &mut Option<String>,
) -> Option<&'static str> {
    let parquet = Format::Parquet.name();
    if found.iter().any(|(_, format)| *format == parquet) {
        return Some(parquet);
    }
    let (first, format) = found.first()?;
    if let Some((other, other_format)) = found.iter().find(|(_, other)| other != format) {
        *unclear = Some(format!(
            "there are files of several formats, such as {} ({format}) and {} ({other_format}), \
             and an import reads one; expected a URI that ends with a pattern such as *.jsonl",
            quoted(&first.path),
            quoted(&other.path),
        ));
    }
    Some(format)
}

/// Objects passed over for one reason.
#[derive(Debug, Default)]
struct Passed {
    count: u64,
    first: String,
}

impl Passed {
    fn note(&mut self, path: &str) {
        if self.count == 0 {
            self.first = path.to_owned();
        }
        self.count += 1;
    }

    fn warning(&self, reason: &str) -> Option<String> {
        let first = quoted(&self.first);
        match self.count {
            0 => None,
            1 => Some(format!("ignored 1 file because {reason}: {first}")),
            count => Some(format!("ignored {count} files because {reason}, the first is {first}")),
        }
    }
}

/// A name in quotes, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Checks what a listing can tell about the limits.
pub(crate) fn check_limits(layout: &Layout, settings: &ImportSettings) -> Result<(), LimitError> {
    let (files, files_max) = (layout.files.len() as u64, settings.files_max as u64);
    let what = || "files in the import".to_owned();
    LimitError::check("import-files-max", what, files, files_max)?;
    let mut bytes = std::collections::BTreeMap::<&str, u64>::new();
    for (object, namespace) in &layout.files {
        let what = || format!("bytes in {}", object.path);
        LimitError::check("import-file-bytes-max", what, object.size, settings.file_bytes_max)?;
        let sum = bytes.entry(namespace).or_default();
        *sum = sum.saturating_add(object.size);
    }
    let (namespaces, namespaces_max) = (bytes.len() as u64, settings.namespaces_max as u64);
    let what = || "namespaces in the import".to_owned();
    LimitError::check("import-namespaces-max", what, namespaces, namespaces_max)?;
    for (namespace, bytes) in bytes {
        let what = || format!("bytes in namespace {namespace:?}");
        let (setting, limit) = ("import-namespace-bytes-max", settings.namespace_bytes_max);
        LimitError::check(setting, what, bytes, limit)?;
    }
    Ok(())
}
