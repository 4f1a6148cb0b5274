//! Bytes that nobody may touch: those of lucarne-conformance.

use lucarne::Frame;
use lucarne_conformance::placement;

/// Fills all of a frame's memory with canaries.
///
/// # Panics
///
/// When the memory cannot be mapped.
pub fn fill(frame: &Frame) {
    placement::fill(frame).expect("canaries");
}

/// Fails at the first byte outside of a linear frame's rows that is no canary any more.
///
/// # Panics
///
/// At that byte.
pub fn assert_untouched(frame: &Frame, what: &str) {
    if let Err(touched) = placement::check_untouched(frame) {
        panic!("{what}: {touched}");
    }
}
