//! `--columns` and `--id-prefix` of an import. The mapping is given short
//! (`id=_id,values=emb,metadata=title+url`) or as the JSON of the request.

use clap::Args;
use crossbill_wire::{ColumnsField, MetadataField};

/// Which columns of the source hold what.
#[derive(Debug, Args)]
pub(crate) struct ColumnArgs {
    /// Which columns to read, where they are not named id, values, sparse_values and metadata:
    /// PART=COLUMN,… where metadata takes several, or the JSON of the request's "columns"
    /// (there a single name says that the column holds all metadata, as metadata-column does here)
    #[arg(long, value_name = "PART=COLUMN,…", value_parser = parse)]
    pub(crate) columns: Option<ColumnsField>,
    /// Make ids of TEXT and the number of the row in its file, {file} being the file's path
    #[arg(long, value_name = "TEXT")]
    pub(crate) id_prefix: Option<String>,
}

fn parse(text: &str) -> Result<ColumnsField, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let mut columns = ColumnsField::default();
    for part in text.split(',') {
        let (name, column) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?} is no PART=COLUMN, such as values=embedding"))?;
        let column = column.to_owned();
        let before = match name.trim() {
            "id" => columns.id.replace(column).is_some(),
            "values" => columns.values.replace(column).is_some(),
            "sparse_values" => columns.sparse_values.replace(column).is_some(),
            "metadata" => {
                let names = column.split('+').map(str::to_owned).collect();
                columns.metadata.replace(MetadataField::Fields(names)).is_some()
            }
            "metadata-column" => columns.metadata.replace(MetadataField::Column(column)).is_some(),
            other => {
                return Err(format!(
                    "{other:?} is no part of a record, expected id, values, sparse_values, \
                     metadata or metadata-column"
                ));
            }
        };
        if before {
            return Err(format!("{:?} is given twice", name.trim()));
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_says_what_the_json_says() {
        let short = parse("id=_id,values=emb,metadata=title+url").unwrap();
        let json = r#"{"id":"_id","values":"emb","metadata":["title","url"]}"#;
        assert_eq!(short, parse(json).unwrap());
        let one = parse("metadata-column=meta").unwrap();
        assert_eq!(one, parse(r#"{"metadata":"meta"}"#).unwrap());
        assert_eq!(parse("values=a=b").unwrap().values.as_deref(), Some("a=b"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("emb", "no PART=COLUMN"),
            ("vector=emb", "no part of a record"),
            ("id=a,id=b", "given twice"),
            ("metadata=a,metadata-column=b", "given twice"),
            ("{\"vector\":\"emb\"}", "unknown field"),
        ];
        for (text, expected) in cases {
            let message = parse(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
