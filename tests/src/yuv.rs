//! `Y'CbCr` frames whose every sample is known, and the colours that exact arithmetic makes of them.

use lucarne::color::{
    ChromaLocation, ColorDescription, Matrix, Range, Subsampling, YcbcrConversion, chroma_at_pixel,
};
use lucarne::cpu::Allocator;
use lucarne::{
    Component, DeviceId, Extent, Fence, Format, FormatInfo, Frame, FrameLayout, Modifier, Plane,
    Tiling,
};

use crate::cpu::{open, write};
use crate::memory;

/// Every matrix.
pub const MATRICES: [Matrix; 5] = [
    Matrix::Bt709,
    Matrix::Bt601,
    Matrix::Bt2020,
    Matrix::Fcc,
    Matrix::Smpte240M,
];

/// Both ranges.
pub const RANGES: [Range; 2] = [Range::Limited, Range::Full];

/// How a foreign allocator might place planes.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    /// Where the first one starts.
    pub offset: u64,
    /// Pitches are multiples of this.
    pub pitch_alignment: u64,
    /// Bytes beyond an aligned row.
    pub pitch_extra: u64,
    /// Bytes between planes.
    pub gap: u64,
}

/// As this crate places them.
pub const OURS: Planes = Planes {
    offset: 0,
    pitch_alignment: 256,
    pitch_extra: 0,
    gap: 0,
};

/// With an offset, gaps, and pitches that nobody asked for.
pub const FOREIGN: Planes = Planes {
    offset: 4096 + 64,
    pitch_alignment: 64,
    pitch_extra: 192,
    gap: 320,
};

impl Planes {
    /// A frame of this format, in memory of no device.
    ///
    /// # Panics
    ///
    /// When there is no memory left.
    pub fn frame(self, allocator: &Allocator, extent: Extent, format: Format) -> Frame {
        let info = format.info().expect("a known format");
        let mut end = self.offset;
        let mut planes = Vec::new();
        for index in 0..info.planes.len() {
            let row = u64::from(info.row_bytes(index, extent.width).expect("a row"));
            let rows = u64::from(info.rows(index, extent.height).expect("rows"));
            let pitch = row.next_multiple_of(self.pitch_alignment) + self.pitch_extra;
            planes.push(Plane {
                object: 0,
                offset: end,
                pitch,
            });
            // Room for drivers that work in blocks of rows.
            end += pitch * rows.next_multiple_of(4) + self.gap;
        }
        let tiling = Tiling::Explicit(Modifier::LINEAR);
        let size = end.next_multiple_of(lucarne::PAGE_BYTES);
        let layout = FrameLayout::new(extent, format, tiling, &planes, &[size]).expect("a layout");
        let device = DeviceId {
            software: true,
            ..DeviceId::default()
        };
        Frame::new(layout, memory::allocate(allocator, size), device).expect("a frame")
    }
}

/// The samples of a frame.
#[derive(Clone, Debug)]
pub struct Samples {
    info: &'static FormatInfo,
    extent: Extent,
    chroma: Extent,
    luma: Vec<u16>,
    cb: Vec<u16>,
    cr: Vec<u16>,
}

fn at(values: &[u16], extent: Extent, x: u32, y: u32) -> u16 {
    // Blocks may reach beyond the last column.
    let x = x.min(extent.width - 1);
    values[usize::try_from(y * extent.width + x).expect("fits memory")]
}

impl Samples {
    /// Every code may occur, the extremes do, and neighbours differ.
    ///
    /// # Panics
    ///
    /// For an unknown format.
    pub fn new(format: Format, extent: Extent, seed: u32) -> Self {
        let info = format.info().expect("a known format");
        let chroma = Subsampling::of(info).samples(extent);
        let max = (1_u32 << info.bits(Component::Luma)) - 1;
        let plane = |extent: Extent, plane: u32| {
            let count = extent.width * extent.height;
            let values = (0..count).map(|index| {
                let mixed = (index + 1 + plane * 7919 + seed * 104_729).wrapping_mul(2_654_435_761);
                let code = match mixed >> 29 {
                    0 => 0,
                    1 => max,
                    _ => (mixed >> 7) % (max + 1),
                };
                u16::try_from(code).expect("at most 16 bits")
            });
            values.collect()
        };
        Self {
            info,
            extent,
            chroma,
            luma: plane(extent, 0),
            cb: plane(chroma, 1),
            cr: plane(chroma, 2),
        }
    }

    /// The same with one chroma for all pixels.
    #[must_use]
    pub fn with_even_chroma(mut self) -> Self {
        // Colours that no pixel clips at black or white.
        let middle = 1_u16 << (self.info.bits(Component::Luma) - 1);
        self.cb.fill(middle / 4 * 5);
        self.cr.fill(middle / 4 * 3);
        self
    }

    /// The bytes of each plane, rows without padding.
    ///
    /// # Panics
    ///
    /// Never, for the formats of the table.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        let planes = self.info.planes.iter().enumerate();
        planes.map(|(index, _)| self.plane_bytes(index)).collect()
    }

    fn plane_bytes(&self, index: usize) -> Vec<u8> {
        let plane = &self.info.planes[index];
        let row = self
            .info
            .row_bytes(index, self.extent.width)
            .expect("a row");
        let blocks = row / u32::from(plane.block_bytes);
        let mut bytes = Vec::new();
        for y in 0..plane.rows(self.extent.height) {
            for block in 0..blocks {
                let mut number = 0_u128;
                // Channels are listed from the most significant bits; samples run from the least.
                let mut lumas = 0;
                for channel in plane.channels.iter().rev() {
                    let value = match channel.component {
                        Component::Luma => {
                            let x = block * u32::from(plane.block_width) + lumas;
                            lumas += 1;
                            at(&self.luma, self.extent, x, y)
                        }
                        Component::Cb => at(&self.cb, self.chroma, block, y),
                        Component::Cr => at(&self.cr, self.chroma, block, y),
                        _ => 0,
                    };
                    number |= u128::from(value) << channel.shift;
                }
                let width = usize::from(plane.block_bytes);
                bytes.extend_from_slice(&number.to_le_bytes()[..width]);
            }
        }
        bytes
    }

    /// Writes the samples into a frame; returns the acquire fence.
    ///
    /// # Panics
    ///
    /// When the turn fails.
    pub fn write(&self, frame: &Frame) -> Fence {
        let device = open(&Allocator::HostMemory);
        let image = device.import(frame).expect("a mapped frame");
        write(&image, &Fence::Signaled, &self.bytes())
    }

    /// The colour of each pixel, clipped to 0 to 1, first row first.
    ///
    /// # Panics
    ///
    /// For a description without a matrix.
    pub fn colors(&self, color: &ColorDescription) -> Vec<[f64; 3]> {
        self.colors_of(color, None)
    }

    /// The same where each pixel takes one chroma sample, unfiltered (`VK_FILTER_NEAREST`): that of its own block, or the
    /// one at its own place, which for a pixel halfway between two is the next.
    ///
    /// # Panics
    ///
    /// For a description without a matrix.
    pub fn unfiltered_colors(&self, color: &ColorDescription, blocks: bool) -> Vec<[f64; 3]> {
        self.colors_of(color, Some(blocks))
    }

    fn colors_of(&self, color: &ColorDescription, blocks: Option<bool>) -> Vec<[f64; 3]> {
        let conversion = YcbcrConversion::of(self.info, color).expect("a matrix");
        let subsampling = Subsampling::of(self.info);
        let mut colors = Vec::new();
        for y in 0..self.extent.height {
            for x in 0..self.extent.width {
                let chroma = |x, y| {
                    [
                        at(&self.cb, self.chroma, x, y),
                        at(&self.cr, self.chroma, x, y),
                    ]
                    .map(f64::from)
                };
                let single = |pixel: u32, count: u8, location, samples: u32| {
                    let count = u32::from(count);
                    let ahead = blocks == Some(false) && location == ChromaLocation::CositedEven;
                    let pixel = if ahead { pixel + count / 2 } else { pixel };
                    (pixel / count).min(samples - 1)
                };
                let [cb, cr] = if blocks.is_some() {
                    let (across, down) = (subsampling.horizontal, subsampling.vertical);
                    let siting = color.siting;
                    chroma(
                        single(x, across, siting.horizontal, self.chroma.width),
                        single(y, down, siting.vertical, self.chroma.height),
                    )
                } else {
                    chroma_at_pixel((x, y), self.extent, subsampling, color.siting, chroma)
                };
                let luma = f64::from(at(&self.luma, self.extent, x, y));
                let rgb = conversion.rgb([luma, cb, cr]);
                colors.push(rgb.map(|value| value.clamp(0.0, 1.0)));
            }
        }
        colors
    }
}

/// The largest difference between two pictures, of any pixel and colour.
///
/// # Panics
///
/// When they have different sizes.
pub fn difference(read: &[[f32; 4]], expected: &[[f64; 3]]) -> f64 {
    assert_eq!(read.len(), expected.len());
    let pairs = read.iter().zip(expected);
    let differences = pairs.flat_map(|(read, expected)| {
        (0..3).map(move |channel| (f64::from(read[channel]) - expected[channel]).abs())
    });
    differences.fold(0.0, f64::max)
}
