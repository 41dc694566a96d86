//! JSON lines; the first byte says how they are packed.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((packing, file)) = input.split_first() else { return };
    let path = ["f.jsonl", "f.jsonl.gz", "f.jsonl.zst"][usize::from(*packing) % 3];
    crossbill_fuzz::file(path, file);
});
