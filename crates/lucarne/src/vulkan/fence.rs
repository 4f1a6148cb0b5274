//! Whether semaphores and fences of a device pass as descriptors.

use ash::vk;

use super::adapter::AdapterInner;
use super::device::Device;
use super::offer::{self, Enabled};
use crate::error::{Error, Requirement, Result, Support};
use crate::negotiate::FenceSupport;
use crate::quirks;

impl Device {
    /// Passes fences through the driver also where it is software.
    ///
    /// A software driver finishes all work first and then exports a sync_file that has signalled; what it imports, the CPU
    /// has waited for. So on such devices ([`SOFTWARE_FENCES_HAVE_SIGNALLED`](quirks::SOFTWARE_FENCES_HAVE_SIGNALLED)) the
    /// CPU waits, and turns give [`Fence::Signaled`](crate::Fence::Signaled). Say otherwise here to see the calls that a GPU
    /// gets, in tests for instance. Elsewhere, and where the driver has no such fences, this changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a device that is shared already, by a clone, an image or a semaphore.
    pub fn with_driver_fences(mut self) -> Result<Self> {
        let Some(inner) = self.inner_mut() else {
            let limit = "called before it is cloned and before anything is made of it";
            return Err(Error::invalid("device", "shared", limit));
        };
        inner.fences = of_driver(inner.adapter.inner(), &|name| inner.enabled(name));
        inner.cpu_fences = false;
        Ok(self)
    }

    /// Whether a `VkFence` can leave this device, and come to it, as a sync_file: what the driver says.
    pub fn submit_fences(&self) -> FenceSupport {
        let inner = self.inner();
        let adapter = inner.adapter.inner();
        let name = ash::khr::external_fence_fd::NAME;
        if !inner.enabled(name) {
            return neither(Support::no(offer::extension(adapter, name)));
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
        support(
            has(vk::ExternalFenceFeatureFlags::EXPORTABLE),
            has(vk::ExternalFenceFeatureFlags::IMPORTABLE),
            "fences",
            "VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT",
        )
    }

    /// Whether binary semaphores can leave this device, and come to it, as `OPAQUE_FD`.
    ///
    /// Timeline semaphores are not asked for: wrapped devices do not tell whether the feature is enabled, and a timeline
    /// across APIs is a [`Timeline`](crate::kernel::Timeline) of the kernel's.
    pub fn opaque_semaphores(&self) -> Support {
        let inner = self.inner();
        let name = ash::khr::external_semaphore_fd::NAME;
        let adapter = inner.adapter.inner();
        if !inner.enabled(name) {
            return Support::no(offer::extension(adapter, name));
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

/// Whether the fences of turns pass as sync_files, unless the device is told otherwise.
pub(super) fn of_turns(adapter: &AdapterInner, enabled: Enabled<'_>) -> FenceSupport {
    let mut fences = of_driver(adapter, enabled);
    if fences.export.is_yes() && waits_on_cpu(adapter) {
        fences.export = Support::no(Requirement::Quirk {
            name: quirks::SOFTWARE_FENCES_HAVE_SIGNALLED.name,
            effect: "its driver is software, whose sync_files have always signalled; Device::with_driver_fences has them all \
                     the same"
                .to_owned(),
        });
    }
    fences
}

/// Whether the CPU waits where the driver's fences could be passed.
pub(super) fn waits_on_cpu(adapter: &AdapterInner) -> bool {
    adapter.quirks.has(&quirks::SOFTWARE_FENCES_HAVE_SIGNALLED)
}

fn of_driver(adapter: &AdapterInner, enabled: Enabled<'_>) -> FenceSupport {
    let name = ash::khr::external_semaphore_fd::NAME;
    if !enabled(name) {
        return neither(Support::no(offer::extension(adapter, name)));
    }
    let features = semaphore_features(adapter, vk::ExternalSemaphoreHandleTypeFlags::SYNC_FD);
    support(
        features.contains(vk::ExternalSemaphoreFeatureFlags::EXPORTABLE),
        features.contains(vk::ExternalSemaphoreFeatureFlags::IMPORTABLE),
        "semaphores",
        "VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT",
    )
}

fn support(export: bool, import: bool, what: &str, name: &'static str) -> FenceSupport {
    let answer = |can: bool, verb| {
        if can {
            return Support::Yes(());
        }
        let effect = format!("its driver cannot {verb} SYNC_FD {what}");
        Support::no(Requirement::capability(name, effect))
    };
    FenceSupport {
        export: answer(export, "export"),
        import: answer(import, "import"),
    }
}

fn neither(no: Support) -> FenceSupport {
    FenceSupport {
        export: no.clone(),
        import: no,
    }
}

/// What binary semaphores can do as `handle`.
fn semaphore_features(
    adapter: &AdapterInner,
    handle: vk::ExternalSemaphoreHandleTypeFlags,
) -> vk::ExternalSemaphoreFeatureFlags {
    let info = vk::PhysicalDeviceExternalSemaphoreInfo::default().handle_type(handle);
    let mut properties = vk::ExternalSemaphoreProperties::default();
    // SAFETY: vkGetPhysicalDeviceExternalSemaphoreProperties (Vulkan 1.1) with structures of our own.
    unsafe {
        adapter
            .instance
            .get_physical_device_external_semaphore_properties(
                adapter.physical,
                &info,
                &mut properties,
            );
    }
    properties.external_semaphore_features
}
