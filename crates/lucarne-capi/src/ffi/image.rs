//! Images.

use std::ffi::c_void;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lucarne::Frame;

use super::error::{lucarne_error, lucarne_status};
use super::fence::lucarne_fence;
use super::frame::lucarne_frame;
use super::guard::{self, given};
use crate::image::Image;

/// What the program keeps with an image, and what ends it. A C++ exception must not leave it.
pub type lucarne_destroy = Option<unsafe extern "C-unwind" fn(data: *mut c_void)>;

/// An image of one API in a frame's memory. End it with `lucarne_image_free`, unless it was lent.
///
/// Vulkan's and the CPU's may be used by any thread; one turn at a time. EGL's belong to the thread with the context.
#[derive(Debug)]
pub struct lucarne_image {
    // Dropped in this order: the program's own goes first, as it may refer to the image.
    kept: Mutex<Kept>,
    image: Image,
    frame: lucarne_frame,
}

/// The program's own data of an image.
struct Kept {
    data: *mut c_void,
    destroy: lucarne_destroy,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy.take() {
            // SAFETY: `lucarne_image_set_data`: the function takes this data, once.
            unsafe { destroy(self.data) };
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl lucarne_image {
    pub(crate) fn new(image: Image) -> Self {
        let frame = image.frame().clone();
        Self::with_frame(image, &frame)
    }

    /// With a frame of the image's memory that says something else of its colours.
    pub(crate) fn with_frame(image: Image, frame: &Frame) -> Self {
        Self {
            kept: Mutex::new(Kept {
                data: std::ptr::null_mut(),
                destroy: None,
            }),
            frame: lucarne_frame::new(frame),
            image,
        }
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }
}

/// The image's frame, to pass on. Lent: it lives as long as the image. `NULL` only for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_frame(image: Option<&lucarne_image>) -> Option<&lucarne_frame> {
    image.map(|image| &image.frame)
}

/// How often this side copies each frame: 0 where the image lies in the shared memory itself. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_copies_per_frame(image: Option<&lucarne_image>) -> u32 {
    guard::plain(0, || {
        image.map_or(0, |image| image.image.copies_per_frame())
    })
}

/// Keeps data of the program's with the image: a view, a framebuffer. `destroy`, where it is not `NULL`, is called once with the data,
/// before the image ends or when other data is set: on the thread that frees the image, or that serves the stream which made it. It
/// must not call the library for the stream, and must not unwind.
///
/// # Safety
///
/// `destroy` may be called with `data` until then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_image_set_data(
    image: Option<&lucarne_image>,
    data: *mut c_void,
    destroy: lucarne_destroy,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let kept = &given(image, "image")?.kept;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *kept, Kept { data, destroy });
        // Not under the lock: it may ask for the new one.
        std::mem::drop(kept);
        std::mem::drop(before);
        Ok(())
    })
}

/// The data that was set, or `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_data(image: Option<&lucarne_image>) -> *mut c_void {
    guard::plain(std::ptr::null_mut(), || {
        image.map_or(std::ptr::null_mut(), |image| {
            let kept = image.kept.lock();
            kept.unwrap_or_else(PoisonError::into_inner).data
        })
    })
}

/// Writes a plane of the frame with the CPU: `size` bytes (`lucarne_frame_plane_bytes`), rows from the first without padding.
///
/// Waits for `gate`, the fence that came with the turn, `timeout` nanoseconds at most; it stays the caller's. `done` is the acquire
/// fence for the next reader. For images of Vulkan and OpenGL this is for tests and first steps, and takes plane 0 only.
///
/// # Safety
///
/// `bytes` is `NULL`, or points to `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_image_write_plane(
    image: Option<&lucarne_image>,
    gate: Option<&lucarne_fence>,
    timeout: u64,
    plane: u32,
    bytes: *const c_void,
    size: usize,
    done: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(done, "done", error, || {
        let image = given(image, "image")?.image();
        let gate = given(gate, "gate")?.fence();
        // SAFETY: this function's contract.
        let bytes = unsafe { guard::array::<u8>(bytes.cast(), size, "bytes") }?;
        let done = image.write_plane(gate, Duration::from_nanos(timeout), at(plane), bytes)?;
        Ok(lucarne_fence::new(done))
    })
}

/// Reads a plane of the frame with the CPU, as `lucarne_image_write_plane` writes it. `acquire` is the fence that came with the turn;
/// `done` is the release fence for the next writer. Not for textures: `lucarne_egl_download` tells what a shader reads.
///
/// # Safety
///
/// `bytes` is `NULL`, or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_image_read_plane(
    image: Option<&lucarne_image>,
    acquire: Option<&lucarne_fence>,
    timeout: u64,
    plane: u32,
    bytes: *mut c_void,
    size: usize,
    done: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(done, "done", error, || {
        let image = given(image, "image")?.image();
        let acquire = given(acquire, "acquire")?.fence();
        // SAFETY: this function's contract.
        let bytes = unsafe { guard::bytes_mut(bytes.cast(), size, "bytes") }?;
        let done = image.read_plane(acquire, Duration::from_nanos(timeout), at(plane), bytes)?;
        Ok(lucarne_fence::new(done))
    })
}

pub(super) fn at(plane: u32) -> usize {
    usize::try_from(plane).unwrap_or(usize::MAX)
}

/// Ends an image. Blocks until the work that Lucarne submitted for it has ended. The memory lives on in its frame's clones. `NULL` is
/// fine; an image that was lent is not.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_free(image: Option<Box<lucarne_image>>) {
    guard::free(image);
}
