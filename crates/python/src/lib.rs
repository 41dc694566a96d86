//! What the Python package `crossbill` has of Rust: the database in process,
//! behind the API that a server speaks; tables on their way into it; and the
//! command line.
//!
//! Nothing of the API is decided here: a request goes to the server's own
//! router, and Python's side is the same client as over HTTP. Every call lets
//! go of Python's lock while it works.

mod database;
mod rows;
mod stream;
mod table;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use database::Database;
use mimalloc::MiMalloc;
use pyo3::prelude::*;
use rows::Rows;
use table::Table;

/// The allocator of the released binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Runs the command line `words`, the program's name first, and gives the code
/// to end with.
#[pyfunction]
fn run(py: Python<'_>, words: Vec<Vec<u8>>) -> u8 {
    let words = words.into_iter().map(OsString::from_vec).collect();
    py.detach(|| crossbill_cli::run(words))
}

/// The native half of the package; its names are the package's own business.
#[pymodule]
#[pyo3(name = "_native")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Database>()?;
    module.add_class::<Table>()?;
    module.add_class::<Rows>()?;
    module.add_function(wrap_pyfunction!(run, module)?)?;
    Ok(())
}
