//! `columns` and `idPrefix` of an import's start: which columns of the source
//! hold what. The keys of `columns` are the schema's own column names.

use crossbill_core::limits::{COLUMN_NAME_CHARS_MAX, METADATA_COLUMNS_MAX};
use crossbill_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `columns` of a start. A part that is left out has its usual name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnsField {
    /// The column of ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = COLUMN_NAME_CHARS_MAX))]
    pub id: Option<String>,
    /// The column of dense vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = COLUMN_NAME_CHARS_MAX))]
    pub values: Option<String>,
    /// The column of sparse vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = COLUMN_NAME_CHARS_MAX))]
    pub sparse_values: Option<String>,
    /// Where metadata comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataField>,
}

/// `columns.metadata` of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "columns.metadata is neither a column's name nor a list of names")]
pub enum MetadataField {
    /// One column that holds all metadata: JSON text, a struct or a map.
    Column(#[schemars(length(min = 1, max = COLUMN_NAME_CHARS_MAX))] String),
    /// Plain columns, each a field of its own name.
    Fields(
        #[schemars(
            length(min = 1, max = METADATA_COLUMNS_MAX),
            inner(length(min = 1, max = COLUMN_NAME_CHARS_MAX)),
            extend("uniqueItems" = true)
        )]
        Vec<String>,
    ),
}

/// Checks names and that no two parts contradict each other.
pub(crate) fn check(
    columns: Option<&ColumnsField>,
    id_prefix: Option<&str>,
    id_chars_max: usize,
) -> Result<()> {
    if let Some(prefix) = id_prefix {
        let chars = prefix.chars().count();
        if chars > id_chars_max {
            let text = format!("idPrefix has {chars} characters, expected at most {id_chars_max}");
            return Err(Error::invalid(text));
        }
    }
    let Some(columns) = columns else { return Ok(()) };
    if columns.id.is_some() && id_prefix.is_some() {
        let text = "columns.id and idPrefix are both given, expected one: ids are read or made";
        return Err(Error::invalid(text));
    }
    for (part, name) in [
        ("id", &columns.id),
        ("values", &columns.values),
        ("sparse_values", &columns.sparse_values),
    ] {
        name.iter().try_for_each(|name| check_name(part, name))?;
    }
    match &columns.metadata {
        None => Ok(()),
        Some(MetadataField::Column(name)) => check_name("metadata", name),
        Some(MetadataField::Fields(names)) => check_fields(names),
    }
}

fn check_name(part: &str, name: &str) -> Result<()> {
    let chars = name.chars().count();
    if chars == 0 || chars > COLUMN_NAME_CHARS_MAX {
        return Err(Error::invalid(format!(
            "columns.{part} is a name of {chars} characters, expected 1 to {COLUMN_NAME_CHARS_MAX}"
        )));
    }
    Ok(())
}

fn check_fields(names: &[String]) -> Result<()> {
    if names.is_empty() || names.len() > METADATA_COLUMNS_MAX {
        return Err(Error::invalid(format!(
            "columns.metadata has {} names, expected 1 to {METADATA_COLUMNS_MAX}",
            names.len()
        )));
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::invalid(format!(
            "columns.metadata has {:?} twice, expected it once",
            pair[0]
        )));
    }
    names.iter().try_for_each(|name| check_name("metadata", name))
}

#[cfg(test)]
mod tests {
    use crossbill_core::RequestLimits;

    use crate::StartImport;

    fn start(fields: &str) -> std::result::Result<StartImport, String> {
        let json = format!(r#"{{"uri":"s3://b",{fields}}}"#);
        let start: StartImport = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        assert_eq!(
            serde_json::from_str::<StartImport>(&serde_json::to_string(&start).unwrap()).unwrap(),
            start
        );
        start
            .check(&RequestLimits::default())
            .map_err(|error| error.message().to_owned())
            .map(|()| start)
    }

    #[test]
    fn a_mapping_is_read() {
        let read = start(r#""columns":{"id":"_id","values":"emb","metadata":["a","b"]}"#).unwrap();
        assert_eq!(read.columns.unwrap().id.as_deref(), Some("_id"));
        assert!(start(r#""columns":{"metadata":"meta"},"idPrefix":"{file}-""#).is_ok());
        assert!(start(r#""columns":{},"idPrefix":"""#).is_ok());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let long = "x".repeat(1001);
        let many: Vec<String> = (0..=100).map(|n| format!("\"c{n}\"")).collect();
        let cases = [
            (r#""columns":{"id":"a"},"idPrefix":"b""#.to_owned(), "both given"),
            (r#""columns":{"id":""}"#.to_owned(), "columns.id is a name of 0 characters"),
            (format!(r#""columns":{{"values":"{long}"}}"#), "name of 1001 characters"),
            (r#""columns":{"metadata":[]}"#.to_owned(), "columns.metadata has 0 names"),
            (format!(r#""columns":{{"metadata":[{}]}}"#, many.join(",")), "has 101 names"),
            (r#""columns":{"metadata":["a","a"]}"#.to_owned(), "has \"a\" twice"),
            (r#""columns":{"metadata":[""]}"#.to_owned(), "columns.metadata is a name of 0"),
            (r#""columns":{"metadata":7}"#.to_owned(), "neither a column's name nor a list"),
            (r#""columns":{"vector":"a"}"#.to_owned(), "unknown field `vector`"),
            (format!(r#""idPrefix":"{long}""#), "idPrefix has 1001 characters"),
        ];
        for (fields, expected) in cases {
            let message = start(&fields).unwrap_err();
            assert!(message.contains(expected), "{fields}: {message}");
        }
    }
}
