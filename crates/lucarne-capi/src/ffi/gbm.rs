//! Memory that libgbm allocates, for both ends of a sharing.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use lucarne::gbm::Device as GbmDevice;

use super::device::lucarne_device;
use super::error::{lucarne_error, lucarne_status};
use super::guard::{self, given};
use super::image::lucarne_image;
use super::offer::lucarne_offer;
use crate::convert;
use crate::device::Device;

/// Opens libgbm on the first DRM node where it allocates. Opening a primary node does not take the display. Such a device allocates and
/// does nothing else: import the frame of `lucarne_device_export` on both ends. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_gbm_device_open(
    device: Option<&mut MaybeUninit<Option<Box<lucarne_device>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(device, "device", error, || {
        Ok(lucarne_device(Device::open_gbm()?))
    })
}

/// Wraps the program's own `struct gbm_device *`. Nothing is taken.
///
/// # Safety
///
/// `gbm_device` is `NULL`, or a device of the process's libgbm. It, and the descriptor it was made with, live until the device here, and
/// every image made of it, has ended. While a call of this library uses it, nobody else does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_gbm_device_from_raw(
    gbm_device: *mut c_void,
    device: Option<&mut MaybeUninit<Option<Box<lucarne_device>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(device, "device", error, || {
        given((!gbm_device.is_null()).then_some(()), "gbm_device")?;
        // SAFETY: gbm::Device::from_raw: this function's contract.
        let device = unsafe { GbmDevice::from_raw(gbm_device) }?;
        Ok(lucarne_device(Device::Gbm(device)))
    })
}

/// The offer `side` of the end that draws, with memory from here: what that end can import and this device can allocate. Negotiate it in
/// the producer's place. Each format and modifier is tried with a small buffer, which takes a while: do it once.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_gbm_offer_for(
    device: Option<&lucarne_device>,
    side: Option<&lucarne_offer>,
    usage: u32,
    offer: Option<&mut MaybeUninit<Option<Box<lucarne_offer>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(offer, "offer", error, || {
        let device = given(device, "device")?.0.gbm()?;
        let side = given(side, "side")?.offer();
        let usage = convert::usage("usage", usage)?;
        Ok(lucarne_offer::new(device.offer_for(side, usage)))
    })
}

/// The `struct gbm_bo *` of an image that libgbm allocated, for scanning out. It stays Lucarne's: do not destroy it. `NULL` for another's
/// image, and for `NULL`. Its width and height may exceed the frame's.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_gbm_bo(image: Option<&lucarne_image>) -> *mut c_void {
    guard::plain(std::ptr::null_mut(), || {
        let buffer = image.and_then(|image| image.image().gbm());
        buffer.map_or(std::ptr::null_mut(), lucarne::gbm::Buffer::raw)
    })
}
