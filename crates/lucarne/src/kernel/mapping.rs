//! A memory mapping that other processes may write while we read.

use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::dma_buf::DmaBuf;
use super::memfd::Memfd;
use crate::error::{Error, Result};

/// A whole kernel object, a [`Memfd`] for instance, mapped shared.
///
/// It never gives out a `&[u8]`: another process may write at any time, which Rust references forbid. Bytes are
/// copied in and out, or their address is given to an API that reads them itself.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
    writable: bool,
}

// SAFETY: the mapping is only memory; it is not tied to the thread that made it (mmap(2): mappings belong to
// the process), and it is accessed through raw copies alone.
unsafe impl Send for Mapping {}
// SAFETY: as above; a shared `Mapping` can only be copied out of, which any number of threads may do at once.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps all of `memory`.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the address space does not have the room, or the memfd is sealed against writing.
    pub fn new(memory: &Memfd) -> Result<Self> {
        // The memfd is sealed with F_SEAL_SHRINK (checked by `Memfd`): no access within it can raise SIGBUS.
        map(memory.as_fd(), memory.size(), true)
            .map_err(|errno| Error::os("mmap of a memfd", errno))
    }

    /// Maps all of `memory`: for writing too, where descriptor and seals allow it.
    pub(crate) fn as_allowed(memory: &Memfd) -> Result<Self> {
        // As above: it cannot shrink.
        let mapped = match map(memory.as_fd(), memory.size(), true) {
            // Opened for reading only, or sealed with F_SEAL_WRITE or F_SEAL_FUTURE_WRITE.
            Err(Errno::ACCESS | Errno::PERM) => map(memory.as_fd(), memory.size(), false),
            other => other,
        };
        mapped.map_err(|errno| Error::os("mmap of a memfd", errno))
    }

    /// Maps all of a dma-buf: for writing too, where the descriptor allows it.
    ///
    /// Every access must lie between the calls of [`super::DmaBufMapping`], which is the only one to make such a
    /// mapping.
    pub(super) fn dma_buf(buffer: &DmaBuf) -> Result<Self> {
        // A dma-buf never changes its size, and a memfd that stands in for one is sealed with F_SEAL_SHRINK (checked
        // by `DmaBuf`): no access within it can raise SIGBUS.
        let mapped = match map(buffer.as_fd(), buffer.size(), true) {
            // Exported without DRM_RDWR, or sealed with F_SEAL_WRITE.
            Err(Errno::ACCESS | Errno::PERM) => map(buffer.as_fd(), buffer.size(), false),
            other => other,
        };
        mapped.map_err(|errno| Error::Os {
            operation: "mmap of a dma-buf",
            source: errno.into(),
            help: "its exporter may not let the CPU in: have its device copy it to system memory",
        })
    }

    /// Whether [`Mapping::copy_in`] is allowed.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The first byte. Valid for [`Mapping::len`] bytes as long as this value lives; other processes may write
    /// there at any time, so make no reference of it.
    pub fn address(&self) -> NonNull<u8> {
        self.address
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty mapping cannot exist")]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Copies `source` to `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it would begin or end beyond the mapping, or the mapping is for reading only.
    pub fn copy_in(&mut self, offset: usize, source: &[u8]) -> Result<()> {
        if !self.writable {
            return Err(Error::invalid("mapping", "read-only", "writable"));
        }
        let at = self.at(offset, source.len())?;
        // SAFETY: ptr::copy_nonoverlapping needs both ranges valid and apart: the mapping is writable, `at` has
        // checked the room from `offset` on, and a slice cannot lie within a mapping that no reference is made of.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), at.as_ptr(), source.len()) };
        Ok(())
    }

    /// Copies from `offset` to `target`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it would begin or end beyond the mapping.
    pub fn copy_out(&self, offset: usize, target: &mut [u8]) -> Result<()> {
        let at = self.at(offset, target.len())?;
        // SAFETY: as in `copy_in`, with the roles exchanged.
        unsafe { std::ptr::copy_nonoverlapping(at.as_ptr(), target.as_mut_ptr(), target.len()) };
        Ok(())
    }

    fn at(&self, offset: usize, bytes: usize) -> Result<NonNull<u8>> {
        let end = offset.checked_add(bytes);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(Error::invalid(
                "offset + length",
                format!("{offset} + {bytes}"),
                format!("at most the mapping's {} bytes", self.bytes),
            ));
        }
        // SAFETY: NonNull::add stays within one allocation: `offset` is at most `self.bytes`.
        Ok(unsafe { self.address.add(offset) })
    }
}

/// Maps the first `size` bytes of a descriptor, which must be all of its object.
fn map(fd: BorrowedFd<'_>, size: u64, writable: bool) -> rustix::io::Result<Mapping> {
    let bytes = usize::try_from(size).map_err(|_| Errno::NOMEM)?;
    let access = if writable {
        ProtFlags::READ | ProtFlags::WRITE
    } else {
        ProtFlags::READ
    };
    let none = std::ptr::null_mut();
    // SAFETY: mmap(2) with a null hint and without MAP_FIXED replaces no mapping.
    let address = unsafe { rustix::mm::mmap(none, bytes, access, MapFlags::SHARED, fd, 0) }?;
    let address = NonNull::new(address.cast::<u8>()).ok_or(Errno::FAULT)?;
    Ok(Mapping {
        address,
        bytes,
        writable,
    })
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: munmap(2) of exactly the range that `map` mapped; nothing borrows from it, as no reference is
        // ever made.
        let result = unsafe { rustix::mm::munmap(self.address.as_ptr().cast(), self.bytes) };
        debug_assert!(result.is_ok(), "munmap of our own mapping: {result:?}");
    }
}
