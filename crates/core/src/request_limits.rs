//! The limits of a request that an operator may change: by default those of
//! the hosted service, so that code which passes here passes there. What the
//! formats bound (ids, dimensions, metadata) is not among them.

use crate::limits::{
    FETCH_BY_METADATA_PAGE_MAX, FILTER_VALUES_MAX, IDS_PER_REQUEST_MAX, LIST_PAGE_MAX,
    QUERY_ANSWER_BYTES_MAX, RERANK_DOCUMENTS_MAX, SEARCH_FIELDS_MAX, TEXT_RECORDS_MAX, TOP_K_MAX,
    UPSERT_RECORDS_MAX,
};

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
}

impl RequestLimits {
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
            for bad in ["0", "-1", "", "x", "1.5", &(limit.most + 1).to_string()] {
                assert!(limits.set(limit.name, bad).is_err(), "{} {bad}", limit.name);
            }
        }
        assert!(RequestLimits::default().set("nothing", "1").unwrap_err().contains("top-k"));
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
