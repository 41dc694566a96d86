//! Where a setting's value comes from: flag, environment, file, default, in
//! that order. The command line's own definition is the list of settings, so
//! that a new flag is at once a variable and a key of the file. A key that
//! stands for no flag is an error that names it.
//!
//! The file is read by turning its keys into flags wherever neither a flag
//! nor a variable gave the setting, and parsing once more: one set of checks
//! serves all sources.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _};
use crossbill_db::ImportSettings;
use serde_json::{Value, json};
use toml::Table;

use crate::args::{Cli, EngineArgs, ServeArgs};
use crate::error::{CliError, Result};
use crate::machine;

/// The key of limits, and the flag of embedded commands that it stands for:
/// `--limit` of a list is another.
const LIMIT: (&str, &str) = ("limit", "limits");

/// A source of imports, as an `[[integration]]` table of the file.
pub(crate) use crossbill_db::Integration as IntegrationTable;

/// The command with all its settings resolved.
pub(crate) struct Parsed {
    /// The command line, filled from every source.
    pub(crate) cli: Cli,
    /// The file's `[[integration]]` tables.
    pub(crate) integrations: Vec<IntegrationTable>,
    /// Each setting of `serve`: its key, value and source, for `--print-settings`.
    pub(crate) report: Value,
}

/// Why the command line could not be read.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// clap's own answer: a usage error, or the text of `--help`.
    Clap(clap::Error),
    /// A wrong file.
    File(CliError),
}

impl From<clap::Error> for ParseError {
    fn from(error: clap::Error) -> Self {
        ParseError::Clap(error)
    }
}

impl From<CliError> for ParseError {
    fn from(error: CliError) -> Self {
        ParseError::File(error)
    }
}

/// Reads `argv`, the environment and the file that they name.
pub(crate) fn parse(argv: Vec<OsString>) -> std::result::Result<Parsed, ParseError> {
    let first = Cli::command().try_get_matches_from(&argv)?;
    let command = innermost(&first);
    let config = command.try_get_one::<PathBuf>("config").ok().flatten().cloned();
    let Some(path) = config else {
        let report = report(command, &[]);
        return Ok(Parsed {
            cli: Cli::from_arg_matches(&first)?,
            integrations: Vec::new(),
            report,
        });
    };
    let file = SettingsFile::read(&path)?;
    let is_serve = matches!(first.subcommand_name(), Some("serve" | "doctor"));
    let takes = if is_serve { server_keys() } else { engine_keys() };
    let mut argv = argv;
    let mut from_file = Vec::new();
    for (key, values) in file.values {
        if takes.contains_key(&key) && !is_given(command, &takes[&key]) {
            let flag = if is_serve || key != LIMIT.0 { key.as_str() } else { LIMIT.1 };
            argv.extend(values.iter().map(|value| OsString::from(format!("--{flag}={value}"))));
            from_file.push(key);
        }
    }
    let second = Cli::command().try_get_matches_from(&argv).map_err(|error| {
        // The command line was right a moment ago: the fault is the file's.
        let text = error.to_string();
        let first_line = text.lines().next().unwrap_or_default();
        CliError::usage(format!("{}: {}", path.display(), first_line.trim_start_matches("error: ")))
    })?;
    let report = report(innermost(&second), &from_file);
    Ok(Parsed { cli: Cli::from_arg_matches(&second)?, integrations: file.integrations, report })
}

fn innermost(matches: &ArgMatches) -> &ArgMatches {
    let mut matches = matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches
}

/// Whether a flag or a variable gave the argument.
fn is_given(command: &ArgMatches, id: &str) -> bool {
    matches!(command.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// Keys of the server's settings, and the argument each stands for.
fn server_keys() -> BTreeMap<String, String> {
    keys(&ServeArgs::augment_args(clap::Command::new("serve")))
}

/// Keys of the engine's settings, which embedded commands take too.
fn engine_keys() -> BTreeMap<String, String> {
    let mut keys = keys(&EngineArgs::augment_args(clap::Command::new("engine")));
    keys.insert(LIMIT.0.to_owned(), LIMIT.1.to_owned());
    keys
}

/// An argument is a setting if it can be given by a variable; the file's own
/// name is none.
fn keys(command: &clap::Command) -> BTreeMap<String, String> {
    command
        .get_arguments()
        .filter(|arg| arg.get_env().is_some() && arg.get_id() != "config")
        .filter_map(|arg| Some((arg.get_long()?.to_owned(), arg.get_id().to_string())))
        .collect()
}

/// The file, its keys already turned to the texts of flags.
struct SettingsFile {
    values: Vec<(String, Vec<String>)>,
    integrations: Vec<IntegrationTable>,
}

impl SettingsFile {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CliError::usage(format!("cannot read the configuration {}: {error}", path.display()))
        })?;
        Self::from_text(&text)
            .map_err(|message| CliError::usage(format!("{}: {message}", path.display())))
    }

    fn from_text(text: &str) -> std::result::Result<Self, String> {
        let mut table: Table =
            text.parse().map_err(|error: toml::de::Error| error.to_string().trim().to_owned())?;
        let integrations = match table.remove("integration") {
            Some(value) => value
                .try_into()
                .map_err(|error| format!("[[integration]]: {}", error.to_string().trim()))?,
            None => Vec::new(),
        };
        // A table is how a file says it; a list of texts does as well.
        if let Some(value) = table.remove("limits") {
            let limits = limits(value)?;
            if table.insert("limit".to_owned(), limits.into()).is_some() {
                return Err("found both limit and [limits], expected one of them".to_owned());
            }
        }
        let known = server_keys();
        let mut values = Vec::new();
        for (key, value) in table {
            if !known.contains_key(&key) {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                return Err(format!(
                    "found the unknown key {key:?}, expected one of {}, integration",
                    names.join(", ")
                ));
            }
            values.push((key.clone(), texts(&key, value)?));
        }
        Ok(Self { values, integrations })
    }
}

/// The `[limits]` table as texts of `NAME=VALUE`.
fn limits(value: toml::Value) -> std::result::Result<Vec<String>, String> {
    let toml::Value::Table(table) = value else {
        return Err("limits is no table, expected [limits] with name = value lines".to_owned());
    };
    let setting = |(name, value): (String, toml::Value)| {
        text(&name, value).map(|value| format!("{name}={value}"))
    };
    table.into_iter().map(setting).collect()
}

/// A TOML value as the texts that a flag would have.
fn texts(key: &str, value: toml::Value) -> std::result::Result<Vec<String>, String> {
    match value {
        toml::Value::Array(items) => items.into_iter().map(|item| text(key, item)).collect(),
        value => Ok(vec![text(key, value)?]),
    }
}

fn text(key: &str, value: toml::Value) -> std::result::Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        other => Err(format!(
            "key {key:?} is a {}, expected text, a whole number, true or false, or a list of them",
            other.type_str()
        )),
    }
}

/// Each setting that the command takes, with value and source. Secrets are
/// only said to be set.
fn report(command: &ArgMatches, from_file: &[String]) -> Value {
    let entries = server_keys().into_iter().filter_map(|(key, id)| {
        let given = command.try_get_raw(&id).ok()?;
        let source = match command.value_source(&id) {
            _ if from_file.contains(&key) => "file",
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            _ => "default",
        };
        let texts: Vec<String> =
            given.into_iter().flatten().map(|text| text.to_string_lossy().into_owned()).collect();
        let value = match texts.as_slice() {
            [] => computed_default(&key),
            _ if is_secret(&key) => json!("(set)"),
            [one] => json!(one),
            many => json!(many),
        };
        Some((key, json!({"value": value, "source": source})))
    });
    Value::Object(entries.collect())
}

fn is_secret(key: &str) -> bool {
    matches!(
        key,
        "api-key"
            | "s3-secret-access-key"
            | "s3-session-token"
            | "gcs-service-account-key"
            | "azure-access-key"
            | "azure-sas-token"
            | "webhook-secret"
            | "embedding-key"
            | "rerank-key"
    )
}

/// What stands where nothing was given and the default is computed.
fn computed_default(key: &str) -> Value {
    match key {
        "memory-limit" => json!(machine::memory_quarter().to_string()),
        "threads" | "import-workers" => json!(machine::processors().to_string()),
        "import-task-rows" => json!(ImportSettings::new(1, 0).task_rows.to_string()),
        "log" => json!("info"),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_variable() {
        let command = ServeArgs::augment_args(clap::Command::new("serve"));
        for arg in command.get_arguments().filter(|arg| arg.get_id() != "print_settings") {
            let long = arg.get_long().expect("settings have names");
            let variable = format!("CROSSBILL_{}", long.to_uppercase().replace('-', "_"));
            let env = arg.get_env().and_then(|env| env.to_str());
            assert_eq!(env, Some(variable.as_str()), "--{long}");
            assert!(arg.get_help().is_some(), "--{long} has no help");
        }
    }

    #[test]
    fn the_file_is_checked() {
        let wrong = |text: &str| SettingsFile::from_text(text).err().unwrap();
        assert!(wrong("listne = 'x'").starts_with("found the unknown key \"listne\""));
        assert!(wrong("threads = 1.5").contains("\"threads\" is a float"));
        assert!(wrong("config = 'x'").contains("unknown key"));
        assert!(wrong("print-settings = true").contains("unknown key"));
        assert!(wrong("threads =").contains("line 1"));
        let text = "[[integration]]\nid = 'a'\nendpiont = 'x'";
        assert!(wrong(text).contains("endpiont"), "{}", wrong(text));
    }

    #[test]
    fn the_file_is_read() {
        let file = SettingsFile::from_text(
            "threads = 3\ninsecure = true\napi-key = ['a', 'b']\n\
             [[integration]]\nid = 'minio'\nendpoint = 'http://127.0.0.1:9000'\nbuckets = ['b/p']",
        )
        .unwrap();
        let api_keys = ("api-key".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
        assert!(file.values.contains(&api_keys));
        assert!(file.values.contains(&("insecure".into(), vec!["true".into()])));
        assert_eq!(file.integrations[0].buckets, ["b/p"]);
    }

    #[test]
    fn limits_are_a_table() {
        let file = SettingsFile::from_text("[limits]\ntop-k = 5\nids = 7").unwrap();
        let texts = vec!["ids=7".to_owned(), "top-k=5".to_owned()];
        assert!(file.values.contains(&("limit".to_owned(), texts)), "{:?}", file.values);
        let wrong = |text: &str| SettingsFile::from_text(text).err().unwrap();
        assert!(wrong("limits = 5").contains("[limits]"));
        assert!(wrong("[limits]\ntop-k = 1.5").contains("float"));
        assert!(wrong("limit = ['ids=1']\n[limits]\ntop-k = 5").contains("both"));
    }

    #[test]
    fn secrets_are_not_reported() {
        let command = Cli::command();
        let argv = ["crossbill", "serve", "--api-key=hush", "--s3-secret-access-key=hush"];
        let matches = command.try_get_matches_from(argv).unwrap();
        let report = report(innermost(&matches), &[]).to_string();
        assert!(!report.contains("hush"), "{report}");
        assert!(report.contains("(set)"));
    }
}
