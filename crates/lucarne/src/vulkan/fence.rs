//! Whether semaphores and fences of a device pass as descriptors.

use ash::vk;

use super::device::Device;
use super::support::{self, extension, fence_support, no_fences, semaphore_features};
use crate::error::{Error, Requirement, Result, Support};
use crate::negotiate::FenceSupport;

impl Device {
    /// Passes fences through the driver also where it is software.
    ///
    /// A software driver finishes all work before it exports a sync_file, and waits on the CPU for a sync_file that it imports.
    /// So on such devices ([`SOFTWARE_FENCES_HAVE_SIGNALLED`](crate::quirks::SOFTWARE_FENCES_HAVE_SIGNALLED)) Lucarne waits on the
    /// CPU, and turns give [`Fence::Signaled`](crate::Fence::Signaled). Call this to make the same driver calls as on a GPU,
    /// in tests for instance. On GPUs, and where the driver has no such fences, it changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a device that is shared already, by a clone, an image or a semaphore.
    pub fn with_driver_fences(mut self) -> Result<Self> {
        let Some(inner) = self.inner_mut() else {
            let limit = "called before it is cloned and before anything is made of it";
            return Err(Error::invalid("device", "shared", limit));
        };
        inner.fences =
            support::fences_of_driver(inner.adapter.inner(), &|name| inner.enabled(name));
        inner.cpu_fences = false;
        Ok(self)
    }

    /// Whether a `VkFence` can be exported from this device, and imported to it, as a sync_file. This is the driver's answer;
    /// but where the CPU waits instead ([`Device::with_driver_fences`]), nothing can be exported.
    pub fn submit_fences(&self) -> FenceSupport {
        let inner = self.inner();
        let adapter = inner.adapter.inner();
        let name = ash::khr::external_fence_fd::NAME;
        if !inner.enabled(name) {
            return no_fences(Support::no(extension(adapter, name)));
        }
        let info = vk::PhysicalDeviceExternalFenceInfo::default()
            .handle_type(vk::ExternalFenceHandleTypeFlags::SYNC_FD);
        let mut properties = vk::ExternalFenceProperties::default();
        // SAFETY: vkGetPhysicalDeviceExternalFenceProperties (Vulkan 1.1) with structures of our own.
        unsafe {
            adapter
                .instance
                .get_physical_device_external_fence_properties(
                    adapter.physical,
                    &info,
                    &mut properties,
                );
        }
        let has = |feature| properties.external_fence_features.contains(feature);
        let fences = fence_support(
            has(vk::ExternalFenceFeatureFlags::EXPORTABLE),
            has(vk::ExternalFenceFeatureFlags::IMPORTABLE),
            "fences",
            "VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT",
        );
        support::unless_cpu_waits(fences, inner.cpu_fences)
    }

    /// Whether binary semaphores can leave this device, and come to it, as `OPAQUE_FD`.
    ///
    /// This is not about timeline semaphores: a wrapped device does not say whether that feature is enabled. For a timeline
    /// across APIs use the kernel's (`kernel::Timeline`, with the feature `drm`).
    pub fn opaque_semaphores(&self) -> Support {
        let inner = self.inner();
        let name = ash::khr::external_semaphore_fd::NAME;
        let adapter = inner.adapter.inner();
        if !inner.enabled(name) {
            return Support::no(extension(adapter, name));
        }
        let handle = vk::ExternalSemaphoreHandleTypeFlags::OPAQUE_FD;
        let both = vk::ExternalSemaphoreFeatureFlags::EXPORTABLE
            | vk::ExternalSemaphoreFeatureFlags::IMPORTABLE;
        if semaphore_features(adapter, handle).contains(both) {
            return Support::Yes(());
        }
        let effect = format!("{} has no OPAQUE_FD semaphores", adapter.name());
        let name = "VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT";
        Support::no(Requirement::capability(name, effect))
    }
}
