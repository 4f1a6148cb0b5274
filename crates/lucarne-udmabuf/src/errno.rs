//! `errno`, as a value inside this library and as the C library's variable at its edge.

use core::ffi::{c_int, c_void};

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

/// What an emulated call answers: a value for the caller, or an error number.
pub(crate) type Answer = Result<c_int, Errno>;

impl Errno {
    /// The calling thread's `errno`.
    pub(crate) fn current() -> Self {
        // SAFETY: errno(3): no arguments; the address is valid for as long as the thread lives.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: the address is that of this thread's own variable, which nobody else touches.
        Self(unsafe { *errno })
    }

    /// Sets the calling thread's `errno` and gives what a failing C function returns.
    pub(crate) fn raise(self) -> c_int {
        // SAFETY: errno(3): no arguments; the address is valid for as long as the thread lives.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: the address is that of this thread's own variable, which nobody else touches.
        unsafe { *errno = self.0 };
        -1
    }
}

/// Turns a C function's return value into an answer: negative means that `errno` says why.
pub(crate) fn check(returned: c_int) -> Answer {
    if returned < 0 {
        Err(Errno::current())
    } else {
        Ok(returned)
    }
}

/// Turns an answer into a C function's return value.
pub(crate) fn give(answer: Answer) -> c_int {
    match answer {
        Ok(value) => value,
        Err(errno) => errno.raise(),
    }
}

/// Writes one line on standard error: for requests that this emulation has to refuse where the kernel would not.
///
/// The line goes out in one `write`, without allocating or locking, so that it is safe after `fork` and in a signal
/// handler. Nobody can be told of a failure to write it.
pub(crate) fn complain(line: &'static str) {
    let bytes: *const c_void = line.as_ptr().cast();
    // SAFETY: write(2): `bytes` points at `line.len()` readable bytes.
    unsafe { libc::write(libc::STDERR_FILENO, bytes, line.len()) };
}
