//! Whether memfds pass for dma-bufs.

use std::os::fd::AsFd;
use std::rc::Rc;

use glow::HasContext;

use crate::device_id::DeviceId;
use crate::egl::image;
use crate::egl::inner::DeviceInner;
use crate::egl::state::{Binding, Readback};
use crate::egl::texture::Texture;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::frame::{Frame, Memory};
use crate::kernel::{DmaBuf, Mapping, Memfd, fd};
use crate::layout::{Extent, FrameLayout};

pub(in crate::egl) fn as_dma_buf(memfd: &Memfd) -> Result<DmaBuf> {
    DmaBuf::new(fd::duplicate(memfd.as_fd(), "a memfd")?)
}

/// Whether the driver really shows what is in a memfd, and what is written there later. Asked once for each device: a
/// frame of sixteen pixels is imported and read back twice.
pub(in crate::egl) fn pass(device: &Rc<DeviceInner>) -> bool {
    *device.memfds.get_or_init(|| is_shown(device))
}

fn is_shown(device: &Rc<DeviceInner>) -> bool {
    let _state = Readback::save(device);
    let stale = device.gl_error();
    let shown = try_showing(device);
    // What the test did wrong is nobody else's error.
    let _errors = (stale, device.gl_error());
    shown.unwrap_or(false)
}

fn try_showing(device: &Rc<DeviceInner>) -> Result<bool> {
    let (layout, size) = FrameLayout::linear(Extent::new(4, 4), Format::ABGR8888)?;
    let memfd = Memfd::create("lucarne-canary", size)?;
    let mut mapping = Mapping::new(&memfd)?;
    let buffers = [as_dma_buf(&memfd)?];
    let frame = Frame::new(layout, Memory::HostMemory(memfd), DeviceId::default())?;
    let texture = image::texture_of(device, &frame, &buffers, false)?;
    // SAFETY: glGenFramebuffers with a current context.
    let framebuffer = unsafe { device.gl.create_framebuffer() }
        .map_err(|error| Error::driver("glGenFramebuffers", error))?;
    let mut right = true;
    for color in [[0x12, 0x34, 0x56, 0x78], [0x9a, 0xbc, 0xde, 0xf0]] {
        mapping.copy_in(0, &color)?;
        right &= first_pixel(device, &texture, framebuffer) == Some(color);
    }
    // SAFETY: glDeleteFramebuffers, once.
    unsafe { device.gl.delete_framebuffer(framebuffer) };
    Ok(right)
}

fn first_pixel(
    device: &DeviceInner,
    texture: &Texture,
    framebuffer: glow::NativeFramebuffer,
) -> Option<[u8; 4]> {
    let gl = &device.gl;
    let _binding = Binding::save(device, texture.target());
    // SAFETY: glBindFramebuffer of a framebuffer of our own.
    unsafe { gl.bind_framebuffer(glow::FRAMEBUFFER, Some(framebuffer)) };
    let point = glow::COLOR_ATTACHMENT0;
    let name = Some(texture.name());
    // SAFETY: glFramebufferTexture2D of the bound framebuffer and a live texture.
    unsafe { gl.framebuffer_texture_2d(glow::FRAMEBUFFER, point, texture.target(), name, 0) };
    // SAFETY: glCheckFramebufferStatus of the bound framebuffer.
    let status = unsafe { gl.check_framebuffer_status(glow::FRAMEBUFFER) };
    if status != glow::FRAMEBUFFER_COMPLETE {
        return None;
    }
    let mut pixel = [0; 4];
    let target = glow::PixelPackData::Slice(Some(&mut pixel));
    // SAFETY: glReadPixels writes one pixel of four bytes; no pack buffer is bound (`Readback`).
    unsafe { gl.read_pixels(0, 0, 1, 1, glow::RGBA, glow::UNSIGNED_BYTE, target) };
    device.gl_error().is_none().then_some(pixel)
}
