//! A test card, drawn by the CPU into memory that others are given.

use crate::stream::{Result, TIMEOUT};
use lucarne::{Extent, Fence, Format, MemoryPath, Request, Usage, cpu, negotiate};

/// The format of the card.
pub const FORMAT: Format = Format::XRGB8888;

/// A frame of the CPU's with the card in it, in a dma-buf or in host memory.
///
/// # Errors
///
/// If this machine has not what that memory is made with: `/dev/udmabuf` for a dma-buf.
pub fn share(path: MemoryPath, extent: Extent) -> Result<cpu::Image> {
    let allocator = if path == MemoryPath::DmaBuf {
        cpu::Allocator::Udmabuf
    } else {
        cpu::Allocator::HostMemory
    };
    let device = cpu::Adapter::new(allocator).open()?;
    let offer = device.offer(Usage::RENDER)?;
    let request = Request::new(extent).formats(&[FORMAT]).paths(&[path]);
    let image = device.export(&negotiate(&offer, &offer, &request)?)?;
    let pixels = draw(extent);
    // Nobody else has it yet, and it is written when this returns: there is nothing to wait for.
    let _written = image.write(&Fence::Signaled, TIMEOUT, |rows| {
        rows.write_plane(0, &pixels)
    })?;
    Ok(image)
}

/// The card's bytes, the top row first: red grows to the right, green downwards, and a white disc is in the middle.
#[must_use]
pub fn draw(extent: Extent) -> Vec<u8> {
    let (width, height) = (extent.width.max(1), extent.height.max(1));
    let radius = u64::from(width.min(height)) / 3;
    let level = |at: u32, of: u32| u8::try_from(255 * u64::from(at) / u64::from(of)).unwrap_or(255);
    let mut bytes = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (
                u64::from(x.abs_diff(width / 2)),
                u64::from(y.abs_diff(height / 2)),
            );
            let within = dx * dx + dy * dy < radius * radius;
            let pixel = if within {
                [255; 4]
            } else {
                [96, level(y, height), level(x, width), 255]
            };
            bytes.extend(pixel);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Picture;

    #[test]
    fn the_disc_is_in_the_middle() {
        let extent = Extent::new(90, 60);
        let picture = Picture::from_frame(extent, FORMAT, draw(extent)).expect("its size");
        assert_eq!(picture.pixel(45, 30), [255; 4]);
        // Its radius is a third of the height.
        assert_eq!(picture.pixel(45, 11), [255; 4]);
        assert_eq!(picture.pixel(45, 10), [127, 42, 96, 255]);
        assert_eq!(picture.pixel(0, 0), [0, 0, 96, 255]);
    }
}
