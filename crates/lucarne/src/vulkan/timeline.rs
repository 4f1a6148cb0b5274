//! Turns that wait for, and signal, timeline semaphores of the caller's own: gating within one device.

use std::time::Duration;

use ash::vk;

use super::access::Access;
use super::device::Device;
use super::image::Image;
use crate::error::Result;
use crate::frame::Fence;

/// A value of a timeline semaphore (`VK_KHR_timeline_semaphore`, core in Vulkan 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineValue {
    /// The semaphore. It stays the caller's.
    pub semaphore: vk::Semaphore,
    /// The value.
    pub value: u64,
}

/// What a turn has to do with the caller's timelines, besides its fences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timelines {
    /// The turn's commands begin when this value is reached: the device waits, not this thread.
    pub wait: Option<TimelineValue>,
    /// This value is signalled when the turn's commands have finished.
    pub signal: Option<TimelineValue>,
}

impl Device {
    /// [`Device::write`] between values of the caller's timelines: a renderer on the same device need not wait for its own
    /// work on the CPU, nor make sync_files of it.
    ///
    /// Frames that leave the device go on as before: their fence signals after the timeline's value. Software drivers finish
    /// the wait before this returns, as they do before they export a fence.
    ///
    /// # Errors
    ///
    /// As for [`Device::write`].
    ///
    /// # Safety
    ///
    /// The device was created with the feature `timelineSemaphore`; both semaphores are timeline semaphores of it, and outlive
    /// the turn. The work that signals `timelines.wait` has been submitted, or will be without waiting for this turn.
    /// `timelines.signal` is above the semaphore's value and below what other work is to signal after it
    /// (VUID-VkSubmitInfo-pSignalSemaphores-03242). No fence is exported before its signal is submitted: where
    /// [`Device::offer`]'s fences can be exported, the signal of `timelines.wait` is submitted first
    /// (VUID-VkSemaphoreGetFdInfoKHR-handleType-03254).
    pub unsafe fn write_with(
        &self,
        image: &Image,
        gate: &Fence,
        timelines: &Timelines,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        access.check_write()?;
        self.turn(image, gate, timelines, timeout, access, record)
    }

    /// [`Device::read`] between values of the caller's timelines, as [`Device::write_with`].
    ///
    /// # Errors
    ///
    /// As for [`Device::read`].
    ///
    /// # Safety
    ///
    /// As for [`Device::write_with`].
    pub unsafe fn read_with(
        &self,
        image: &Image,
        acquire: &Fence,
        timelines: &Timelines,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        access.check_read()?;
        self.turn(image, acquire, timelines, timeout, access, record)
    }
}
