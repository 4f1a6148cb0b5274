//! What Xlib does where its connection breaks.
#![allow(unsafe_code, reason = "Xlib takes a function of C")]

use std::ffi::c_int;

use x11_dl::xlib::{Display, Xlib};

use super::display::GONE;

/// Xlib ends the program where the X server goes in the middle of a call. The user is told so in words.
pub(super) fn explain_ends() {
    // Where there is no such library, nothing calls it.
    let Ok(xlib) = Xlib::open() else { return };
    // SAFETY: XSetIOErrorHandler(3): a function that does not return, as it should not, and may be called at any time.
    unsafe { (xlib.XSetIOErrorHandler)(Some(end)) };
}

unsafe extern "C" fn end(_: *mut Display) -> c_int {
    crate::complain(&GONE);
    std::process::exit(2);
}
