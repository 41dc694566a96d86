//! What a look at a data directory and its surroundings finds, for an
//! operator who asks whether a server can run there. Facts only: what is good
//! or bad is judged by who asks. Opens no database and changes nothing but a
//! probe file, which it deletes.

mod place;
mod scrub;
mod sources;

pub use place::{DataPlace, PlaceFacts, Privacy, probe_sync};
pub use scrub::{Finding, ScrubOptions, ScrubReport, Severity, scrub};
pub use sources::{IntegrationCheck, check_integrations};

use std::path::Path;
use std::sync::Arc;

use crossbill_core::{RandomIds, Result, SystemClock};
use crossbill_store::{Root, RootOptions};

use crate::catalog_state::CatalogState;

/// Names and ports of the indexes that a data directory holds.
pub fn index_ports(data: &Path) -> Result<Vec<(String, u16)>> {
    let catalog = CatalogState::load(&look(data)?)?.catalog;
    let port = |(name, entry): (&crossbill_core::IndexName, &crate::catalog::CatalogEntry)| {
        (name.as_str().to_owned(), entry.info(name).port)
    };
    Ok(catalog.indexes.iter().map(port).collect())
}

/// The engine's kernels for this processor: what instructions they use.
pub fn instructions() -> &'static str {
    crossbill_engine::kernels::instructions()
}

fn look(data: &Path) -> Result<Root> {
    Ok(Root::look(RootOptions {
        path: data.to_owned(),
        faults: None,
        ids: Arc::new(RandomIds),
        clock: Arc::new(SystemClock::new()),
    })?)
}
