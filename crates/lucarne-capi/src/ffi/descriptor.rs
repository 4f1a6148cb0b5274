//! Descriptors from C and to C: taken on success alone, and given as new ones.

use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};

use crate::failure::{Failure, Result};
use crate::ffi::lucarne_status;

/// Where there is no descriptor.
pub const LUCARNE_NO_FD: i32 = -1;

/// A descriptor of our own for what the caller's stands for. The caller's stays open.
pub(super) fn duplicate(fd: i32, name: &str) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(Failure::argument(name, fd, "an open descriptor"));
    }
    // SAFETY: BorrowedFd::borrow_raw: not -1, and borrowed for one call of the kernel's, which answers EBADF for a number that
    // is not open.
    let lent = unsafe { BorrowedFd::borrow_raw(fd) };
    lent.try_clone_to_owned().map_err(|source| {
        let limit = format!("an open descriptor ({source})");
        Failure::argument(name, fd, limit)
    })
}

/// A new descriptor for the caller, close-on-exec.
pub(super) fn duplicate_of(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned().map_err(|source| {
        let message = format!("fcntl(F_DUPFD_CLOEXEC) failed: {source}");
        Failure::new(lucarne_status::Os, message)
    })
}

/// Closes descriptors that the caller has given away. The same number may come several times: it is one descriptor.
pub(super) fn close_given(fds: &[i32]) {
    for (at, fd) in fds.iter().enumerate() {
        if fds[..at].contains(fd) {
            continue;
        }
        // SAFETY: OwnedFd::from_raw_fd: it is open, as it was duplicated before, and the caller has given it away.
        drop(unsafe { OwnedFd::from_raw_fd(*fd) });
    }
}
