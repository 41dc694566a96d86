//! API keys as the operator writes them: on the command line, one a line in a
//! file, or with roles in a file of TOML. An error never shows a key.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crossbill_core::limits::KEY_FILE_BYTES_MAX;
use crossbill_server::{ApiKey, KeyError, KeyHash, RateLimit, Role};
use serde::{Deserialize, Serialize};

use crate::error::{CliError, Result};

/// Where keys come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeySources<'a> {
    /// Keys themselves.
    pub(crate) given: &'a [String],
    /// A file with one a line.
    pub(crate) lines: Option<&'a Path>,
    /// A file of TOML.
    pub(crate) table: Option<&'a Path>,
}

/// A `[[key]]` table.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeyTable {
    pub(crate) name: String,
    pub(crate) role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) indexes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requests_per_second: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    #[serde(default)]
    key: Vec<KeyTable>,
}

impl KeySources<'_> {
    /// All keys, in the order of the sources.
    pub(crate) fn read(&self) -> Result<Vec<ApiKey>> {
        let usage = |error: KeyError| CliError::usage(error.to_string());
        let mut keys = Vec::new();
        for (number, text) in self.given.iter().enumerate() {
            let name = format!("api-key-{}", number + 1);
            keys.push(
                KeyHash::of_text(text).and_then(|hash| ApiKey::new(&name, hash)).map_err(usage)?,
            );
        }
        if let Some(path) = self.lines {
            keys.extend(of_lines(path)?);
        }
        if let Some(path) = self.table {
            keys.extend(of_table(path)?);
        }
        Ok(keys)
    }
}

/// Keys that may do everything, each with the line it stands in as its name.
fn of_lines(path: &Path) -> Result<Vec<ApiKey>> {
    let text = read(path)?;
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(|(number, line)| {
        let named = |hash| ApiKey::new(&format!("line-{number}"), hash);
        KeyHash::of_text(line)
            .and_then(named)
            .map_err(|error| CliError::usage(format!("{} line {number}: {error}", path.display())))
    });
    some(path, keys.collect::<Result<_>>()?, "one a line")
}

fn of_table(path: &Path) -> Result<Vec<ApiKey>> {
    let text = read(path)?;
    let file: KeysFile = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        // The parser's own words may quote what stands there.
        let known = ["unknown field", "missing field"];
        let what = match known.iter().any(|known| error.message().starts_with(known)) {
            true => error.message(),
            false => {
                "this is not a [[key]] table of name, role, sha256 or key, indexes, \
                      requests-per-second"
            }
        };
        CliError::usage(format!("{} line {line}: {what}", path.display()))
    })?;
    let keys = file.key.iter().map(|table| {
        key(table).map_err(|what| {
            CliError::usage(format!("{}: key {:?}: {what}", path.display(), table.name))
        })
    });
    some(path, keys.collect::<Result<_>>()?, "at least one [[key]]")
}

/// The key that a table describes; an error says what is wrong with it.
pub(crate) fn key(table: &KeyTable) -> std::result::Result<ApiKey, String> {
    let text = |error: KeyError| error.to_string();
    let hash = match (&table.sha256, &table.key) {
        (Some(hash), None) => KeyHash::from_hex(hash).map_err(text)?,
        (None, Some(key)) => KeyHash::of_text(key).map_err(text)?,
        _ => return Err("expected one of sha256 and key".to_owned()),
    };
    let role: Role = table.role.parse().map_err(text)?;
    let mut made = ApiKey::new(&table.name, hash).map_err(text)?.with_role(role);
    if let Some(indexes) = &table.indexes {
        made = made.for_indexes(indexes).map_err(text)?;
    }
    match table.requests_per_second.map(RateLimit::per_second) {
        None => Ok(made),
        Some(Some(limit)) => Ok(made.with_limit(limit)),
        Some(None) => Err("requests-per-second is no rate, expected 1 or more".to_owned()),
    }
}

/// An empty file must not open the door.
fn some(path: &Path, keys: Vec<ApiKey>, expected: &str) -> Result<Vec<ApiKey>> {
    match keys.is_empty() {
        true => {
            Err(CliError::usage(format!("found no key in {}, expected {expected}", path.display())))
        }
        false => Ok(keys),
    }
}

fn read(path: &Path) -> Result<String> {
    let failed = |what: String| {
        CliError::usage(format!("cannot read the keys in {}: {what}", path.display()))
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut file = file.take(KEY_FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    match text.len() as u64 > KEY_FILE_BYTES_MAX {
        true => Err(failed(format!("it has over {KEY_FILE_BYTES_MAX} bytes"))),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{text}").unwrap();
        file
    }

    fn names(keys: Result<Vec<ApiKey>>) -> Vec<String> {
        keys.unwrap().iter().map(|key| key.name().to_owned()).collect()
    }

    #[test]
    fn files_of_lines_have_comments_and_are_never_empty() {
        let two = file("# team\n\n  one \ntwo\n");
        assert_eq!(names(of_lines(two.path())), ["line-3", "line-4"]);
        let empty = of_lines(file("\n").path()).unwrap_err().to_string();
        assert!(empty.contains("found no key"), "{empty}");
        assert!(of_lines(Path::new("/nowhere/keys")).is_err());
        let bad = of_lines(file("good\nhush hush\n").path()).unwrap_err().to_string();
        assert!(bad.contains("line 2") && !bad.contains("hush"), "{bad}");
    }

    #[test]
    fn tables_are_read() {
        let hash = KeyHash::of_text("one").unwrap().to_hex();
        let text = format!(
            "[[key]]\nname = 'ci'\nrole = 'write'\nsha256 = '{hash}'\nindexes = ['docs-*']\n\
             requests-per-second = 5\n\n[[key]]\nname = 'ops'\nrole = 'admin'\nkey = 'two'\n"
        );
        let (table, given) = (file(&text), ["three".to_owned()]);
        let sources = KeySources { given: &given, lines: None, table: Some(table.path()) };
        assert_eq!(names(sources.read()), ["api-key-1", "ci", "ops"]);
    }

    #[test]
    fn wrong_tables_say_where_and_never_what() {
        let key = "[[key]]\nname = 'a'\n";
        for (text, expected) in [
            (String::new(), "found no key"),
            (format!("{key}role = 'read'"), "one of sha256 and key"),
            (format!("{key}role = 'root'\nkey = 'hush'"), "expected read, write or admin"),
            (format!("{key}role = 'read'\nsha256 = 'hush'"), "64 hexadecimal"),
            (format!("{key}key = 'hush'"), "missing field `role`"),
            (format!("{key}role = 'read'\nkey = 'hush'\nindex = 'x'"), "unknown field `index`"),
            (format!("{key}role = 'read'\nkey = 'hush'\nindexes = []"), "expected 1 to"),
            (format!("{key}role = 'read'\nrequests-per-second = 'hush'"), "line 4"),
            (format!("{key}role = 'read'\nkey = 'hush'\nrequests-per-second = 0"), "1 or more"),
            ("hush".to_owned(), "line 1"),
        ] {
            let error = of_table(file(&text).path()).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hush"), "{text}: {error}");
        }
    }
}
