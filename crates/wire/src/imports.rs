//! Bodies of the bulk import calls, camelCase as on the wire.

mod manifest;
mod preview;

use crossbill_core::limits::{IMPORT_URI_CHARS_MAX, INTEGRATION_ID_CHARS_MAX, RECORD_ID_CHARS_MAX};
use crossbill_core::{Error, RequestLimits, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use manifest::{
    ImportManifestModel, ImportSettingsModel, ManifestCounts, ManifestFileModel, ManifestPartModel,
    RejectCountModel,
};
pub use preview::{ImportPreview, PreviewColumn, PreviewImport, PreviewRow};

use crate::Pagination;
use crate::columns::{self, ColumnsField};
use crate::describe;

/// What an import does at a record that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Skips and counts it.
    #[default]
    Continue,
    /// Fails.
    Abort,
}

impl<'de> Deserialize<'de> for OnError {
    /// In any case: `abort`, `ABORT`, `Abort`.
    fn deserialize<D: Deserializer<'de>>(input: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        match text.to_ascii_lowercase().as_str() {
            "continue" => Ok(OnError::Continue),
            "abort" => Ok(OnError::Abort),
            _ => Err(serde::de::Error::custom(format_args!(
                "errorMode.onError is {text:?}, expected \"abort\" or \"continue\""
            ))),
        }
    }
}

/// `errorMode` of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorModeField {
    /// Continue where absent.
    #[serde(default)]
    pub on_error: Option<OnError>,
    /// Errors, records and files, that an import that continues may have
    /// (ours); with one more it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<u64>,
}

/// `POST /bulk/imports`. An unknown field is refused: one that asks for less
/// than a full import (a dry run, say) must not be lost silently.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartImport {
    /// Where the files are, 1 to 1500 characters.
    #[schemars(length(min = 1, max = IMPORT_URI_CHARS_MAX))]
    pub uri: String,
    /// Which of the operator's integrations reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = INTEGRATION_ID_CHARS_MAX))]
    pub integration_id: Option<String>,
    /// What a bad record does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_mode: Option<ErrorModeField>,
    /// Whether everything is only read and checked (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Whether files are passed over that an earlier import loaded as they are
    /// (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_loaded: Option<bool>,
    /// What becomes of records that are there: `upsert` (also where absent) or
    /// `replace` (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<describe::ImportModeWord>")]
    pub mode: Option<String>,
    /// Whether its records are shown all at once or not at all (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atomic: Option<bool>,
    /// Which columns hold what, where they are not named as the schema names
    /// them (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnsField>,
    /// Makes ids of this and the row's number, instead of reading them (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = RECORD_ID_CHARS_MAX))]
    pub id_prefix: Option<String>,
}

impl StartImport {
    /// Checks the lengths by the limits, and what excludes each other.
    pub fn check(&self, limits: &RequestLimits) -> Result<()> {
        let (uri_chars, most) = (self.uri.chars().count(), limits.import_uri_chars);
        if uri_chars == 0 || uri_chars > most {
            return Err(Error::invalid(format!(
                "uri has {uri_chars} characters, expected 1 to {most}"
            )));
        }
        let id_chars = self.integration_id.as_deref().map_or(0, |id| id.chars().count());
        let most = limits.integration_id_chars;
        if id_chars > most {
            return Err(Error::invalid(format!(
                "integrationId has {id_chars} characters, expected at most {most}"
            )));
        }
        if self.on_error() == OnError::Abort
            && let Some(max_errors) = self.max_errors()
        {
            return Err(Error::invalid(format!(
                "errorMode.maxErrors is {max_errors} beside onError \"abort\", expected it only \
                 beside \"continue\""
            )));
        }
        match self.mode.as_deref() {
            None | Some("upsert") => {}
            Some("replace") if self.skip_loaded == Some(true) => {
                return Err(Error::invalid(
                    "skipLoaded beside mode \"replace\", expected one of them: what is passed over \
                     would be taken away",
                ));
            }
            Some("replace") => {}
            Some(mode) => {
                return Err(Error::invalid(format!(
                    "mode is {mode:?}, expected \"upsert\" or \"replace\""
                )));
            }
        }
        columns::check(self.columns.as_ref(), self.id_prefix.as_deref(), limits.id_chars)
    }

    /// Errors that it may have.
    pub fn max_errors(&self) -> Option<u64> {
        self.error_mode.and_then(|mode| mode.max_errors)
    }

    /// What a bad record does; continue where the request says nothing.
    pub fn on_error(&self) -> OnError {
        self.error_mode.and_then(|mode| mode.on_error).unwrap_or_default()
    }
}

/// Answer of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartedImport {
    /// The import's id.
    pub id: String,
}

/// Counts of an import that the 2026-07 version names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidationResult {
    /// Records imported.
    pub import_successes: u64,
    /// Records rejected.
    pub import_errors: u64,
}

/// What an import would take, as its dry run found (ours).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportEstimate {
    /// Seconds, roughly.
    pub seconds: f64,
    /// Bytes of disk.
    pub disk_bytes: u64,
    /// Bytes of disk that are free.
    pub disk_free_bytes: u64,
}

/// An import. The fields from `records_rejected` on are ours; older clients
/// ignore them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportModel {
    /// Its id, a growing number as text.
    pub id: String,
    /// As it was given.
    pub uri: String,
    /// `Pending`, `InProgress`, `Completed`, `Failed` or `Cancelled`.
    #[schemars(with = "describe::JobStatusWord")]
    pub status: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// 0 to 100, loading and indexing together; never goes back.
    #[serde(default)]
    pub percent_complete: f64,
    /// Records that can be queried.
    #[serde(default)]
    pub records_imported: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Counts, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_result: Option<ValidationResult>,
    /// Records that broke a rule.
    #[serde(default)]
    pub records_rejected: u64,
    /// Records replaced by a later one with the same id in the same import.
    #[serde(default)]
    pub records_superseded: u64,
    /// Records settled so far: imported + superseded + rejected, always.
    #[serde(default)]
    pub records_read: u64,
    /// Records read beside those, whose tasks are not committed yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub records_under_way: u64,
    /// Records in the source, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_total: Option<u64>,
    /// Bytes read so far.
    #[serde(default)]
    pub bytes_read: u64,
    /// Bytes in the source, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<u64>,
    /// Files done.
    #[serde(default)]
    pub files_done: u64,
    /// Files in the source, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_total: Option<u64>,
    /// Files that were passed over because they were loaded before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_skipped: u64,
    /// What it is doing, in a word.
    #[serde(default)]
    pub phase: String,
    /// Whether it waits until it is resumed; its status stays what it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The rate now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_per_second: Option<f64>,
    /// Seconds to the end at this rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<f64>,
    /// What was noticed and did no harm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// `continue` or `abort`.
    #[serde(default)]
    pub error_mode: String,
    /// Whether everything is only read and checked: then records imported are
    /// those that would be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether files are passed over that were loaded before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_loaded: bool,
    /// `replace` where it takes the place of all that was there before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whether its records are shown all at once, at its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub atomic: bool,
    /// Of a dry run that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<ImportEstimate>,
    /// Errors that it may have, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<u64>,
    /// Where the server tells a webhook of its end: `due`, `delivered` or
    /// `expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Where the rejected records are listed, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects_uri: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Answer of `GET /bulk/imports`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportPage {
    /// Newest first.
    pub data: Vec<ImportModel>,
    /// Where another page follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

/// What a webhook is told: an import has ended (ours).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportFinished {
    /// `import.finished`.
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339: when it ended.
    pub timestamp: String,
    /// Which it is.
    pub data: FinishedImport,
}

/// The import of an [`ImportFinished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FinishedImport {
    /// The index's name.
    pub index: String,
    /// As its description shows it.
    pub import: ImportModel,
}

/// A record or file that an import refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectModel {
    /// The file.
    pub file: String,
    /// The row group, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_group: Option<u32>,
    /// The row in the file, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The record's id, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A stable code.
    pub code: String,
    /// The column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What was found and expected.
    pub message: String,
    /// The record itself as JSON text, or its beginning, which ends with `…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// Answer of `GET /bulk/imports/{id}/rejects` (ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectPage {
    /// In source order.
    pub data: Vec<RejectModel>,
    /// Rejects of the import in all.
    pub total: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_mode_is_read_in_any_case_and_may_be_left_out() {
        for (json, expected) in [
            (r#"{"uri":"s3://b"}"#, OnError::Continue),
            (r#"{"uri":"s3://b","errorMode":null}"#, OnError::Continue),
            (r#"{"uri":"s3://b","errorMode":{}}"#, OnError::Continue),
            (r#"{"uri":"s3://b","errorMode":{"onError":"ABORT"}}"#, OnError::Abort),
            (r#"{"uri":"s3://b","errorMode":{"onError":"Continue"}}"#, OnError::Continue),
        ] {
            let start: StartImport = serde_json::from_str(json).unwrap();
            assert_eq!(start.on_error(), expected, "{json}");
        }
        let bad = r#"{"uri":"s3://b","errorMode":{"onError":"stop"}}"#;
        let error = serde_json::from_str::<StartImport>(bad).unwrap_err().to_string();
        assert!(error.contains("expected \"abort\" or \"continue\""), "{error}");
    }

    #[test]
    fn max_errors_is_a_whole_number_beside_continue() {
        let start = |mode: &str| {
            let json = format!(r#"{{"uri":"s3://b","errorMode":{mode}}}"#);
            serde_json::from_str::<StartImport>(&json)
        };
        let good = start(r#"{"onError":"continue","maxErrors":7}"#).unwrap();
        assert_eq!(
            (good.max_errors(), good.check(&RequestLimits::default()).is_ok()),
            (Some(7), true)
        );
        assert_eq!(start(r#"{"maxErrors":0}"#).unwrap().max_errors(), Some(0));
        assert_eq!(start(r#"{"maxErrors":null}"#).unwrap().max_errors(), None);
        for bad in ["-1", "1.5", r#""7""#] {
            assert!(start(&format!(r#"{{"maxErrors":{bad}}}"#)).is_err(), "{bad}");
        }
        let both = start(r#"{"onError":"abort","maxErrors":7}"#).unwrap();
        assert!(
            both.check(&RequestLimits::default()).unwrap_err().message().contains("maxErrors is 7")
        );
    }

    #[test]
    fn the_mode_is_one_that_there_is() {
        let start = |more: &str| {
            let json = format!(r#"{{"uri":"s3://b",{more}}}"#);
            serde_json::from_str::<StartImport>(&json).unwrap().check(&RequestLimits::default())
        };
        for good in [r#""mode":"upsert""#, r#""mode":"replace""#, r#""mode":null"#] {
            assert!(start(good).is_ok(), "{good}");
        }
        for bad in [r#""mode":"insert""#, r#""mode":"Replace""#, r#""mode":"""#] {
            let error = start(bad).unwrap_err();
            assert!(error.message().contains("expected \"upsert\" or \"replace\""), "{error}");
        }
        let both = start(r#""mode":"replace","skipLoaded":true"#).unwrap_err();
        assert!(both.message().contains("skipLoaded beside mode"), "{both}");
    }

    #[test]
    fn lengths_are_checked() {
        let start = |uri: String| StartImport { uri, ..StartImport::default() };
        assert!(start(String::new()).check(&RequestLimits::default()).is_err());
        assert!(start("x".repeat(1500)).check(&RequestLimits::default()).is_ok());
        assert!(start("x".repeat(1501)).check(&RequestLimits::default()).is_err());
    }
}
