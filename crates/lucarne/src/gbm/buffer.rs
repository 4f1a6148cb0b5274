//! A `gbm_bo` and the frame in its memory.

use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use super::inner::DeviceInner;
use crate::frame::Frame;

/// A `struct gbm_bo`, made by [`Device::export`](super::Device::export), and the [`Frame`] in its memory.
///
/// Keeps its device alive. The frame's memory lives on while anybody holds it, also after this is dropped.
pub struct Buffer {
    bo: NonNull<c_void>,
    frame: Frame,
    device: Arc<DeviceInner>,
}

// SAFETY: a gbm_bo is not tied to the thread that made it, and the device's lock lets one thread at a time use it.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared references call nothing of libgbm.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// The `struct gbm_bo *`, for scanning out or for GBM's own mapping. It stays Lucarne's: do not destroy it. Its
    /// width and height may exceed the frame's, see [`Device::export`](super::Device::export).
    #[doc(alias = "gbm_bo")]
    pub fn raw(&self) -> *mut c_void {
        self.bo.as_ptr()
    }

    /// The frame to pass on: both ends import it.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        destroy(&self.device, self.bo);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

fn destroy(device: &DeviceInner, bo: NonNull<c_void>) {
    let _one = device.lock();
    // SAFETY: gbm_bo_destroy, once: its only owner is being dropped; its device is alive.
    unsafe { (device.library.bo_destroy)(bo.as_ptr()) };
}

/// A `gbm_bo` that is destroyed unless it becomes a [`Buffer`].
pub(super) struct Bo<'a> {
    bo: NonNull<c_void>,
    device: &'a DeviceInner,
}

impl<'a> Bo<'a> {
    /// Takes a buffer that `device` has just made.
    pub(super) fn new(device: &'a DeviceInner, bo: NonNull<c_void>) -> Self {
        Self { bo, device }
    }

    pub(super) fn raw(&self) -> *mut c_void {
        self.bo.as_ptr()
    }

    /// `device` is the one that it was made on.
    pub(super) fn keep(self, device: &Arc<DeviceInner>, frame: Frame) -> Buffer {
        let bo = self.bo;
        std::mem::forget(self);
        Buffer {
            bo,
            frame,
            device: Arc::clone(device),
        }
    }
}

impl Drop for Bo<'_> {
    fn drop(&mut self) {
        destroy(self.device, self.bo);
    }
}
