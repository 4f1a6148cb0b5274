//! DRM nodes: GEM handles, and PRIME, which turns them into dma-bufs and back (`drm/drm.h`, `drm/drm_mode.h`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drm::Device as _;
use drm::buffer::{Buffer as _, DrmFourcc, Handle};
use drm::control::Device as _;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::dma_buf::{DmaBuf, DmaBufKind};
use super::fd;
use crate::device_id::DrmNode;
use crate::error::{Error, Requirement, Result};
use crate::layout::Extent;

/// The major number of every DRM node (`DRM_MAJOR`).
const MAJOR: u32 = 226;
const FOLDER: &str = "/dev/dri";

/// A DRM node that is open. Cloning shares it.
///
/// A GEM handle is a number that is valid only for the open file that gave it. So this type opens the node itself and
/// never takes a descriptor from elsewhere. Threads may share it.
#[derive(Clone)]
pub struct DrmFile {
    inner: Arc<Inner>,
}

struct Inner {
    fd: OwnedFd,
    node: DrmNode,
    /// How often each handle is held: importing a buffer twice gives the same handle twice, and one close ends both.
    held: Mutex<HashMap<Handle, usize>>,
}

impl AsFd for Inner {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl drm::Device for Inner {}
impl drm::control::Device for Inner {}

impl DrmFile {
    /// The machine's nodes (`/dev/dri/card*` and `renderD*`), sorted; none where there is no DRM driver.
    pub fn paths() -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(FOLDER) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with("card") || name.starts_with("renderD"))
            })
            .collect();
        paths.sort();
        paths
    }

    /// Opens a node for reading and writing.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] with what to do, when it is absent or may not be opened; [`Error::Invalid`] when it is
    /// not a DRM node.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
            let missing = vec![requirement(path, errno)];
            Error::unsupported(format!("opening {}", path.display()), missing)
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| Error::os("fstat of a node", errno))?;
        let node = DrmNode {
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
        };
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if !is_device || node.major != MAJOR {
            return Err(Error::invalid(
                "node",
                fd::describe(&fd),
                format!("a DRM node: a character device with the major number {MAJOR}"),
            ));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                fd,
                node,
                held: Mutex::new(HashMap::new()),
            }),
        })
    }

    /// The node's number, as drivers tell it.
    pub fn node(&self) -> DrmNode {
        self.inner.node
    }

    /// The kernel driver's name, such as `amdgpu` or `vgem` (`DRM_IOCTL_VERSION`).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the driver does not answer.
    pub fn driver(&self) -> Result<String> {
        let version = self
            .inner
            .get_driver()
            .map_err(|error| Error::os("DRM_IOCTL_VERSION", error))?;
        Ok(version.name().to_string_lossy().into_owned())
    }

    /// This device's handle for a dma-buf (`DRM_IOCTL_PRIME_FD_TO_HANDLE`). The descriptor is lent; the handle keeps
    /// the memory alive. Importing a buffer twice gives the same handle twice.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an emulated dma-buf; [`Error::Os`] when the device cannot reach the memory.
    #[doc(alias = "PRIME")]
    pub fn import(&self, buffer: &DmaBuf) -> Result<GemHandle> {
        if buffer.kind() == DmaBufKind::Emulated {
            return Err(Error::invalid(
                "buffer",
                "an emulated dma-buf",
                "one of the kernel's",
            ));
        }
        // Held during the request: the same handle must not be closed between its making and its counting.
        let mut held = self.inner.held();
        let handle = self
            .inner
            .prime_fd_to_buffer(buffer.as_fd())
            .map_err(|error| Error::Os {
                operation: "DRM_IOCTL_PRIME_FD_TO_HANDLE",
                source: error,
                help: "the device cannot reach this memory, or its driver imports none",
            })?;
        Ok(self.hold(&mut held, handle))
    }

    /// Allocates a linear buffer that the CPU can write (`DRM_IOCTL_MODE_CREATE_DUMB`), on a primary node.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an extent of zero or beyond limits; [`Error::Os`] when the driver refuses, as every
    /// driver does on a render node.
    pub fn create_dumb(&self, extent: Extent, bits_per_pixel: u32) -> Result<DumbBuffer> {
        extent.check()?;
        if !matches!(bits_per_pixel, 8 | 16 | 24 | 32 | 64) {
            return Err(Error::invalid(
                "bits_per_pixel",
                bits_per_pixel,
                "8, 16, 24, 32 or 64",
            ));
        }
        let size = (extent.width, extent.height);
        let mut held = self.inner.held();
        // The crate keeps the format for its own use; the kernel is told bits per pixel only.
        let dumb = self
            .inner
            .create_dumb_buffer(size, DrmFourcc::Xrgb8888, bits_per_pixel)
            .map_err(|error| Error::Os {
                operation: "DRM_IOCTL_MODE_CREATE_DUMB",
                source: error,
                help: "dumb buffers are made by primary nodes (/dev/dri/card*) only",
            })?;
        Ok(DumbBuffer {
            pitch: u64::from(dumb.pitch()),
            handle: self.hold(&mut held, dumb.handle()),
        })
    }

    fn hold(&self, held: &mut HashMap<Handle, usize>, handle: Handle) -> GemHandle {
        *held.entry(handle).or_insert(0) += 1;
        GemHandle {
            file: Arc::clone(&self.inner),
            handle,
        }
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, HashMap<Handle, usize>> {
        // The counts are right after every single operation on them, so a panic elsewhere leaves no half state.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for DrmFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.fd.as_fd()
    }
}

impl fmt::Debug for DrmFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrmFile")
            .field("node", &self.inner.node)
            .field("handles", &self.inner.held().len())
            .finish_non_exhaustive()
    }
}

fn requirement(path: &Path, errno: Errno) -> Requirement {
    Requirement::device_node(
        path,
        errno,
        "add yourself to the group that owns it: render for renderD*, video for card*",
        "is a graphics driver loaded? `ls /dev/dri` lists the nodes there are",
    )
}

/// A buffer as one opening of a DRM node knows it. Closed when the last one of the same number is dropped.
pub struct GemHandle {
    file: Arc<Inner>,
    handle: Handle,
}

impl GemHandle {
    /// The number, for requests of the same file.
    pub fn raw(&self) -> u32 {
        self.handle.into()
    }

    /// A dma-buf of the same memory, for reading and writing (`DRM_IOCTL_PRIME_HANDLE_TO_FD` with `DRM_CLOEXEC` and
    /// `DRM_RDWR`), owned by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the driver exports none, or without a free descriptor.
    #[doc(alias = "PRIME")]
    pub fn export(&self) -> Result<DmaBuf> {
        let flags = drm::CLOEXEC | drm::RDWR;
        let fd = self
            .file
            .buffer_to_prime_fd(self.handle, flags)
            .map_err(|error| Error::Os {
                operation: "DRM_IOCTL_PRIME_HANDLE_TO_FD",
                source: error,
                help: "the driver may export no buffers of this kind",
            })?;
        DmaBuf::new(fd)
    }
}

impl Drop for GemHandle {
    fn drop(&mut self) {
        let mut held = self.file.held();
        let Entry::Occupied(mut count) = held.entry(self.handle) else {
            debug_assert!(false, "a handle that nobody counted");
            return;
        };
        *count.get_mut() -= 1;
        if *count.get() > 0 {
            return;
        }
        count.remove();
        // Fails only for a number that is no handle, and this one was.
        let closed = self.file.close_buffer(self.handle);
        debug_assert!(closed.is_ok(), "closing our own handle: {closed:?}");
    }
}

impl fmt::Debug for GemHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GemHandle")
            .field("node", &self.file.node)
            .field("handle", &self.raw())
            .finish()
    }
}

/// A linear buffer that a DRM driver allocated for the CPU.
#[derive(Debug)]
pub struct DumbBuffer {
    /// Its handle; export it to map it.
    pub handle: GemHandle,
    /// From one row to the next, in bytes: the driver's choice.
    pub pitch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_no_nodes() {
        let refused = DrmFile::open(Path::new("/dev/null")).unwrap_err();
        assert!(
            refused.to_string().contains("a character device"),
            "{refused}"
        );
        let absent = DrmFile::open(Path::new("/dev/dri/no-such-card")).unwrap_err();
        assert!(absent.to_string().contains("/dev/dri"), "{absent}");
    }
}
