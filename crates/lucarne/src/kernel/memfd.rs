//! memfd: memory with a descriptor and seals (`memfd_create(2)`, `F_ADD_SEALS`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

use super::dma_buf::{BufferIdentity, identity};
use super::fd;
use crate::error::{Error, Result};

/// Shared memory that can no longer shrink, so that mapping it is safe whoever else holds it.
///
/// Owns its descriptor and closes it on drop.
///
/// ```
/// use std::os::fd::AsFd as _;
///
/// use lucarne::kernel::Memfd;
///
/// let memfd = Memfd::create("frame", 4096)?;
/// let again = Memfd::new(memfd.as_fd().try_clone_to_owned()?)?;
/// assert_eq!((again.size(), again.identity()), (4096, memfd.identity()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
///
/// memfd_create(2); fcntl(2), "File Sealing".
#[derive(Debug)]
pub struct Memfd {
    fd: OwnedFd,
    size: u64,
    identity: BufferIdentity,
}

impl Memfd {
    /// Makes `size` bytes of zeroed memory, sealed against shrinking, growing and further sealing, and
    /// close-on-exec. `name` shows in `/proc/PID/maps`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a size of zero; [`Error::Os`] when the kernel has no memory or descriptor left.
    pub fn create(name: &str, size: u64) -> Result<Self> {
        if size == 0 {
            return Err(Error::invalid("memfd size", 0, "at least one byte"));
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create(name, flags)
            .map_err(|errno| Error::os("memfd_create", errno))?;
        rustix::fs::ftruncate(&fd, size)
            .map_err(|errno| Error::os("ftruncate of a memfd", errno))?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&fd, seals)
            .map_err(|errno| Error::os("sealing a memfd", errno))?;
        Self::new(fd)
    }

    /// Takes a descriptor and checks that it is a memfd which cannot shrink, of ordinary pages.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it is something else, is not sealed, is of huge pages, or is empty; [`Error::Os`] when the kernel
    /// does not answer. The descriptor is closed in every failing case.
    pub fn new(fd: OwnedFd) -> Result<Self> {
        let Ok(seals) = rustix::fs::fcntl_get_seals(&fd) else {
            return Err(Error::invalid("memory", fd::describe(&fd), "a memfd"));
        };
        if !seals.contains(SealFlags::SHRINK) {
            return Err(Error::invalid(
                "memory",
                "a memfd that may still shrink",
                "sealed with F_SEAL_SHRINK, so that reading it cannot end in SIGBUS",
            ));
        }
        if !fd::is_tmpfs(&fd)? {
            return Err(Error::invalid(
                "memory",
                "a memfd of huge pages",
                "one of ordinary pages: huge ones can run out, and reading then ends in SIGBUS, seals or not",
            ));
        }
        let size = fd::size(&fd)?;
        if size == 0 {
            return Err(Error::invalid("memory size", 0, "at least one byte"));
        }
        let identity = identity(fd.as_fd())?;
        Ok(Self { fd, size, identity })
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Which kernel object this is.
    pub fn identity(&self) -> BufferIdentity {
        self.identity
    }
}

impl AsFd for Memfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever else holds such a memfd can take its pages back with `fallocate`, and keep the machine's last ones.
    #[test]
    fn huge_pages_are_refused_although_they_can_be_sealed() {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
        let fd = match rustix::fs::memfd_create("huge", flags) {
            Ok(fd) => fd,
            // Kernels without CONFIG_HUGETLBFS cannot be attacked this way either.
            Err(errno) => {
                assert_eq!(errno, rustix::io::Errno::INVAL);
                return;
            }
        };
        rustix::fs::ftruncate(&fd, 64 << 20).expect("a size, and no pages yet");
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK).expect("a seal");
        let error = Memfd::new(fd).expect_err("huge pages");
        assert!(error.to_string().contains("huge pages"), "{error}");
    }
}
