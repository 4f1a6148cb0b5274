//! Whether the environment turns the emulation off.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;
static FORBIDDEN: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether the environment says `LUCARNE_NO_EMULATION=1`. Read once, while nobody can be changing the environment: a
/// program that wants to turn the emulation off sets it for a child.
pub(crate) fn is_forbidden() -> bool {
    match FORBIDDEN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let answer = environment_forbids();
            FORBIDDEN.store(if answer { YES } else { NO }, Ordering::Relaxed);
            answer
        }
        known => known == YES,
    }
}

fn environment_forbids() -> bool {
    // SAFETY: getenv(3): the name ends in NUL, and no thread runs yet that could change the environment.
    let value = unsafe { libc::getenv(c"LUCARNE_NO_EMULATION".as_ptr()) };
    if value.is_null() {
        return false;
    }
    // SAFETY: strcmp(3): getenv gave a NUL-terminated string, and the other one is a C string literal.
    let order: c_int = unsafe { libc::strcmp(value, c"1".as_ptr()) };
    order == 0
}
