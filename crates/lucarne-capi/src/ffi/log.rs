//! The log.

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::Arc;

use super::error::{lucarne_error, lucarne_status};
use super::guard;
use crate::log::{self, Sink};

/// Something failed that nobody could be told otherwise.
pub const LUCARNE_LOG_ERROR: u32 = 1;
/// Something was slow, or was left behind.
pub const LUCARNE_LOG_WARNING: u32 = 2;
/// Something to know.
pub const LUCARNE_LOG_INFO: u32 = 3;
/// Something to find faults with.
pub const LUCARNE_LOG_DEBUG: u32 = 4;
/// Everything else.
pub const LUCARNE_LOG_TRACE: u32 = 5;

/// Takes a line of the log: its level (`LUCARNE_LOG_…`), its text, which lives until the function returns, and the `data` of
/// `lucarne_log_to`. Is called on whichever thread has something to log, several at once. Must not unwind.
pub type lucarne_log =
    Option<unsafe extern "C-unwind" fn(level: u32, text: *const c_char, data: *mut c_void)>;

/// What the program gave.
struct Target {
    log: unsafe extern "C-unwind" fn(level: u32, text: *const c_char, data: *mut c_void),
    data: *mut c_void,
}

// SAFETY: `lucarne_log_to` demands that the function takes its data on any thread.
unsafe impl Send for Target {}
// SAFETY: as above, several at once.
unsafe impl Sync for Target {}

impl Target {
    fn tell(&self, level: u32, text: &CStr) {
        // SAFETY: `lucarne_log_to`: the function may be called so until another is set.
        unsafe { (self.log)(level, text.as_ptr(), self.data) }
    }
}

/// Sends the log of this process's Lucarne to `log` from now on; `NULL` sends it nowhere, as at first. A call that is under way may
/// still use the one before for a moment. Any thread.
///
/// # Safety
///
/// `log` may be called with `data` on any thread, several at once, until another is set and those calls have returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_log_to(
    log: lucarne_log,
    data: *mut c_void,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let target = log.map(|log| Target { log, data });
        log::set(target.map(|target| {
            let sink: Sink = Arc::new(move |level, text: &CStr| target.tell(level, text));
            sink
        }))
    })
}
