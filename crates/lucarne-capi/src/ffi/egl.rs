//! EGL and OpenGL: contexts, textures, turns. Everything here is for the thread on which the context is current.

use std::mem::MaybeUninit;
use std::rc::Rc;
use std::time::Duration;

use lucarne::egl::Device as EglDevice;

use super::device::lucarne_device;
use super::error::{lucarne_error, lucarne_status};
use super::fence::lucarne_fence;
use super::guard::{self, given};
use super::image::lucarne_image;
use crate::device::Device;
use crate::failure::Failure;

/// What a program needs to use an image in OpenGL.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_gl_texture {
    /// The texture's name. It stays Lucarne's: do not delete it.
    pub name: u32,
    /// What to bind it to: `GL_TEXTURE_2D`, or `GL_TEXTURE_EXTERNAL_OES` where the driver can only sample it so.
    pub target: u32,
    /// 1 where a swizzle puts red and blue in their places when it is sampled: attached to a framebuffer and read, they are exchanged.
    pub swizzled: u32,
}

/// Wraps the display and context that are current on this thread, whichever toolkit made them: OpenGL ES 3 or desktop OpenGL. What is
/// made in the context is deleted again, at the latest when the device and its images end. A context of GLX is refused, with what to
/// tell toolkits.
///
/// # Safety
///
/// The display is not terminated and the context not destroyed until the device, and every image and stream made of it, has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_egl_device_from_current(
    device: Option<&mut MaybeUninit<Option<Box<lucarne_device>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(device, "device", error, || {
        // SAFETY: Device::from_current: this function's contract.
        let device = unsafe { EglDevice::from_current() }?;
        Ok(lucarne_device(Device::Gl(Rc::new(device))))
    })
}

/// Opens a context of OpenGL ES 3 of Lucarne's own without a window, and makes it current on this thread: a GPU before a software
/// rasteriser. For programs that have none.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_egl_device_open(
    device: Option<&mut MaybeUninit<Option<Box<lucarne_device>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(device, "device", error, || {
        Ok(lucarne_device(Device::open_gl()?))
    })
}

/// Makes the context current on this thread, without a surface. Nothing changes where it is current already.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_egl_make_current(
    device: Option<&lucarne_device>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        Ok(given(device, "device")?.0.gl()?.make_current()?)
    })
}

/// Deletes what nobody needs any more and was not deleted yet. The next import does the same.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_egl_trim(
    device: Option<&lucarne_device>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || Ok(given(device, "device")?.0.gl()?.trim()?))
}

/// The texture of an image. One of another API is refused.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_gl_texture(
    image: Option<&lucarne_image>,
    texture: Option<&mut MaybeUninit<lucarne_gl_texture>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(texture, "texture", error, || {
        let (_, texture) = given(image, "image")?.image().gl()?;
        Ok(lucarne_gl_texture {
            name: texture.name().0.get(),
            target: texture.target(),
            swizzled: u32::from(texture.is_swizzled()),
        })
    })
}

/// Begins to write: commands issued after this run when `gate` has signalled, the fence that came with the turn. The GPU waits, or this
/// thread does, `timeout` nanoseconds at most. The fence stays the caller's.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_egl_wait(
    device: Option<&lucarne_device>,
    gate: Option<&lucarne_fence>,
    timeout: u64,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let device = given(device, "device")?.0.gl()?;
        let gate = given(gate, "gate")?.fence();
        Ok(device.wait(gate, Duration::from_nanos(timeout))?)
    })
}

/// Begins to read: commands issued after this see what the writer wrote. `acquire` is the fence that came with the turn, and stays the
/// caller's. The GPU waits, or this thread does, `timeout` nanoseconds at most. Frames in host memory are uploaded here, where the
/// texture does not lie in them.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_egl_read(
    image: Option<&lucarne_image>,
    acquire: Option<&lucarne_fence>,
    timeout: u64,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let (device, texture) = given(image, "image")?.image().gl()?;
        let acquire = given(acquire, "acquire")?.fence();
        Ok(device.read(texture, acquire, Duration::from_nanos(timeout))?)
    })
}

/// Ends writing or reading: a fence that signals when all commands issued so far have ended. Where the context exports none this
/// thread waits, `timeout` nanoseconds at most.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_egl_fence(
    device: Option<&lucarne_device>,
    timeout: u64,
    fence: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(fence, "fence", error, || {
        let device = given(device, "device")?.0.gl()?;
        let fence = device.fence(Duration::from_nanos(timeout))?;
        Ok(lucarne_fence::new(fence))
    })
}

/// What a shader reads of each pixel: red, green, blue and alpha, first row first. `count` is how many numbers there is room for, four
/// times the frame's pixels. For tests and snapshots: compiles a shader for each call, and waits. Call `lucarne_egl_read` first.
///
/// # Safety
///
/// `pixels` is `NULL`, or has room for `count` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_egl_download(
    image: Option<&lucarne_image>,
    pixels: *mut f32,
    count: usize,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let (device, texture) = given(image, "image")?.image().gl()?;
        // SAFETY: this function's contract.
        let places = unsafe { guard::places(pixels, count, "pixels") }?;
        let extent = texture.frame().layout().extent();
        let needed = 4 * u64::from(extent.width) * u64::from(extent.height);
        if u64::try_from(count) != Ok(needed) {
            let limit = format!("{needed}: four for each pixel of {extent}");
            return Err(Failure::argument("count", count, limit));
        }
        let seen = device.download(texture)?;
        for (place, value) in places.iter_mut().zip(seen.iter().flatten()) {
            place.write(*value);
        }
        Ok(())
    })
}
