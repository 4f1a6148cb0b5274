//! Features of a device that need more than an extension's name.

use super::inner::Adapter;

/// What Lucarne can use of a device beside [`Adapter::device_extensions`]. Each is enabled with a structure in the `pNext`
/// chain of `VkDeviceCreateInfo`. Nothing fails without them but what is said here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceFeatures {
    /// `timelineSemaphore`, for [`Timelines`](super::Timelines). Below Vulkan 1.2 the extension `VK_KHR_timeline_semaphore` must
    /// be enabled with it.
    pub timeline_semaphore: bool,
    /// `samplerYcbcrConversion`, for [`Adapter::ycbcr_conversion_info`].
    pub sampler_ycbcr_conversion: bool,
}

impl Adapter {
    /// The features to enable at device creation: those that Lucarne can use and the driver has. [`Adapter::open`] enables them.
    pub fn device_features(&self) -> DeviceFeatures {
        let inner = self.inner();
        DeviceFeatures {
            // Every driver with the extension has the feature (VkPhysicalDeviceTimelineSemaphoreFeatures).
            timeline_semaphore: inner.has(ash::khr::timeline_semaphore::NAME),
            sampler_ycbcr_conversion: inner.has_ycbcr_conversion(),
        }
    }
}
