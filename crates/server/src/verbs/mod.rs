//! What the data plane does, whatever the wire: each use case once, from the
//! parts of a request to what is answered. REST and gRPC both come through
//! here, so neither can allow what the other refuses. No JSON and no message
//! is read or written here.

pub(crate) mod namespaces;
pub(crate) mod query;
pub(crate) mod records;

use crossbill_core::Filter;
use crossbill_wire::PageToken;

use crate::call::check_limit;
use crate::error::ApiError;

/// A page of a listing, as a request asks for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageRequest {
    pub(crate) prefix: String,
    pub(crate) limit: usize,
    pub(crate) after: Option<String>,
}

impl PageRequest {
    /// The page asked for. A token stands in for what is left out beside it.
    pub(crate) fn new(
        token: Option<&str>,
        limit: Option<usize>,
        prefix: Option<&str>,
        (limit_max, default): (usize, usize),
    ) -> Result<Self, ApiError> {
        let token = token.map(PageToken::decode).transpose()?;
        let limit = limit.or(token.as_ref().map(|token| token.limit)).unwrap_or(default);
        check_limit(limit, limit_max)?;
        match token {
            None => Ok(Self { prefix: prefix.unwrap_or("").to_owned(), limit, after: None }),
            Some(token) => {
                if prefix.is_some_and(|prefix| prefix != token.prefix) {
                    return Err(ApiError::invalid(format!(
                        "paginationToken was given for prefix {:?}, expected the same prefix",
                        token.prefix
                    )));
                }
                Ok(Self { prefix: token.prefix, limit, after: Some(token.after) })
            }
        }
    }

    /// The token of the page after this one, which ended with `last`.
    fn next(self, last: String) -> PageToken {
        PageToken { prefix: self.prefix, limit: self.limit, after: last }
    }
}

/// A filter that must be there and say something.
pub(crate) fn required(filter: Option<Filter>, empty: &str) -> Result<Filter, ApiError> {
    filter.filter(|filter| !filter.is_empty()).ok_or_else(|| ApiError::invalid(empty))
}
