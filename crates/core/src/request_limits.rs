//! The limits of a request that an operator may change: by default those of
//! the hosted service, so that code which passes here passes there. None goes
//! beyond what the formats hold. They bind what comes in: what was stored under
//! other limits stays, is read and deleted as ever.

use std::collections::BTreeMap;

use crate::limits::{
    BACKUP_PAGE_MAX, CANDIDATES_MAX, DIMENSION_MAX, EXPORT_PAGE_MAX, FETCH_BY_METADATA_PAGE_MAX,
    FIELD_NAME_BYTES_CEILING, FIELD_NAME_BYTES_MAX, FILTER_CLAUSES_CEILING, FILTER_CLAUSES_MAX,
    FILTER_DEPTH_CEILING, FILTER_DEPTH_MAX, FILTER_VALUES_MAX, IDS_PER_REQUEST_MAX,
    IMPORT_PAGE_MAX, IMPORT_URI_CHARS_CEILING, IMPORT_URI_CHARS_MAX, INDEX_NAME_CHARS_CEILING,
    INDEX_NAME_CHARS_MAX, INTEGRATION_ID_CHARS_MAX, JOB_PAGE_CEILING, LIST_PAGE_MAX,
    METADATA_BYTES_CEILING, METADATA_BYTES_MAX, NAMESPACE_CHARS_MAX, QUERY_ANSWER_BYTES_MAX,
    RECORD_ID_CHARS_MAX, RERANK_DOCUMENTS_MAX, SEARCH_FIELDS_MAX, SPARSE_ENTRIES_CEILING,
    SPARSE_ENTRIES_MAX, TAG_KEY_CHARS_CEILING, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_CEILING,
    TAG_VALUE_CHARS_MAX, TAGS_CEILING, TAGS_MAX, TEXT_RECORDS_MAX, TOP_K_MAX, UPSERT_RECORDS_MAX,
};
use crate::{Error, Result as CheckResult};

/// One limit that can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimit {
    /// Its name in settings.
    pub name: &'static str,
    /// What it bounds.
    pub what: &'static str,
    /// The service's.
    pub default: usize,
    /// What it may be at most; at least it is 1.
    pub most: usize,
}

macro_rules! request_limits {
    ($($field:ident, $name:literal, $what:literal, $default:expr, $most:expr;)*) => {
        /// The limits in force.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct RequestLimits {
            $(#[doc = $what] pub $field: usize,)*
        }

        impl Default for RequestLimits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl RequestLimits {
            /// All that there are.
            pub const ALL: &[RequestLimit] = &[
                $(RequestLimit { name: $name, what: $what, default: $default, most: $most },)*
            ];

            fn slot(&mut self, name: &str) -> Option<&mut usize> {
                match name {
                    $($name => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

request_limits! {
    upsert_records, "upsert-records", "records of one upsert", UPSERT_RECORDS_MAX, 100_000;
    text_records, "text-records", "records with text of one upsert, and texts of one `/embed`",
        TEXT_RECORDS_MAX, 1000;
    ids, "ids", "ids of one fetch or delete", IDS_PER_REQUEST_MAX, 100_000;
    top_k, "top-k", "results of one query", TOP_K_MAX, 100_000;
    query_answer_bytes, "query-answer-bytes", "bytes of the answer to one query",
        QUERY_ANSWER_BYTES_MAX, 1 << 30;
    list_page, "list-page", "ids or namespaces of one page", LIST_PAGE_MAX, 10_000;
    fetch_page, "fetch-page", "records of one page of a fetch by metadata",
        FETCH_BY_METADATA_PAGE_MAX, 100_000;
    filter_values, "filter-values", "values of one `$in` or `$nin`", FILTER_VALUES_MAX, 1_000_000;
    search_fields, "search-fields", "fields that a search of records names", SEARCH_FIELDS_MAX,
        10_000;
    rerank_documents, "rerank-documents", "documents of one `/rerank`, and hits of a search with it",
        RERANK_DOCUMENTS_MAX, 10_000;
    candidates, "max-candidates", "`maxCandidates` of a query", CANDIDATES_MAX, 1_000_000;
    index_name_chars, "index-name-chars", "characters of the name of an index or collection",
        INDEX_NAME_CHARS_MAX, INDEX_NAME_CHARS_CEILING;
    dimension, "dimension", "components of a dense vector", DIMENSION_MAX as usize,
        DIMENSION_MAX as usize;
    field_name_bytes, "field-name-bytes", "bytes of the name of a schema's field",
        FIELD_NAME_BYTES_MAX, FIELD_NAME_BYTES_CEILING;
    tags, "tags", "tags of one index", TAGS_MAX, TAGS_CEILING;
    tag_key_chars, "tag-key-chars", "characters of a tag's key", TAG_KEY_CHARS_MAX,
        TAG_KEY_CHARS_CEILING;
    tag_value_chars, "tag-value-chars", "characters of a tag's value", TAG_VALUE_CHARS_MAX,
        TAG_VALUE_CHARS_CEILING;
    id_chars, "id-chars", "characters of a record's id", RECORD_ID_CHARS_MAX, RECORD_ID_CHARS_MAX;
    metadata_bytes, "metadata-bytes", "bytes of a record's metadata as JSON", METADATA_BYTES_MAX,
        METADATA_BYTES_CEILING;
    sparse_entries, "sparse-entries", "entries of a sparse vector", SPARSE_ENTRIES_MAX,
        SPARSE_ENTRIES_CEILING;
    namespace_chars, "namespace-chars", "characters of the name of a namespace",
        NAMESPACE_CHARS_MAX, NAMESPACE_CHARS_MAX;
    prefix_chars, "prefix-chars", "characters of the prefix of a listing", NAMESPACE_CHARS_MAX,
        NAMESPACE_CHARS_MAX;
    filter_conditions, "filter-conditions", "conditions of a filter", FILTER_CLAUSES_MAX,
        FILTER_CLAUSES_CEILING;
    filter_depth, "filter-depth", "nesting of a filter", FILTER_DEPTH_MAX, FILTER_DEPTH_CEILING;
    import_uri_chars, "import-uri-chars", "characters of the URI of an import or export",
        IMPORT_URI_CHARS_MAX, IMPORT_URI_CHARS_CEILING;
    integration_id_chars, "integration-id-chars", "characters of its integration's id",
        INTEGRATION_ID_CHARS_MAX, INTEGRATION_ID_CHARS_MAX;
    import_page, "import-page", "imports of one page", IMPORT_PAGE_MAX, JOB_PAGE_CEILING;
    export_page, "export-page", "exports of one page", EXPORT_PAGE_MAX, JOB_PAGE_CEILING;
    backup_page, "backup-page", "backups, restore jobs or schedules of one page", BACKUP_PAGE_MAX,
        JOB_PAGE_CEILING;
}

impl RequestLimits {
    /// Every limit at the most that it may be: what is past these is past the
    /// limits of every server.
    pub fn widest() -> Self {
        let mut limits = Self::default();
        for limit in Self::ALL {
            if let Some(slot) = limits.slot(limit.name) {
                *slot = limit.most;
            }
        }
        limits
    }

    /// Checks the tags of an index, where an empty value may stand for removal.
    pub fn check_tags(&self, tags: &BTreeMap<String, String>) -> CheckResult<()> {
        let (keys, values) = (self.tag_key_chars, self.tag_value_chars);
        if tags.len() > self.tags {
            return Err(Error::invalid(format!(
                "there are {} tags, expected at most {}",
                tags.len(),
                self.tags
            )));
        }
        for (key, value) in tags {
            let key_good = (1..=keys).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            if !key_good {
                return Err(Error::invalid(format!(
                    "tag key {key:?} is refused, expected 1 to {keys} letters, digits, '_' and '-'"
                )));
            }
            let value_good = value.len() <= values
                && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            if !value_good {
                return Err(Error::invalid(format!(
                    "the value of tag {key:?} is refused, expected at most {values} printable \
                     ASCII characters"
                )));
            }
        }
        Ok(())
    }

    /// Changes one. The error says what was found and expected.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some(limit) = Self::ALL.iter().find(|limit| limit.name == name) else {
            let names: Vec<&str> = Self::ALL.iter().map(|limit| limit.name).collect();
            return Err(format!(
                "found the unknown limit {name:?}, expected one of {}",
                names.join(", ")
            ));
        };
        let number = value.parse::<usize>().ok();
        let number =
            number.filter(|number| (1..=limit.most).contains(number)).ok_or_else(|| {
                format!(
                    "limit {name} is {value:?}, expected a whole number from 1 to {}",
                    limit.most
                )
            })?;
        if let Some(slot) = self.slot(name) {
            *slot = number;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_set_by_its_name_within_its_bounds() {
        for limit in RequestLimits::ALL {
            let mut limits = RequestLimits::default();
            assert_eq!(limits.slot(limit.name).copied(), Some(limit.default), "{}", limit.name);
            limits.set(limit.name, &limit.most.to_string()).unwrap();
            assert_eq!(limits.slot(limit.name).copied(), Some(limit.most), "{}", limit.name);
            assert!(limit.default <= limit.most, "{}", limit.name);
            for bad in ["0", "-1", "", "x", "1.5", &(limit.most + 1).to_string()] {
                assert!(limits.set(limit.name, bad).is_err(), "{} {bad}", limit.name);
            }
        }
        assert!(RequestLimits::default().set("nothing", "1").unwrap_err().contains("top-k"));
        let mut widest = RequestLimits::widest();
        for limit in RequestLimits::ALL {
            assert_eq!(widest.slot(limit.name).copied(), Some(limit.most));
        }
    }

    #[test]
    fn the_page_about_limits_lists_them_all() {
        let page = include_str!("../../../docs/limits.md");
        for limit in RequestLimits::ALL {
            let (default, most) = (grouped(limit.default), grouped(limit.most));
            let row = format!("| {} | {default} | `{}` | {most} |", limit.what, limit.name);
            assert!(page.contains(&row), "docs/limits.md has no row {row}");
        }
    }

    /// `1234567` as `1,234,567`.
    fn grouped(number: usize) -> String {
        let digits = number.to_string();
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }
}
