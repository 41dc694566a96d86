//! Paging: what the opaque token carries that a listing goes on with, and the
//! `pagination` object that gives it out. Nothing is signed here; that is the
//! server's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `pagination` of an answer; the last page has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pagination {
    /// The token of the next page.
    pub next: String,
}

/// What a token carries. A client that goes on may leave out the prefix and
/// the limit, so both are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageToken {
    /// The listing's prefix.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The listing's page size.
    pub limit: usize,
    /// The last item of the page before.
    pub after: String,
}

/// A token that this server did not give out, or gave out for another listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "paginationToken is malformed or of another listing, expected one that a page of this \
     listing before this gave"
)]
pub struct TokenError;

impl From<TokenError> for crossbill_core::Error {
    fn from(error: TokenError) -> Self {
        crossbill_core::Error::invalid(error.to_string())
    }
}

impl PageToken {
    /// The content as bytes: JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of text and numbers is always JSON")
    }

    /// Reads the content.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        serde_json::from_slice(bytes).map_err(|_| TokenError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_content_is_refused() {
        for bad in ["", "x", "{}", r#"{"a":1}"#, r#"{"limit":1,"after":"a","b":1}"#] {
            assert_eq!(PageToken::from_bytes(bad.as_bytes()), Err(TokenError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn content_reads_back(prefix in ".{0,8}", limit in 0_usize..200, after in ".{0,40}") {
            let token = PageToken { prefix, limit, after };
            prop_assert_eq!(PageToken::from_bytes(&token.to_bytes()), Ok(token));
        }
    }
}
