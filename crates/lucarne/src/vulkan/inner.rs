//! What everything here stands on: a physical device, an open one, their functions, and what is known of both.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::{Arc, Mutex};

use ash::vk;

use super::instance::InstanceInner;
use crate::device_id::DeviceId;
use crate::negotiate::FenceSupport;
use crate::quirks::Quirks;

/// A physical device that could be opened. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Adapter {
    pub(super) inner: Arc<AdapterInner>,
}

/// What a physical device is and has. Made by `adapter.rs`.
pub(super) struct AdapterInner {
    // Keeps the loader in memory.
    pub(super) _entry: ash::Entry,
    pub(super) instance: ash::Instance,
    pub(super) physical: vk::PhysicalDevice,
    pub(super) memory: vk::PhysicalDeviceMemoryProperties,
    pub(super) extensions: BTreeSet<CString>,
    pub(super) host_pointer_alignment: u64,
    pub(super) name: String,
    pub(super) driver: String,
    pub(super) id: DeviceId,
    pub(super) quirks: Quirks,
    // Last, so that the instance outlives everything above; `None` for the caller's own.
    pub(super) _instance: Option<Arc<InstanceInner>>,
}

impl Adapter {
    pub(super) fn inner(&self) -> &Arc<AdapterInner> {
        &self.inner
    }
}

impl AdapterInner {
    pub(super) fn has(&self, name: &CStr) -> bool {
        self.extensions.contains(name)
    }

    pub(super) fn id(&self) -> &DeviceId {
        &self.id
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether samplers can convert `Y'CbCr`.
    pub(super) fn has_ycbcr_conversion(&self) -> bool {
        let mut ycbcr = vk::PhysicalDeviceSamplerYcbcrConversionFeatures::default();
        let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut ycbcr);
        // SAFETY: vkGetPhysicalDeviceFeatures2 (Vulkan 1.1) fills a chain of structures of Vulkan 1.1.
        unsafe {
            self.instance
                .get_physical_device_features2(self.physical, &mut features);
        }
        ycbcr.sampler_ycbcr_conversion == vk::TRUE
    }
}

impl fmt::Debug for AdapterInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter")
            .field("name", &self.name)
            .field("driver", &self.driver)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// An open device. Made by `device.rs`; images, semaphores and fences keep it alive.
pub(super) struct DeviceInner {
    pub(super) device: ash::Device,
    pub(super) queue: vk::Queue,
    /// Held while the queue is used: Vulkan wants that externally synchronised, and devices are shared by threads.
    pub(super) submitting: Mutex<()>,
    pub(super) queue_family: u32,
    pub(super) adapter: Adapter,
    /// How many families there are.
    pub(super) queue_families: u32,
    /// How the fences of turns pass.
    pub(super) fences: FenceSupport,
    /// The CPU waits for fences, although the driver has some.
    pub(super) cpu_fences: bool,
    /// The driver waits for what it imports on the calling thread, without a deadline.
    pub(super) waits_for_ever: bool,
    /// Loaded only where the extension is enabled: calling an unloaded entry point panics.
    pub(super) memory_fd: Option<ash::khr::external_memory_fd::Device>,
    pub(super) semaphore_fd: Option<ash::khr::external_semaphore_fd::Device>,
    pub(super) fence_fd: Option<ash::khr::external_fence_fd::Device>,
    pub(super) modifier: Option<ash::ext::image_drm_format_modifier::Device>,
    pub(super) memory_host: Option<ash::ext::external_memory_host::Device>,
    pub(super) enabled: BTreeSet<CString>,
    pub(super) owned: bool,
}

impl DeviceInner {
    pub(super) fn enabled(&self, name: &CStr) -> bool {
        self.enabled.contains(name)
    }

    /// The first memory type of `allowed` that has all of `required`, preferring one with `preferred`.
    pub(super) fn memory_type(
        &self,
        allowed: u32,
        required: vk::MemoryPropertyFlags,
        preferred: vk::MemoryPropertyFlags,
    ) -> Option<u32> {
        let types = self.adapter.inner().memory.memory_types_as_slice();
        let usable = |flags: vk::MemoryPropertyFlags| {
            (0_u32..)
                .zip(types)
                .find(|(index, kind)| {
                    allowed & (1 << index) != 0 && kind.property_flags.contains(flags)
                })
                .map(|(index, _)| index)
        };
        usable(required | preferred).or_else(|| usable(required))
    }
}

impl Drop for DeviceInner {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: vkDestroyDevice (VUID-vkDestroyDevice-device-05137) needs all children destroyed: images hold
            // this value and wait for their work before they go.
            unsafe { self.device.destroy_device(None) };
        }
    }
}

impl fmt::Debug for DeviceInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("adapter", &self.adapter)
            .field("queue_family", &self.queue_family)
            .field("enabled", &self.enabled)
            .field("owned", &self.owned)
            .finish_non_exhaustive()
    }
}
