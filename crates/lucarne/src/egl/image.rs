//! Dma-bufs as textures, through an `EGLImage`.

use std::rc::Rc;

use super::handoff;
use super::inner::DeviceInner;
use super::raw::{self, EglImage, loaded};
use super::state::Binding;
use super::texture::{Guard, Source, Texture, sampling};
use crate::device_id::Comparison;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::kernel::{DmaBuf, DmaBufMapping};
use crate::quirks;

/// Mesa's software rasteriser works in blocks of this many rows.
const SOFTWARE_ROWS: u32 = 4;

/// A texture of a frame that this driver may be given.
pub(super) fn import(
    device: &Rc<DeviceInner>,
    frame: &Frame,
    buffers: &[DmaBuf],
    external_only: bool,
) -> Result<Texture> {
    let layout = frame.layout();
    let linear = layout
        .tiling()
        .modifier()
        .is_some_and(|modifier| modifier.is_linear());
    if !linear && frame.device().compare(&device.id) == Comparison::Different {
        return Err(foreign(device, frame, "tiled dma-buf"));
    }
    if frame.is_emulated() && !device.id.software {
        return Err(foreign(device, frame, "emulated dma-buf"));
    }
    device.quirks.check_linear(layout)?;
    check_software_rows(device, frame, buffers)?;
    check_mappable(device, buffers)?;
    texture_of(device, frame, buffers, external_only)
}

/// An `EGLImage` of these buffers, and a texture of it.
pub(super) fn texture_of(
    device: &Rc<DeviceInner>,
    frame: &Frame,
    buffers: &[DmaBuf],
    external_only: bool,
) -> Result<Texture> {
    let mut made = Guard::new(device);
    let image = handoff::create_image(device, frame.layout(), buffers)?;
    made.trash.image = Some(image);
    let target = if external_only {
        raw::GL_TEXTURE_EXTERNAL_OES
    } else {
        glow::TEXTURE_2D
    };
    let _binding = Binding::save(device, target);
    let name = made.texture(target)?;
    bind_image(device, target, image)?;
    sampling(device, target, None);
    made.keep();
    Ok(Texture::new(
        device,
        name,
        target,
        Source::Image(image),
        frame,
    ))
}

/// A software rasteriser touches whole blocks of rows, and never compares with the buffer's size: a tight buffer
/// would end in SIGSEGV.
pub(super) fn check_software_rows(
    device: &DeviceInner,
    frame: &Frame,
    buffers: &[DmaBuf],
) -> Result<()> {
    if !device.quirk(&quirks::SOFTWARE_READS_FOUR_ROWS) {
        return Ok(());
    }
    let layout = frame.layout();
    let rows = u64::from(layout.extent().height.next_multiple_of(SOFTWARE_ROWS));
    for plane in layout.planes() {
        let size = buffers.get(plane.object).map_or(0, DmaBuf::size);
        // `FrameLayout` holds this below 2^31, for a height padded further.
        let end = plane.offset + plane.pitch * rows;
        if end > size {
            return Err(Error::invalid(
                "buffer size",
                size,
                format!(
                    "at least {end} bytes for {layout}: {} reads {SOFTWARE_ROWS} rows at a time",
                    device.renderer
                ),
            ));
        }
    }
    Ok(())
}

/// A software rasteriser maps a buffer when it is used, and does not notice a refusal. Memfds are not refused.
fn check_mappable(device: &DeviceInner, buffers: &[DmaBuf]) -> Result<()> {
    if device.quirk(&quirks::SOFTWARE_MAPS_LATE) {
        for buffer in buffers {
            DmaBufMapping::new(buffer)?;
        }
    }
    Ok(())
}

/// Immutable storage first: NVIDIA takes foreign images only so.
fn bind_image(device: &DeviceInner, target: u32, image: EglImage) -> Result<()> {
    let _stale = device.gl_error();
    if device.has_gl("GL_EXT_EGL_image_storage")
        && let Some(storage) = device.functions.image_target_storage
    {
        // SAFETY: glEGLImageTargetTexStorageEXT (listed): a valid image, a texture bound to `target`, no attributes.
        unsafe { storage(target, image, std::ptr::null()) };
        if device.gl_error().is_none() {
            return Ok(());
        }
    }
    let bind = loaded(
        device.functions.image_target_texture,
        "glEGLImageTargetTexture2DOES",
    )?;
    // SAFETY: glEGLImageTargetTexture2DOES (GL_OES_EGL_image is listed): as above.
    unsafe { bind(target, image) };
    device.check_gl("glEGLImageTargetTexture2DOES")
}

pub(super) fn foreign(device: &DeviceInner, frame: &Frame, memory: &'static str) -> Error {
    Error::ForeignDevice {
        memory,
        frame: Box::new(frame.device().clone()),
        device: Box::new(device.id.clone()),
    }
}
