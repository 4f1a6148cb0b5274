//! See `lucarne_fuzz::negotiation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lucarne_fuzz::negotiation::check(bytes));
