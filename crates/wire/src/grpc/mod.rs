//! The same API over gRPC: its messages, which `cargo xtask proto` makes of
//! `proto/vector_service.proto`, and their conversions. As in the rest of this
//! crate: no I/O, no routing, no database. What a message means is said once,
//! by `core` and by the JSON twin of the message, so that both are refused with
//! the same words.

mod convert;
mod messages;
mod structs;

pub use convert::UpsertMessage;
pub use messages::*;
pub use structs::{filter, metadata, struct_of_json};
