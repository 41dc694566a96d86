//! An import URI taken apart. The text is hostile: it names a scheme, a
//! bucket (in Azure also an account) and a path, and nothing else; no host of
//! its own, port, user or option passes.

use std::fmt;
use std::path::PathBuf;

use crossbill_core::{Error, Result, limits};

use super::integration::{StoreKind, is_account};
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
    Object(ObjectPlace),
}

/// A bucket of an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectPlace {
    pub kind: StoreKind,
    /// Azure's storage account; elsewhere empty.
    pub account: String,
    pub bucket: String,
    /// The URI as far as the bucket, for messages.
    pub root: String,
}

impl ObjectPlace {
    /// Whether both name the same bucket; one without an account leaves it
    /// open.
    pub(crate) fn is_same_bucket(&self, other: &Self) -> bool {
        let open = self.account.is_empty() || other.account.is_empty();
        self.kind == other.kind
            && self.bucket == other.bucket
            && (open || self.account == other.account)
    }
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
    Object { place: ObjectPlace, pattern: PathPattern },
}

/// What may stand before `://`, for messages.
const SCHEMES: &str = "s3://, gs://, az://, abfss://, https://ACCOUNT.blob.core.windows.net/ \
                       or file://";

/// Takes `text` apart.
pub(crate) fn parse(text: &str) -> Result<Parsed> {
    let length = text.chars().count();
    let limit = limits::IMPORT_URI_CHARS_CEILING;
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
        "s3" => object(text, StoreKind::S3, "", authority, path),
        "gs" | "gcs" => object(text, StoreKind::Gcs, "", authority, path),
        "az" if !authority.contains('@') => object(text, StoreKind::Azure, "", authority, path),
        "az" | "abfs" | "abfss" => {
            let (container, account) =
                hadoop_authority(authority).map_err(|problem| refuse(text, &problem))?;
            object(text, StoreKind::Azure, account, container, path)
        }
        "https" => azure_url(text, authority, path),
        "http" => Err(refuse(text, &format!("imports do not read http://; expected {SCHEMES}"))),
        _ => {
            let scheme = quote(scheme);
            Err(refuse(text, &format!("found the scheme {scheme:?}, expected {SCHEMES}")))
        }
    }
}

/// `https://ACCOUNT.blob.core.windows.net/CONTAINER/DIR`: the only address of
/// the web that is a source.
fn azure_url(text: &str, authority: &str, path: &str) -> Result<Parsed> {
    let host = authority.to_ascii_lowercase();
    let account = host.strip_suffix(".blob.core.windows.net");
    let Some(account) = account else {
        let problem = format!("imports do not read from web addresses; expected {SCHEMES}");
        return Err(refuse(text, &problem));
    };
    if path.contains(['?', '#']) {
        let problem = "found a query or fragment; a SAS token belongs in an integration of kind \
                       azure (for a wildcard write *, or use az://)";
        return Err(refuse(text, problem));
    }
    let (container, path) = path.split_once('/').unwrap_or((path, ""));
    object(text, StoreKind::Azure, account, container, path)
}

/// `CONTAINER@ACCOUNT.dfs.core.windows.net`, as Hadoop writes it.
fn hadoop_authority(authority: &str) -> std::result::Result<(&str, &str), String> {
    let expected = "expected CONTAINER@ACCOUNT.dfs.core.windows.net before the path";
    let (container, host) = authority.split_once('@').ok_or(expected)?;
    let account = host
        .strip_suffix(".dfs.core.windows.net")
        .or_else(|| host.strip_suffix(".blob.core.windows.net"));
    Ok((container, account.ok_or(expected)?))
}

fn object(text: &str, kind: StoreKind, account: &str, bucket: &str, path: &str) -> Result<Parsed> {
    if kind == StoreKind::Azure && !account.is_empty() && !is_account(account) {
        let problem = format!(
            "found the account {:?}, expected 3 to 24 characters of a-z and 0-9",
            // Not a user before it, who may have a password.
            quote(account.rsplit('@').next().unwrap_or_default())
        );
        return Err(refuse(text, &problem));
    }
    check_bucket(kind, bucket).map_err(|problem| refuse(text, &problem))?;
    let root = match (kind, account) {
        (StoreKind::S3, _) => format!("s3://{bucket}"),
        (StoreKind::Gcs, _) => format!("gs://{bucket}"),
        (StoreKind::Azure, "") => format!("az://{bucket}"),
        (StoreKind::Azure, _) => format!("az://{bucket}@{account}"),
    };
    let place = ObjectPlace { kind, account: account.to_owned(), bucket: bucket.to_owned(), root };
    Ok(Parsed::Object { place, pattern: pattern(text, path)? })
}

fn pattern(text: &str, path: &str) -> Result<PathPattern> {
    PathPattern::parse(path).map_err(|problem| refuse(text, &problem))
}

/// The stores' rules for names, which also keep ports, users and hosts out.
fn check_bucket(kind: StoreKind, name: &str) -> std::result::Result<(), String> {
    let what = kind.bucket_word();
    if name.contains('@') {
        return Err(format!(
            "found a user before the {what}; credentials come only from an integration"
        ));
    }
    if name.contains(':') {
        return Err(format!(
            "found a port after the {what}; endpoints come only from an integration"
        ));
    }
    let extra: &[u8] = match kind {
        StoreKind::S3 => b".-",
        StoreKind::Gcs => b".-_",
        StoreKind::Azure => b"-",
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let chars_max = if kind == StoreKind::Gcs && name.contains('.') { 222 } else { 63 };
    let looks_fine = (3..=chars_max).contains(&bytes.len())
        && bytes.iter().all(|byte| plain(*byte) || extra.contains(byte))
        && bytes.first().is_some_and(|byte| plain(*byte))
        && bytes.last().is_some_and(|byte| plain(*byte))
        && !name.contains("..")
        && !(kind == StoreKind::Azure && name.contains("--"))
        && (kind == StoreKind::Azure
            || !name.split('.').all(|part| part.bytes().all(|byte| byte.is_ascii_digit())));
    if looks_fine {
        return Ok(());
    }
    let extra: Vec<String> = extra.iter().map(|byte| format!("'{}'", char::from(*byte))).collect();
    Err(format!(
        "found the {what} {:?}, expected 3 to {chars_max} characters of a-z, 0-9, {} that begin \
         and end with a letter or digit and are no IP address",
        quote(name),
        extra.join(", ")
    ))
}

pub(crate) fn refuse(text: &str, problem: &str) -> Error {
    Error::invalid(format!("import uri {:?}: {problem}", quote(text)))
}

/// As much of a user's text as an error message repeats: not a user part,
/// which may hold a password, and not a query, which may hold a signature.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = text.to_owned();
    if let Some((scheme, rest)) = text.split_once("://") {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_web = scheme.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("http"));
        let path = match path.find(['?', '#']).filter(|_| is_web) {
            Some(end) => format!("{}?***", &path[..end]),
            None => path.to_owned(),
        };
        quoted = match authority.rsplit_once('@') {
            // A container before its account is no secret.
            Some((user, host)) if user.contains(':') || !is_container_host(host) => {
                format!("{scheme}://***@{host}/{path}")
            }
            _ if is_web => format!("{scheme}://{authority}/{path}"),
            _ => quoted,
        };
    }
    match quoted.char_indices().nth(limits::QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &quoted[..end]),
        None => quoted,
    }
}

fn is_container_host(host: &str) -> bool {
    host.ends_with(".dfs.core.windows.net") || host.ends_with(".blob.core.windows.net")
}
