//! Opaque semaphores: turns between APIs of one driver that pass no sync_files.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ash::vk;

use super::device::{Device, DeviceInner};
use super::object::Owned;
use super::{failed, handoff, offer};
use crate::device_id::Comparison;
use crate::error::{Error, Requirement, Result, Support};
use crate::frame::OpaqueSemaphore;

/// How long dropping a semaphore waits for work that still uses it.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// A binary `VkSemaphore` that is shared with another API or device of the same driver.
///
/// Made by [`Device::export_semaphore`] or [`Device::import_semaphore`]. Dropping it waits for work that uses it.
pub struct Semaphore {
    objects: ManuallyDrop<Objects>,
    pending: Mutex<bool>,
    device: Arc<DeviceInner>,
}

struct Objects {
    semaphore: Owned<vk::Semaphore>,
    /// Signals when the last submission with the semaphore has finished.
    done: Owned<vk::Fence>,
}

impl Device {
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
        let features = offer::semaphore_features(adapter, handle);
        let both = vk::ExternalSemaphoreFeatureFlags::EXPORTABLE
            | vk::ExternalSemaphoreFeatureFlags::IMPORTABLE;
        if features.contains(both) {
            Support::Yes(())
        } else {
            Support::no(Requirement::other(format!(
                "{} has no OPAQUE_FD semaphores",
                adapter.name()
            )))
        }
    }

    /// Makes a semaphore and a descriptor of it, for [`egl::Device::import_semaphore`] or another device's
    /// [`Device::import_semaphore`].
    ///
    /// [`egl::Device::import_semaphore`]: ../egl/struct.Device.html#method.import_semaphore
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where [`Device::opaque_semaphores`] says no; [`Error::Driver`].
    pub fn export_semaphore(&self) -> Result<(Semaphore, OpaqueSemaphore)> {
        self.opaque_semaphores()
            .require("exporting an opaque semaphore")?;
        let semaphore = Semaphore::new(self, true)?;
        let fd = handoff::semaphore_fd(self.inner(), semaphore.raw())?;
        let device = self.adapter().id().clone();
        Ok((semaphore, OpaqueSemaphore::new(fd, device)?))
    }

    /// Makes a semaphore that is the one behind `shared`, whose descriptor is lent.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where [`Device::opaque_semaphores`] says no; [`Error::ForeignDevice`] for another driver's or
    /// device's; [`Error::Driver`].
    pub fn import_semaphore(&self, shared: &OpaqueSemaphore) -> Result<Semaphore> {
        self.opaque_semaphores()
            .require("importing an opaque semaphore")?;
        let id = self.adapter().id();
        if shared.device().compare_driver(id) != Comparison::Same {
            return Err(Error::ForeignDevice {
                memory: "opaque semaphore",
                frame: Box::new(shared.device().clone()),
                device: Box::new(id.clone()),
            });
        }
        let semaphore = Semaphore::new(self, false)?;
        handoff::import_semaphore(self.inner(), semaphore.raw(), shared)?;
        Ok(semaphore)
    }

    /// Signals `semaphore` when everything that this queue was given before has finished. Blocks, `timeout` at most, until
    /// this semaphore's last use has.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for another device's semaphore; [`Error::Timeout`]; [`Error::Driver`].
    ///
    /// # Safety
    ///
    /// Every signal of the semaphore before this one, by either side, must have been waited for
    /// (VUID-vkQueueSubmit-pSignalSemaphores-00067).
    pub unsafe fn signal(&self, semaphore: &Semaphore, timeout: Duration) -> Result<()> {
        let signals = [semaphore.raw()];
        let submit = vk::SubmitInfo::default().signal_semaphores(&signals);
        semaphore.submit(self, &submit, timeout)
    }

    /// Makes everything that this queue is given from now on wait for `semaphore`. Blocks, `timeout` at most, until this
    /// semaphore's last use has finished; software drivers may wait for the signal here.
    ///
    /// # Errors
    ///
    /// As for [`Device::signal`].
    ///
    /// # Safety
    ///
    /// A signal of the semaphore must have been submitted, by either side, that nobody has waited for
    /// (VUID-vkQueueSubmit-pWaitSemaphores-03238).
    pub unsafe fn wait_for(&self, semaphore: &Semaphore, timeout: Duration) -> Result<()> {
        let waits = [semaphore.raw()];
        // The wait's second scope includes whatever comes later in submission order.
        let stages = [vk::PipelineStageFlags::ALL_COMMANDS];
        let submit = vk::SubmitInfo::default()
            .wait_semaphores(&waits)
            .wait_dst_stage_mask(&stages);
        semaphore.submit(self, &submit, timeout)
    }
}

impl Semaphore {
    fn new(device: &Device, exported: bool) -> Result<Self> {
        let device = device.inner();
        let raw = &device.device;
        let mut export = vk::ExportSemaphoreCreateInfo::default()
            .handle_types(vk::ExternalSemaphoreHandleTypeFlags::OPAQUE_FD);
        let mut create = vk::SemaphoreCreateInfo::default();
        if exported {
            create = create.push_next(&mut export);
        }
        // SAFETY: vkCreateSemaphore; VUID-VkExportSemaphoreCreateInfo-handleTypes-01124: the driver reports OPAQUE_FD as
        // exportable (`Device::opaque_semaphores`).
        let semaphore =
            unsafe { raw.create_semaphore(&create, None) }.map_err(failed("vkCreateSemaphore"))?;
        let semaphore = Owned::new(device, semaphore);
        // SAFETY: vkCreateFence has no preconditions beyond valid create info.
        let done = unsafe { raw.create_fence(&vk::FenceCreateInfo::default(), None) }
            .map_err(failed("vkCreateFence"))?;
        let done = Owned::new(device, done);
        Ok(Self {
            objects: ManuallyDrop::new(Objects { semaphore, done }),
            pending: Mutex::new(false),
            device: Arc::clone(device),
        })
    }

    /// The semaphore, for submissions of the caller's own. It stays Lucarne's: do not destroy it, and let submissions
    /// with it end before this value is dropped.
    pub fn raw(&self) -> vk::Semaphore {
        self.objects.semaphore.raw()
    }

    fn done(&self) -> vk::Fence {
        self.objects.done.raw()
    }

    fn submit(
        &self,
        device: &Device,
        submit: &vk::SubmitInfo<'_>,
        timeout: Duration,
    ) -> Result<()> {
        if !Arc::ptr_eq(device.inner(), &self.device) {
            let limit = "one that this device exported or imported";
            return Err(Error::invalid("semaphore", "of another device", limit));
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        self.finish(&mut pending, timeout)?;
        let raw = &self.device.device;
        // SAFETY: vkResetFences: no submission is pending on it, as `finish` has returned.
        unsafe { raw.reset_fences(&[self.done()]) }.map_err(failed("vkResetFences"))?;
        let queue = self.device.submitting.lock();
        // SAFETY: vkQueueSubmit: the queue is ours alone, by the lock and by `Device::from_raw`'s contract; the fence is in
        // no other submission; the semaphore's state is the caller's contract.
        unsafe { raw.queue_submit(self.device.queue, &[*submit], self.done()) }
            .map_err(failed("vkQueueSubmit"))?;
        drop(queue);
        *pending = true;
        Ok(())
    }

    fn finish(&self, pending: &mut bool, timeout: Duration) -> Result<()> {
        if !*pending {
            return Ok(());
        }
        super::submit_fence::wait(&self.device, self.done(), timeout, "a semaphore's last use")?;
        *pending = false;
        Ok(())
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        let mut pending = *self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = self.finish(&mut pending, DROP_TIMEOUT);
        if finished.is_err() {
            // A queue that does not finish may still use them; leaking them is the lesser evil.
            #[cfg(feature = "tracing")]
            tracing::error!(?finished, "a semaphore's work did not finish; leaking it");
            return;
        }
        // SAFETY: ManuallyDrop::drop once, and `objects` is not used afterwards: this is the end of Drop.
        unsafe { ManuallyDrop::drop(&mut self.objects) };
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}
