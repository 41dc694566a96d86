//! The data plane's routes, one module per resource. Each function parses,
//! calls the database once and renders.

pub(crate) mod columns;
pub(crate) mod documents;
pub(crate) mod exports;
pub(crate) mod imports;
pub(crate) mod manifest;
pub(crate) mod namespaces;
pub(crate) mod query;
pub(crate) mod records;
pub(crate) mod search;
pub(crate) mod vectors;

use crossbill_core::{Error, Result};
use serde_json::value::RawValue;

/// Stored metadata as it goes out: the text itself, not read again into
/// values.
fn raw_metadata(json: Option<String>) -> Result<Option<Box<RawValue>>> {
    json.map(RawValue::from_string)
        .transpose()
        .map_err(|error| Error::internal(format!("stored metadata is not JSON: {error}")))
}
