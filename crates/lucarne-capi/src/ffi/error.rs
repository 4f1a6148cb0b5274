//! What a call answers, and why it failed.

use std::ffi::{CStr, CString, c_char};

use super::guard;
use super::reasons::lucarne_reasons;
use crate::failure::Failure;
use crate::text::c_text;

/// What a call answers. `LUCARNE_STATUS_OK` is 0; every other value means that nothing was done, and that every handle to
/// be made is `NULL`. New values may come.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lucarne_status {
    /// It was done.
    Ok = 0,
    /// An argument is `NULL`, out of its limits, or of another API than the call is about. The message names it, its value and
    /// its limit.
    InvalidArgument = 1,
    /// This machine, driver or context cannot do it. The reasons list what is missing.
    Unsupported = 2,
    /// Two sides have nothing in common, or the peer refused. After a negotiation the reasons list each rung's.
    Refused = 3,
    /// It did not happen in time.
    Timeout = 4,
    /// There is nothing yet, and the call does not wait.
    WouldBlock = 5,
    /// The kernel refused.
    Os = 6,
    /// A graphics driver refused.
    Driver = 7,
    /// The work behind a fence ended in an error, a GPU's reset for instance.
    FenceFailed = 8,
    /// The frame's memory belongs to a device that this one cannot read.
    ForeignDevice = 9,
    /// The EGL context is not current on this thread.
    NotCurrent = 10,
    /// There is no such stream.
    NotFound = 11,
    /// Somebody else has the name.
    InUse = 12,
    /// The stream has ended, and all of its frames were taken.
    Ended = 13,
    /// The peer hung up, or died.
    PeerGone = 14,
    /// The peer broke the protocol. The connection is over.
    Breach = 15,
    /// A fault of Lucarne, or of a Rust callback: something panicked. What the call worked on may only be freed.
    Panic = 16,
    /// Something else. The message says what.
    Other = 17,
}

/// Why a call failed. Made where the last argument `error` is not `NULL` and the call fails; end it with
/// `lucarne_error_free`. Any thread.
#[derive(Debug)]
pub struct lucarne_error {
    status: lucarne_status,
    message: CString,
    reasons: lucarne_reasons,
}

impl lucarne_error {
    pub(super) fn new(failure: Failure) -> Self {
        Self {
            status: failure.status,
            message: c_text(failure.message),
            reasons: lucarne_reasons::new(failure.reasons),
        }
    }

    #[cfg(test)]
    pub(super) fn message(&self) -> String {
        self.message.to_string_lossy().into_owned()
    }
}

/// The status that the call answered. `LUCARNE_STATUS_OK` for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_error_status(error: Option<&lucarne_error>) -> lucarne_status {
    error.map_or(lucarne_status::Ok, |error| error.status)
}

/// What went wrong, in English, for people. Lives as long as `error`. Empty for `NULL`, never `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_error_message(error: Option<&lucarne_error>) -> *const c_char {
    let none: &CStr = c"";
    error
        .map_or(none, |error| error.message.as_c_str())
        .as_ptr()
}

/// The reasons, as data: what is missing, and for which rung. Lives as long as `error`. `NULL` only for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_error_reasons(error: Option<&lucarne_error>) -> Option<&lucarne_reasons> {
    error.map(|error| &error.reasons)
}

/// The name of a status, such as "timeout". Never `NULL`; lives for ever. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_status_name(status: u32) -> *const c_char {
    let names = [
        c"ok",
        c"invalid argument",
        c"unsupported",
        c"refused",
        c"timeout",
        c"would block",
        c"os",
        c"driver",
        c"fence failed",
        c"foreign device",
        c"not current",
        c"not found",
        c"in use",
        c"ended",
        c"peer gone",
        c"breach",
        c"panic",
        c"other",
    ];
    let known = usize::try_from(status).ok().and_then(|at| names.get(at));
    known.copied().unwrap_or(c"unknown").as_ptr()
}

/// Ends an error. `NULL` is fine. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_error_free(error: Option<Box<lucarne_error>>) {
    guard::free(error);
}
