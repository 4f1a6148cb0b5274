//! A plain mapping, as any program makes one: nothing protects it from a file that shrinks.

#![expect(
    unsafe_code,
    reason = "mapping a file that may shrink is what is shown here"
)]

use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::AsFd;

/// The first bytes of a file, mapped shared.
pub(crate) struct Mapped {
    address: *mut u8,
    bytes: usize,
}

impl Mapped {
    pub(crate) fn new(file: impl AsFd, bytes: usize, writable: bool) -> rustix::io::Result<Self> {
        let access = if writable {
            ProtFlags::READ | ProtFlags::WRITE
        } else {
            ProtFlags::READ
        };
        let (none, flags) = (std::ptr::null_mut(), MapFlags::SHARED);
        // SAFETY: mmap(2) with a null hint and without MAP_FIXED replaces no mapping.
        let address = unsafe { rustix::mm::mmap(none, bytes, access, flags, file, 0) }?;
        let address = address.cast();
        Ok(Self { address, bytes })
    }

    /// One byte; SIGBUS where the file has become shorter.
    pub(crate) fn read(&self, at: usize) -> u8 {
        assert!(at < self.bytes, "{at} of {}", self.bytes);
        // SAFETY: ptr::add stays within the mapping: checked above.
        let byte = unsafe { self.address.add(at) };
        // SAFETY: ptr::read_volatile: mapped for reading. Other processes may write it, so no reference is made of it; where the
        // file ends before it, the kernel kills this process with SIGBUS (mmap(2)), which is what is shown.
        unsafe { byte.read_volatile() }
    }

    /// Writes one byte; only to what was mapped for that.
    pub(crate) fn write(&mut self, at: usize, value: u8) {
        assert!(at < self.bytes, "{at} of {}", self.bytes);
        // SAFETY: as in `read`.
        let byte = unsafe { self.address.add(at) };
        // SAFETY: ptr::write_volatile: as in `read`. Callers write where they asked for a writable mapping.
        unsafe { byte.write_volatile(value) };
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: munmap(2) of exactly what `new` mapped, of which no reference exists.
        let _ = unsafe { rustix::mm::munmap(self.address.cast(), self.bytes) };
    }
}
