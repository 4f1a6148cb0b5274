//! The C library's own functions behind the ones that this library puts in front of them.

use core::ffi::{c_char, c_void};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Where a function lies.
pub(crate) type Address = NonNull<c_void>;

/// A function of the next library in the search order: usually the C library, or another preloaded one.
#[derive(Debug)]
pub(crate) struct Function {
    name: &'static str,
    address: AtomicPtr<c_void>,
}

impl Function {
    /// Names the function; `name` ends in NUL.
    pub(crate) const fn new(name: &'static str) -> Self {
        assert!(
            matches!(name.as_bytes().last(), Some(0)),
            "a C string ends in NUL"
        );
        Self {
            name,
            address: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// The function's address, looked up once. `None`: there is no such function.
    ///
    /// The constructor in `start.rs` looks every function up, so that later calls (after `fork`, in signal handlers)
    /// only load it. Two threads that look at the same time store the same address.
    pub(crate) fn address(&self) -> Option<Address> {
        let known = NonNull::new(self.address.load(Ordering::Relaxed));
        if known.is_some() {
            return known;
        }
        let name: *const c_char = self.name.as_ptr().cast();
        // SAFETY: dlsym(3): RTLD_NEXT is a valid handle and `name` ends in NUL, as `new` checked.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name) };
        self.address.store(found, Ordering::Relaxed);
        NonNull::new(found)
    }
}
