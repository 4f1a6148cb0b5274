//! Where Bevy asks for a promise: the only file with unsafe code.

use bevy_render::renderer::raw_vulkan_init::{AdditionalVulkanFeatures, RawVulkanInitSettings};
use lucarne_wgpu::add_device_extensions;
use wgpu::hal::vulkan as raw;

/// Adds what sharing can use to the extensions with which Bevy creates its device.
pub(crate) fn add_extensions(settings: &mut RawVulkanInitSettings) {
    let add = |arguments: &mut raw::CreateDeviceCallbackArgs<'_, '_, '_>,
               adapter: &raw::Adapter,
               _: &mut AdditionalVulkanFeatures| {
        // A driver that is too old adds nothing, and `Device::wrap` says why.
        let _ = add_device_extensions(adapter, arguments.extensions);
    };
    // SAFETY: RawVulkanInitSettings::add_create_device_callback: it removes nothing, and adds extensions that this device's
    // driver lists, which need no features.
    unsafe { settings.add_create_device_callback(add) };
}
