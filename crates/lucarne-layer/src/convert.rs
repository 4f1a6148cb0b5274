//! What a program asks for in `VkInstanceCreateInfo` and `VkDeviceCreateInfo`, in words of ours.

use std::ffi::{CStr, c_char, c_void};

use ash::vk;

use crate::ffi;

/// What the program says about a feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Says {
    /// It has no structure with this feature.
    #[default]
    Nothing,
    On,
    Off,
}

/// What a program asks for when it creates a device, as far as the layer adds to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub(crate) extensions: Vec<&'a CStr>,
    pub(crate) timeline_semaphore: Says,
    pub(crate) sampler_ycbcr_conversion: Says,
}

impl<'a> Asked<'a> {
    /// # Safety
    ///
    /// `info` must be valid as `vkCreateDevice` wants it, for `'a`.
    pub(crate) unsafe fn read(info: &'a vk::DeviceCreateInfo<'a>) -> Self {
        let mut asked = Self::default();
        for &name in names(info) {
            // SAFETY: VUID-VkDeviceCreateInfo-ppEnabledExtensionNames-parameter: NUL-terminated strings.
            asked.extensions.push(unsafe { CStr::from_ptr(name) });
        }
        // SAFETY: VUID-VkDeviceCreateInfo-pNext-pNext: a chain of structures.
        for (s_type, at) in unsafe { ffi::chain(info.p_next) } {
            // SAFETY: it is one of that chain.
            unsafe { asked.read_features(s_type, at) };
        }
        asked
    }

    /// # Safety
    ///
    /// At `at` must be a whole structure of this type.
    unsafe fn read_features(&mut self, s_type: vk::StructureType, at: *const c_void) {
        match s_type {
            vk::StructureType::PHYSICAL_DEVICE_VULKAN_1_1_FEATURES => {
                // SAFETY: the structure is of this type.
                let features = unsafe { &*at.cast::<vk::PhysicalDeviceVulkan11Features<'_>>() };
                self.sampler_ycbcr_conversion = says(features.sampler_ycbcr_conversion);
            }
            vk::StructureType::PHYSICAL_DEVICE_SAMPLER_YCBCR_CONVERSION_FEATURES => {
                let features = at.cast::<vk::PhysicalDeviceSamplerYcbcrConversionFeatures<'_>>();
                // SAFETY: as above.
                let features = unsafe { &*features };
                self.sampler_ycbcr_conversion = says(features.sampler_ycbcr_conversion);
            }
            vk::StructureType::PHYSICAL_DEVICE_VULKAN_1_2_FEATURES => {
                // SAFETY: as above.
                let features = unsafe { &*at.cast::<vk::PhysicalDeviceVulkan12Features<'_>>() };
                self.timeline_semaphore = says(features.timeline_semaphore);
            }
            vk::StructureType::PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES => {
                let features = at.cast::<vk::PhysicalDeviceTimelineSemaphoreFeatures<'_>>();
                // SAFETY: as above.
                let features = unsafe { &*features };
                self.timeline_semaphore = says(features.timeline_semaphore);
            }
            _ => {}
        }
    }
}

fn says(value: vk::Bool32) -> Says {
    if value == vk::FALSE {
        Says::Off
    } else {
        Says::On
    }
}

/// `ppEnabledExtensionNames`.
pub(crate) fn names<'a>(info: &'a vk::DeviceCreateInfo<'_>) -> &'a [*const c_char] {
    let count = usize::try_from(info.enabled_extension_count).unwrap_or(0);
    if count == 0 || info.pp_enabled_extension_names.is_null() {
        return &[];
    }
    // SAFETY: VUID-VkDeviceCreateInfo-ppEnabledExtensionNames-parameter: an array of that many.
    unsafe { std::slice::from_raw_parts(info.pp_enabled_extension_names, count) }
}

/// The version of Vulkan that the program asks for; 1.0 where it does not say.
///
/// # Safety
///
/// `info` must be valid as `vkCreateInstance` wants it.
pub(crate) unsafe fn api_version(info: &vk::InstanceCreateInfo<'_>) -> u32 {
    // SAFETY: VUID-VkInstanceCreateInfo-pApplicationInfo-parameter: null or valid.
    let application = unsafe { info.p_application_info.as_ref() };
    let version = application.map_or(0, |application| application.api_version);
    // VkApplicationInfo: 0 is Vulkan 1.0.
    version.max(vk::API_VERSION_1_0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_features_are_read_wherever_they_stand() {
        let mut eleven =
            vk::PhysicalDeviceVulkan11Features::default().sampler_ycbcr_conversion(true);
        let mut twelve = vk::PhysicalDeviceVulkan12Features::default();
        let mut plain = vk::PhysicalDeviceFeatures2::default();
        let names = [c"VK_KHR_swapchain".as_ptr(), c"VK_KHR_other".as_ptr()];
        let info = vk::DeviceCreateInfo::default()
            .enabled_extension_names(&names)
            .push_next(&mut eleven)
            .push_next(&mut plain)
            .push_next(&mut twelve);
        // SAFETY: all pointers are locals.
        let asked = unsafe { Asked::read(&info) };
        assert_eq!(asked.extensions, [c"VK_KHR_swapchain", c"VK_KHR_other"]);
        assert_eq!(asked.sampler_ycbcr_conversion, Says::On);
        assert_eq!(asked.timeline_semaphore, Says::Off);

        let mut ycbcr = vk::PhysicalDeviceSamplerYcbcrConversionFeatures::default();
        let mut timeline =
            vk::PhysicalDeviceTimelineSemaphoreFeatures::default().timeline_semaphore(true);
        let info = vk::DeviceCreateInfo::default()
            .push_next(&mut ycbcr)
            .push_next(&mut timeline);
        // SAFETY: as above.
        let asked = unsafe { Asked::read(&info) };
        assert_eq!(asked.sampler_ycbcr_conversion, Says::Off);
        assert_eq!(asked.timeline_semaphore, Says::On);
        let empty = vk::DeviceCreateInfo::default();
        // SAFETY: as above.
        let nothing = unsafe { Asked::read(&empty) };
        assert_eq!(nothing, Asked::default());
    }

    #[test]
    fn no_version_is_the_first() {
        let info = vk::InstanceCreateInfo::default();
        // SAFETY: all pointers are null, or locals.
        assert_eq!(unsafe { api_version(&info) }, vk::API_VERSION_1_0);
        for (said, version) in [
            (0, vk::API_VERSION_1_0),
            (vk::API_VERSION_1_2, vk::API_VERSION_1_2),
        ] {
            let application = vk::ApplicationInfo::default().api_version(said);
            let info = vk::InstanceCreateInfo::default().application_info(&application);
            // SAFETY: as above.
            assert_eq!(unsafe { api_version(&info) }, version);
        }
    }
}
