//! A Parquet file: footer, pages and rows.
#![no_main]

use std::sync::LazyLock;

static POOL: LazyLock<rayon::ThreadPool> =
    LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap());

libfuzzer_sys::fuzz_target!(|file: &[u8]| crossbill_import::fuzzing::file("f.parquet", file, &POOL));
