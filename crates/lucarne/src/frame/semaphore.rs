//! A semaphore of one driver, on its way to another API of the same driver.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::device_id::DeviceId;
use crate::error::Result;
use crate::kernel::fd;

/// A binary semaphore that only the driver which exported it understands
/// (`VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT`, `GL_HANDLE_TYPE_OPAQUE_FD_EXT`): what gates a frame in
/// [`MemoryPath::OpaqueFd`](crate::MemoryPath::OpaqueFd) memory where a device cannot pass sync_files.
///
/// Both sides use one semaphore. Each signal must be waited for exactly once before the next signal. Only the two drivers
/// can wait for it, and not the CPU; so it is not a [`Fence`](super::Fence). Owns its descriptor and closes it on drop.
#[derive(Debug)]
pub struct OpaqueSemaphore {
    fd: OwnedFd,
    device: DeviceId,
}

impl OpaqueSemaphore {
    /// Takes a descriptor that `device` exported.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for a file, pipe, socket or directory, which no driver exports;
    /// [`Error::Os`](crate::Error::Os) for a descriptor that is not open. The descriptor is closed in every failing case.
    pub fn new(fd: OwnedFd, device: DeviceId) -> Result<Self> {
        fd::check_driver_semaphore(&fd)?;
        Ok(Self { fd, device })
    }

    /// The device whose driver exported it.
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// A new descriptor for the same semaphore, close-on-exec, owned by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) when the process has no descriptor left.
    pub fn duplicate(&self) -> Result<OwnedFd> {
        fd::duplicate(&self.fd, "duplicating a semaphore's descriptor")
    }
}

impl AsFd for OpaqueSemaphore {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
