//! Devices.

use std::mem::MaybeUninit;

use super::error::{lucarne_error, lucarne_status};
use super::frame::lucarne_frame;
use super::guard::{self, given};
use super::image::lucarne_image;
use super::offer::{lucarne_agreement, lucarne_offer};
use crate::convert;
use crate::device::Device;

/// A device of Vulkan.
pub const LUCARNE_BACKEND_VULKAN: u32 = 1;
/// A context of EGL, with OpenGL or OpenGL ES.
pub const LUCARNE_BACKEND_EGL: u32 = 2;
/// The CPU.
pub const LUCARNE_BACKEND_CPU: u32 = 3;
/// libgbm, which allocates and does nothing else.
pub const LUCARNE_BACKEND_GBM: u32 = 4;

/// The first of the others that opens: a dma-buf's where the machine has one, else host memory.
pub const LUCARNE_ALLOCATOR_BEST: u32 = 0;
/// `/dev/udmabuf`: dma-bufs made of ordinary memory.
pub const LUCARNE_ALLOCATOR_UDMABUF: u32 = 1;
/// The system's DMA heap.
pub const LUCARNE_ALLOCATOR_DMA_HEAP: u32 = 2;
/// Sealed memfds. Every machine has them.
pub const LUCARNE_ALLOCATOR_HOST_MEMORY: u32 = 3;

/// One end of a sharing: a Vulkan device, an EGL context, or the CPU; or libgbm, which allocates for both. End it with
/// `lucarne_device_free`.
///
/// A Vulkan device, the CPU and libgbm may be used by any thread, by several at once. A device of EGL, and all that is made with it,
/// belongs to the thread on which its context is current: use and free it there.
#[derive(Debug)]
pub struct lucarne_device(pub(super) Device);

/// Opens the CPU as a device; `allocator` is `LUCARNE_ALLOCATOR_…`, and matters for what it exports only. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_cpu_device_open(
    allocator: u32,
    device: Option<&mut MaybeUninit<Option<Box<lucarne_device>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(device, "device", error, || {
        Ok(lucarne_device(Device::open_cpu(allocator)?))
    })
}

/// Which API it is of: `LUCARNE_BACKEND_…`. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_device_backend(device: Option<&lucarne_device>) -> u32 {
    device.map_or(0, |device| device.0.backend())
}

/// What the device can share, for images that are used as `usage` (bits of `LUCARNE_USAGE_…`) says. The offer does not need the
/// device any more. Asks the driver, which takes a while: do it once. EGL: its context's thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_device_offer(
    device: Option<&lucarne_device>,
    usage: u32,
    offer: Option<&mut MaybeUninit<Option<Box<lucarne_offer>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(offer, "offer", error, || {
        let device = given(device, "device")?;
        let usage = convert::usage("usage", usage)?;
        Ok(lucarne_offer::new(device.0.offer(usage)?))
    })
}

/// Makes an image as agreed, in memory that others can use. The image keeps what it needs of the device alive; a Vulkan device of
/// the caller's must outlive it. EGL: its context's thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_device_export(
    device: Option<&lucarne_device>,
    agreement: Option<&lucarne_agreement>,
    image: Option<&mut MaybeUninit<Option<Box<lucarne_image>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(image, "image", error, || {
        let device = given(device, "device")?;
        let agreement = given(agreement, "agreement")?;
        let made = device.0.export(agreement.agreement())?;
        Ok(lucarne_image::new(made))
    })
}

/// Makes an image of somebody else's frame, in the same memory. The frame stays the caller's, and so do its descriptors; the
/// image keeps the memory alive.
///
/// `usage` is what the image is used for: bits of `LUCARNE_USAGE_…`. It matters for Vulkan only. The same frame gives the same
/// texture in EGL. EGL: its context's thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_device_import(
    device: Option<&lucarne_device>,
    frame: Option<&lucarne_frame>,
    usage: u32,
    image: Option<&mut MaybeUninit<Option<Box<lucarne_image>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(image, "image", error, || {
        let device = given(device, "device")?;
        let frame = given(frame, "frame")?;
        let usage = convert::usage("usage", usage)?;
        Ok(lucarne_image::new(device.0.import(frame.frame(), usage)?))
    })
}

/// Ends a device. Images and streams that were made with it go on. `NULL` is fine. EGL: on its context's thread, best while the
/// context is current, so that what is left in it can be deleted.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_device_free(device: Option<Box<lucarne_device>>) {
    guard::free(device);
}
