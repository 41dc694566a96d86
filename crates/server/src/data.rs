//! The data plane's routes, one module per resource. Each function parses,
//! calls the database once and renders.

pub(crate) mod columns;
pub(crate) mod exports;
pub(crate) mod imports;
pub(crate) mod manifest;
pub(crate) mod namespaces;
pub(crate) mod query;
pub(crate) mod records;
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

/// A score as JSON can carry it: products of finite vectors can be infinite.
fn finite(score: f32) -> f32 {
    if score.is_nan() { 0.0 } else { score.clamp(f32::MIN, f32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_always_numbers() {
        assert_eq!(finite(f32::INFINITY), f32::MAX);
        assert_eq!(finite(f32::NEG_INFINITY), f32::MIN);
        assert_eq!(finite(f32::NAN), 0.0);
        assert_eq!(finite(-0.5), -0.5);
    }
}
