//! Names below an export's destination: those that imports read.

use crossbill_core::{Error, NamespaceName, Result};

/// Bytes of a directory's name on usual file systems.
const NAME_BYTES_MAX: usize = 255;
/// The ending of a file of records.
pub(super) const PARQUET: &str = "parquet";
/// The ending of a file of documents.
pub(super) const LINES: &str = "jsonl.zst";
/// What the export says about itself; imports pass over it.
pub(super) const MANIFEST: &str = "_crossbill-export.json";

/// The directory of a namespace.
///
/// # Errors
/// `Invalid` where an import would not read the namespace's name back from
/// it.
pub(super) fn directory_of(namespace: &str) -> Result<&str> {
    let hidden = namespace.starts_with(['_', '.']) && namespace != NamespaceName::DEFAULT;
    let bad = namespace.contains('/') || namespace.chars().any(char::is_control);
    if hidden || bad || namespace.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!(
            "namespace {namespace:?} cannot be a directory of files: its name would be a directory's, \
             expected at most {NAME_BYTES_MAX} bytes without \"/\" or control characters that \
             do not begin with \"_\" or \".\""
        )));
    }
    Ok(namespace)
}

/// The file of a namespace's part, of records in Parquet.
pub(crate) fn file_of(namespace: &str, part: usize) -> Result<String> {
    part_of(namespace, part, PARQUET)
}

/// The file of a namespace's part with this ending.
pub(super) fn part_of(namespace: &str, part: usize, ending: &str) -> Result<String> {
    Ok(format!("{}/part-{part:06}.{ending}", directory_of(namespace)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_come_back_are_directories() {
        assert_eq!(file_of("__default__", 3).unwrap(), "__default__/part-000003.parquet");
        assert_eq!(file_of("a b.c", 0).unwrap(), "a b.c/part-000000.parquet");
        for bad in ["a/b", "..", ".x", "_x", "a\nb", &"n".repeat(256)] {
            assert!(directory_of(bad).is_err(), "{bad}");
        }
    }
}
