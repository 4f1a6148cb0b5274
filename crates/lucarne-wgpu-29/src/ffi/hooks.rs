//! What wgpu 29 lets others do between its submissions. Releases differ here, and nowhere else: each has this file of its own.
//!
//! It takes semaphores to signal and none to wait for, gives none back, and believes that the contents of a texture from outside
//! are undefined ([ADR 16](https://github.com/lucarne/lucarne/blob/main/docs/adr/0016-two-releases-of-wgpu.md)).

use std::convert::Infallible;
use std::iter;
use std::time::Duration;

use lucarne::vulkan::{Image, SignalSemaphore};
use lucarne::{Fence, Result};
use wgpu::hal::api::Vulkan;
use wgpu::hal::vulkan as raw;
use wgpu::{CommandEncoderDescriptor, TextureTransition, TextureUses};

use crate::device::Inner;
use crate::error::lost;
use crate::scope::caught;

/// Semaphores to wait with: none.
pub(crate) type Waits = ();

/// What a submission waits for: nothing, as the CPU waits before it.
pub(crate) struct Wait(Infallible);

impl Wait {
    pub(crate) fn put_back(self, _: &Waits) {
        match self.0 {}
    }
}

/// Makes wgpu's texture of Vulkan's, whose contents are in the state `first` when it is used for the first time.
///
/// # Safety
///
/// As `wgpu::Device::create_texture_from_hal`.
pub(super) unsafe fn texture(
    (device, queue): (&wgpu::Device, &wgpu::Queue),
    made: raw::Texture,
    descriptor: &wgpu::TextureDescriptor<'_>,
    first: TextureUses,
) -> Result<wgpu::Texture> {
    // SAFETY: this function's contract.
    let texture = unsafe { device.create_texture_from_hal::<Vulkan>(made, descriptor) };
    tell_state(device, queue, &texture, first)?;
    Ok(texture)
}

/// Makes wgpu believe that the texture is in this state, without a command for the GPU.
///
/// A barrier out of wgpu's own first state may discard the contents, which are somebody else's frame. So wgpu is given the barrier
/// in a submission that it refuses, for another command buffer of it: by then it has noted the new state, and nothing was
/// submitted.
fn tell_state(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    texture: &wgpu::Texture,
    state: TextureUses,
) -> Result<()> {
    let label = Some("lucarne: state");
    let descriptor = CommandEncoderDescriptor { label };
    let noted = caught(device, "wgpu::CommandEncoder::finish", || {
        let mut encoder = device.create_command_encoder(&descriptor);
        let transition = TextureTransition {
            texture,
            selector: None,
            state,
        };
        encoder.transition_resources(iter::empty(), iter::once(transition));
        encoder.finish()
    })?;
    let mut broken = None;
    let finished = caught(device, "wgpu::CommandEncoder::finish", || {
        let mut encoder = device.create_command_encoder(&descriptor);
        // The end of a group that nobody has begun.
        encoder.pop_debug_group();
        broken = Some(encoder.finish());
    });
    if finished.is_ok() {
        return Err(lost("wgpu::CommandEncoder::finish"));
    }
    let buffers = iter::once(noted).chain(broken);
    let submitted = caught(device, "wgpu::Queue::submit", || queue.submit(buffers));
    match submitted {
        Err(_) => Ok(()),
        Ok(_) => Err(lost("wgpu::Queue::submit")),
    }
}

/// Waits for `fence`: submissions of wgpu 29 wait for nobody but each other.
pub(crate) fn import_fence(
    _: &Inner,
    _: &Image,
    fence: &Fence,
    timeout: Duration,
) -> Result<Option<Wait>> {
    fence.wait(timeout)?;
    Ok(None)
}

pub(crate) fn add_wait(_: &wgpu::Queue, wait: &Wait) -> Result<()> {
    match wait.0 {}
}

pub(crate) fn remove_wait(_: &wgpu::Queue, wait: &Wait) -> Result<bool> {
    match wait.0 {}
}

/// Whether no submission has signalled the semaphore. wgpu 29 has only one reason for that which it does not report: a lost device.
pub(crate) fn remove_signal(
    device: &wgpu::Device,
    _: &wgpu::Queue,
    _: &SignalSemaphore,
) -> Result<bool> {
    Ok(is_lost(device))
}

/// Whether the device is lost. One that lives refuses a sampler that cannot be; one that is lost says nothing.
fn is_lost(device: &wgpu::Device) -> bool {
    let impossible = wgpu::SamplerDescriptor {
        label: Some("lucarne: is the device lost?"),
        lod_min_clamp: -1.0,
        ..wgpu::SamplerDescriptor::default()
    };
    caught(device, "wgpu::Device::create_sampler", || {
        device.create_sampler(&impossible)
    })
    .is_ok()
}
