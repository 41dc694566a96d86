//! The bulk import: a directory of Parquet becomes segments of an index.
//!
//! ```text
//! list, footers ─ plan ─▶ tasks ─▶ fetch ─ decode ─ validate ─▶ segments ─▶ ledger
//!                                                      └─▶ rejects
//! ```
//!
//! A task is a pure function of its spec and the source, so that it can be
//! retried after a crash and run anywhere behind [`TaskRunner`]. What a task
//! made is published by the [`Ledger`] alone, strictly in source order.
//! This crate knows nothing of namespaces that exist, of the wire, or of
//! which import runs when: that is the database's business.

mod columns;
mod decode;
mod document_lines;
mod dry;
mod error;
mod execute;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod loaded;
mod mapping;
mod plan;
mod preview;
mod record_table;
mod reject;
mod rejects;
mod runner;
mod settings;
mod source;
mod task;
#[cfg(test)]
mod testing;
mod validate;
mod watch;

pub use document_lines::DocumentLines;
pub use dry::{DryIds, IdHash, SeenIds, ids_within};
pub use error::{ImportError, Overrun, TaskError};
pub use execute::{Ledger, execute, first_reason};
pub use loaded::LoadedFiles;
pub use mapping::{ColumnMapping, MetadataMapping};
pub use plan::{Plan, PlanRequest, PlannedFile, plan};
pub use preview::{Preview, PreviewColumn, PreviewRequest, PreviewRow, preview};
pub use record_table::RecordTable;
pub use reject::{Reject, codes};
pub use rejects::{RecordText, RejectLog, RejectSummary, rejects_key};
pub use runner::{LocalRunner, RunnerParts, TaskRunner, part_key};
pub use settings::{ErrorMode, ImportSettings};
pub use task::{LineSpan, SourceFile, TaskOutcome, TaskPiece, TaskSegment, TaskSpec};
pub use watch::{ImportWatch, Phase, Progress, TaskWatch};
