//! A Parquet file: footer, pages and rows.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| crossbill_fuzz::file("f.parquet", file));
