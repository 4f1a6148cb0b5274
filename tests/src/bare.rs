//! A Vulkan device of a program's own, created with the extensions that a test names and nothing else.

use std::ffi::CStr;

use ash::vk;
use lucarne::vulkan::{self, Adapter};

/// The device. Whatever is made of it goes before it.
#[expect(
    missing_debug_implementations,
    reason = "a test fixture; nothing prints it"
)]
pub struct Bare {
    adapter: Adapter,
    device: ash::Device,
    family: u32,
}

impl Bare {
    /// With one queue, of the first family that has graphics. `instance` is the adapter's own.
    ///
    /// # Panics
    ///
    /// When the driver refuses.
    pub fn new(instance: &ash::Instance, adapter: &Adapter, extensions: &[&CStr]) -> Self {
        let physical = adapter.raw();
        // SAFETY: a physical device of this instance.
        let families = unsafe { instance.get_physical_device_queue_family_properties(physical) };
        let graphics = |family: &vk::QueueFamilyProperties| {
            family.queue_flags.contains(vk::QueueFlags::GRAPHICS)
        };
        let family = families.iter().position(graphics).expect("graphics");
        let family = u32::try_from(family).expect("few");
        let names: Vec<_> = extensions.iter().map(|name| name.as_ptr()).collect();
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(family)
            .queue_priorities(&[1.0])];
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names);
        // SAFETY: vkCreateDevice: the family exists, the driver lists the extensions, all pointers are locals.
        let device = unsafe { instance.create_device(physical, &create, None) };
        Self {
            adapter: adapter.clone(),
            device: device.expect("a device"),
            family,
        }
    }

    /// The device itself.
    pub fn raw(&self) -> &ash::Device {
        &self.device
    }

    /// The device as Lucarne's, which is told that `enabled` is.
    ///
    /// # Panics
    ///
    /// When Lucarne refuses it.
    pub fn wrap(&self, enabled: &[&CStr]) -> vulkan::Device {
        let (raw, family) = (self.device.clone(), self.family);
        // SAFETY: vkGetDeviceQueue: the device was created with queue 0 of this family.
        let queue = unsafe { raw.get_device_queue(family, 0) };
        // SAFETY: Device::from_raw: created from this adapter with this queue, which this thread alone uses; tests name what is
        // enabled, and drop what they make of it first.
        let device =
            unsafe { vulkan::Device::from_raw(&self.adapter, raw, queue, family, enabled) };
        device.expect("a family with graphics")
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: VUID-vkDestroyDevice-device-05137: tests have dropped what they made.
        unsafe { self.device.destroy_device(None) };
    }
}
