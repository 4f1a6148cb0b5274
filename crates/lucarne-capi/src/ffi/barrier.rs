//! Turns in commands that the program submits by itself (Vulkan).

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::time::Duration;

use ash::vk::{self, Handle as _};
use lucarne::vulkan::{SubmitFence, WaitSemaphore};

use super::device::lucarne_device;
use super::error::{lucarne_error, lucarne_status};
use super::fence::lucarne_fence;
use super::guard::{self, given};
use super::image::lucarne_image;
use super::vulkan::live;
use crate::convert;

/// A `VkSemaphore` for the program's own submission to wait for. Make one for each image. Let every submission with it end before
/// `lucarne_wait_semaphore_free`. Any thread, one at a time.
#[derive(Debug)]
pub struct lucarne_wait_semaphore(WaitSemaphore);

/// A `VkFence` to submit with, that becomes a fence for others. Let every submission with it end before `lucarne_submit_fence_free`.
/// Any thread, one at a time.
#[derive(Debug)]
pub struct lucarne_submit_fence(SubmitFence);

/// Records the barrier that takes an image from others: its memory's ownership, for the queue family that the program submits to, and
/// its layout, which becomes that of `access` (`LUCARNE_ACCESS_…`).
///
/// A turn takes five steps, in the place of `lucarne_vulkan_write`: `lucarne_wait_semaphore_import` with the fence that came with it;
/// this; the program's commands; `lucarne_vulkan_release_barrier`; a submission that waits for the semaphore and signals a
/// `lucarne_submit_fence`, which `lucarne_submit_fence_export` makes the next fence of. A barrier that is recorded counts as done: submit
/// what is recorded, in order. An image whose pixels are copied is refused (`lucarne_image_copies_per_frame`). Does not block.
///
/// # Safety
///
/// `command_buffer` is a `VkCommandBuffer` of the image's device, of a pool of `queue_family`, recording outside a render pass. It is
/// submitted once, after the fence that came with the turn. The image outlives it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_vulkan_acquire_barrier(
    image: Option<&lucarne_image>,
    command_buffer: *mut c_void,
    queue_family: u32,
    access: u32,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let (_, image) = given(image, "image")?.image().vulkan()?;
        let commands = vk::CommandBuffer::from_raw(live(command_buffer, "command_buffer")?);
        let access = convert::access(access)?;
        // SAFETY: Image::acquire_barrier: this function's contract.
        Ok(unsafe { image.acquire_barrier(commands, queue_family, access) }?)
    })
}

/// Records the barrier that gives an image to others, which `lucarne_vulkan_acquire_barrier` took. `access` names the layout in which the
/// program's commands left it. Does not block.
///
/// # Safety
///
/// As for `lucarne_vulkan_acquire_barrier`, in the same or a later command buffer, for the same family. The image is in that layout,
/// and nothing uses it afterwards until it is taken again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_vulkan_release_barrier(
    image: Option<&lucarne_image>,
    command_buffer: *mut c_void,
    access: u32,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let (_, image) = given(image, "image")?.image().vulkan()?;
        let commands = vk::CommandBuffer::from_raw(live(command_buffer, "command_buffer")?);
        let access = convert::access(access)?;
        // SAFETY: Image::release_barrier: this function's contract.
        Ok(unsafe { image.release_barrier(commands, access) }?)
    })
}

/// Makes a semaphore for the program's submissions to wait for.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_wait_semaphore_new(
    device: Option<&lucarne_device>,
    semaphore: Option<&mut MaybeUninit<Option<Box<lucarne_wait_semaphore>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(semaphore, "semaphore", error, || {
        let device = given(device, "device")?.0.vulkan()?;
        Ok(lucarne_wait_semaphore(device.wait_semaphore()?))
    })
}

/// Makes the semaphore wait for `fence`, which came with the image's turn and stays the caller's. `wait_for` is the `VkSemaphore` that the
/// next submission must wait for, in any stage; or 0 where nothing is left to wait for, as the CPU has waited, `timeout` nanoseconds at
/// most.
///
/// # Safety
///
/// No submission uses the semaphore any more. Exactly one submission waits for `wait_for`, before the next call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_wait_semaphore_import(
    semaphore: Option<&mut lucarne_wait_semaphore>,
    image: Option<&lucarne_image>,
    fence: Option<&lucarne_fence>,
    timeout: u64,
    wait_for: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(wait_for, "wait_for", error, || {
        let semaphore = &mut given(semaphore, "semaphore")?.0;
        let (_, image) = given(image, "image")?.image().vulkan()?;
        let fence = given(fence, "fence")?.fence();
        let timeout = Duration::from_nanos(timeout);
        // SAFETY: WaitSemaphore::import: this function's contract.
        let wait_for = unsafe { semaphore.import(image, fence, timeout) }?;
        Ok(wait_for.map_or(0, vk::Semaphore::as_raw))
    })
}

/// Ends a semaphore. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_wait_semaphore_free(semaphore: Option<Box<lucarne_wait_semaphore>>) {
    guard::free(semaphore);
}

/// Makes a fence to submit with.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_submit_fence_new(
    device: Option<&lucarne_device>,
    fence: Option<&mut MaybeUninit<Option<Box<lucarne_submit_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(fence, "fence", error, || {
        let device = given(device, "device")?.0.vulkan()?;
        Ok(lucarne_submit_fence(device.submit_fence()?))
    })
}

/// The `VkFence` to submit with. It stays Lucarne's: do not destroy it. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_submit_fence_raw(fence: Option<&lucarne_submit_fence>) -> u64 {
    guard::plain(0, || fence.map_or(0, |fence| fence.0.raw().as_raw()))
}

/// Makes the signal of the last submission a fence for others. Afterwards the `VkFence` is unsignalled. Where the driver exports no
/// fences, or is software, the CPU waits here, `timeout` nanoseconds at most.
///
/// # Safety
///
/// A submission was made with the fence, and its outcome was neither waited for nor exported since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_submit_fence_export(
    fence: Option<&mut lucarne_submit_fence>,
    timeout: u64,
    done: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(done, "done", error, || {
        let fence = &mut given(fence, "fence")?.0;
        // SAFETY: SubmitFence::export: this function's contract.
        let done = unsafe { fence.export(Duration::from_nanos(timeout)) }?;
        Ok(lucarne_fence::new(done))
    })
}

/// Ends a fence to submit with. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_submit_fence_free(fence: Option<Box<lucarne_submit_fence>>) {
    guard::free(fence);
}
