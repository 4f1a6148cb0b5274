//! `VkSemaphore`s that wait for somebody else's fence: for programs that submit by themselves.

use std::fmt;
use std::time::Duration;

use ash::vk;

use super::device::Device;
use super::gate::Gate;
use super::image::Image;
use crate::error::Result;
use crate::frame::Fence;

/// A `VkSemaphore` for your own submission to wait for: the counterpart of [`SubmitFence`](super::SubmitFence).
///
/// [`Device::write`] has its own; this is for commands with [barriers](Image::acquire_barrier). Made by
/// [`Device::wait_semaphore`], one for each image; let every submission with it end before it is dropped.
pub struct WaitSemaphore {
    gate: Gate,
}

impl Device {
    /// Makes a semaphore for your submissions to wait for.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`](crate::Error::Driver).
    pub fn wait_semaphore(&self) -> Result<WaitSemaphore> {
        let gate = Gate::new(self.inner())?;
        Ok(WaitSemaphore { gate })
    }
}

impl WaitSemaphore {
    /// Makes the semaphore wait for `fence`, which came with the image's frame and whose descriptor is lent. Returns what
    /// your next submission must wait for, or `None` where nothing is left to wait for.
    ///
    /// With `None` the CPU has waited, `timeout` at most. It does so for images in host memory, whose pixels only later
    /// submissions see (Vulkan, "Host Write Ordering Guarantees"), for timeline points, on software devices, and on devices
    /// that cannot wait for sync_files. Any stage will do in `pWaitDstStageMask`: [`Image::acquire_barrier`] waits for all.
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
        image.check_device(self.gate.device())?;
        if image.in_host_memory() {
            fence.wait(timeout)?;
            return Ok(None);
        }
        self.gate.close(fence, timeout)
    }
}

impl fmt::Debug for WaitSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitSemaphore")
            .field("on_cpu", &self.gate.is_on_cpu())
            .finish_non_exhaustive()
    }
}
