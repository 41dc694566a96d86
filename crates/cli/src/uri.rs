//! Import sources as people type them: a URI stays as it is, a path of this
//! machine becomes a `file://` URI.

use std::path::{Path, PathBuf};

use url::Url;

use crate::error::{CliError, Result};

/// The URI that `text` means. Links in a path are resolved, because imports
/// follow none.
pub(crate) fn import_uri(text: &str) -> Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let absolute = std::path::absolute(text)
        .map_err(|error| CliError::usage(format!("cannot read the path {text:?}: {error}")))?;
    let resolved = resolve(&absolute);
    let url = Url::from_file_path(&resolved)
        .map_err(|()| CliError::usage(format!("the path {text:?} cannot be written as a URI")))?;
    // `?` and `[` of a pattern must stay what they are; `*` is not encoded.
    Ok(if is_pattern(text) { url.as_str().replace("%3F", "?") } else { url.into() })
}

/// Whether the path is a pattern rather than the name of one thing.
fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?']) && !Path::new(text).exists()
}

/// `path` with the links resolved in as much of it as exists.
fn resolve(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(resolved) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).expect("an ancestor is a prefix");
            return if rest.as_os_str().is_empty() { resolved } else { resolved.join(rest) };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_stay_and_paths_become_uris() {
        assert_eq!(import_uri("s3://b/p").unwrap(), "s3://b/p");
        assert_eq!(import_uri("file:///x/../y").unwrap(), "file:///x/../y");
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("in put");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
        let text = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let expected = Url::from_file_path(&real).unwrap().to_string();
        assert!(expected.ends_with("in%20put"));
        assert_eq!(import_uri(&text("in put")).unwrap(), expected);
        assert_eq!(import_uri(&text("link")).unwrap(), expected);
        assert_eq!(import_uri(&text("link/a?.parquet")).unwrap(), expected.clone() + "/a?.parquet");
        assert_eq!(import_uri(&text("link/*.parquet")).unwrap(), expected + "/*.parquet");
    }
}
