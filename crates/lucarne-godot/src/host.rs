//! Frames through host memory: what works everywhere, at the price of copies.

use std::time::Duration;

use godot::builtin::PackedByteArray;
use godot::classes::Image;
use godot::classes::image::Format as ImageFormat;
use godot::prelude::Gd;
use lucarne::{Error, Extent, Fence, Format, Offer, Requirement, Result, Usage, cpu};

use crate::convert;

/// A device of the CPU's, in whose memory others can write and read without a GPU.
pub(crate) fn open() -> Result<cpu::Device> {
    cpu::Adapter::new(cpu::Allocator::HostMemory).open()
}

/// What the CPU can share, less the formats that no pixels are made of here.
pub(crate) fn offer(device: &cpu::Device, usage: Usage) -> Result<Offer> {
    let mut offer = device.offer(usage)?;
    let known = |format: Format| convert::CPU_FORMATS.contains(&format);
    offer.entries.retain(|entry| known(entry.format));
    Ok(offer)
}

/// A frame's pixels as an image of Godot's, by one copy, and the fence for its way back. `ready` has signalled.
pub(crate) fn read(
    image: &cpu::Image,
    ready: &Fence,
    timeout: Duration,
) -> Result<(Gd<Image>, Fence)> {
    let layout = image.frame().layout();
    let (extent, format) = (layout.extent(), layout.format());
    let mut bytes = vec![0; image.plane_bytes(0)];
    let read = image.read(ready, timeout, |rows| rows.read_plane(0, &mut bytes))?;
    if !convert::to_rgba(format, &mut bytes) {
        let limit = "one of ABGR8888, XBGR8888, ARGB8888, XRGB8888";
        return Err(Error::Invalid {
            field: "format",
            got: format.to_string(),
            limit: limit.to_owned(),
        });
    }
    let bytes = PackedByteArray::from(bytes);
    let side = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
    let (width, height) = (side(extent.width), side(extent.height));
    let pixels = Image::create_from_data(width, height, false, ImageFormat::RGBA8, &bytes);
    let pixels = pixels.ok_or_else(|| {
        let missing = Requirement::other("was refused by Godot");
        Error::Unsupported {
            what: format!("an image of {extent}"),
            missing: vec![missing],
        }
    })?;
    Ok((pixels, read))
}

/// Writes an image's pixels into a frame: one copy, besides the one in which Godot reads the image back.
pub(crate) fn write(
    frame: &cpu::Image,
    gate: &Fence,
    timeout: Duration,
    image: &mut Gd<Image>,
) -> Result<Fence> {
    image.convert(ImageFormat::RGBA8);
    let bytes = image.get_data();
    let wanted = frame.plane_bytes(0);
    if bytes.len() != wanted {
        return Err(Error::Invalid {
            field: "image",
            got: format!("{} bytes", bytes.len()),
            limit: format!("{wanted} bytes, as the frame"),
        });
    }
    frame.write(gate, timeout, |rows| rows.write_plane(0, bytes.as_slice()))
}

/// The size of an image of Godot's.
pub(crate) fn extent(image: &Gd<Image>) -> Extent {
    let side = |length: i32| u32::try_from(length).unwrap_or(0);
    Extent::new(side(image.get_width()), side(image.get_height()))
}
