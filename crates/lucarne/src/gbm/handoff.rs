//! The only file that takes file descriptors from libgbm. Its answers are checked before they are believed.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::ioctl::{Opcode, Updater, opcode};

use super::buffer::Bo;
use super::inner::{DeviceInner, Exporter};
use super::{allocate, raw};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::kernel::fd;
use crate::layout::Extent;

/// Allocates a buffer and looks at what the driver makes of it. Also shows that the node can allocate at all.
pub(super) fn choose(device: &DeviceInner) -> Result<Exporter> {
    let bo = allocate::any_bo(device, Extent::new(64, 64), Format::XRGB8888)?;
    let fd = gbm_fd(device, &bo, 0)?;
    let flags =
        rustix::fs::fcntl_getfl(&fd).map_err(|errno| Error::os("F_GETFL of a dma-buf", errno))?;
    if !fd::is_dma_buf(&fd)? || flags & OFlags::ACCMODE == OFlags::RDWR {
        // Emulated buffers are memfds, which are always writable.
        return Ok(Exporter::Gbm);
    }
    Ok(Exporter::Prime)
}

/// A new descriptor for the memory of a plane, close-on-exec, owned by the caller.
pub(super) fn plane_fd(device: &DeviceInner, bo: &Bo<'_>, plane: c_int) -> Result<OwnedFd> {
    match device.exporter {
        Exporter::Gbm => gbm_fd(device, bo, plane),
        Exporter::Prime => prime_fd(device, bo, plane),
    }
}

fn gbm_fd(device: &DeviceInner, bo: &Bo<'_>, plane: c_int) -> Result<OwnedFd> {
    const CALL: &str = "gbm_bo_get_fd_for_plane";
    let one = device.lock();
    // SAFETY: gbm_bo_get_fd_for_plane of a live buffer; a plane that it lacks gives -1.
    let fd = unsafe { (device.library.bo_get_fd_for_plane)(bo.raw(), plane) };
    let failure = (fd < 0).then(|| raw::failed(CALL, format!("plane {plane}")));
    drop(one);
    if let Some(error) = failure {
        return Err(error);
    }
    // SAFETY: OwnedFd::from_raw_fd: gbm.h says that the caller closes it.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    close_on_exec(owned)
}

fn close_on_exec(owned: OwnedFd) -> Result<OwnedFd> {
    let flags = rustix::io::fcntl_getfd(&owned)
        .map_err(|errno| Error::os("F_GETFD of a dma-buf", errno))?;
    if !flags.contains(FdFlags::CLOEXEC) {
        rustix::io::fcntl_setfd(&owned, flags | FdFlags::CLOEXEC)
            .map_err(|errno| Error::os("F_SETFD of a dma-buf", errno))?;
    }
    Ok(owned)
}

/// `struct drm_prime_handle`.
#[repr(C)]
struct PrimeHandle {
    handle: u32,
    flags: u32,
    fd: i32,
}

/// `DRM_IOCTL_PRIME_HANDLE_TO_FD`.
const PRIME_HANDLE_TO_FD: Opcode = opcode::read_write::<PrimeHandle>(b'd', 0x2d);

fn prime_fd(device: &DeviceInner, bo: &Bo<'_>, plane: c_int) -> Result<OwnedFd> {
    const CALL: &str = "gbm_bo_get_handle_for_plane";
    let one = device.lock();
    // SAFETY: gbm_bo_get_handle_for_plane of a live buffer; a plane that it lacks gives -1.
    let handle = unsafe { (device.library.bo_get_handle_for_plane)(bo.raw(), plane) };
    drop(one);
    // SAFETY: reading a union field: every bit pattern is a number.
    let bits = unsafe { handle.bits };
    let Some(handle) = gem_handle(bits) else {
        return Err(Error::driver(CALL, format!("handle {bits:#x}")));
    };
    let mut argument = PrimeHandle {
        handle,
        flags: OFlags::CLOEXEC.bits() | OFlags::RDWR.bits(),
        fd: -1,
    };
    // SAFETY: Updater::new: DRM_IOCTL_PRIME_HANDLE_TO_FD reads and writes one `struct drm_prime_handle`, which
    // `PrimeHandle` is (size and opcode are tested).
    let request = unsafe { Updater::<{ PRIME_HANDLE_TO_FD }, PrimeHandle>::new(&mut argument) };
    // SAFETY: ioctl(2) on the DRM node that the handle belongs to.
    unsafe { rustix::ioctl::ioctl(device.fd().as_fd(), request) }
        .map_err(|errno| Error::os("DRM_IOCTL_PRIME_HANDLE_TO_FD", errno))?;
    if argument.fd < 0 {
        return Err(Error::os(
            "DRM_IOCTL_PRIME_HANDLE_TO_FD",
            io::Error::other("success, but no descriptor"),
        ));
    }
    // SAFETY: OwnedFd::from_raw_fd: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(argument.fd) })
}

/// GEM handles are 32 bits wide and never 0; an error is -1, of which some drivers write 32 bits and some 64.
fn gem_handle(bits: u64) -> Option<u32> {
    let low = u32::try_from(bits & u64::from(u32::MAX)).ok()?;
    (low != 0 && low != u32::MAX).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_the_kernels() {
        // DRM_IOWR(0x2d, struct drm_prime_handle), whose size is 12.
        assert_eq!(size_of::<PrimeHandle>(), 12);
        assert_eq!(PRIME_HANDLE_TO_FD, 0xc00c_642d);
    }

    #[test]
    fn an_error_is_no_handle() {
        assert_eq!(gem_handle(0xffff_ffff), None);
        assert_eq!(gem_handle(u64::MAX), None);
        assert_eq!(gem_handle(0), None);
        assert_eq!(gem_handle(7), Some(7));
    }
}
