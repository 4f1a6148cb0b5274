//! See `lucarne_fuzz::modifier`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lucarne_fuzz::modifier::check(bytes));
