//! The CPU's turn at a dma-buf: `mmap`, and `DMA_BUF_IOCTL_SYNC` around every access (`linux/dma-buf.h`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, opcode};

use super::dma_buf::{DmaBuf, DmaBufKind};
use super::fd;
use super::mapping::Mapping;
use crate::error::{Error, Result};

/// The kernel asks to repeat the request after `EINTR` and `EAGAIN`; one that it never grants ends here.
const RETRIES: u32 = 1000;

/// A whole [`DmaBuf`], mapped shared, to be copied out of and into.
///
/// Bytes are reached through [`read`](Self::read) and [`write`](Self::write), or at [`address`](Self::address) during an
/// [`access`](Self::access). They tell the kernel when the CPU's access begins and when it ends. On machines whose devices do
/// not see the CPU's caches, each side sees what the other wrote only because of that. It never gives out a `&[u8]`, as
/// another device or process may write at any time.
///
/// Holds a descriptor of its own beside the mapping. Only CPUs touch an emulated dma-buf ([`DmaBufKind::Emulated`]), so
/// the kernel need not be told, and no descriptor is held.
#[derive(Debug)]
pub struct DmaBufMapping {
    mapping: Mapping,
    /// `None` for an emulated buffer.
    buffer: Option<Arc<OwnedFd>>,
}

impl DmaBufMapping {
    /// Maps all of `buffer`; for writing too, where its descriptor allows that. The descriptor is lent.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the exporter does not let the CPU map it (memory on a graphics card often), or without room
    /// in the address space or a free descriptor.
    pub fn new(buffer: &DmaBuf) -> Result<Self> {
        let mapping = Mapping::dma_buf(buffer)?;
        let buffer = match buffer.kind() {
            DmaBufKind::Kernel => Some(Arc::new(buffer.duplicate()?)),
            DmaBufKind::Emulated => None,
        };
        Ok(Self { mapping, buffer })
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty mapping cannot exist")]
    pub fn len(&self) -> usize {
        self.mapping.len()
    }

    /// Whether [`write`](Self::write) is allowed: not for descriptors that were exported for reading only.
    pub fn is_writable(&self) -> bool {
        self.mapping.is_writable()
    }

    /// The first byte. Valid for [`len`](Self::len) bytes as long as this value lives, to be touched during an
    /// [`access`](Self::access) alone. Others may write there at any time, so make no reference of it.
    pub fn address(&self) -> NonNull<u8> {
        self.mapping.address()
    }

    /// Begins an access of somebody who reads, or who `writes` too, at [`address`](Self::address): [`read`](Self::read) and
    /// [`write`](Self::write) without their borrow. It does not keep the mapping.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write), or [`read`](Self::read).
    pub fn access(&self, writes: bool, timeout: Duration) -> Result<CpuAccess> {
        let bracket = if writes {
            self.begin_to_write(timeout)?
        } else {
            Bracket::begin(self.buffer.as_ref(), Direction::Read, timeout)?
        };
        Ok(CpuAccess { bracket })
    }

    fn begin_to_write(&self, timeout: Duration) -> Result<Bracket> {
        if !self.is_writable() {
            return Err(Error::invalid(
                "buffer",
                "exported for reading only",
                "one whose descriptor allows writing (DRM_RDWR)",
            ));
        }
        Bracket::begin(self.buffer.as_ref(), Direction::ReadWrite, timeout)
    }

    /// Begins to read (`DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ`).
    ///
    /// The kernel would wait for the fences of all writers, without a deadline. So this polls the buffer first, for
    /// `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when somebody keeps writing; [`Error::Os`] when the kernel refuses.
    #[doc(alias = "DMA_BUF_IOCTL_SYNC")]
    pub fn read(&self, timeout: Duration) -> Result<CpuRead<'_>> {
        let bracket = Bracket::begin(self.buffer.as_ref(), Direction::Read, timeout)?;
        Ok(CpuRead {
            mapping: &self.mapping,
            bracket,
        })
    }

    /// Begins to write (`DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW`); waits for all that still reads or writes.
    ///
    /// The kernel is told that the CPU also reads: caches work in lines, and a line that is written in part must first be
    /// read.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a read-only descriptor; otherwise as for [`read`](Self::read).
    #[doc(alias = "DMA_BUF_IOCTL_SYNC")]
    pub fn write(&mut self, timeout: Duration) -> Result<CpuWrite<'_>> {
        let bracket = self.begin_to_write(timeout)?;
        Ok(CpuWrite {
            mapping: &mut self.mapping,
            bracket,
        })
    }
}

/// An access at a [`DmaBufMapping`]'s address. Dropping it ends the access too, and hides an error.
#[derive(Debug)]
#[must_use = "the access ends when this is dropped"]
pub struct CpuAccess {
    bracket: Bracket,
}

impl CpuAccess {
    /// Ends the access (`DMA_BUF_SYNC_END`): what was written is there for every device.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel refuses.
    pub fn end(self) -> Result<()> {
        self.bracket.end()
    }
}

/// The CPU reads a dma-buf while this lives. Dropping it ends the access too, and hides an error.
#[derive(Debug)]
#[must_use = "the access ends when this is dropped"]
pub struct CpuRead<'a> {
    mapping: &'a Mapping,
    bracket: Bracket,
}

impl CpuRead<'_> {
    /// Copies from `offset` to `target`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it would begin or end beyond the buffer.
    pub fn copy_out(&self, offset: usize, target: &mut [u8]) -> Result<()> {
        self.mapping.copy_out(offset, target)
    }

    /// Ends the access (`DMA_BUF_SYNC_END`).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel refuses.
    pub fn end(self) -> Result<()> {
        self.bracket.end()
    }
}

/// The CPU writes a dma-buf while this lives. Dropping it ends the access too, and hides an error.
#[derive(Debug)]
#[must_use = "the access ends when this is dropped"]
pub struct CpuWrite<'a> {
    mapping: &'a mut Mapping,
    bracket: Bracket,
}

impl CpuWrite<'_> {
    /// Copies `source` to `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it would begin or end beyond the buffer.
    pub fn copy_in(&mut self, offset: usize, source: &[u8]) -> Result<()> {
        self.mapping.copy_in(offset, source)
    }

    /// Copies from `offset` to `target`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it would begin or end beyond the buffer.
    pub fn copy_out(&self, offset: usize, target: &mut [u8]) -> Result<()> {
        self.mapping.copy_out(offset, target)
    }

    /// Ends the access (`DMA_BUF_SYNC_END`): what was written is there for every device.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel refuses.
    pub fn end(self) -> Result<()> {
        self.bracket.end()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Read,
    ReadWrite,
}

impl Direction {
    const fn flags(self) -> u64 {
        match self {
            Self::Read => DMA_BUF_SYNC_READ,
            Self::ReadWrite => DMA_BUF_SYNC_READ | DMA_BUF_SYNC_WRITE,
        }
    }

    /// `poll(2)` on a dma-buf: readable when its writers have finished, writable when its readers have too.
    const fn ready(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::IN,
            Self::ReadWrite => PollFlags::OUT,
        }
    }
}

/// An access that has begun and must end, once.
#[derive(Debug)]
struct Bracket {
    /// `None` for an emulated buffer, and once the access has ended.
    buffer: Option<Arc<OwnedFd>>,
    direction: Direction,
}

impl Bracket {
    fn begin(
        buffer: Option<&Arc<OwnedFd>>,
        direction: Direction,
        timeout: Duration,
    ) -> Result<Self> {
        if let Some(buffer) = buffer {
            let waiting_for = "the end of other accesses to a dma-buf";
            fd::wait_ready(buffer.as_fd(), direction.ready(), timeout, waiting_for)?;
            sync(buffer.as_fd(), DMA_BUF_SYNC_START | direction.flags())
                .map_err(|errno| Error::os("DMA_BUF_IOCTL_SYNC to begin", errno))?;
        }
        let buffer = buffer.map(Arc::clone);
        Ok(Self { buffer, direction })
    }

    fn end(mut self) -> Result<()> {
        self.finish()
            .map_err(|errno| Error::os("DMA_BUF_IOCTL_SYNC to end", errno))
    }

    fn finish(&mut self) -> rustix::io::Result<()> {
        self.buffer.take().map_or(Ok(()), |buffer| {
            sync(buffer.as_fd(), DMA_BUF_SYNC_END | self.direction.flags())
        })
    }
}

impl Drop for Bracket {
    fn drop(&mut self) {
        let ended = self.finish();
        #[cfg(feature = "tracing")]
        if let Err(errno) = ended {
            tracing::error!(%errno, "ending the CPU's access to a dma-buf failed");
        }
        // Nobody is left to tell; `end` is there for those who want to know.
        #[cfg(not(feature = "tracing"))]
        let _unheard = ended;
    }
}

const DMA_BUF_SYNC_READ: u64 = 1;
const DMA_BUF_SYNC_WRITE: u64 = 2;
const DMA_BUF_SYNC_START: u64 = 0;
const DMA_BUF_SYNC_END: u64 = 4;

/// `struct dma_buf_sync`.
#[repr(C)]
struct DmaBufSync {
    flags: u64,
}

/// `DMA_BUF_IOCTL_SYNC`: `_IOW('b', 0, struct dma_buf_sync)`.
const SYNC: Opcode = opcode::write::<DmaBufSync>(b'b', 0);

fn sync(buffer: BorrowedFd<'_>, flags: u64) -> rustix::io::Result<()> {
    retried(|| {
        // SAFETY: Setter::new wants an opcode that reads one value of the input's type: `SYNC` reads a
        // `struct dma_buf_sync`, which `DmaBufSync` is (size and number are tested).
        let request = unsafe { Setter::<SYNC, DmaBufSync>::new(DmaBufSync { flags }) };
        // SAFETY: ioctl(2) with a request whose argument lives during the call.
        unsafe { rustix::ioctl::ioctl(buffer, request) }
    })
}

/// Repeats a request that the kernel wants repeated.
fn retried(mut request: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    for _ in 0..RETRIES {
        match request() {
            Err(Errno::INTR | Errno::AGAIN) => {}
            answer => return answer,
        }
    }
    request()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_the_kernels() {
        assert_eq!(size_of::<DmaBufSync>(), 8);
        assert_eq!(SYNC, 0x4008_6200);
        assert_eq!(Direction::Read.flags(), 1);
        assert_eq!(Direction::ReadWrite.flags(), 3);
    }

    #[test]
    fn interruptions_are_repeated_and_errors_are_not() {
        let mut answers = vec![
            Ok(()),
            Err(Errno::INTR),
            Err(Errno::AGAIN),
            Err(Errno::INTR),
        ];
        assert_eq!(retried(|| answers.pop().unwrap()), Ok(()));
        assert!(answers.is_empty());
        let mut calls = 0;
        let refused = retried(|| {
            calls += 1;
            Err(Errno::INVAL)
        });
        assert_eq!((refused, calls), (Err(Errno::INVAL), 1));
    }

    #[test]
    fn a_request_that_is_never_granted_ends() {
        assert_eq!(retried(|| Err(Errno::AGAIN)), Err(Errno::AGAIN));
    }
}
