//! An import URI taken apart. The text is hostile: it names a scheme, a
//! bucket and a path, and nothing else; no host, port, user or option passes.

use std::fmt;
use std::path::PathBuf;

use crossbill_core::{Error, Result, limits};

use super::pattern::PathPattern;

/// A URI that the policy has checked. Displays as its user wrote it.
#[derive(Debug, Clone)]
pub struct SourceUri {
    pub(super) text: String,
    pub(super) integration: Option<String>,
    pub(super) place: Place,
    pub(super) pattern: PathPattern,
}

/// Where the files are.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Below `root`, a directory that the operator allows; `base` are the
    /// names from there to where the pattern's wildcards begin.
    File {
        root: PathBuf,
        base: Vec<String>,
    },
    S3 {
        bucket: String,
    },
}

impl SourceUri {
    /// The integration the user named.
    pub fn integration(&self) -> Option<&str> {
        self.integration.as_deref()
    }

    /// The URI as its user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for SourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A URI of the right form; whether it is allowed is another question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    File(PathPattern),
    S3 { bucket: String, pattern: PathPattern },
}

/// Takes `text` apart.
pub(crate) fn parse(text: &str) -> Result<Parsed> {
    let length = text.chars().count();
    let limit = limits::IMPORT_URI_CHARS_MAX;
    if length == 0 || length > limit {
        return Err(Error::invalid(format!(
            "the import uri has {length} characters, expected 1 to {limit}"
        )));
    }
    if let Some(found) = text.chars().find(|c| c.is_control()) {
        return Err(refuse(text, &format!("found the control character {found:?}")));
    }
    let form = "expected a scheme and a place, such as s3://bucket/directory";
    let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse(text, form))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match scheme.to_ascii_lowercase().as_str() {
        "file" => {
            if !matches!(authority, "" | "localhost") {
                let problem =
                    format!("found the host {authority:?}, expected none: file:///directory/file");
                return Err(refuse(text, &problem));
            }
            Ok(Parsed::File(pattern(text, path)?))
        }
        "s3" => {
            check_bucket(authority).map_err(|problem| refuse(text, &problem))?;
            Ok(Parsed::S3 { bucket: authority.to_owned(), pattern: pattern(text, path)? })
        }
        "gs" | "gcs" => Err(not_built(text, "Google Cloud Storage")),
        "az" | "azure" | "abfs" | "abfss" | "adl" | "wasb" | "wasbs" => {
            Err(not_built(text, "Azure Blob Storage"))
        }
        "https" if is_azure_host(authority) => Err(not_built(text, "Azure Blob Storage")),
        "http" | "https" => {
            let problem = "imports do not read from web addresses; expected s3:// or file://";
            Err(refuse(text, problem))
        }
        _ => {
            let problem = format!("found the scheme {:?}, expected s3 or file", quote(scheme));
            Err(refuse(text, &problem))
        }
    }
}

fn pattern(text: &str, path: &str) -> Result<PathPattern> {
    PathPattern::parse(path).map_err(|problem| refuse(text, &problem))
}

/// S3's rules for bucket names, which also keep ports, users and hosts out.
fn check_bucket(name: &str) -> std::result::Result<(), String> {
    if name.contains('@') {
        return Err("found a user before the bucket; credentials come only from an \
                    integration"
            .to_owned());
    }
    if name.contains(':') {
        return Err(
            "found a port after the bucket; endpoints come only from an integration".to_owned()
        );
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: u8| plain(byte) || matches!(byte, b'.' | b'-');
    let bytes = name.as_bytes();
    let looks_fine = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| inner(*byte))
        && bytes.first().is_some_and(|byte| plain(*byte))
        && bytes.last().is_some_and(|byte| plain(*byte))
        && !name.contains("..")
        && !name.split('.').all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if looks_fine {
        return Ok(());
    }
    Err(format!(
        "found the bucket {:?}, expected 3 to 63 characters of a-z, 0-9, '.', '-' that begin \
         and end with a letter or digit and are no IP address",
        quote(name)
    ))
}

fn is_azure_host(authority: &str) -> bool {
    authority.to_ascii_lowercase().ends_with(".blob.core.windows.net")
}

fn not_built(text: &str, what: &str) -> Error {
    Error::unsupported(format!(
        "import uri {:?}: {what} is not built into this version; expected s3:// or file://",
        quote(text)
    ))
}

pub(crate) fn refuse(text: &str, problem: &str) -> Error {
    Error::invalid(format!("import uri {:?}: {problem}", quote(text)))
}

/// As much of a user's text as an error message repeats: not a user part,
/// which may hold a password.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = text.to_owned();
    if let Some((scheme, rest)) = text.split_once("://") {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some((_, host)) = authority.rsplit_once('@') {
            quoted = format!("{scheme}://***@{host}/{path}");
        }
    }
    match quoted.char_indices().nth(limits::QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &quoted[..end]),
        None => quoted,
    }
}
