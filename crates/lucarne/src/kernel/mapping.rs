//! A memory mapping that other processes may write while we read.

use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

use super::memfd::Memfd;
use crate::error::{Error, Result};

/// A whole [`Memfd`], mapped shared, for reading and writing.
///
/// There is no way to a `&[u8]`: another process may write at any time, which Rust references forbid. Bytes are
/// copied in and out, or their address is given to an API that reads them itself.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is only memory; it is not tied to the thread that made it (mmap(2): mappings belong to
// the process), and it is accessed through raw copies alone.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps all of `memory`.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the address space does not have the room.
    pub fn new(memory: &Memfd) -> Result<Self> {
        let bytes = usize::try_from(memory.size()).map_err(|_| {
            Error::invalid("memory size", memory.size(), "small enough to be mapped")
        })?;
        // SAFETY: mmap(2) with a null hint and without MAP_FIXED replaces no mapping. The memfd is sealed with
        // F_SEAL_SHRINK (checked by `Memfd`), so no access within `bytes` can raise SIGBUS.
        let address = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                memory.as_fd(),
                0,
            )
        }
        .map_err(|errno| Error::os("mmap of a memfd", errno))?;
        let address = NonNull::new(address.cast::<u8>())
            .ok_or_else(|| Error::invalid("mmap address", "null", "a mapping"))?;
        Ok(Self { address, bytes })
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
    /// [`Error::Invalid`] when it would end beyond the mapping.
    pub fn copy_in(&mut self, offset: usize, source: &[u8]) -> Result<()> {
        let at = self.at(offset, source.len())?;
        // SAFETY: ptr::copy_nonoverlapping needs both ranges valid and apart: `at` has checked the room from
        // `offset` on, and a slice cannot lie within a mapping that no reference is ever made of.
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

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: munmap(2) of exactly the range that `new` mapped; nothing borrows from it, as no reference is
        // ever made.
        let result = unsafe { rustix::mm::munmap(self.address.as_ptr().cast(), self.bytes) };
        debug_assert!(result.is_ok(), "munmap of our own mapping: {result:?}");
    }
}
