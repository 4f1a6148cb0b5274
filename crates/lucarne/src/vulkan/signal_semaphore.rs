//! `VkSemaphore`s that somebody else's submission signals, and whose signal becomes a fence: for engines that take semaphores and
//! no `VkFence` of yours.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::device::Device;
use super::failed;
use super::handoff;
use super::inner::DeviceInner;
use super::object::Owned;
use super::submission::exported_semaphore;
use crate::error::{Error, Result};
use crate::frame::Fence;

/// A `VkSemaphore` for an engine's submission to signal, that becomes a [`Fence`]: the counterpart of
/// [`WaitSemaphore`](super::WaitSemaphore) where the engine takes no [`SubmitFence`](super::SubmitFence).
///
/// Where sync_files leave the device it is a binary semaphore. Elsewhere it is a timeline, for whose value the CPU waits. Made
/// by [`Device::signal_semaphore`]; let every submission with it end before it is dropped.
pub struct SignalSemaphore {
    raw: Owned<vk::Semaphore>,
    /// Of a timeline: the value that the next submission signals.
    value: Option<u64>,
    device: Arc<DeviceInner>,
}

impl Device {
    /// Makes a semaphore for your submissions to signal.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`].
    ///
    /// # Safety
    ///
    /// The device and its instance are of Vulkan 1.2 or later, and the feature `timelineSemaphore` is enabled
    /// (VUID-VkSemaphoreTypeCreateInfo-timelineSemaphore-03252).
    pub unsafe fn signal_semaphore(&self) -> Result<SignalSemaphore> {
        let device = Arc::clone(self.inner());
        if let Some(raw) = exported_semaphore(&device)? {
            let value = None;
            return Ok(SignalSemaphore { raw, value, device });
        }
        let mut kind =
            vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
        let create = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
        // SAFETY: vkCreateSemaphore: the feature is enabled, which this function's caller answers for.
        let raw = unsafe { device.device.create_semaphore(&create, None) }
            .map_err(failed("vkCreateSemaphore"))?;
        Ok(SignalSemaphore {
            raw: Owned::new(&device, raw),
            value: Some(1),
            device,
        })
    }
}

impl SignalSemaphore {
    /// The semaphore to signal. It stays Lucarne's: do not destroy it.
    pub fn raw(&self) -> vk::Semaphore {
        self.raw.raw()
    }

    /// The value that the next submission must signal; `None` where the semaphore is binary.
    pub fn value(&self) -> Option<u64> {
        self.value
    }

    /// Turns the signal of the last submission into a [`Fence`] that others can wait for.
    ///
    /// Does not block where the signal leaves as a sync_file. Where the driver cannot do that, or is software
    /// ([`Device::with_driver_fences`]), the CPU waits here, `timeout` at most, and the fence is [`Fence::Signaled`].
    ///
    /// Afterwards the semaphore can be signalled again, a binary one when that submission has finished. After an error a binary
    /// semaphore is of no more use.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`]; [`Error::Driver`].
    ///
    /// # Safety
    ///
    /// A signal of [`SignalSemaphore::raw`], of [`SignalSemaphore::value`] where there is one, has been submitted since the last
    /// call (VUID-VkSemaphoreGetFdInfoKHR-handleType-03253).
    ///
    /// # References
    ///
    /// [`vkGetSemaphoreFdKHR`](https://docs.vulkan.org/refpages/latest/refpages/source/vkGetSemaphoreFdKHR.html),
    /// [`vkWaitSemaphores`](https://docs.vulkan.org/refpages/latest/refpages/source/vkWaitSemaphores.html)
    #[doc(alias = "vkGetSemaphoreFdKHR")]
    pub unsafe fn export(&mut self, timeout: Duration) -> Result<Fence> {
        let Some(value) = self.value else {
            return handoff::semaphore_fence(&self.device, self.raw());
        };
        // Submitted, whatever becomes of the wait: the next signal is another one.
        self.value = Some(value + 1);
        let (semaphores, values) = ([self.raw()], [value]);
        let wait = vk::SemaphoreWaitInfo::default()
            .semaphores(&semaphores)
            .values(&values);
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: vkWaitSemaphores (Vulkan 1.2, by `signal_semaphore`'s contract): a timeline of this device.
        match unsafe { self.device.device.wait_semaphores(&wait, nanoseconds) } {
            Ok(()) => Ok(Fence::Signaled),
            Err(vk::Result::TIMEOUT) => Err(Error::Timeout {
                waiting_for: "a timeline's value",
                after: timeout,
            }),
            Err(other) => Err(failed("vkWaitSemaphores")(other)),
        }
    }
}

impl fmt::Debug for SignalSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalSemaphore")
            .field("raw", &self.raw())
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
