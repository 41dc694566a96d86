//! Seeded histories of the database checked against a plain model. For tests
//! only: nothing of the product depends on this crate.

mod model;

pub use model::{Model, matches};
