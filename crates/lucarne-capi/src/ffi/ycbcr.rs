//! Y'CbCr that Vulkan makes of red, green and blue, and red, green and blue that OpenGL makes of Y'CbCr.

use std::mem::MaybeUninit;
use std::num::NonZero;
use std::rc::Rc;
use std::time::Duration;

use lucarne::color::ColorDescription;
use lucarne::egl::{self, YcbcrTexture, YcbcrToRgb};
use lucarne::glow::NativeTexture;
use lucarne::vulkan::{RgbToYcbcr, YcbcrBuffer};
use lucarne::{Extent, Format};

use super::color::lucarne_color;
use super::device::lucarne_device;
use super::error::{lucarne_error, lucarne_status};
use super::fence::lucarne_fence;
use super::frame::lucarne_frame;
use super::guard::{self, given};
use super::image::lucarne_image;
use crate::convert;
use crate::failure::Failure;

/// Vulkan's pass that makes `NV12`, `NV21`, `P010`, `P012` or `P016` of images. End it with `lucarne_rgb_to_ycbcr_free`. Any thread, several
/// at once.
#[derive(Debug)]
pub struct lucarne_rgb_to_ycbcr(RgbToYcbcr);

/// A frame for that pass to write, which others import. End it with `lucarne_ycbcr_buffer_free`. Any thread, one at a time.
#[derive(Debug)]
pub struct lucarne_ycbcr_buffer {
    buffer: YcbcrBuffer,
    frame: lucarne_frame,
}

/// A Y'CbCr frame as textures of its planes. End it with `lucarne_ycbcr_texture_free`. The context's thread.
#[derive(Debug)]
pub struct lucarne_ycbcr_texture {
    device: Rc<egl::Device>,
    texture: YcbcrTexture,
}

/// OpenGL's pass that makes red, green and blue of them. End it with `lucarne_ycbcr_to_rgb_free`. The context's thread.
#[derive(Debug)]
pub struct lucarne_ycbcr_to_rgb(YcbcrToRgb);

/// Makes the pass of a Vulkan device: compiles its shaders, once for any number of frames.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_rgb_to_ycbcr_new(
    device: Option<&lucarne_device>,
    pass: Option<&mut MaybeUninit<Option<Box<lucarne_rgb_to_ycbcr>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(pass, "pass", error, || {
        let device = given(device, "device")?.0.vulkan()?;
        Ok(lucarne_rgb_to_ycbcr(device.rgb_to_ycbcr()?))
    })
}

/// Allocates a frame for the pass to write, linear, in memory (`LUCARNE_PATH_…`, a dma-buf or host memory) that others import. `color` is what
/// an encoder is going to be told, too; `NULL` stands for the format's default.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_rgb_to_ycbcr_export(
    pass: Option<&lucarne_rgb_to_ycbcr>,
    format: u32,
    width: u32,
    height: u32,
    color: Option<&lucarne_color>,
    path: u32,
    buffer: Option<&mut MaybeUninit<Option<Box<lucarne_ycbcr_buffer>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(buffer, "buffer", error, || {
        let pass = &given(pass, "pass")?.0;
        let color = match color {
            Some(color) => convert::color(color)?,
            None => ColorDescription::default_for(super::format::known(format)?),
        };
        let (format, extent) = (Format::from_fourcc(format), Extent::new(width, height));
        let buffer = pass.export(format, extent, color, convert::path(path)?)?;
        Ok(lucarne_ycbcr_buffer {
            frame: lucarne_frame::new(buffer.frame()),
            buffer,
        })
    })
}

/// The buffer's frame, to pass on. Lent: it lives as long as the buffer. `NULL` only for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_ycbcr_buffer_frame(
    buffer: Option<&lucarne_ycbcr_buffer>,
) -> Option<&lucarne_frame> {
    buffer.map(|buffer| &buffer.frame)
}

/// Converts an image of the same size, which has `LUCARNE_USAGE_SAMPLE`, and takes the turns of both: `acquire` is the image's fence, `gate` the
/// buffer's release fence; both stay the caller's. `done` is the image's release fence and the buffer's acquire fence in one.
///
/// Blocks until the buffer's last conversion has ended, and until this one has where the CPU must copy; `timeout` nanoseconds at most
/// for each.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_rgb_to_ycbcr_convert(
    pass: Option<&lucarne_rgb_to_ycbcr>,
    image: Option<&lucarne_image>,
    acquire: Option<&lucarne_fence>,
    buffer: Option<&lucarne_ycbcr_buffer>,
    gate: Option<&lucarne_fence>,
    timeout: u64,
    done: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(done, "done", error, || {
        let pass = &given(pass, "pass")?.0;
        let (_, image) = given(image, "image")?.image().vulkan()?;
        let acquire = given(acquire, "acquire")?.fence();
        let buffer = &given(buffer, "buffer")?.buffer;
        let gate = given(gate, "gate")?.fence();
        let timeout = Duration::from_nanos(timeout);
        let (release, acquire) = pass.convert(image, acquire, buffer, gate, timeout)?;
        let both = lucarne::Fence::merge(&[release, acquire])?;
        Ok(lucarne_fence::new(both))
    })
}

/// Ends a buffer. Blocks until what was submitted for it has ended. Its memory lives on in its frame's clones. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_ycbcr_buffer_free(buffer: Option<Box<lucarne_ycbcr_buffer>>) {
    guard::free(buffer);
}

/// Ends a pass. Its buffers go on. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_rgb_to_ycbcr_free(pass: Option<Box<lucarne_rgb_to_ycbcr>>) {
    guard::free(pass);
}

/// Imports the planes of a Y'CbCr frame as textures. Works where whole images of such formats do not. Make it once for each frame, and
/// keep it; the frame stays the caller's.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_egl_import_ycbcr(
    device: Option<&lucarne_device>,
    frame: Option<&lucarne_frame>,
    texture: Option<&mut MaybeUninit<Option<Box<lucarne_ycbcr_texture>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(texture, "texture", error, || {
        let device = Rc::clone(given(device, "device")?.0.gl()?);
        let texture = device.import_ycbcr(given(frame, "frame")?.frame())?;
        Ok(lucarne_ycbcr_texture { device, texture })
    })
}

/// Makes the pass of a context: OpenGL ES 3, or OpenGL 3.3.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_ycbcr_to_rgb_new(
    device: Option<&lucarne_device>,
    pass: Option<&mut MaybeUninit<Option<Box<lucarne_ycbcr_to_rgb>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(pass, "pass", error, || {
        let device = given(device, "device")?.0.gl()?;
        Ok(lucarne_ycbcr_to_rgb(device.ycbcr_to_rgb()?))
    })
}

/// Draws each pixel of the frame to the same pixel of `target`, a texture of `GL_TEXTURE_2D` of the program's, of at least the frame's size,
/// that can be rendered to: encoded as the frame was, clipped to 0 to 1, and opaque. `acquire` is the frame's fence, and stays the
/// caller's: the GPU waits, or this thread does, `timeout` nanoseconds at most. `lucarne_egl_fence` then gives the release fence. The
/// context's state is left as it was.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_ycbcr_to_rgb_convert(
    pass: Option<&lucarne_ycbcr_to_rgb>,
    texture: Option<&lucarne_ycbcr_texture>,
    acquire: Option<&lucarne_fence>,
    timeout: u64,
    target: u32,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let pass = &given(pass, "pass")?.0;
        let lucarne_ycbcr_texture { device, texture } = given(texture, "texture")?;
        let acquire = given(acquire, "acquire")?.fence();
        let name = NonZero::new(target);
        let name = name.ok_or_else(|| Failure::argument("target", 0, "a texture's name"))?;
        device.read_ycbcr(texture, acquire, Duration::from_nanos(timeout))?;
        Ok(pass.convert(texture, NativeTexture(name))?)
    })
}

/// Ends a pass. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_ycbcr_to_rgb_free(pass: Option<Box<lucarne_ycbcr_to_rgb>>) {
    guard::free(pass);
}

/// Ends textures of a frame. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_ycbcr_texture_free(texture: Option<Box<lucarne_ycbcr_texture>>) {
    guard::free(texture);
}
