//! See `lucarne-stream/src/ring/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lucarne_stream::fuzzing::ring(bytes));
