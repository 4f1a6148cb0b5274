//! GBM allocates for others; where there is none, the error says what is missing.

mod common;

use std::ffi::CStr;
use std::mem::MaybeUninit;

use common::frames::{cpu, frame_of, noise, read, refused, request, write};
use common::made;
use lucarne_capi::ffi::*;
use lucarne_tests::module;
use lucarne_tests::skip::skip;

#[test]
fn gbm_allocates_for_others() {
    // In the guest; what a kernel does not have cannot be loaded, and then there is no device.
    if let Err(error) = module::load("vgem") {
        eprintln!("{error}");
    }
    let mut place = MaybeUninit::new(None);
    let mut error = MaybeUninit::new(None);
    let status = lucarne_gbm_device_open(Some(&mut place), Some(&mut error));
    // SAFETY: MaybeUninit::assume_init: initialised above, and written by the call.
    let device = unsafe { place.assume_init() };
    // SAFETY: as above.
    let error = unsafe { error.assume_init() };
    let Some(device) = device else {
        assert_eq!(status, lucarne_status::Unsupported);
        let error = error.expect("an error");
        assert!(lucarne_reasons_count(lucarne_error_reasons(Some(&error))) > 0);
        // SAFETY: CStr::from_ptr: a message ends with a NUL and lives as long as its error.
        let text = unsafe { CStr::from_ptr(lucarne_error_message(Some(&error))) };
        return skip("gbm", &text.to_string_lossy());
    };
    assert_eq!(lucarne_device_backend(Some(&device)), LUCARNE_BACKEND_GBM);
    let cpu = cpu(LUCARNE_ALLOCATOR_HOST_MEMORY);
    let side =
        made(|place| lucarne_device_offer(Some(&cpu), LUCARNE_USAGE_SAMPLE, Some(place), None));
    let usage = LUCARNE_USAGE_RENDER;
    let offer =
        made(|place| lucarne_gbm_offer_for(Some(&device), Some(&side), usage, Some(place), None));
    let request = request(LUCARNE_FORMAT_XRGB8888);
    let agreement = made(|place| {
        lucarne_negotiate(Some(&offer), Some(&side), Some(&request), Some(place), None)
    });
    let buffer =
        made(|place| lucarne_device_export(Some(&device), Some(&agreement), Some(place), None));
    assert!(!lucarne_image_gbm_bo(Some(&buffer)).is_null());
    let frame = Some(frame_of(&buffer));
    let seen = made(|place| {
        lucarne_device_import(Some(&cpu), frame, LUCARNE_USAGE_SAMPLE, Some(place), None)
    });
    let bytes = noise(512, 6);
    write(&seen, 0, &bytes);
    assert!(read(&seen, 512) == bytes);
    assert!(lucarne_image_gbm_bo(Some(&seen)).is_null());
    let (status, said) = refused(|place, error| {
        lucarne_device_import(Some(&device), frame, usage, Some(place), Some(error))
    });
    assert_eq!(status, lucarne_status::Unsupported, "{said}");
}
