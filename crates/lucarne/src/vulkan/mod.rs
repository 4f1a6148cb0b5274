//! Vulkan: images in memory that others can use.
//!
//! [`Adapter`] asks what a physical device could do; [`Device`] is one that is open, the caller's own or one of
//! Lucarne's. Frames that reach this backend have passed [`FrameLayout::new`](crate::FrameLayout::new): geometry is
//! not checked again here, the driver's answers are.
//!
//! Written against Vulkan 1.1 with the extensions that [`Adapter::device_extensions`] names. Calls that submit
//! ([`Device::write`], [`Device::read`]) use the device's queue under a lock of their own; whoever wraps a device of
//! theirs keeps other users off the queue meanwhile. Engines that submit by themselves take [`Image::acquire_barrier`] instead.

mod access;
mod adapter;
mod barrier;
mod conv;
mod device;
mod enabled;
mod exclusive;
mod export;
mod extensions;
mod features;
mod fence;
mod gate;
mod handoff;
mod host;
mod image;
mod import;
mod inner;
mod instance;
mod memory;
mod object;
mod offer;
mod owner;
mod pixels;
mod planes;
mod redraw;
mod semaphore;
mod shader;
mod signal_semaphore;
mod srgb;
mod staging;
mod submission;
mod submit_fence;
mod support;
mod timeline;
mod turn;
mod wait_semaphore;
mod ycbcr;

pub use access::Access;
pub use device::Device;
pub use features::DeviceFeatures;
pub use image::Image;
pub use inner::Adapter;
pub use instance::{Instance, InstanceOptions};
pub use pixels::Upload;
pub use redraw::{Redraw, RedrawSource};
pub use semaphore::Semaphore;
pub use signal_semaphore::SignalSemaphore;
pub use submit_fence::SubmitFence;
pub use timeline::{TimelineValue, Timelines};
pub use wait_semaphore::WaitSemaphore;
pub use ycbcr::{RgbToYcbcr, YcbcrBuffer};

use ash::vk;

use crate::error::Error;

/// Vulkan's name for a result code.
fn code(result: vk::Result) -> String {
    let name = format!("{result:?}");
    if name.starts_with("ERROR") || name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
        format!("VK_{name}")
    } else {
        format!("VkResult {}", result.as_raw())
    }
}

fn failed(call: &'static str) -> impl Fn(vk::Result) -> Error {
    move |result| Error::driver(call, code(result))
}
