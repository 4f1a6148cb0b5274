//! Godot's Vulkan device, wrapped.

use std::ffi::{CStr, CString};

use ash::vk;
use ash::vk::Handle;
use godot::classes::RenderingDevice;
use godot::classes::rendering_device::DriverResource;
use godot::prelude::{Gd, Rid};
use lucarne::vulkan::{Adapter, Device};

use crate::say::LAYER;

/// Godot's device, as Lucarne sees it.
pub(crate) struct Opened {
    pub(crate) device: Device,
    /// Lucarne's Vulkan layer is there.
    pub(crate) has_layer: bool,
}

/// Extensions, and a function that a device has where they are enabled, and not where they are not (`vkGetDeviceProcAddr`).
const SIGNS: [(&CStr, &CStr); 4] = [
    (ash::khr::external_memory_fd::NAME, c"vkGetMemoryFdKHR"),
    (
        ash::khr::external_semaphore_fd::NAME,
        c"vkGetSemaphoreFdKHR",
    ),
    (ash::khr::external_fence_fd::NAME, c"vkGetFenceFdKHR"),
    (
        ash::ext::external_memory_host::NAME,
        c"vkGetMemoryHostPointerPropertiesEXT",
    ),
];

/// Wraps the main rendering device's `VkDevice`, or says why not.
pub(crate) fn open(godot: &Gd<RenderingDevice>) -> Result<Opened, String> {
    let ask = |resource| godot.get_driver_resource(resource, Rid::Invalid, 0);
    let instance = vk::Instance::from_raw(ask(DriverResource::TOPMOST_OBJECT));
    let physical = vk::PhysicalDevice::from_raw(ask(DriverResource::PHYSICAL_DEVICE));
    let raw = vk::Device::from_raw(ask(DriverResource::LOGICAL_DEVICE));
    let queue = vk::Queue::from_raw(ask(DriverResource::COMMAND_QUEUE));
    let family = u32::try_from(ask(DriverResource::QUEUE_FAMILY)).unwrap_or(u32::MAX);
    let nulls = [
        instance.is_null(),
        physical.is_null(),
        raw.is_null(),
        queue.is_null(),
    ];
    if nulls.contains(&true) {
        return Err("Godot does not tell its Vulkan device".to_owned());
    }
    // SAFETY: the system's Vulkan loader, which Godot has loaded already.
    let entry = unsafe { ash::Entry::load() }.map_err(|error| error.to_string())?;
    // SAFETY: Godot's live instance, made by the same loader.
    let instance = unsafe { ash::Instance::load(entry.static_fn(), instance) };
    // SAFETY: Adapter::from_raw: of this instance; Godot asks for Vulkan 1.1 or newer, and destroys it after the extensions
    // are gone.
    let adapter = unsafe { Adapter::from_raw(&entry, &instance, physical) };
    let adapter = adapter.map_err(|error| error.to_string())?;
    // SAFETY: a live device of this instance.
    let raw = unsafe { ash::Device::load(instance.fp_v1_0(), raw) };
    // SAFETY: created from the adapter's physical device, and alive.
    let told = unsafe { adapter.enabled_extensions(&raw) }.map_err(|error| error.to_string())?;
    let has_layer = told.is_some();
    if !has_layer && !uploads_elsewhere(&instance, physical, family) {
        return Err(format!(
            "this device has one queue, which Godot's other threads use for uploads; {LAYER} and lets one thread at a time use it"
        ));
    }
    let enabled = told.unwrap_or_else(|| signs(&instance, raw.handle()));
    let enabled: Vec<&CStr> = enabled.iter().map(CString::as_c_str).collect();
    // SAFETY: Device::from_raw: Godot's device with what is enabled on it, its queue and that queue's family. They live until
    // `gpu::end`. Others leave the queue alone meanwhile: Godot submits to it on this thread, and uploads of other threads go
    // to another queue or wait for the layer's lock (docs/adr/0017-godots-queue.md).
    let device = unsafe { Device::from_raw(&adapter, raw, queue, family, &enabled) };
    let device = device.map_err(|error| error.to_string())?;
    Ok(Opened { device, has_layer })
}

/// What is surely enabled on a device that nobody tells of.
fn signs(instance: &ash::Instance, device: vk::Device) -> Vec<CString> {
    let has = |function: &CStr| {
        // SAFETY: vkGetDeviceProcAddr with a live device of this instance.
        unsafe { instance.get_device_proc_addr(device, function.as_ptr()) }.is_some()
    };
    let enabled = SIGNS.iter().filter(|(_, function)| has(function));
    enabled.map(|(name, _)| (*name).to_owned()).collect()
}

/// Whether Godot's uploads have a queue of their own: it takes the family with the fewest capabilities that can transfer.
fn uploads_elsewhere(instance: &ash::Instance, physical: vk::PhysicalDevice, family: u32) -> bool {
    // SAFETY: vkGetPhysicalDeviceQueueFamilyProperties of a live instance's device.
    let families = unsafe { instance.get_physical_device_queue_family_properties(physical) };
    let Some(main) = usize::try_from(family).ok().and_then(|at| families.get(at)) else {
        return false;
    };
    families.iter().any(|other| {
        other.queue_flags.contains(vk::QueueFlags::TRANSFER) && other.queue_flags < main.queue_flags
    })
}

/// Waits until Godot's main queue has nothing left to do: for the rare moments when images are destroyed out of their turn.
pub(crate) fn wait_idle(device: &Device) {
    // SAFETY: vkQueueWaitIdle: a live queue that no other thread uses, as for `open`.
    // A device that is lost has nothing left to do either.
    _ = unsafe { device.raw().queue_wait_idle(device.queue()) };
}
