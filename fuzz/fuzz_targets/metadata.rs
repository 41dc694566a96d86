//! The JSON of a record's metadata.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &str| {
    let _ = crossbill_core::Metadata::from_json(json);
});
