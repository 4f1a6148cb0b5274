//! A panic of a callback does not cross: the call answers with a status, and the process goes on.

mod common;

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{made, open, share};
use lucarne_capi::ffi::*;

fn image_of(device: &lucarne_device, usage: u32) -> Box<lucarne_image> {
    share(device, device, (64, 32), [usage, usage])
}

static LOGGED: AtomicU32 = AtomicU32::new(0);

/// Counts the panics that the log tells of.
unsafe extern "C-unwind" fn count(level: u32, text: *const c_char, _data: *mut c_void) {
    // SAFETY: CStr::from_ptr: `lucarne_log` gives a string.
    let text = unsafe { CStr::from_ptr(text) };
    if level == LUCARNE_LOG_ERROR && text.to_string_lossy().contains("a destroy that panics") {
        LOGGED.fetch_add(1, Ordering::Relaxed);
    }
}

static ENDED: AtomicU32 = AtomicU32::new(0);

extern "C-unwind" fn panics_at_the_end(_data: *mut c_void) {
    ENDED.fetch_add(1, Ordering::Relaxed);
    panic!("a destroy that panics");
}

extern "C-unwind" fn panics_while_recording(_commands: *mut c_void, _data: *mut c_void) {
    panic!("a recording that panics");
}

#[test]
fn a_destroy_that_panics_is_caught_and_logged() {
    // SAFETY: `count` takes what a log gives, on any thread.
    let status = unsafe { lucarne_log_to(Some(count), null_mut(), None) };
    assert_eq!(status, lucarne_status::Ok);
    let device =
        made(|place| lucarne_cpu_device_open(LUCARNE_ALLOCATOR_HOST_MEMORY, Some(place), None));
    let image = image_of(&device, LUCARNE_USAGE_SAMPLE);
    for expected in [lucarne_status::Ok, lucarne_status::Panic] {
        let mut error = MaybeUninit::new(None);
        // SAFETY: `panics_at_the_end` takes any data.
        let status = unsafe {
            lucarne_image_set_data(
                Some(&image),
                null_mut(),
                Some(panics_at_the_end),
                Some(&mut error),
            )
        };
        assert_eq!(status, expected);
        // SAFETY: MaybeUninit::assume_init: as in `made`.
        let error = unsafe { error.assume_init() };
        assert_eq!(lucarne_error_status(error.as_deref()), expected);
        // SAFETY: CStr::from_ptr: a string of Lucarne's, while its error lives.
        let text = unsafe { CStr::from_ptr(lucarne_error_message(error.as_deref())) };
        let says = text.to_string_lossy().contains("a destroy that panics");
        assert_eq!(says, expected == lucarne_status::Panic, "{text:?}");
    }
    lucarne_image_free(Some(image));
    assert_eq!(
        ENDED.load(Ordering::Relaxed),
        2,
        "once for each that was set"
    );
}

#[test]
fn a_recording_that_panics_is_caught() {
    let Some(device) = open(lucarne_vulkan_device_open, "Vulkan") else {
        return;
    };
    let image = image_of(&device, LUCARNE_USAGE_TRANSFER_DESTINATION);
    let gate = made(|place| lucarne_fence_signaled(Some(place), None));
    for _ in 0..2 {
        let mut done = MaybeUninit::new(None);
        // SAFETY: the function takes any data, and records nothing.
        let status = unsafe {
            lucarne_vulkan_write(
                Some(&image),
                Some(&gate),
                1_000_000_000,
                LUCARNE_ACCESS_TRANSFER_DESTINATION,
                Some(panics_while_recording),
                null_mut(),
                Some(&mut done),
                None,
            )
        };
        assert_eq!(status, lucarne_status::Panic);
        // SAFETY: MaybeUninit::assume_init: as in `made`.
        assert!(unsafe { done.assume_init() }.is_none(), "no fence");
    }
    lucarne_image_free(Some(image));
    lucarne_device_free(Some(device));
}
