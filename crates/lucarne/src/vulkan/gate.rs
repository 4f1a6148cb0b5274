//! Where a submission waits for somebody else's fence: on a semaphore, or on the CPU.

use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::inner::DeviceInner;
use super::object::Owned;
use super::{failed, handoff};
use crate::error::Result;
use crate::frame::Fence;

/// One fence for two. Fences of different kinds do not merge: then this waits for the first, and the second is left.
pub(super) fn both(first: &Fence, second: &Fence, timeout: Duration) -> Result<Fence> {
    if let Ok(both) = Fence::merge(&[first.clone(), second.clone()]) {
        return Ok(both);
    }
    first.wait(timeout)?;
    Ok(second.clone())
}

/// What holds submissions back until a fence signals.
pub(super) struct Gate {
    /// `None` where this device's CPU waits.
    raw: Option<Owned<vk::Semaphore>>,
    device: Arc<DeviceInner>,
}

impl Gate {
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

    pub(super) fn device(&self) -> &Arc<DeviceInner> {
        &self.device
    }

    /// Whether this device's CPU waits.
    pub(super) fn is_on_cpu(&self) -> bool {
        self.raw.is_none()
    }

    /// Makes the semaphore wait for `fence`; returns it, or `None` where the CPU has waited. No submission uses it any more,
    /// and one waits for what is returned before the next call. For images in memory that only devices write.
    #[inline]
    pub(super) fn close(&self, fence: &Fence, timeout: Duration) -> Result<Option<vk::Semaphore>> {
        if matches!(fence, Fence::Signaled) {
            return Ok(None);
        }
        self.close_with(fence, timeout)
    }

    fn close_with(&self, fence: &Fence, timeout: Duration) -> Result<Option<vk::Semaphore>> {
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
