//! What the data plane does, whatever the wire: each use case once, from the
//! parts of a request to what is answered. REST and gRPC both come through
//! here, so neither can allow what the other refuses. No JSON and no message
//! is read or written here.

pub(crate) mod namespaces;
pub(crate) mod query;
pub(crate) mod records;

use crossbill_core::Filter;

use crate::error::ApiError;

/// A filter that must be there and say something.
pub(crate) fn required(filter: Option<Filter>, empty: &str) -> Result<Filter, ApiError> {
    filter.filter(|filter| !filter.is_empty()).ok_or_else(|| ApiError::invalid(empty))
}

/// The filter of a write: it says something, and of metadata alone.
pub(crate) fn of_metadata(filter: Filter, empty: &str) -> Result<Filter, ApiError> {
    let filter = required(Some(filter), empty)?;
    let mut of_text = None;
    filter.for_each(&mut |part| {
        if let Filter::Text(field, ..) = part {
            of_text = Some(field.clone());
        }
    });
    match of_text {
        None => Ok(filter),
        Some(field) => Err(ApiError::invalid(format!(
            "the filter asks for words of field {field:?}, expected conditions on metadata: only a \
             search takes $match_phrase, $match_all and $match_any"
        ))),
    }
}
