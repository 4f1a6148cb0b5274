//! `VkFence`s that can be exported as a sync_file, and that can wait for one: for programs that submit by themselves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::device::Device;
use super::inner::DeviceInner;
use super::object::Owned;
use super::submission::wait;
use super::{failed, handoff};
use crate::error::{Result, Support};
use crate::frame::Fence;

/// A `VkFence` to submit with, that becomes a [`Fence`] (`VK_KHR_external_fence_fd`).
///
/// [`Device::write`] makes fences by itself; this is for work that a program submits with its own
/// `vkQueueSubmit`, and for threads that wait in Vulkan for somebody else's fence. Made by [`Device::submit_fence`]; let
/// every submission with it end before it is dropped.
pub struct SubmitFence {
    raw: Owned<vk::Fence>,
    exported: bool,
    import: Support,
    device: Arc<DeviceInner>,
}

impl Device {
    /// Makes an unsignalled `VkFence`.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`](crate::Error::Driver).
    pub fn submit_fence(&self) -> Result<SubmitFence> {
        let device = self.inner();
        // No where the CPU waits, as `export` does then.
        let support = self.submit_fences();
        let exported = support.export.is_yes();
        let mut export = vk::ExportFenceCreateInfo::default()
            .handle_types(vk::ExternalFenceHandleTypeFlags::SYNC_FD);
        let mut create = vk::FenceCreateInfo::default();
        if exported {
            create = create.push_next(&mut export);
        }
        // SAFETY: vkCreateFence; VUID-VkExportFenceCreateInfo-handleTypes-01446: the driver reports SYNC_FD as exportable.
        let raw = unsafe { device.device.create_fence(&create, None) }
            .map_err(failed("vkCreateFence"))?;
        Ok(SubmitFence {
            raw: Owned::new(device, raw),
            exported,
            import: support.import,
            device: Arc::clone(device),
        })
    }
}

impl SubmitFence {
    /// The fence, to submit with. It stays Lucarne's: do not destroy it.
    pub fn raw(&self) -> vk::Fence {
        self.raw.raw()
    }

    /// Exports the signal of the last submission as a [`Fence`] that others can wait for. Afterwards this `VkFence` is
    /// unsignalled. It may be submitted again when nothing is pending on it.
    ///
    /// Does not block where the fence leaves as a sync_file. Where the driver cannot do that, or is software
    /// ([`Device::with_driver_fences`]), the CPU waits here, `timeout` at most, and the fence is [`Fence::Signaled`].
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Driver`](crate::Error::Driver).
    ///
    /// # Safety
    ///
    /// A submission must have been made with the fence, and its outcome neither waited for nor exported since
    /// (VUID-VkFenceGetFdInfoKHR-handleType-01454).
    #[doc(alias = "vkGetFenceFdKHR")]
    pub unsafe fn export(&mut self, timeout: Duration) -> Result<Fence> {
        if self.exported {
            return handoff::fence_fd(&self.device, self.raw());
        }
        self.wait(timeout)?;
        Ok(Fence::Signaled)
    }

    /// Makes the next [`SubmitFence::wait`] wait for `fence`, whose descriptor is lent.
    ///
    /// Blocks only for a timeline point that nobody has submitted work for yet, `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) where [`Device::submit_fences`] says no;
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Driver`](crate::Error::Driver).
    ///
    /// # Safety
    ///
    /// The fence must be in no submission that has not finished (VUID-vkImportFenceFdKHR-fence-01463).
    #[doc(alias = "vkImportFenceFdKHR")]
    pub unsafe fn import(&mut self, fence: &Fence, timeout: Duration) -> Result<()> {
        let import = self.import.clone();
        import.require("importing a sync_file into a VkFence")?;
        let file = fence.to_sync_file(timeout)?;
        handoff::import_fence(&self.device, self.raw(), file.as_deref())
    }

    /// Blocks this thread until the fence has signalled, `timeout` at most, and makes it unsignalled.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Driver`](crate::Error::Driver).
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
            .field("exported", &self.exported)
            .finish_non_exhaustive()
    }
}
