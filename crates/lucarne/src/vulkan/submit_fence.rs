//! `VkFence`s whose signal leaves as a sync_file, and that wait for one: for who submits on their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::device::{Device, DeviceInner};
use super::object::Owned;
use super::{failed, handoff, offer};
use crate::error::{Error, Requirement, Result, Support};
use crate::frame::Fence;
use crate::negotiate::FenceSupport;

/// A `VkFence` to submit with, that becomes a [`Fence`] (`VK_KHR_external_fence_fd`).
///
/// [`Device::write`](super::Device::write) makes fences by itself; this is for work that a program submits with its own
/// `vkQueueSubmit`, and for threads that wait in Vulkan for somebody else's fence. Made by [`Device::submit_fence`]; let
/// every submission with it end before it is dropped.
pub struct SubmitFence {
    raw: Owned<vk::Fence>,
    support: FenceSupport,
    device: Arc<DeviceInner>,
}

impl Device {
    /// Whether a `VkFence` can leave this device, and come to it, as a sync_file.
    pub fn submit_fences(&self) -> FenceSupport {
        let inner = self.inner();
        let adapter = inner.adapter.inner();
        let name = ash::khr::external_fence_fd::NAME;
        if !inner.enabled(name) {
            let no = Support::no(offer::extension(adapter, name));
            return FenceSupport {
                export: no.clone(),
                import: no,
            };
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
        let answer = |feature, verb| {
            if properties.external_fence_features.contains(feature) {
                Support::Yes(())
            } else {
                let reason = format!("its driver cannot {verb} SYNC_FD fences");
                Support::no(Requirement::other(reason))
            }
        };
        FenceSupport {
            export: answer(vk::ExternalFenceFeatureFlags::EXPORTABLE, "export"),
            import: answer(vk::ExternalFenceFeatureFlags::IMPORTABLE, "import"),
        }
    }

    /// Makes an unsignalled `VkFence`, exportable where the driver can.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where it could neither be exported nor import anything; [`Error::Driver`].
    pub fn submit_fence(&self) -> Result<SubmitFence> {
        let support = self.submit_fences();
        if !support.import.is_yes() {
            let what = "a VkFence that others wait for";
            support.export.clone().require(what)?;
        }
        let device = self.inner();
        let mut export = vk::ExportFenceCreateInfo::default()
            .handle_types(vk::ExternalFenceHandleTypeFlags::SYNC_FD);
        let mut create = vk::FenceCreateInfo::default();
        if support.export.is_yes() {
            create = create.push_next(&mut export);
        }
        // SAFETY: vkCreateFence; VUID-VkExportFenceCreateInfo-handleTypes-01446: the driver reports SYNC_FD as exportable.
        let raw = unsafe { device.device.create_fence(&create, None) }
            .map_err(failed("vkCreateFence"))?;
        Ok(SubmitFence {
            raw: Owned::new(device, raw),
            support,
            device: Arc::clone(device),
        })
    }
}

impl SubmitFence {
    /// The fence, to submit with. It stays Lucarne's: do not destroy it.
    pub fn raw(&self) -> vk::Fence {
        self.raw.raw()
    }

    /// The same moment as a [`Fence`], which others can wait for. This fence is then unsignalled, and may be submitted
    /// with again. Software drivers finish the work first, here.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`]; [`Error::Driver`].
    ///
    /// # Safety
    ///
    /// A submission must have been made with the fence, and its outcome neither waited for nor exported since
    /// (VUID-VkFenceGetFdInfoKHR-handleType-01454).
    #[doc(alias = "vkGetFenceFdKHR")]
    pub unsafe fn export(&mut self) -> Result<Fence> {
        let support = self.support.export.clone();
        support.require("exporting a VkFence")?;
        handoff::fence_fd(&self.device, self.raw())
    }

    /// Makes the next [`SubmitFence::wait`] wait for `fence`, whose descriptor is lent.
    ///
    /// Blocks only for a timeline point that nobody has submitted work for yet, `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`]; [`Error::Timeout`]; [`Error::Driver`].
    ///
    /// # Safety
    ///
    /// The fence must be in no submission that has not finished (VUID-vkImportFenceFdKHR-fence-01463).
    #[doc(alias = "vkImportFenceFdKHR")]
    pub unsafe fn import(&mut self, fence: &Fence, timeout: Duration) -> Result<()> {
        let support = self.support.import.clone();
        support.require("importing a sync_file into a VkFence")?;
        let file = fence.to_sync_file(timeout)?;
        handoff::import_fence(&self.device, self.raw(), file.as_deref())
    }

    /// Blocks this thread until the fence has signalled, `timeout` at most, and makes it unsignalled.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`]; [`Error::Driver`].
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        wait(&self.device, self.raw(), timeout, "a VkFence's signal")?;
        // SAFETY: vkResetFences (VUID-vkResetFences-pFences-01123): it has signalled, so that no queue uses it.
        unsafe { self.device.device.reset_fences(&[self.raw()]) }.map_err(failed("vkResetFences"))
    }
}

impl fmt::Debug for SubmitFence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitFence")
            .field("raw", &self.raw())
            .field("support", &self.support)
            .finish_non_exhaustive()
    }
}

/// `vkWaitForFences` with a deadline.
pub(super) fn wait(
    device: &DeviceInner,
    fence: vk::Fence,
    timeout: Duration,
    waiting_for: &'static str,
) -> Result<()> {
    let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: vkWaitForFences with a fence of this device.
    match unsafe { device.device.wait_for_fences(&[fence], true, nanoseconds) } {
        Ok(()) => Ok(()),
        Err(vk::Result::TIMEOUT) => Err(Error::Timeout {
            waiting_for,
            after: timeout,
        }),
        Err(other) => Err(failed("vkWaitForFences")(other)),
    }
}
