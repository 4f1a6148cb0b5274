//! Chroma samples that several pixels share: where they lie, how they are computed from pixels, and how a pixel's chroma is
//! computed from them.

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
    /// The subsampling of a format: 1 and 1 where every pixel has chroma of its own.
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

/// Which samples a pixel's chroma is computed from, along one axis: the two nearest, weighted by distance. Beyond the
/// edges, the outermost sample is repeated.
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

/// Which pixels a chroma sample is computed from, along one axis, and with which weights. This is a box filter: the box is
/// as wide as the pixels that share the sample, and its centre is where the sample lies. A pixel's weight is the part of it
/// that lies inside the box. A sample in the middle of two pixels takes a half of each; a sample on the first of two takes a
/// half of that one and a quarter of each neighbour. Beyond the edges, the outermost pixel is repeated.
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

/// The chroma of a pixel. `sample` gives the chroma sample of a column and a row.
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

/// The colour of a chroma sample. `pixel` gives the colour of the pixel in a column and a row.
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
