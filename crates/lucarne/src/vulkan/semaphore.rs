//! Opaque semaphores: turns between APIs of one driver that pass no sync_files.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ash::vk;

use super::device::Device;
use super::inner::DeviceInner;
use super::object::Owned;
use super::submission::{Done, Finish, InUse};
use super::{failed, handoff};
use crate::device_id::Comparison;
use crate::error::{Error, Result};
use crate::frame::OpaqueSemaphore;

/// A binary `VkSemaphore` that is shared with another API or device of the same driver.
///
/// Made by [`Device::export_semaphore`] or [`Device::import_semaphore`]. Dropping it waits for work that uses it.
pub struct Semaphore {
    objects: InUse<Objects>,
    device: Arc<DeviceInner>,
}

struct Objects {
    semaphore: Owned<vk::Semaphore>,
    /// Of the last submission with the semaphore.
    done: Mutex<Done>,
}

impl Device {
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
        let done = Done::new(device, "a semaphore's last use")?;
        Ok(Self {
            objects: InUse::new(Objects {
                semaphore,
                done: Mutex::new(done),
            }),
            device: Arc::clone(device),
        })
    }

    /// The semaphore, for submissions of the caller's own. It stays Lucarne's: do not destroy it, and let submissions
    /// with it end before this value is dropped.
    pub fn raw(&self) -> vk::Semaphore {
        self.objects.semaphore.raw()
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
        let done = self.objects.done.lock();
        let mut done = done.unwrap_or_else(PoisonError::into_inner);
        done.finish(timeout)?;
        done.submit(&[*submit])
    }
}

impl Finish for Objects {
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        self.done.finish(timeout)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("done", &self.objects.done)
            .finish_non_exhaustive()
    }
}
