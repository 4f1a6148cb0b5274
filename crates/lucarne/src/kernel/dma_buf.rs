//! dma-buf: a buffer that any device or process may be given (`linux/dma-buf.h`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::SealFlags;

use super::fd;
use crate::error::{Error, Result};

/// Which kernel buffer a descriptor stands for. All duplicates of a descriptor have the same identity, in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferIdentity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// What stands behind the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DmaBufKind {
    /// A dma-buf of the kernel.
    Kernel,
    /// A sealed memfd that stands in for one, as lucarne-udmabuf makes them: software rasterisers map it
    /// like a dma-buf, no other device can, and it carries no fences.
    Emulated,
}

/// One kernel buffer: its descriptor, its size and its identity.
///
/// Owns the descriptor and closes it on drop. Backends duplicate it when a driver wants one of its own.
/// [`DmaBufMapping`](super::DmaBufMapping) reads and writes its bytes.
///
/// ```
/// use std::os::fd::AsFd as _;
///
/// use lucarne::kernel::{DmaBuf, DmaBufKind, Memfd};
///
/// // Two planes of one buffer, each with a descriptor of its own. A sealed memfd stands in for the buffer.
/// let memfd = Memfd::create("frame", 4096)?;
/// let plane = || memfd.as_fd().try_clone_to_owned();
/// let (buffers, objects) = DmaBuf::of_planes(vec![plane()?, plane()?])?;
/// assert_eq!((buffers.len(), objects), (1, vec![0, 0]));
/// assert_eq!((buffers[0].size(), buffers[0].kind()), (4096, DmaBufKind::Emulated));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
///
/// "Buffer Sharing and Synchronization (dma-buf)" in Linux's driver API; `include/uapi/linux/dma-buf.h`.
#[doc(alias = "dmabuf")]
#[doc(alias = "PRIME")]
#[derive(Debug)]
pub struct DmaBuf {
    fd: OwnedFd,
    size: u64,
    identity: BufferIdentity,
    kind: DmaBufKind,
}

impl DmaBuf {
    /// Takes a descriptor and checks that it is a dma-buf, or a memfd that can stand in for one.
    ///
    /// The size is read from the kernel, never believed. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it is anything else, a memfd that is not sealed against shrinking (reading it
    /// could then end in SIGBUS), or empty; [`Error::Os`] when the kernel does not answer, for example because
    /// the descriptor is closed. The descriptor is closed in every failing case.
    pub fn new(fd: OwnedFd) -> Result<Self> {
        let kind = kind(fd.as_fd())?;
        let size = fd::size(&fd)?;
        if size == 0 {
            return Err(Error::invalid("buffer size", 0, "at least one byte"));
        }
        let identity = identity(fd.as_fd())?;
        Ok(Self {
            fd,
            size,
            identity,
            kind,
        })
    }

    /// Takes one descriptor for each memory plane, as EGL, Wayland and V4L2 pass them, and gives each kernel buffer once,
    /// with the buffer's index for each plane ([`Plane::object`](crate::Plane::object)).
    ///
    /// Descriptors of a buffer that another plane has brought already are closed.
    ///
    /// # Errors
    ///
    /// As for [`DmaBuf::new`], for the first descriptor that is refused; every one is closed then.
    pub fn of_planes(fds: Vec<OwnedFd>) -> Result<(Vec<Self>, Vec<usize>)> {
        let mut buffers: Vec<Self> = Vec::new();
        let mut objects = Vec::new();
        for fd in fds {
            let buffer = Self::new(fd)?;
            let known = buffers
                .iter()
                .position(|known| known.identity == buffer.identity);
            objects.push(known.unwrap_or(buffers.len()));
            if known.is_none() {
                buffers.push(buffer);
            }
        }
        Ok((buffers, objects))
    }

    /// The size in bytes, as the kernel tells it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Which kernel buffer this is.
    pub fn identity(&self) -> BufferIdentity {
        self.identity
    }

    /// Whether the kernel made it, or it is emulated.
    pub fn kind(&self) -> DmaBufKind {
        self.kind
    }

    /// A new descriptor for the same buffer, close-on-exec, owned by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the process has no descriptor left.
    pub fn duplicate(&self) -> Result<OwnedFd> {
        fd::duplicate(&self.fd, "duplicating a dma-buf's descriptor")
    }
}

impl AsFd for DmaBuf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn kind(fd: BorrowedFd<'_>) -> Result<DmaBufKind> {
    if fd::is_dma_buf(fd)? {
        return Ok(DmaBufKind::Kernel);
    }
    match rustix::fs::fcntl_get_seals(fd) {
        Ok(seals) if seals.contains(SealFlags::SHRINK) && fd::is_tmpfs(fd)? => {
            Ok(DmaBufKind::Emulated)
        }
        Ok(seals) if seals.contains(SealFlags::SHRINK) => Err(Error::invalid(
            "buffer",
            "a memfd of huge pages",
            "one of ordinary pages: huge ones can run out, and reading then ends in SIGBUS, seals or not",
        )),
        Ok(_) => Err(Error::invalid(
            "buffer",
            "a memfd that may still shrink",
            "sealed with F_SEAL_SHRINK, so that reading it cannot end in SIGBUS",
        )),
        Err(_) => Err(Error::invalid(
            "buffer",
            fd::describe(fd),
            "a dma-buf, or a memfd sealed with F_SEAL_SHRINK",
        )),
    }
}

pub(crate) fn identity(fd: BorrowedFd<'_>) -> Result<BufferIdentity> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| Error::os("fstat of a buffer", errno))?;
    Ok(BufferIdentity {
        device: stat.st_dev,
        inode: stat.st_ino,
    })
}
