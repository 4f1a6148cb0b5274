//! Host memory: in place where a software rasteriser takes a memfd for a dma-buf, as all it does is to map it;
//! uploaded at each read elsewhere.

use std::rc::Rc;

use glow::HasContext;

use super::inner::DeviceInner;
use super::probe::memfd;
use super::raw::loaded;
use super::state::{Binding, PixelStore};
use super::texture::{Guard, Source, Texture, gl_format, gl_size, sampling};
use super::{image, offer, support};
use crate::error::{Error, Result};
use crate::format::GlFormat;
use crate::frame::Frame;
use crate::kernel::{Mapping, Memfd};
use crate::negotiate::MemoryPath;

/// A texture of a frame in host memory.
pub(super) fn import(device: &Rc<DeviceInner>, frame: &Frame, memory: &Memfd) -> Result<Texture> {
    frame.layout().check_whole_pixels()?;
    if let Some(texture) = in_place(device, frame, memory)? {
        return Ok(texture);
    }
    let gl = gl_format(frame.layout().format_info())?;
    uploaded(device, frame, memory, gl, gl.internal_format)
}

/// A texture whose pixels lie in the frame's memfd, or `None` where this context had better upload them.
fn in_place(device: &Rc<DeviceInner>, frame: &Frame, memory: &Memfd) -> Result<Option<Texture>> {
    if !device.id.software || !support::path(device, MemoryPath::DmaBuf).is_yes() {
        return Ok(None);
    }
    let layout = frame.layout();
    let listed = offer::all(device)?.standing().any(|entry| {
        entry.path == MemoryPath::DmaBuf
            && entry.format == layout.format()
            && entry.tiling == layout.tiling()
            && !entry.external_only
    });
    let buffers = [memfd::as_dma_buf(memory)?];
    // A tight buffer would end in SIGSEGV; uploading it does not.
    let roomy = image::check_software_rows(device, frame, &buffers).is_ok();
    if !listed || !roomy || !memfd::pass(device) {
        return Ok(None);
    }
    // What this driver will not take is uploaded instead; `Texture::copies_per_frame` tells.
    Ok(image::texture_of(device, frame, &buffers, false).ok())
}

/// A texture with storage of its own, of this internal format, that [`upload`] fills.
pub(super) fn uploaded(
    device: &Rc<DeviceInner>,
    frame: &Frame,
    memory: &Memfd,
    gl: GlFormat,
    internal_format: u32,
) -> Result<Texture> {
    let (width, height) = gl_size(frame.layout().extent())?;
    frame.layout().check_whole_pixels()?;
    let mapping = Mapping::new(memory)?;
    let target = glow::TEXTURE_2D;
    let mut made = Guard::new(device);
    let _binding = Binding::save(device, target);
    let name = made.texture(target)?;
    let _stale = device.gl_error();
    // SAFETY: glTexStorage2D on the bound texture, with a sized format of the table.
    unsafe {
        device
            .gl
            .tex_storage_2d(target, 1, internal_format, width, height);
    }
    device.check_gl("glTexStorage2D")?;
    sampling(device, target, Some(gl));
    made.keep();
    let source = Source::Upload(mapping);
    Ok(Texture::new(device, name, target, source, frame))
}

/// Copies the frame's pixels into the texture. The frame is this reader's, and its writer has finished.
pub(super) fn upload(device: &DeviceInner, texture: &Texture) -> Result<()> {
    let Source::Upload(mapping) = texture.source() else {
        return Ok(());
    };
    let frame = texture.frame();
    let gl = gl_format(frame.layout().format_info())?;
    let (width, height) = gl_size(frame.layout().extent())?;
    let layout = frame.layout();
    let Some(plane) = layout.planes().first() else {
        return Ok(());
    };
    let block = u64::from(layout.format_info().planes[0].block_bytes);
    let row_length = i32::try_from(plane.pitch / block)
        .map_err(|_| Error::invalid("plane.pitch", plane.pitch, "at most 31 bits"))?;
    let offset = usize::try_from(plane.offset)
        .map_err(|_| Error::invalid("plane.offset", plane.offset, "within the mapping"))?;
    let sub_image = loaded(device.functions.sub_image_2d, "glTexSubImage2D")?;
    let _binding = Binding::save(device, glow::TEXTURE_2D);
    let _unpack = PixelStore::unpack(device, row_length);
    let _stale = device.gl_error();
    // SAFETY: glBindTexture with a live texture of this target.
    unsafe {
        device
            .gl
            .bind_texture(glow::TEXTURE_2D, Some(texture.name()));
    }
    // Its address is given as it is: making a slice of memory that a peer may write is not allowed.
    let pixels = mapping.address().as_ptr().wrapping_add(offset);
    // SAFETY: glTexSubImage2D reads `height` rows of `row_length` pixels from `pixels`, which the frame's layout
    // proves to lie within the mapping; no unpack buffer is bound and other unpack state is the default (`PixelStore`).
    unsafe {
        sub_image(
            glow::TEXTURE_2D,
            0,
            0,
            0,
            width,
            height,
            gl.format,
            gl.kind,
            pixels.cast(),
        );
    }
    device.check_gl("glTexSubImage2D")
}
