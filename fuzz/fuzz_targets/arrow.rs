//! An Arrow file or stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| crossbill_fuzz::file("f.arrow", file));
