//! The embedded database as a Python module, so that the benchmark calls it
//! in process like its peers: a vector from numpy in, ids out.
//!
//! It calls the same public API as the server and adds nothing to it. Only
//! the benchmark uses it; its calls change without notice.

mod database;

use database::{Import, Stats, Store};
use mimalloc::MiMalloc;
use pyo3::prelude::*;

/// The allocator of the released binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The embedded database, for the benchmark.
#[pymodule]
fn crossbill_bench(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Store>()?;
    module.add_class::<Import>()?;
    module.add_class::<Stats>()?;
    Ok(())
}
