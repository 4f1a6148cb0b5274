//! `open` and `ioctl` through the C library, for objects that lucarne-udmabuf may emulate: preloaded, it stands in front of
//! these two functions. rustix makes the system calls itself, and would go past it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::ioctl::Ioctl;

/// `open(2)` of something that is there already, close-on-exec.
pub(crate) fn open(path: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    debug_assert!(
        !flags.intersects(OFlags::CREATE | OFlags::TMPFILE),
        "these take a mode"
    );
    let flags = (flags | OFlags::CLOEXEC).bits().cast_signed();
    // SAFETY: open(3): the path ends in NUL, and no flag asks for a mode.
    let fd = unsafe { libc::open(path.as_ptr(), flags) };
    if fd < 0 {
        return Err(last_error());
    }
    // SAFETY: OwnedFd::from_raw_fd: `open` has just made this descriptor for the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `rustix::ioctl::ioctl`, through the C library.
///
/// # Safety
///
/// As for `rustix::ioctl::ioctl`: the descriptor's driver does with the argument what `I` says.
pub(crate) unsafe fn ioctl<I: Ioctl>(
    fd: impl AsFd,
    mut request: I,
) -> rustix::io::Result<I::Output> {
    let number = libc::Ioctl::from(request.opcode());
    let argument = request.as_ptr();
    // SAFETY: ioctl(3): the argument is what the request asks for, as the caller promises, and lives during the call.
    let answer = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), number, argument) };
    if answer < 0 {
        return Err(last_error());
    }
    // SAFETY: Ioctl::output_from_ptr: the request has succeeded with this answer and this argument.
    unsafe { I::output_from_ptr(answer, argument) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
