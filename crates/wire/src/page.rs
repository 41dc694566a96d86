//! Paging: the opaque token that carries a listing on, and the `pagination`
//! object that gives it out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

/// A token that this server did not give out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("paginationToken is malformed, expected one that a page before this gave")]
pub struct TokenError;

impl From<TokenError> for crossbill_core::Error {
    fn from(error: TokenError) -> Self {
        crossbill_core::Error::invalid(error.to_string())
    }
}

impl PageToken {
    /// The token's text: base64 of JSON.
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("a struct of text and numbers is always JSON");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads a token's text.
    pub fn decode(text: &str) -> Result<Self, TokenError> {
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError)?;
        serde_json::from_slice(&json).map_err(|_| TokenError)
    }

    /// The `pagination` object that gives this token out.
    pub fn pagination(&self) -> Pagination {
        Pagination { next: self.encode() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_tokens_are_refused() {
        for bad in ["", "x", "e30", "eyJhIjoxfQ", "====", "日本"] {
            assert_eq!(PageToken::decode(bad), Err(TokenError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn tokens_read_back(prefix in ".{0,8}", limit in 0_usize..200, after in ".{0,40}") {
            let token = PageToken { prefix, limit, after };
            prop_assert_eq!(PageToken::decode(&token.encode()), Ok(token));
        }
    }
}
