//! Chroma that several pixels share: where it lies, how it is made of pixels, and how pixels get it back.

use super::{ChromaLocation, ChromaSiting};
use crate::format::FormatInfo;
use crate::layout::Extent;

/// How many pixels share a chroma sample, along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subsampling {
    /// From left to right.
    pub horizontal: u8,
    /// From top to bottom.
    pub vertical: u8,
}

impl Subsampling {
    /// That of a `Y'CbCr` format; 1 and 1 where every pixel has its own.
    pub fn of(info: &FormatInfo) -> Self {
        match *info.planes {
            // Two pixels and one pair of chroma in a block (YUYV).
            [plane] => Self {
                horizontal: plane.block_width,
                vertical: plane.block_height,
            },
            _ => Self {
                horizontal: info
                    .planes
                    .iter()
                    .map(|p| p.horizontal_subsampling)
                    .max()
                    .unwrap_or(1),
                vertical: info
                    .planes
                    .iter()
                    .map(|p| p.vertical_subsampling)
                    .max()
                    .unwrap_or(1),
            },
        }
    }

    /// How many chroma samples a frame has along each axis.
    pub fn samples(self, frame: Extent) -> Extent {
        Extent::new(
            frame.width.div_ceil(self.horizontal.into()),
            frame.height.div_ceil(self.vertical.into()),
        )
    }

    /// Where the first chroma sample lies, in pixels right of and below the centre of the first pixel.
    pub fn offset(self, siting: ChromaSiting) -> [f64; 2] {
        [
            offset(self.horizontal, siting.horizontal),
            offset(self.vertical, siting.vertical),
        ]
    }
}

fn offset(count: u8, location: ChromaLocation) -> f64 {
    match location {
        ChromaLocation::CositedEven => 0.0,
        ChromaLocation::Midpoint => (f64::from(count) - 1.0) / 2.0,
    }
}

/// A sample or pixel, and what it counts for.
pub type Tap = (u32, f64);

/// What a pixel's chroma is made of, along one axis: the two nearest samples, by distance. The outermost samples count
/// beyond the edges too.
pub fn upsampling_taps(pixel: u32, count: u8, location: ChromaLocation, samples: u32) -> [Tap; 2] {
    let at = (f64::from(pixel) - offset(count, location)) / f64::from(count);
    let below = at.floor();
    let weight = at - below;
    let last = samples.saturating_sub(1);
    [
        (clamp(below, last), 1.0 - weight),
        (clamp(below + 1.0, last), weight),
    ]
}

/// What a chroma sample is made of, along one axis: a box as wide as the pixels that share it, centred where it lies, in
/// which pixels count by how much of them is inside. In the middle of two that is a half of each; on the first of two, a
/// half of it and a quarter of each neighbour. The outermost pixels count beyond the edges too.
pub fn downsampling_taps(
    sample: u32,
    count: u8,
    location: ChromaLocation,
    pixels: u32,
) -> Vec<Tap> {
    let width = f64::from(count);
    let center = f64::from(sample) * width + offset(count, location);
    let (begin, end) = (center - width / 2.0, center + width / 2.0);
    let first = (begin + 0.5).floor();
    let last = pixels.saturating_sub(1);
    (0..=u32::from(count))
        .map(|step| first + f64::from(step))
        .filter_map(|pixel| {
            let inside = (end.min(pixel + 0.5) - begin.max(pixel - 0.5)).max(0.0);
            (inside > 0.0).then(|| (clamp(pixel, last), inside / width))
        })
        .collect()
}

fn clamp(value: f64, last: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 32 bits"
    )]
    let value = value.clamp(0.0, f64::from(last)) as u32;
    value
}

/// The chroma of a pixel, out of what `sample` says of each chroma sample (column, row).
pub fn chroma_at_pixel(
    (x, y): (u32, u32),
    frame: Extent,
    subsampling: Subsampling,
    siting: ChromaSiting,
    sample: impl Fn(u32, u32) -> [f64; 2],
) -> [f64; 2] {
    let samples = subsampling.samples(frame);
    let columns = upsampling_taps(x, subsampling.horizontal, siting.horizontal, samples.width);
    let rows = upsampling_taps(y, subsampling.vertical, siting.vertical, samples.height);
    weighed(&columns, &rows, sample)
}

/// The colour of a chroma sample, out of what `pixel` says of each pixel (column, row).
pub fn pixels_to_chroma(
    (x, y): (u32, u32),
    frame: Extent,
    subsampling: Subsampling,
    siting: ChromaSiting,
    pixel: impl Fn(u32, u32) -> [f64; 3],
) -> [f64; 3] {
    let columns = downsampling_taps(x, subsampling.horizontal, siting.horizontal, frame.width);
    let rows = downsampling_taps(y, subsampling.vertical, siting.vertical, frame.height);
    weighed(&columns, &rows, pixel)
}

fn weighed<const N: usize>(
    columns: &[Tap],
    rows: &[Tap],
    value: impl Fn(u32, u32) -> [f64; N],
) -> [f64; N] {
    let mut sum = [0.0; N];
    for (y, row_weight) in rows {
        for (x, column_weight) in columns {
            let weight = row_weight * column_weight;
            if weight > 0.0 {
                for (total, part) in sum.iter_mut().zip(value(*x, *y)) {
                    *total += weight * part;
                }
            }
        }
    }
    sum
}
