//! An engine with no hook: it creates its own device with what it needs itself, and Lucarne wraps that.

use std::ffi::{CStr, CString};

use ash::vk;
use lucarne::negotiate::Agreement;
use lucarne::vulkan::{self, Adapter};
use lucarne::{Extent, Fence, Format, MemoryPath, Request, Usage, negotiate};
use lucarne_tests::TIMEOUT;

const EXTENT: Extent = Extent::new(61, 37);
const FORMAT: Format = Format::XRGB8888;
const USAGE: Usage = Usage::TRANSFER_SOURCE.union(Usage::TRANSFER_DESTINATION);

/// A device of the engine's.
pub(crate) struct Engine {
    pub(crate) adapter: Adapter,
    device: ash::Device,
    family: u32,
    /// What the engine has enabled by itself.
    mine: Vec<&'static CStr>,
}

impl Engine {
    /// On the first physical device of `instance`.
    pub(crate) fn new(instance: &vulkan::Instance, mine: &[&'static CStr]) -> Self {
        let adapters = instance.adapters().expect("a Vulkan driver");
        let adapter = adapters.first().expect("never empty").clone();
        let raw = instance.raw();
        // SAFETY: a physical device of this instance.
        let families = unsafe { raw.get_physical_device_queue_family_properties(adapter.raw()) };
        let graphics = |family: &vk::QueueFamilyProperties| {
            family.queue_flags.contains(vk::QueueFlags::GRAPHICS)
        };
        let family = families.iter().position(graphics).expect("graphics");
        let family = u32::try_from(family).expect("few");
        let names: Vec<_> = mine.iter().map(|name| name.as_ptr()).collect();
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(family)
            .queue_priorities(&[1.0])];
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names);
        // SAFETY: vkCreateDevice: the family exists, the driver lists the extensions, all pointers are locals.
        let device = unsafe { raw.create_device(adapter.raw(), &create, None) };
        Self {
            adapter,
            device: device.expect("a device"),
            family,
            mine: mine.to_vec(),
        }
    }

    /// What the layer says is enabled; `None` without the layer.
    pub(crate) fn enabled(&self) -> Option<Vec<CString>> {
        // SAFETY: Adapter::enabled_extensions: this adapter's, and alive.
        let enabled = unsafe { self.adapter.enabled_extensions(&self.device) };
        enabled.expect("the layer knows it")
    }

    /// The device as Lucarne's, with what the layer says, or else with what the engine knows.
    pub(crate) fn wrap(&self) -> vulkan::Device {
        let told = self.enabled();
        let enabled: Vec<&CStr> = match &told {
            Some(names) => names.iter().map(CString::as_c_str).collect(),
            None => self.mine.clone(),
        };
        // SAFETY: vkGetDeviceQueue: the device was created with queue 0 of this family.
        let queue = unsafe { self.device.get_device_queue(self.family, 0) };
        // SAFETY: Device::from_raw: created from this adapter with these extensions and this queue, which this thread alone uses;
        // tests drop what they make of it before the engine.
        let device = unsafe {
            vulkan::Device::from_raw(
                &self.adapter,
                self.device.clone(),
                queue,
                self.family,
                &enabled,
            )
        };
        device.expect("a family with graphics")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: VUID-vkDestroyDevice-device-05137: tests have dropped what they made.
        unsafe { self.device.destroy_device(None) };
    }
}

/// What two devices agree on, on this path; or why not, in words.
pub(crate) fn agree(
    from: &vulkan::Device,
    to: &vulkan::Device,
    path: MemoryPath,
) -> Result<Agreement, String> {
    let request = Request::new(EXTENT)
        .formats(&[FORMAT])
        .paths(&[path])
        .usage(USAGE, USAGE);
    let offers = [from, to].map(|device| device.offer(USAGE).expect("an offer"));
    negotiate(&offers[0], &offers[1], &request).map_err(|refusal| refusal.to_string())
}

/// Writes a frame on one device and reads it on the other: every byte is compared.
pub(crate) fn share(from: &vulkan::Device, to: &vulkan::Device, agreement: &Agreement) {
    let image = from.export(agreement).expect("an image");
    let bytes: Vec<u8> = (0..EXTENT.width * EXTENT.height * 4)
        .map(|at| u8::try_from(at * 7 % 251).expect("below 251"))
        .collect();
    let written = from
        .upload(&image, &Fence::Signaled, TIMEOUT, &bytes)
        .expect("written");
    let other = to.import(image.frame(), USAGE).expect("imported");
    let read = to.download(&other, &written, TIMEOUT).expect("read");
    assert!(read == bytes, "other pixels than were written");
}
