//! What a program can ask the layer about a device of its own (docs/layer.md).

use std::ffi::CString;

use ash::vk;

use crate::device::{DEVICES, Device};
use crate::guarded;
use crate::registry::Key;

/// Their type in C: docs/layer.md.
pub(crate) type Ask =
    unsafe extern "system" fn(vk::Device, *mut u32, *mut vk::ExtensionProperties) -> vk::Result;

/// `vkEnumerateAddedExtensionsLUCARNE`: what the layer has added.
pub(crate) unsafe extern "system" fn added(
    device: vk::Device,
    count: *mut u32,
    properties: *mut vk::ExtensionProperties,
) -> vk::Result {
    guarded(vk::Result::ERROR_UNKNOWN, || {
        // SAFETY: docs/layer.md asks for what `answer` asks for.
        unsafe { answer(device, count, properties, |device| &device.added) }
    })
}

/// `vkEnumerateEnabledExtensionsLUCARNE`: all that the device was created with.
pub(crate) unsafe extern "system" fn enabled(
    device: vk::Device,
    count: *mut u32,
    properties: *mut vk::ExtensionProperties,
) -> vk::Result {
    guarded(vk::Result::ERROR_UNKNOWN, || {
        // SAFETY: docs/layer.md asks for what `answer` asks for.
        unsafe { answer(device, count, properties, |device| &device.enabled) }
    })
}

/// Answers as `vkEnumerateDeviceExtensionProperties` does; `specVersion` is 0.
///
/// # Safety
///
/// `device` must be null or alive; `count` null or a number that may be written; `properties` null or an array of that many.
unsafe fn answer(
    device: vk::Device,
    count: *mut u32,
    properties: *mut vk::ExtensionProperties,
    list: impl FnOnce(&Device) -> &[CString],
) -> vk::Result {
    // SAFETY: null or alive.
    let key = unsafe { Key::of(device) };
    // SAFETY: null or a number of the caller's.
    let count = unsafe { count.as_mut() };
    let (Some(known), Some(count)) = (key.and_then(|key| DEVICES.find(key)), count) else {
        return vk::Result::ERROR_UNKNOWN;
    };
    let names = list(&known);
    let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
    if properties.is_null() {
        *count = all;
        return vk::Result::SUCCESS;
    }
    let room = usize::try_from(*count).unwrap_or(usize::MAX);
    for (index, name) in names.iter().take(room).enumerate() {
        // No name that a driver took is longer than its array.
        let one = vk::ExtensionProperties::default().extension_name(name);
        // SAFETY: `index` is below the array's length, which the caller has told.
        let place = unsafe { properties.add(index) };
        // SAFETY: as above; plain data.
        unsafe { place.write(one.unwrap_or_default()) };
    }
    *count = all.min(*count);
    if *count < all {
        vk::Result::INCOMPLETE
    } else {
        vk::Result::SUCCESS
    }
}
