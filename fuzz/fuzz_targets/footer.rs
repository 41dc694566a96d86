//! A Parquet footer: the input is what stands between data and trailer.
#![no_main]

libfuzzer_sys::fuzz_target!(|footer: &[u8]| {
    let length = (footer.len() as u32).to_le_bytes();
    let file = [b"PAR1", footer, &length[..], b"PAR1"].concat();
    crossbill_fuzz::footer(&file);
});
