//! The C library's own `ioctl`.

use core::ffi::{c_int, c_ulong};

use crate::errno::{Answer, Errno, check};
use crate::next::{Address, Function};
use crate::uapi::Argument;

static REAL: Function = Function::new("ioctl\0");
type Ioctl = unsafe extern "C" fn(c_int, c_ulong, ...) -> c_int;

/// Finds the real function.
pub(crate) fn look_up() {
    REAL.address();
}

/// Calls the real `ioctl`.
///
/// # Safety
///
/// As for `ioctl`: `argument` is what `request` asks for.
pub(crate) unsafe fn call(fd: c_int, request: c_ulong, argument: Argument) -> Answer {
    let address = REAL.address().ok_or(Errno(libc::ENOSYS))?;
    // SAFETY: dlsym(3): the address is that of the C library's `ioctl`, and `Ioctl` is its C declaration.
    let real = unsafe { core::mem::transmute::<Address, Ioctl>(address) };
    // SAFETY: ioctl(2): the caller promises that the argument fits the request.
    check(unsafe { real(fd, request, argument.0) })
}
