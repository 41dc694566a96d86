//! What the fuzz targets share.

use std::panic;
use std::sync::{LazyLock, Once};

use rayon::{ThreadPool, ThreadPoolBuilder};

static POOL: LazyLock<ThreadPool> =
    LazyLock::new(|| ThreadPoolBuilder::new().num_threads(1).build().unwrap());

/// Surveys and decodes a file of the format that `path` ends with.
pub fn file(path: &str, bytes: &[u8]) {
    let_panics_unwind();
    crossbill_import::fuzzing::file(path, bytes, &POOL);
}

/// Reads a Parquet footer.
pub fn footer(bytes: &[u8]) {
    let_panics_unwind();
    crossbill_import::fuzzing::footer(bytes);
}

/// Panics within the libraries are caught and become the file's failure, but
/// libFuzzer would end the process at each. One that is not caught still ends
/// it: it unwinds into the target.
fn let_panics_unwind() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(|_| {})));
}
