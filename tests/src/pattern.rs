//! Patterns whose every pixel is known, and what a sampler must read of them: those of lucarne-conformance.

use lucarne::{Extent, Format};
use lucarne_conformance::Pixels;
pub use lucarne_conformance::pattern::{bytes, compare, expected};

/// Compares what was read with what must be there.
///
/// # Panics
///
/// At the first pixel that differs by more than half a unit of 16 bits, which no wrong unit of a format hides in.
pub fn assert_equal(format: Format, extent: Extent, frame: u32, read: &[[f32; 4]]) {
    let info = format.info().expect("a known format");
    let read = Pixels::Sampled(read.to_vec());
    if let Err(difference) = compare(info, extent, frame, &read) {
        panic!("{format} {extent}, {difference}");
    }
}
