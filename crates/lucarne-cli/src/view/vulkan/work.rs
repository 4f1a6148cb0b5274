//! What was submitted, and when it is done.
#![allow(
    unsafe_code,
    reason = "Vulkan's functions are unsafe without exception"
)]

use std::rc::Rc;

use ash::vk;

use super::TIMEOUT;
use super::device::{Device, refused};
use crate::Failure;

/// One picture's commands: a fence for them, and a command buffer for pictures without a frame.
pub(super) struct Work {
    device: Rc<Device>,
    pool: vk::CommandPool,
    commands: vk::CommandBuffer,
    fence: vk::Fence,
    /// Whether the fence will signal.
    is_submitted: bool,
}

impl Work {
    pub(super) fn new(device: &Rc<Device>) -> Result<Self, Failure> {
        let raw = device.raw();
        let create = vk::CommandPoolCreateInfo::default()
            .queue_family_index(device.lucarne().queue_family())
            .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER);
        // SAFETY: vkCreateCommandPool: the family of the device's queue.
        let pool = unsafe { raw.create_command_pool(&create, None) };
        let mut work = Self {
            device: Rc::clone(device),
            pool: pool.map_err(refused("vkCreateCommandPool"))?,
            commands: vk::CommandBuffer::null(),
            fence: vk::Fence::null(),
            is_submitted: false,
        };
        let allocate = vk::CommandBufferAllocateInfo::default()
            .command_pool(work.pool)
            .command_buffer_count(1);
        // SAFETY: vkAllocateCommandBuffers: the pool is alive.
        let commands = unsafe { raw.allocate_command_buffers(&allocate) };
        work.commands = commands.map_err(refused("vkAllocateCommandBuffers"))?[0];
        // SAFETY: vkCreateFence.
        let fence = unsafe { raw.create_fence(&vk::FenceCreateInfo::default(), None) };
        work.fence = fence.map_err(refused("vkCreateFence"))?;
        Ok(work)
    }

    /// Waits until the last picture is done.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        if !self.is_submitted {
            return Ok(());
        }
        wait(self.device.raw(), self.fence)?;
        self.is_submitted = false;
        Ok(())
    }

    /// Records commands. [`wait`](Self::wait) comes first.
    pub(super) fn record(
        &self,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<vk::CommandBuffer, Failure> {
        let raw = self.device.raw();
        let begin = vk::CommandBufferBeginInfo::default()
            .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: vkBeginCommandBuffer: not in use (`wait`), and its pool allows the reset.
        let begun = unsafe { raw.begin_command_buffer(self.commands, &begin) };
        begun.map_err(refused("vkBeginCommandBuffer"))?;
        record(self.commands);
        // SAFETY: vkEndCommandBuffer: recording, and outside a render pass.
        let ended = unsafe { raw.end_command_buffer(self.commands) };
        ended.map_err(refused("vkEndCommandBuffer"))?;
        Ok(self.commands)
    }

    /// Submits commands, if any. `ready` is signalled when they and everything that was submitted before are done.
    pub(super) fn submit(
        &mut self,
        commands: Option<vk::CommandBuffer>,
        ready: vk::Semaphore,
    ) -> Result<(), Failure> {
        let (buffers, semaphores) = (commands.as_slice(), [ready]);
        let submit = vk::SubmitInfo::default()
            .command_buffers(buffers)
            .signal_semaphores(&semaphores);
        let (raw, queue) = (self.device.raw(), self.device.lucarne().queue());
        // SAFETY: vkQueueSubmit: this thread alone uses the queue; the fence is not in use (`wait`), and the semaphore's last
        // signal was waited for by the presentation that gave the image back.
        let submitted = unsafe { raw.queue_submit(queue, &[submit], self.fence) };
        submitted.map_err(refused("vkQueueSubmit"))?;
        self.is_submitted = true;
        Ok(())
    }
}

/// Waits for a fence that will signal, and resets it.
pub(super) fn wait(raw: &ash::Device, fence: vk::Fence) -> Result<(), Failure> {
    let longest = u64::try_from(TIMEOUT.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: vkWaitForFences: the fence is alive.
    let waited = unsafe { raw.wait_for_fences(&[fence], true, longest) };
    waited.map_err(refused("waiting for Vulkan"))?;
    // SAFETY: vkResetFences: it has signalled, so that no queue uses it.
    let reset = unsafe { raw.reset_fences(&[fence]) };
    Ok(reset.map_err(refused("vkResetFences"))?)
}

impl Drop for Work {
    fn drop(&mut self) {
        self.device.wait_idle();
        let raw = self.device.raw();
        // SAFETY: vkDestroyFence: nothing is under way. Null is allowed.
        unsafe { raw.destroy_fence(self.fence, None) };
        // SAFETY: vkDestroyCommandPool: as above; its buffer goes with it.
        unsafe { raw.destroy_command_pool(self.pool, None) };
    }
}
