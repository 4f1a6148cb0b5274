//! The C library's ways to open a file by its path: the real one first, the emulated device where that one fails.

use core::ffi::{c_char, c_int};

use libc::mode_t;

use crate::device;
use crate::errno::Errno;
use crate::next::Address;

type Open = unsafe extern "C" fn(*const c_char, c_int, ...) -> c_int;
type OpenAt = unsafe extern "C" fn(c_int, *const c_char, c_int, ...) -> c_int;
// glibc's headers call these, which are not variadic, in a program built with _FORTIFY_SOURCE.
type OpenChecked = unsafe extern "C" fn(*const c_char, c_int) -> c_int;
type OpenAtChecked = unsafe extern "C" fn(c_int, *const c_char, c_int) -> c_int;

/// Defines the functions. A variadic `mode` is taken as an ordinary argument: in the calling conventions of Linux an
/// integer lies in the same place either way, and where the caller gave none the real function looks at none.
macro_rules! in_front_of {
    ($($name:ident: $signature:ty = ($($at:ident: $at_type:ty)?; path, flags; $($mode:ident: $mode_type:ty)?);)*) => {
        /// The real functions.
        #[allow(non_upper_case_globals, reason = "they are called what the functions are called")]
        mod real {
            use crate::next::Function;
            $(pub(super) static $name: Function = Function::new(concat!(stringify!($name), "\0"));)*
        }

        /// Finds the real functions.
        pub(crate) fn look_up() {
            $(real::$name.address();)*
        }

        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name(
                $($at: $at_type,)?
                path: *const c_char,
                flags: c_int
                $(, $mode: $mode_type)?
            ) -> c_int {
                let Some(address) = real::$name.address() else {
                    return Errno(libc::ENOSYS).raise();
                };
                // SAFETY: dlsym(3): the address is that of the C library's function of this name, and `$signature`
                // is its C declaration.
                let real = unsafe { core::mem::transmute::<Address, $signature>(address) };
                // SAFETY: open(2): the arguments are the caller's, who keeps the contract of the real function.
                let fd = unsafe { real($($at,)? path, flags $(, $mode)?) };
                if fd >= 0 {
                    return fd;
                }
                // SAFETY: the real function has just failed with `path`, as the callee wants it.
                unsafe { device::open_instead(path, flags) }
            }
        )*
    };
}

in_front_of! {
    open: Open = (; path, flags; mode: mode_t);
    open64: Open = (; path, flags; mode: mode_t);
    openat: OpenAt = (directory: c_int; path, flags; mode: mode_t);
    openat64: OpenAt = (directory: c_int; path, flags; mode: mode_t);
    __open_2: OpenChecked = (; path, flags;);
    __open64_2: OpenChecked = (; path, flags;);
    __openat_2: OpenAtChecked = (directory: c_int; path, flags;);
    __openat64_2: OpenAtChecked = (directory: c_int; path, flags;);
}
