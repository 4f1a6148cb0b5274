//! Opening a `gbm_device`, or wrapping the caller's.

use std::ffi::{CStr, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{NoArg, Opcode, opcode};

use super::adapter::{self, Adapter};
use super::handoff;
use super::inner::{DeviceInner, Exporter};
use super::raw::{self, Library};
use super::sysfs::{self, Described};
use crate::device_id::{DeviceId, DrmNode};
use crate::error::{Error, Requirement, Result};

/// `DRM_IOCTL_DROP_MASTER` of `drm.h`.
const DROP_MASTER: Opcode = opcode::none(b'd', 0x1f);

/// A `struct gbm_device`. Cloning shares it; buffers keep it alive.
///
/// # Examples
///
/// Memory for two devices of one GPU, neither of which exports any:
///
/// ```no_run
/// use lucarne::{Extent, Offer, Request, Usage, gbm, negotiate};
///
/// fn allocate(writer: &Offer, reader: &Offer) -> Result<gbm::Buffer, Box<dyn std::error::Error>> {
///     let adapter = gbm::Adapter::enumerate()?.into_iter().next().ok_or("no device")?;
///     let device = adapter.open()?;
///     let producer = device.offer_for(writer, Usage::RENDER);
///     let agreement = negotiate(&producer, reader, &Request::new(Extent::new(640, 480)))?;
///     // Both ends import its frame.
///     Ok(device.export(&agreement)?)
/// }
/// ```
///
/// # References
///
/// - [`gbm.h`](https://gitlab.freedesktop.org/mesa/mesa/-/blob/main/src/gbm/main/gbm.h)
/// - [Mesa's description of GBM](https://docs.mesa3d.org/gbm.html)
#[derive(Clone, Debug)]
pub struct Device {
    inner: Arc<DeviceInner>,
}

impl Adapter {
    /// Opens the first node on which a buffer can be allocated and exported. Opening a primary node does not take the
    /// display.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] with each node's reason, or without libgbm.
    pub fn open(&self) -> Result<Device> {
        let library = raw::library()?;
        let mut missing = Vec::new();
        for path in self.nodes() {
            match Device::open_node(library, self, path) {
                Ok(device) => return Ok(device),
                Err(error) => missing.push(Requirement::other(format!(
                    "needs a driver that allocates on {}: {error}",
                    path.display()
                ))),
            }
        }
        Err(Error::unsupported("allocating with GBM", missing))
    }
}

impl Device {
    /// Wraps the caller's `struct gbm_device *`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a null pointer; [`Error::Unsupported`] without `libgbm.so.1`; [`Error::Driver`] when no
    /// buffer can be allocated and exported on it.
    ///
    /// # Safety
    ///
    /// `device` must be a `gbm_device` of the process's `libgbm.so.1`. It and the descriptor it was made with must stay
    /// alive until the returned value and every buffer made of it is dropped. While a call of this crate uses it, nobody
    /// else may.
    #[doc(alias = "gbm_device")]
    pub unsafe fn from_raw(device: *mut c_void) -> Result<Self> {
        let library = raw::library()?;
        let device = NonNull::new(device)
            .ok_or_else(|| Error::invalid("gbm_device", "null", "a gbm_device"))?;
        // SAFETY: gbm_device_get_fd of a gbm_device that the caller vouches for.
        let fd = unsafe { (library.device_get_fd)(device.as_ptr()) };
        // SAFETY: BorrowedFd::borrow_raw: the caller keeps the device's descriptor open.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let described = sysfs::describe(Path::new("/sys"), node_of(fd)?);
        Self::wrap(library, device, described, None)
    }

    fn open_node(library: &'static Library, adapter: &Adapter, path: &Path) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let node = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| Error::os("opening a DRM node", errno))?;
        if adapter::is_primary(path) {
            drop_master(node.as_fd())?;
        }
        // SAFETY: gbm_create_device takes an open DRM node; the value below keeps it open for as long as it is used.
        let device = unsafe { (library.create_device)(node.as_raw_fd()) };
        let device = NonNull::new(device)
            .ok_or_else(|| raw::failed("gbm_create_device", path.display().to_string()))?;
        Self::wrap(library, device, adapter.described().clone(), Some(node))
    }

    fn wrap(
        library: &'static Library,
        raw: NonNull<c_void>,
        described: Described,
        node: Option<OwnedFd>,
    ) -> Result<Self> {
        let driver = described.driver.as_deref().unwrap_or("a DRM device");
        let mut inner = DeviceInner {
            library,
            raw,
            calls: Mutex::new(()),
            exporter: Exporter::Gbm,
            name: format!("GBM on {driver}"),
            described,
            node,
        };
        inner.exporter = handoff::choose(&inner)?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The `struct gbm_device *`. Lucarne's own must not be destroyed by the caller.
    pub fn raw(&self) -> *mut c_void {
        self.inner.raw()
    }

    /// What identifies the device, see [`Adapter::id`].
    pub fn id(&self) -> &DeviceId {
        self.inner.id()
    }

    /// The name of libgbm's backend: "drm" for Mesa.
    pub fn backend(&self) -> String {
        let _one = self.inner.lock();
        // SAFETY: gbm_device_get_backend_name of a live device.
        let name = unsafe { (self.inner.library.device_get_backend_name)(self.raw()) };
        if name.is_null() {
            return String::new();
        }
        // SAFETY: libgbm returns a static NUL-terminated string.
        let name = unsafe { CStr::from_ptr(name) };
        name.to_string_lossy().into_owned()
    }

    pub(super) fn inner(&self) -> &Arc<DeviceInner> {
        &self.inner
    }
}

/// Whoever opens a primary node first rules the display, and keeps a compositor that starts later from it.
fn drop_master(node: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: NoArg::new: DRM_IOCTL_DROP_MASTER takes no argument.
    let request = unsafe { NoArg::<{ DROP_MASTER }>::new() };
    // SAFETY: ioctl(2) on a DRM node, with a request that touches no memory of ours.
    match unsafe { rustix::ioctl::ioctl(node, request) } {
        // EINVAL: it was not master. EACCES: the kernel lets only root give it up, and it was not master either.
        Ok(()) | Err(Errno::INVAL | Errno::ACCESS) => Ok(()),
        Err(errno) => Err(Error::os("DRM_IOCTL_DROP_MASTER", errno)),
    }
}

fn node_of(fd: BorrowedFd<'_>) -> Result<DrmNode> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| Error::os("fstat of a DRM node", errno))?;
    Ok(DrmNode {
        major: rustix::fs::major(stat.st_rdev),
        minor: rustix::fs::minor(stat.st_rdev),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_the_kernels() {
        // DRM_IO(0x1f).
        assert_eq!(DROP_MASTER, 0x641f);
    }

    #[test]
    fn a_null_device_is_refused() {
        // SAFETY: from_raw checks for null before anything else.
        let refused = unsafe { Device::from_raw(std::ptr::null_mut()) };
        let refused = refused.unwrap_err();
        // Without libgbm that is said first.
        assert!(
            matches!(refused, Error::Invalid { .. } | Error::Unsupported { .. }),
            "{refused}"
        );
    }
}
