//! How an emulated object is known again.
//!
//! A table of descriptors would have to follow `dup`, `close`, `fork`, `exec` and sockets. Instead the kernel keeps
//! the mark, with the open file description itself: `F_SETSIG` stores there which signal to send when input arrives.
//! Nobody asks for such signals on these objects (`O_ASYNC` stays off), so the number is free to mean something. It
//! goes wherever the description goes and is gone when the number of the descriptor is used again.

use core::ffi::c_int;

use crate::errno::{Answer, check};

// linux/fcntl.h; the same on every architecture.
const F_SETSIG: c_int = 10;
const F_GETSIG: c_int = 11;

/// What an emulated object is. The values are real-time signal numbers near the upper end, valid on every architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Mark {
    /// `/dev/udmabuf`.
    Device = 61,
    /// A dma-buf.
    DmaBuf = 62,
    /// A sync file.
    SyncFile = 63,
}

impl Mark {
    /// Marks what `fd` refers to, and gives `fd` back. Closes it where that fails.
    pub(crate) fn put(self, fd: c_int) -> Answer {
        // SAFETY: fcntl(2): F_SETSIG takes a signal number and touches no memory.
        let done = check(unsafe { libc::fcntl(fd, F_SETSIG, self as c_int) });
        if done.is_err() {
            close(fd);
        }
        done.map(|_| fd)
    }

    /// Whether what `fd` refers to is an emulated object of this kind.
    ///
    /// The seals tell what the mark alone does not: that the device and the dma-bufs are memfds, and a sync file is
    /// none, so that a stranger's use of the same signal number cannot make one out of a socket.
    pub(crate) fn is_on(self, fd: c_int) -> bool {
        // SAFETY: fcntl(2): F_GETSIG takes no argument and touches no memory.
        let signal = unsafe { libc::fcntl(fd, F_GETSIG) };
        signal == self as c_int && seals(fd).is_ok() == (self != Self::SyncFile)
    }
}

/// The seals of the file that `fd` refers to; an error where it can have none.
pub(crate) fn seals(fd: c_int) -> Answer {
    // SAFETY: fcntl(2): F_GET_SEALS takes no argument and touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_GET_SEALS) })
}

/// Closes a descriptor that this library has just made and nobody else has seen.
pub(crate) fn close(fd: c_int) {
    // SAFETY: close(2): `fd` is this library's own, and it is not used afterwards.
    unsafe { libc::close(fd) };
}
