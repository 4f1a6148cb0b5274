//! Frames that the CPU makes, small ones, and their bytes; calls that must fail.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use lucarne_capi::ffi::*;

use super::made;

pub(crate) const LONG: u64 = 60_000_000_000;
pub(crate) const WIDTH: u32 = 16;
pub(crate) const HEIGHT: u32 = 8;

pub(crate) fn cpu(allocator: u32) -> Box<lucarne_device> {
    made(|place| lucarne_cpu_device_open(allocator, Some(place), None))
}

pub(crate) fn request(format: u32) -> Box<lucarne_request> {
    let mut request = made(|place| lucarne_request_new(WIDTH, HEIGHT, Some(place), None));
    // SAFETY: one format.
    let status =
        unsafe { lucarne_request_set_formats(Some(&mut request), &raw const format, 1, None) };
    assert_eq!(status, lucarne_status::Ok);
    request
}

/// An image that the CPU makes, in the best memory that it has.
pub(crate) fn image(format: u32, allocator: u32) -> Box<lucarne_image> {
    let device = cpu(allocator);
    let offer =
        made(|place| lucarne_device_offer(Some(&device), LUCARNE_USAGE_RENDER, Some(place), None));
    let request = request(format);
    let agreement = made(|place| {
        lucarne_negotiate(
            Some(&offer),
            Some(&offer),
            Some(&request),
            Some(place),
            None,
        )
    });
    made(|place| lucarne_device_export(Some(&device), Some(&agreement), Some(place), None))
}

pub(crate) fn frame_of(image: &lucarne_image) -> &lucarne_frame {
    lucarne_image_frame(Some(image)).expect("a frame")
}

/// The status and the text of a call that must fail.
pub(crate) fn refused<T>(
    call: impl FnOnce(
        &mut MaybeUninit<T>,
        &mut MaybeUninit<Option<Box<lucarne_error>>>,
    ) -> lucarne_status,
) -> (lucarne_status, String) {
    let (mut place, mut error) = (MaybeUninit::uninit(), MaybeUninit::new(None));
    let status = call(&mut place, &mut error);
    assert_ne!(status, lucarne_status::Ok);
    // SAFETY: MaybeUninit::assume_init: initialised above, and written by the call.
    let error = unsafe { error.assume_init() }.expect("an error");
    // SAFETY: CStr::from_ptr: a message ends with a NUL and lives as long as its error.
    let text = unsafe { CStr::from_ptr(lucarne_error_message(Some(&error))) };
    (status, text.to_str().expect("UTF-8").to_owned())
}

/// Bytes that tell places apart.
pub(crate) fn noise(bytes: usize, seed: usize) -> Vec<u8> {
    let numbers = (0..bytes).map(|at| at * 37 + seed * 101 + at / 7);
    numbers.map(|one| one.to_le_bytes()[0]).collect()
}

pub(crate) fn write(image: &lucarne_image, plane: u32, bytes: &[u8]) {
    let gate = made(|place| lucarne_fence_signaled(Some(place), None));
    let done = made(|place| {
        let first = bytes.as_ptr().cast();
        // SAFETY: the slice's own length.
        unsafe {
            lucarne_image_write_plane(
                Some(image),
                Some(&gate),
                LONG,
                plane,
                first,
                bytes.len(),
                Some(place),
                None,
            )
        }
    });
    assert_eq!(
        lucarne_fence_wait(Some(&done), LONG, None),
        lucarne_status::Ok
    );
}

pub(crate) fn read(image: &lucarne_image, bytes: usize) -> Vec<u8> {
    let mut seen = vec![0; bytes];
    let acquire = made(|place| lucarne_fence_signaled(Some(place), None));
    let done = made(|place| {
        let first = seen.as_mut_ptr().cast();
        // SAFETY: the vector's own length.
        unsafe {
            lucarne_image_read_plane(
                Some(image),
                Some(&acquire),
                LONG,
                0,
                first,
                bytes,
                Some(place),
                None,
            )
        }
    });
    assert_eq!(
        lucarne_fence_wait(Some(&done), LONG, None),
        lucarne_status::Ok
    );
    seen
}
