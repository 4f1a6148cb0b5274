//! Values of the caller's timeline semaphores: gating within one device.

use ash::vk;

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
