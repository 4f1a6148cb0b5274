//! `VkSemaphore`s that wait for somebody else's fence: for who submits on their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::device::{Device, DeviceInner};
use super::failed;
use super::handoff;
use super::image::Image;
use super::object::Owned;
use crate::error::Result;
use crate::frame::Fence;

/// A `VkSemaphore` for your own submission to wait for: the counterpart of [`SubmitFence`](super::SubmitFence).
///
/// [`Device::write`] has its own; this is for commands with [barriers](Image::acquire_barrier). Made by
/// [`Device::wait_semaphore`], one for each image; let every submission with it end before it is dropped.
pub struct WaitSemaphore {
    /// `None` where this device's CPU waits.
    raw: Option<Owned<vk::Semaphore>>,
    device: Arc<DeviceInner>,
}

impl Device {
    /// Makes a semaphore for your submissions to wait for.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`](crate::Error::Driver).
    pub fn wait_semaphore(&self) -> Result<WaitSemaphore> {
        WaitSemaphore::new(self.inner())
    }
}

impl WaitSemaphore {
    pub(super) fn new(device: &Arc<DeviceInner>) -> Result<Self> {
        let device = Arc::clone(device);
        if device.cpu_fences || !device.fences.import.is_yes() {
            return Ok(Self { raw: None, device });
        }
        let create = vk::SemaphoreCreateInfo::default();
        // SAFETY: vkCreateSemaphore has no preconditions beyond valid create info.
        let raw = unsafe { device.device.create_semaphore(&create, None) }
            .map_err(failed("vkCreateSemaphore"))?;
        let raw = Some(Owned::new(&device, raw));
        Ok(Self { raw, device })
    }

    /// Makes the semaphore wait for `fence`, which came with the image's frame and whose descriptor is lent. Returns what
    /// your next submission must wait for, or `None` where nothing is left to wait for.
    ///
    /// The CPU has waited then, `timeout` at most: for images in host memory, whose pixels only later submissions see
    /// (Vulkan, "Host Write Ordering Guarantees"), for timeline points, and on devices that cannot wait for sync_files or are
    /// software. Any stage will do in `pWaitDstStageMask`: [`Image::acquire_barrier`] waits for all.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for an image of another device than the semaphore's;
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Driver`](crate::Error::Driver).
    ///
    /// # Safety
    ///
    /// No submission uses the semaphore any more (VUID-vkImportSemaphoreFdKHR-semaphore-01142). Exactly one submission waits
    /// for what is returned, before the next call.
    ///
    /// # References
    ///
    /// [`vkImportSemaphoreFdKHR`](https://docs.vulkan.org/refpages/latest/refpages/source/vkImportSemaphoreFdKHR.html)
    #[doc(alias = "vkImportSemaphoreFdKHR")]
    pub unsafe fn import(
        &mut self,
        image: &Image,
        fence: &Fence,
        timeout: Duration,
    ) -> Result<Option<vk::Semaphore>> {
        image.check_device(&self.device)?;
        if image.in_host_memory() {
            fence.wait(timeout)?;
            return Ok(None);
        }
        self.gate(fence, timeout)
    }

    /// As [`WaitSemaphore::import`], whose contract the caller keeps, for an image in memory that only devices write.
    pub(super) fn gate(&self, fence: &Fence, timeout: Duration) -> Result<Option<vk::Semaphore>> {
        let (Fence::SyncFile(file), Some(semaphore)) = (fence, &self.raw) else {
            fence.wait(timeout)?;
            return Ok(None);
        };
        if self.device.waits_for_ever {
            // A software driver would wait on this thread, and for ever: wait here instead, with a deadline.
            file.wait(timeout)?;
        }
        handoff::import_sync_file(&self.device, semaphore.raw(), file)?;
        Ok(Some(semaphore.raw()))
    }
}

impl fmt::Debug for WaitSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitSemaphore")
            .field("on_cpu", &self.raw.is_none())
            .finish_non_exhaustive()
    }
}
