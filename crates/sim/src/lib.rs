//! Seeded histories of the database checked against a plain model. For tests
//! only: nothing of the product depends on this crate.

mod model;
mod words;

pub use model::{Model, best, matches};
pub use words::{BODY, TITLE, Wanted, text_schema};
