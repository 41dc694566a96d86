//! Full-text search: which rows have these words, and how well do they fit?
//! Words are kept with tantivy; here is how text is taken apart, how a query is
//! read, and how scores are the same wherever a record stands.
//!
//! Opens no file, starts no thread. Knows no segments and no namespaces: rows
//! are numbers, and which of them count is passed in.

mod analyzer;
mod build;
mod fields;
mod files;
mod held;
mod index;
mod plan;
mod query;
mod search;
mod section;
mod stats;
mod syntax;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::FormatError;

pub(crate) use build::TextBuilder;
pub use fields::TextFields;
pub use index::TextIndex;
pub use plan::{TextPart, TextPlan};
pub use query::{TextQuery, TextQueryError};
pub(crate) use section::{read_section, write_section};

/// The name of the section in messages.
const SECTION: &str = "text";

/// Runs `work`, which reads stored bytes with tantivy. What it cannot read, and
/// what makes it panic, is damage: the section's checksum was right, so that
/// only a faulty writer makes such bytes.
fn guarded<T>(work: impl FnOnce() -> tantivy::Result<T>) -> Result<T, FormatError> {
    let unreadable =
        |found: String| FormatError::damaged(SECTION, found, "what tantivy wrote".to_owned());
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(read) => read.map_err(|error| unreadable(error.to_string())),
        Err(_) => Err(unreadable("bytes that no reader expects".to_owned())),
    }
}
