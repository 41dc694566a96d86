//! A NumPy array.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| crossbill_fuzz::file("f.npy", file));
