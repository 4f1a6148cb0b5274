//! What wgpu 30 lets others do between its submissions. Releases differ here, and nowhere else: each has this file of its own.

use std::sync::Mutex;
use std::time::Duration;

use lucarne::ash::vk;
use lucarne::vulkan::{Image, SignalSemaphore, WaitSemaphore};
use lucarne::{Fence, Result};
use wgpu::TextureUses;
use wgpu::hal::api::Vulkan;
use wgpu::hal::vulkan as raw;

use super::with_queue;
use crate::device::Inner;
use crate::semaphores::held;

/// Semaphores to wait with that no submission uses.
pub(crate) type Waits = Mutex<Vec<WaitSemaphore>>;

/// What a submission waits for.
pub(crate) struct Wait {
    owned: WaitSemaphore,
    raw: vk::Semaphore,
}

impl Wait {
    /// For the next turn: its submission has finished.
    pub(crate) fn put_back(self, waits: &Waits) {
        held(waits).push(self.owned);
    }
}

/// Makes wgpu's texture of Vulkan's, whose contents are in the state `first` when it is used for the first time.
///
/// # Safety
///
/// As `wgpu::Device::create_texture_from_hal`.
pub(super) unsafe fn texture(
    (device, _): (&wgpu::Device, &wgpu::Queue),
    made: raw::Texture,
    descriptor: &wgpu::TextureDescriptor<'_>,
    first: TextureUses,
) -> Result<wgpu::Texture> {
    // SAFETY: this function's contract.
    Ok(unsafe { device.create_texture_from_hal::<Vulkan>(made, descriptor, first) })
}

/// What the next submission has to wait for until `fence` has signalled, or `None` where the CPU has waited.
pub(crate) fn import_fence(
    device: &Inner,
    image: &Image,
    fence: &Fence,
    timeout: Duration,
) -> Result<Option<Wait>> {
    let waits = &device.semaphores.waits;
    let idle = held(waits).pop();
    let mut owned = idle.map_or_else(|| device.vulkan.wait_semaphore(), Ok)?;
    // SAFETY: WaitSemaphore::import: no submission uses those that are kept; one waits for what is returned, or it is destroyed.
    match unsafe { owned.import(image, fence, timeout) }? {
        Some(raw) => Ok(Some(Wait { owned, raw })),
        None => {
            held(waits).push(owned);
            Ok(None)
        }
    }
}

/// Makes the next submission wait.
pub(crate) fn add_wait(queue: &wgpu::Queue, wait: &Wait) -> Result<()> {
    let stage = vk::PipelineStageFlags::ALL_COMMANDS;
    with_queue(queue, |queue| {
        queue.add_wait_semaphore(wait.raw, None, stage);
    })
}

/// Takes back what no submission has waited for; whether it was left.
pub(crate) fn remove_wait(queue: &wgpu::Queue, wait: &Wait) -> Result<bool> {
    with_queue(queue, |queue| queue.remove_wait_semaphore(wait.raw))
}

/// Takes back what no submission has signalled; whether it was left.
pub(crate) fn remove_signal(
    _: &wgpu::Device,
    queue: &wgpu::Queue,
    semaphore: &SignalSemaphore,
) -> Result<bool> {
    with_queue(queue, |queue| {
        queue.remove_signal_semaphore(semaphore.raw())
    })
}
