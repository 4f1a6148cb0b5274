//! A `gbm_device` that is open, the caller's or Lucarne's.

use std::ffi::c_void;
use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::raw::Library;
use super::sysfs::Described;
use crate::device_id::DeviceId;

/// Who makes a dma-buf of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exporter {
    /// `gbm_bo_get_fd_for_plane`.
    Gbm,
    /// `DRM_IOCTL_PRIME_HANDLE_TO_FD`: Mesa's software driver (25.0.7) exports for reading only, so that nobody can map
    /// the buffer for writing. The first export decides for all later ones, so the driver must not be asked at all.
    Prime,
}

pub(super) struct DeviceInner {
    pub(super) library: &'static Library,
    pub(super) raw: NonNull<c_void>,
    /// Held during each call: libgbm promises nothing about threads.
    pub(super) calls: Mutex<()>,
    pub(super) exporter: Exporter,
    pub(super) described: Described,
    pub(super) name: String,
    /// The node, if Lucarne opened it; the `gbm_device` is then Lucarne's too.
    pub(super) node: Option<OwnedFd>,
}

// SAFETY: a gbm_device is not tied to the thread that made it, and `calls` lets one thread at a time use it.
unsafe impl Send for DeviceInner {}
// SAFETY: as above.
unsafe impl Sync for DeviceInner {}

impl DeviceInner {
    pub(super) fn raw(&self) -> *mut c_void {
        self.raw.as_ptr()
    }

    pub(super) fn id(&self) -> &DeviceId {
        &self.described.id
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards calls, not data: whoever panicked has left nothing half done.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node's descriptor.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: gbm_device_get_fd of a live device.
        let fd = unsafe { (self.library.device_get_fd)(self.raw()) };
        // SAFETY: BorrowedFd::borrow_raw: `node`, or the caller of `from_raw`, keeps it open as long as this value.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }
}

impl Drop for DeviceInner {
    fn drop(&mut self) {
        if self.node.is_some() {
            // SAFETY: gbm_device_destroy, once, of a device that is Lucarne's; buffers keep this value alive, so none is
            // left. The node is closed after it.
            unsafe { (self.library.device_destroy)(self.raw()) };
        }
    }
}

impl fmt::Debug for DeviceInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.name)
            .field("id", self.id())
            .field("exporter", &self.exporter)
            .field("owned", &self.node.is_some())
            .finish_non_exhaustive()
    }
}
